"""A simulated month at a city hall's counters: what a ledger would hold of it, and what a supervisor should find in it.

Seeded: the same seed is the same month. Nothing here is random but the hours that nobody looks at; every irregularity
is put in on purpose, and counted in `expected` under the word by which the review calls it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo

from authd.core.model import EndReason, Entry, Grade, Kind, SeatId, SessionId, SubjectId, Value

STAYS = 4
"""Sessions of a person's day."""


@dataclass(frozen=True, slots=True)
class Clerk:
    """Somebody who works at one seat, from `start` to `end` (minutes of the day), Monday to Friday."""

    subject: SubjectId
    staff_number: str
    name: str
    section: str
    seat: SeatId
    start: int = 510
    end: int = 1035


@dataclass
class Month:
    """Rows with their wall-clock milliseconds, in order; what the review should count, by its own words."""

    rows: list[tuple[int, Entry]] = field(default_factory=list[tuple[int, Entry]])
    expected: Counter[str] = field(default_factory=Counter[str])
    """Irregularities: sessions outside the roster, people seen elsewhere, trips, refusals, ..."""
    ends: Counter[tuple[SubjectId, str]] = field(default_factory=Counter[tuple[SubjectId, str]])
    """How often each person's sessions ended, by reason."""


class Simulated:
    """Makes one month. `people`: at most one a seat, at least two; the last of them is on no roster."""

    def __init__(self, first: date, people: Sequence[Clerk], zone: tzinfo, seed: int) -> None:
        self._first, self._people, self._zone = first, people, zone
        self._random = random.Random(seed)
        self._made = Month()
        self._count = 0

    def make(self) -> Month:
        """Return the month."""
        days = list(_workdays(self._first))
        for day in days:
            for clerk in self._people:
                self._day(clerk, day)
        self._irregular(days)
        self._made.rows.sort(key=lambda row: row[0])
        return self._made

    def _day(self, clerk: Clerk, day: date) -> None:
        """A day within the shift: sessions that end by touch, by handing over, or because somebody left."""
        length = (clerk.end - clerk.start) // STAYS
        for number in range(STAYS):
            begin = clerk.start + number * length + self._random.randrange(10)
            last = number == STAYS - 1
            usual = [EndReason.LOCK, EndReason.LOCK, EndReason.LOCK, EndReason.HANDOVER]
            left = [EndReason.IDLE, EndReason.ABSENCE]
            reason = EndReason.LOGOUT if last else self._random.choice(usual if self._random.random() < 0.8 else left)
            self._stay(clerk, day, begin, begin + length - 20, reason)

    def _stay(self, clerk: Clerk, day: date, begin: int, end: int, reason: EndReason) -> SessionId:
        self._count += 1
        session = SessionId(f"ses_{self._count:032x}")
        self._row(day, begin, Kind.SESSION_STARTED, clerk, session)
        self._row(day, end, Kind.SESSION_ENDED, clerk, session, reason)
        self._made.ends[clerk.subject, reason.value] += 1
        return session

    def _row(
        self,
        day: date,
        minute: float,
        kind: Kind,
        clerk: Clerk,
        session: SessionId | None = None,
        reason: EndReason | None = None,
        data: Mapping[str, Value] | None = None,
        seat: SeatId | None = None,
    ) -> None:
        at = datetime.combine(day, time(), self._zone) + timedelta(minutes=minute)
        entry = Entry(
            kind, seat or clerk.seat, subject=clerk.subject, session=session, reason=reason, grade=Grade.MATCHED,
            data=dict(data or {}),
        )  # fmt: skip
        self._made.rows.append((int(at.timestamp() * 1000), entry))

    def _irregular(self, days: Sequence[date]) -> None:
        one, two = self._people[0], self._people[1]
        early, late, off, then = self._random.sample(list(days[:-1]), 4)
        self._stay(one, early, one.start - 60, one.start - 50, EndReason.LOCK)
        self._stay(one, late, one.end + 40, one.end + 50, EndReason.LOCK)
        weekend = off + timedelta(days=6 - off.isoweekday()) if off.isoweekday() < 6 else off
        if weekend.month != self._first.month:
            weekend -= timedelta(days=7)
        self._stay(two, weekend, 600, 610, EndReason.LOCK)
        self._expect(before_shift=1, after_shift=1, day_off=1)
        self._expect(off_roster=len(days))
        self._two_places(one, two, then)
        self._records(one, two, then)

    def _two_places(self, one: Clerk, two: Clerk, day: date) -> None:
        """In the middle of their first session they touch at another's seat, where they are refused."""
        self._row(day, one.start + 20, Kind.ATTEMPT_REFUSED, one, data={"rules": "base.seat.section"}, seat=two.seat)
        self._expect(elsewhere=1, refused=1)

    def _records(self, one: Clerk, two: Clerk, day: date) -> None:
        for number in range(3):
            data: Mapping[str, Value] = {"record": f"rec_{number:032d}"}
            self._row(day, one.start + 30 + number, Kind.VIEW_ACKNOWLEDGED, one, data=data)
        self._row(day, 700, Kind.VIEW_REFUSED, two, data={"why": "replayed"})
        self._row(day, 701, Kind.CARRYOUT_TRIPPED, two, data={"count": 301, "limit": 300})
        self._row(day, 702, Kind.CARRYOUT_BLOCKED, two, data={"why": "unknown"})
        self._row(day, 703, Kind.CARRYOUT_USED, one, data={"carryout": "co_1", "rows": 500})
        self._row(day, 704, Kind.CARRYOUT_USED, one, data={"carryout": "co_2", "rows": 20})
        self._row(day, 705, Kind.CARRYOUT_CLOSED, two, data={"carryout": "co_2"})
        self._row(day, 706, Kind.BREAKGLASS_OPENED, one, SessionId("ses_glass"), data={"helper": two.subject})
        self._expect(protected=3, refused=1, tripped=1, blocked=1, open_export=1, break_glass=1)

    def _expect(self, **counts: int) -> None:
        self._made.expected.update(counts)


def _workdays(first: date) -> Iterator[date]:
    day = first
    while day.month == first.month:
        if day.isoweekday() < 6:
            yield day
        day += timedelta(days=1)
