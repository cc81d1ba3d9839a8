"""Who sat there, by reading few rows: those of the interval, and back to where the one who sat there logged in.

A seat has one owner at a time, and each is ended before the next begins; so the last start or end before an interval
says who was there when it began. That holds in the order of numbers, and by time while the wall clock goes forward.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path

from authd.core.model import Kind
from authd.service.ledger.narrow import pairs_between, placed, told
from authd.service.ledger.query import SESSION, Reader, growing
from authd.service.ledger.record import Recorded, place

Place = tuple[int, int, Path]
"""Number, wall ms, segment."""


def sat(reader: Reader, seat: str, since_ms: int, until_ms: int, margin_ms: int) -> list[Recorded] | None:
    """Return the `session.` rows of whoever sat there in an interval, in order; ends behind it may be missing.

    None where that cannot be told so quickly: within `margin_ms` of the interval the wall clock went back, or rows were
    lost (and an end with them), or a segment is of an older format.
    """
    begin, end = since_ms - margin_ms, until_ms + margin_ms
    if reader.find(f"kind:{Kind.LEDGER_GAP}", begin, end):
        return None
    known: list[Place] = []
    newest: dict[int, Recorded] = {}
    for path in reader.segments():
        if reader.older(path):
            return None
        db = reader.db(path)
        with db.snapshot():
            pairs = _pairs(reader, path, seat, begin, end)
            rest = list(reader.select(path, "seq > ? ORDER BY seq", (placed(db),), SESSION))
        rows = [row for row in rest if row.entry.seat == seat and begin <= row.wall_ms <= end]
        newest |= {row.seq: row for row in rows}
        known += [(seq, wall, path) for seq, wall in [*pairs, *((row.seq, row.wall_ms) for row in rows)]]
    if any(one[1] > other[1] for one, other in pairwise(known)):
        return None
    return _back(reader, known, newest, since_ms, until_ms)


def _pairs(reader: Reader, path: Path, seat: str, begin: int, end: int) -> list[tuple[int, int]]:
    """Return number and wall ms of the seat's `session.` rows; where the index does not tell them, of all its rows."""
    db = reader.db(path)
    behind, found = told(db), pairs_between(db, place(f"sitting:{seat}"), begin, end)
    if behind <= reader.before(path):
        return found
    return [pair for pair in pairs_between(db, place(f"seat:{seat}"), begin, end) if pair[0] <= behind] + found


def _back(
    reader: Reader, known: Sequence[Place], newest: dict[int, Recorded], since_ms: int, until_ms: int
) -> list[Recorded]:
    first = bisect_left(known, since_ms, key=lambda place: place[1])
    last = bisect_right(known, until_ms, key=lambda place: place[1])
    found = _read(reader, known[first:last], newest)
    for some in growing(range(first - 1, -1, -1)):
        before = _read(reader, known[some[-1] : some[0] + 1], newest)
        found = before + found
        if any(row.entry.kind in (Kind.SESSION_STARTED, Kind.SESSION_ENDED) for row in before):
            break
    return found


def _read(reader: Reader, places: Sequence[Place], newest: dict[int, Recorded]) -> list[Recorded]:
    found: list[Recorded] = []
    for path, group in groupby(places, key=lambda place: place[2]):
        numbers = [seq for seq, _, _ in group]
        found += reader.numbered(path, [seq for seq in numbers if seq not in newest], SESSION)
        found += [newest[seq] for seq in numbers if seq in newest]
    return found
