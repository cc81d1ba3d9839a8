"""pytest plug-in: python-fido2 finds the pty that FIDO2_PTY names, in place of what is in /dev/hidraw*.

A pty does not answer hidraw's questions about a device, so only those answers are made up here; opening, reading and
writing are the library's own.
"""

from __future__ import annotations

import os

import fido2.hid
from fido2.hid.base import HidDescriptor


def descriptor(path: str | bytes) -> HidDescriptor:
    return HidDescriptor(path, 0xFFFF, 0x0001, 64, 64, "Simulated key", None)


def descriptors() -> list[HidDescriptor]:
    path = os.environ["FIDO2_PTY"]
    return [descriptor(path)] if os.path.exists(path) else []  # noqa: PTH110  # the library's paths are text


fido2.hid.list_descriptors = descriptors
fido2.hid.get_descriptor = descriptor
