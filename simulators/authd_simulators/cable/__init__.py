"""The cable between a simulated device and its driver: a Unix socket with bounded frames.

The driver asks (`Ask`), the device answers (`Answer`) when it can, with beats in between, so that a device which hangs
is told from one that nobody touches. A new question replaces the one before, and answers carry the question's number.
"""

from authd_simulators.cable.plug import Plug
from authd_simulators.cable.wire import Answer, Ask, CableError, Say, Want

__all__ = ["Answer", "Ask", "CableError", "Plug", "Say", "Want"]
