"""Cards by PC/SC: PIV cards sign (with a PIN, two factors), any other card says its number, which opens nothing.

`[reader.card-1] driver="pcsc"`, with `reader` (the beginning of the reader's name), `pin = "9a"` or `"no"`, and
`tap = "yes"` where cards are tapped and not left in. Cards with a FIDO applet are left to the `fido2` driver.
pyscard is imported when the reader opens; it is the extra `pcsc`. See docs/how-to/cards.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from authd.driver import Reader
from authd_drivers.pcsc.reader import CardReader


def READER(settings: Mapping[str, str]) -> Reader:  # noqa: N802  # the name that authd looks for in every driver
    """Make the reader that `[reader.*]` of authd.toml describes."""
    return CardReader(settings)
