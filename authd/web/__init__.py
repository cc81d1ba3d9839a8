"""The seat screen: a page in the browser of a counter PC, served by a process that can decide nothing.

It is a client of the bus like any other: it holds the seat's CURVE key, no template and no signing key. What it shows
is what the core says, as long as the core says it: it sends the page no heartbeat of its own making.
"""
