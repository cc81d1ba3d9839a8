"""The demo's page: two seat screens side by side, and beneath each the strip that plays its devices.

What the strip can do, whoever opens the page can do: it is a bench's front plate, for a demonstration on one machine.
"""
