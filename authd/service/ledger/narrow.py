"""The narrow index: which rows are a seat's, a subject's, or of a rare kind, and when; without reading the rows.

It is derived from the rows and written behind them, in blocks: one for each seat or subject that occurs in a stretch
of rows, with their (number, wall time) pairs. Rows too new to be in it are behind `placed`, and few. A block spans
at most an hour of wall time, so that a question about an interval reads only the blocks that end near it.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence

from authd.service.ledger.record import RARE, Recorded, place
from authd.service.sqlite import Database

SPAN_MS = 3_600_000
"""Longest wall-clock time between the first and the last row of a block."""
_PAIR = struct.Struct("<qq")

Block = tuple[int, int, int, bytes]
"""Place, latest wall time, first number, pairs."""


class Narrow:
    """Pairs of rows that are not in the database yet; its length is how many rows these are."""

    def __init__(self) -> None:
        self._seats: defaultdict[str, bytearray] = defaultdict(bytearray)
        """Seat -> pairs, as they will stand in a block."""
        self._subjects: defaultdict[str, bytearray] = defaultdict(bytearray)
        self._kinds: defaultdict[str, bytearray] = defaultdict(bytearray)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, rows: Sequence[Recorded]) -> None:
        """Take note of durable rows."""
        seats, subjects, rare, pack = self._seats, self._subjects, RARE, _PAIR.pack
        for row in rows:
            entry, pair = row.entry, pack(row.seq, row.wall_ms)
            if entry.seat is not None:
                seats[entry.seat] += pair
            if entry.subject is not None:
                subjects[entry.subject] += pair
            if id(entry.kind) in rare:
                self._kinds[entry.kind.value] += pair
        self._count += len(rows)

    def write(self, db: Database, placed: int) -> None:
        """Write all pairs, which are those of the rows up to number `placed`; inside the caller's transaction."""
        named = (("seat", self._seats), ("subject", self._subjects), ("kind", self._kinds))
        found = [(place(f"{name}:{value}"), bytes(pairs)) for name, places in named for value, pairs in places.items()]
        found.sort()
        blocks = [block for of, pairs in found for block in _blocks(of, pairs)]
        db.executemany("INSERT INTO place VALUES(?, ?, ?, ?)", blocks)
        db.execute("UPDATE meta SET value = ? WHERE name = 'placed'", (placed,))

    def clear(self) -> None:
        """Forget the pairs: they are durable now."""
        for places in (self._seats, self._subjects, self._kinds):
            places.clear()
        self._count = 0


def placed(db: Database) -> int:
    """Return the number up to which rows are in the index."""
    return int(db.value("SELECT value FROM meta WHERE name = 'placed'"))


def numbers(db: Database, of: int, since_ms: int, until_ms: int) -> list[int]:
    """Return the numbers of the rows of a place (`record.place`) in an interval, ascending."""
    where = "SELECT pairs FROM place WHERE of = ? AND until BETWEEN ? AND ?"
    blocks = db.execute(where, (of, since_ms, until_ms + SPAN_MS))
    found = (pair for (block,) in blocks for pair in _PAIR.iter_unpack(block))
    return sorted(seq for seq, wall in found if since_ms <= wall <= until_ms)


def pairs(db: Database) -> Iterator[tuple[int, int, int]]:
    """Yield everything in the index as (place, number, wall ms). Raises ValueError at a block that lies."""
    for of, until, first, block in db.execute("SELECT of, until, first, pairs FROM place"):
        if len(block) % _PAIR.size:
            raise ValueError("a block of the narrow index is damaged")
        found = list(_PAIR.iter_unpack(block))
        walls = [wall for _, wall in found]
        if not found or found[0][0] != first or max(walls) != until or until - min(walls) > SPAN_MS:
            raise ValueError("a block of the narrow index is damaged")
        for seq, wall in found:
            yield of, seq, wall


def _blocks(of: int, packed: bytes) -> list[Block]:
    """Make one block, or several where the wall clock went too far in between."""
    flat = struct.unpack(f"<{len(packed) // 8}q", packed)
    walls = flat[1::2]
    latest = max(walls)
    if latest - min(walls) <= SPAN_MS or len(walls) == 1:
        return [(of, latest, flat[0], packed)]
    middle = len(walls) // 2 * _PAIR.size
    return _blocks(of, packed[:middle]) + _blocks(of, packed[middle:])
