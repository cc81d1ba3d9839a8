"""For which times the ledger cannot say that nobody was there: silence is no proof.

Before its first row, while authd did not run, where rows were lost, where the clock was set, and behind what it has
last heard of. Who answers with times says these beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from authd.core.model import Kind
from authd.service.ledger.query import ALWAYS, Reader
from authd.service.ledger.record import Recorded


class Why(StrEnum):
    """Why a time is unknown."""

    BEFORE = "before"
    """The ledger begins, or what is kept of it, with a later row."""
    DOWN = "down"
    """authd did not run."""
    LOST = "lost"
    """Rows were lost, as the ledger itself admits."""
    CLOCK = "clock"
    """The wall clock was set; times in between were never, or twice."""
    AFTER = "after"
    """Nothing newer was heard: authd is not running, or this is a copy."""
    FUTURE = "future"
    """It has not been yet."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A stretch of time, wall-clock ms. row: number of the row that says so, if any."""

    since_ms: int
    until_ms: int
    why: Why
    row: int | None = None


def unknown(reader: Reader, since_ms: int, until_ms: int, now_ms: int, heard_ms: int = 0) -> list[Unknown]:
    """Return the unknown stretches of an interval, by their begin; they may overlap.

    heard_ms: when authd was last heard of besides its rows. Raises `LedgerDamaged`.
    """
    found = chain(_begin(reader), _gaps(reader), _end(reader, now_ms, heard_ms))
    within = [
        Unknown(max(each.since_ms, since_ms), min(each.until_ms, until_ms), each.why, each.row)
        for each in found
        if each.since_ms < until_ms and each.until_ms > since_ms
    ]
    return sorted(within, key=lambda each: (each.since_ms, each.until_ms))


def _begin(reader: Reader) -> Iterator[Unknown]:
    paths = reader.segments()
    first = reader.after(reader.before(paths[0]), 1) if paths else []
    if first:
        yield Unknown(ALWAYS[0], first[0].wall_ms, Why.BEFORE, first[0].seq)


def _gaps(reader: Reader) -> Iterator[Unknown]:
    """What the ledger admits, ever: a gap's row stands at its end, or before it where the clock was set back."""
    for row in reader.find(f"kind:{Kind.LEDGER_GAP}"):
        data = row.entry.data
        begin, end = data.get("since"), data.get("until")
        if isinstance(begin, int) and isinstance(end, int):  # authd.service.gaps
            why = Why.CLOCK if data.get("gap") == "clock" else Why.DOWN
            yield Unknown(min(begin, end), max(begin, end), why, row.seq)
        else:
            yield Unknown(_before(reader, row), row.wall_ms, Why.LOST, row.seq)


def _before(reader: Reader, row: Recorded) -> int:
    """Return the time of the last row before one that admits a loss; without it, all before is lost."""
    last = row.entry.data.get("last")
    kept = reader.rows([last if isinstance(last, int) else row.seq - 1])
    return kept[0].wall_ms if kept else ALWAYS[0]


def _end(reader: Reader, now_ms: int, heard_ms: int) -> Iterator[Unknown]:
    last = reader.rows([reader.last()])
    heard = max(heard_ms, last[0].wall_ms) if last else ALWAYS[0]
    if heard < now_ms:
        yield Unknown(heard, now_ms, Why.AFTER)
    yield Unknown(max(heard, now_ms), ALWAYS[1], Why.FUTURE)
