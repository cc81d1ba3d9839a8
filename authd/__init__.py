"""authd: the local daemon that knows which person is at the seat."""

__version__ = "0.1.0"
