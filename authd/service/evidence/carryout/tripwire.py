"""The tripwire: how many records one session, and one person's day, have opened. It counts; it stops nobody.

It trips once a session and once a person's day, each as a row of the ledger that every follower hears of.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeVar

from authd.core.model import SessionId, SubjectId

K = TypeVar("K")
MOST: Final = 20_000
"""Sessions and people that are counted at once; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class Trip:
    """What was too many: `span` is `session` or `day`."""

    span: str
    count: int
    limit: int


@dataclass(slots=True)
class Tripwire:
    """Counts of the sessions and of the days of people."""

    sessions: OrderedDict[SessionId, int] = field(default_factory=OrderedDict[SessionId, int])
    days: OrderedDict[tuple[SubjectId, str], int] = field(default_factory=OrderedDict[tuple[SubjectId, str], int])
    tripped: set[tuple[SubjectId, str]] = field(default_factory=set[tuple[SubjectId, str]])
    """People's days that the ledger has a row of already; of one day only."""

    def view(self, session: SessionId, subject: SubjectId, day: str, per_session: int, per_day: int) -> list[Trip]:
        """Count one view, and return what tripped with it: nothing, nearly always."""
        trips: list[Trip] = []
        if _count(self.sessions, session) == per_session + 1:
            trips.append(Trip("session", per_session + 1, per_session))
        seen = _count(self.days, (subject, day))
        if seen > per_day and (subject, day) not in self.tripped:
            self.tripped = {each for each in self.tripped if each[1] == day} | {(subject, day)}
            trips.append(Trip("day", seen, per_day))
        return trips

    def knows(self, subject: SubjectId, day: str) -> bool:
        """Whether anything of this day of theirs was counted."""
        return (subject, day) in self.days

    def add(self, subject: SubjectId, day: str, count: int) -> None:
        """An earlier life of the daemon has counted so many."""
        self.days[(subject, day)] = self.days.get((subject, day), 0) + count

    def trod(self, subject: SubjectId, day: str) -> None:
        """An earlier life of the daemon has told of this day."""
        self.tripped.add((subject, day))


def day_of(wall_ms: int) -> str:
    """Return the local day, ISO."""
    return datetime.fromtimestamp(wall_ms / 1000, UTC).astimezone().date().isoformat()


def _count(counts: OrderedDict[K, int], key: K) -> int:
    counts[key] = counts.get(key, 0) + 1
    counts.move_to_end(key)
    if len(counts) > MOST:
        counts.popitem(last=False)
    return counts[key]
