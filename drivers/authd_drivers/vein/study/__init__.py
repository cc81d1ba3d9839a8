"""Measuring on folders of pictures, for people who set a reader up: never imported by a reader or a verifier child."""
