"""FIDO2 keys, over USB (hidraw) and over PC/SC (NFC, contact), and what the verifier makes of what they sign.

A key at the seat is touched without a user name: its credentials are discoverable, one relying party an office, and
the key itself verifies who touches it, by its own sensor or a PIN. `office` is the path of the office file (office.py).

The reader's half speaks to the key (reader.py); the verifier's half (checker.py) has no device, and checks what comes
from here and from the browser of a seat's screen by the very same code.
"""

from __future__ import annotations

from collections.abc import Mapping

from authd.driver import Reader


def READER(settings: Mapping[str, str]) -> Reader:  # noqa: N802  # the name that authd looks for in every driver
    """Make the reader that `[reader.*]` of authd.toml describes."""
    from authd_drivers.fido2.reader import KeyReader  # the verifier child, which loads the checker, has no use for it

    return KeyReader(settings)
