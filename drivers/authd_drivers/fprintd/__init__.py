"""Fingerprint readers through fprintd, the fingerprint service of Linux desktops, over the system bus.

`[reader.finger-1] driver="fprintd"`, with `bus` (the bus's socket; the system's without it) and `device` (the sensor's
name, where there are several). fprintd matches only the fingers of somebody who was named: a card or a name tile comes
first. Its store keeps templates unencrypted. See docs/how-to/fprintd.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from authd.driver import Reader
from authd_drivers.fprintd.reader import FprintdReader


def READER(settings: Mapping[str, str]) -> Reader:  # noqa: N802  # the one name that authd looks for in every driver
    """Make the reader that `[reader.*]` of authd.toml describes."""
    return FprintdReader(settings)
