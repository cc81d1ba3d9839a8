"""Fingerprints of rows and fields, keyed: a found list is known again, and whoever has the prints can read nothing.

A field's print is 64 bits of keyed BLAKE2b (RFC 7693) over what the cell says (`normal`), whichever column it stands
in. A row's print is the sum of its fields' prints modulo 2^64: the order of columns does not matter. A data set's
prints are one file (`PrintsMaker` writes it, `Prints` searches it where it lies on the disk).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from authd.service.evidence.records import derived
from authd.service.evidence.trace.normal import normal

MASK: Final = (1 << 64) - 1
EMPTY: Final = 0
"""Print of an empty cell."""
_MOST_KEPT: Final = 100_000
_SHORT: Final = 48


class Printer:
    """Takes fingerprints. `key`: 32 bytes, `Keys.record_key`; a purpose of its own is derived from it."""

    def __init__(self, key: bytes) -> None:
        self._state = hashlib.blake2b(digest_size=8, key=derived(key, "print"))
        self._kept: dict[str, int] = {}

    def field(self, cell: str) -> int:
        """Return the print of what a cell says; `EMPTY` for an empty one."""
        known = self._kept.get(cell)
        if known is not None:
            return known
        said = normal(cell)
        if not said:
            return EMPTY
        state = self._state.copy()
        state.update(said.encode("utf-8", "surrogatepass"))
        found = int.from_bytes(state.digest(), "little") or 1
        if len(cell) <= _SHORT:
            self._keep(cell, found)
        return found

    def row(self, cells: Iterable[str]) -> int:
        """Return the print of a row."""
        return row_print(map(self.field, cells))

    def _keep(self, cell: str, found: int) -> None:
        """Common cells (names, places, dates) come again and again; a bounded store of them saves most of the work."""
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[cell] = found


def row_print(fields: Iterable[int]) -> int:
    """Return a row's print from its fields'."""
    return sum(fields) & MASK
