"""The narrow index: which rows are of a seat, subject, record or rare kind, and when; without reading the rows.

It is derived from the rows and written behind them. Rows too new to be in it are behind `placed`, and few.

Seats, the sessions of seats and rare kinds stand in blocks (`place`): one for each of them in a stretch of rows, with
their (number, wall time) pairs; a block spans at most an hour of wall time, so that a question about an interval reads
only the blocks that end near it. Subjects and records are too many for that: they stand one by one in `recent`, in
generations of 256 rows (so that it is only ever written at its end), until a sealed span (`spans.py`) has them; then
the generation goes.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence

from authd.service.ledger.record import RARE, SITTING, Recorded, passing, place
from authd.service.ledger.segment import GENERATION
from authd.service.sqlite import Database

SPAN_MS = 3_600_000
"""Longest wall-clock time between the first and the last row of a block."""
_PAIR = struct.Struct("<qq")
_BLOCKS = "SELECT first, until FROM place WHERE of = ?"
_RECENT = """
WITH RECURSIVE g(n) AS (VALUES(?) UNION ALL SELECT n + 1 FROM g WHERE n < ?)
SELECT seq FROM g CROSS JOIN recent WHERE gen = n AND of = ? AND wall BETWEEN ? AND ? AND seq > ? ORDER BY seq
"""

Block = tuple[int, int, int, bytes]
"""Place, latest wall time, first number, pairs."""


class Narrow:
    """What is not in the database yet; its length is how many rows these are."""

    def __init__(self) -> None:
        self._seats: defaultdict[str, bytearray] = defaultdict(bytearray)
        """Seat -> pairs, as they will stand in a block."""
        self._sittings: defaultdict[str, bytearray] = defaultdict(bytearray)
        """Of them those of sessions."""
        self._kinds: defaultdict[str, bytearray] = defaultdict(bytearray)
        self._recent: list[tuple[int, int, int, int]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, rows: Sequence[Recorded]) -> None:
        """Take note of durable rows."""
        seats, recent, rare, pack = self._seats, self._recent, RARE, _PAIR.pack
        sitting, sittings = SITTING, self._sittings
        for row in rows:
            entry, seq, wall = row.entry, row.seq, row.wall_ms
            if entry.seat is not None:
                seats[entry.seat] += pack(seq, wall)
                if id(entry.kind) in sitting:
                    sittings[entry.seat] += pack(seq, wall)
            recent += [(seq >> GENERATION, of, wall, seq) for of in passing(entry)]
            if id(entry.kind) in rare:
                self._kinds[entry.kind.value] += pack(seq, wall)
        self._count += len(rows)

    def write(self, db: Database, placed: int) -> None:
        """Write everything, which is of the rows up to number `placed`; inside the caller's transaction."""
        named = (("seat", self._seats), ("sitting", self._sittings), ("kind", self._kinds))
        found = [(place(f"{name}:{value}"), bytes(pairs)) for name, places in named for value, pairs in places.items()]
        found.sort()
        blocks = [block for of, pairs in found for block in _blocks(of, pairs)]
        db.executemany("INSERT INTO place VALUES(?, ?, ?, ?)", blocks)
        db.executemany("INSERT OR IGNORE INTO recent VALUES(?, ?, ?, ?)", sorted(self._recent))
        db.execute("UPDATE meta SET value = ? WHERE name = 'placed'", (placed,))

    def clear(self) -> None:
        """Forget it: it is durable now."""
        self._seats.clear()
        self._sittings.clear()
        self._kinds.clear()
        self._recent.clear()
        self._count = 0


def placed(db: Database) -> int:
    """Return the number up to which rows are in the index."""
    return int(db.value("SELECT value FROM meta WHERE name = 'placed'"))


def pruned(db: Database) -> int:
    """Return the first generation of `recent` that was not given up to sealed spans."""
    return int(db.value("SELECT value FROM meta WHERE name = 'pruned'"))


def told(db: Database) -> int:
    """Return the number behind which a seat's sessions are told from its other rows (`sitting:counter-1`)."""
    found = db.value("SELECT value FROM meta WHERE name = 'told'")
    return 1 << 62 if found is None else int(found)


def prune(db: Database, since: int, until: int) -> None:
    """Give up the generations `[since, until)`."""
    db.execute("DELETE FROM recent WHERE gen >= ? AND gen < ?", (since, until))
    db.execute("UPDATE meta SET value = ? WHERE name = 'pruned'", (until,))


def numbers(db: Database, of: int, since_ms: int, until_ms: int) -> list[int]:
    """Return the numbers of the rows of a seat or kind (`record.place`) in an interval, ascending."""
    return [seq for seq, _ in pairs_between(db, of, since_ms, until_ms)]


def pairs_between(db: Database, of: int, since_ms: int, until_ms: int) -> list[tuple[int, int]]:
    """Return number and wall ms of the rows of a seat or kind in an interval, ascending by number."""
    where = "SELECT pairs FROM place WHERE of = ? AND until BETWEEN ? AND ?"
    blocks = db.execute(where, (of, since_ms, until_ms + SPAN_MS))
    found = (pair for (block,) in blocks for pair in _PAIR.iter_unpack(block))
    return sorted((seq, wall) for seq, wall in found if since_ms <= wall <= until_ms)


def numbers_behind(db: Database, of: int, seq: int) -> Iterator[list[int]]:
    """Yield the numbers above `seq` of the rows of a seat or kind, ascending, a block at a time."""
    blocks = sorted((int(first), int(until)) for first, until in db.execute(_BLOCKS, (of,)))
    begin = max(0, bisect_right(blocks, (seq, 1 << 62)) - 1)  # the block that begins before it may go on behind it
    for first, until in blocks[begin:]:
        pairs = db.value("SELECT pairs FROM place WHERE of = ? AND until = ? AND first = ?", (of, until, first))
        yield [number for number, _ in _PAIR.iter_unpack(pairs) if number > seq]


def numbers_from(db: Database, of: int, seq: int, wall_ms: int) -> Iterator[list[int]]:
    """As `numbers_behind`, without the blocks that end before `wall_ms`: where the clock went back, some lack."""
    where = "SELECT pairs FROM place WHERE of = ? AND until >= ? ORDER BY until, first"
    for (block,) in db.execute(where, (of, wall_ms)):
        yield [number for number, _ in _PAIR.iter_unpack(block) if number > seq]


def recent(db: Database, of: int, since_ms: int, until_ms: int, after: int, last: int) -> list[int]:
    """Return the numbers, behind `after` and up to `last`, of the rows of a subject or record in an interval."""
    if last <= after:
        return []
    generations = (after + 1) >> GENERATION, last >> GENERATION
    return [int(seq) for (seq,) in db.execute(_RECENT, (*generations, of, since_ms, until_ms, after))]


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
    for gen, of, wall, seq in db.execute("SELECT gen, of, wall, seq FROM recent"):
        if gen != seq >> GENERATION:
            raise ValueError("a row of the narrow index is damaged")
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
