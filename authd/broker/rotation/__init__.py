"""Replacing the passwords of old systems: the port of a system, the way through a rotation, and three systems.

`rotate` is the whole of it: stage a next password (durable), ask the system to change, see that the old one opens
nothing and the new one does, promote. It may be cut short at any point and begun again.
"""

from authd.broker.rotation.port import ChangeRefused, Rotator, RotatorError, SystemSilent
from authd.broker.rotation.rotate import NeitherOpens, StillOpens, rotate, seal

__all__ = [
    "ChangeRefused",
    "NeitherOpens",
    "Rotator",
    "RotatorError",
    "StillOpens",
    "SystemSilent",
    "rotate",
    "seal",
]
