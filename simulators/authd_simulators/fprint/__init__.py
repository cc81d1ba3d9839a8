"""A fingerprint service without a sensor: the real fprintd on a private bus, with libfprint's virtual devices.

docs/reference/simulated-fprint.md says what is not modelled.
"""
