"""What the ledger's rows mean for supervision, row by row: what to note at once, and what to sum up when a day is over.

Pure: rows in, notes out. Hearing a row twice changes nothing, so that a restart can hear a few days again.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Final

from authd.core.model import EndReason, Entry, Grade, Kind, SeatId, SubjectId, Value
from authd.service.evidence.supervision.calendar import Calendar
from authd.service.evidence.supervision.duty import Outside, outside
from authd.service.evidence.supervision.elsewhere import Sighting, Source, Stays
from authd.service.evidence.supervision.terms import Term
from authd.service.ledger import Recorded

DAY, ELSEWHERE = "day", "elsewhere"
"""What a note is, beside `Outside`: the sum of one person's day at one seat; an owner seen somewhere else."""
LEFT: Final = (EndReason.IDLE, EndReason.ABSENCE, EndReason.ELSEWHERE)
"""Ends of sessions whose owner had gone, or forgot: nobody's touch, button or key."""
REFUSED, VIEW_REFUSED, PROTECTED = "refused", "view_refused", "protected"
"""What a day's sum counts beside the ends of sessions, by their reasons."""
MOST_DAYS: Final = 50_000
MOST_HEARD: Final = 100_000

Place = tuple[str, SeatId, SubjectId | None]
"""A day, a seat, and whose it is; None: nobody knows."""
Terms = Callable[[SubjectId, date], Term | None]
"""What the roster says of a person on a day. Raises `LookupError` where it can say nothing: no roster is in force."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a row is judged by."""

    calendar: Calendar
    terms: Terms


@dataclass(slots=True)
class Days:
    """Open stays, the sums of days that are not written yet, and what is noted already."""

    stays: Stays = field(default_factory=Stays)
    sums: OrderedDict[Place, Counter[str]] = field(default_factory=OrderedDict[Place, Counter[str]])
    written: set[Place] = field(default_factory=set[Place])
    noted: set[tuple[SubjectId, str, str]] = field(default_factory=set[tuple[SubjectId, str, str]])
    """Person, day (of `ELSEWHERE`: session) and what: it is noted once, however often they come back."""
    _heard: set[int] = field(default_factory=set[int])
    _order: deque[int] = field(default_factory=deque[int])

    def remember(self, row: Recorded) -> None:
        """Take in a note that an earlier life of the daemon has written."""
        entry, what, day = row.entry, str(row.entry.data.get("what")), str(row.entry.data.get("day"))
        if what == DAY and entry.seat is not None:
            self.written.add((day, entry.seat, entry.subject))
            self.sums.pop((day, entry.seat, entry.subject), None)
        elif entry.subject is not None:
            self.noted.add((entry.subject, str(entry.session) if what == ELSEWHERE else day, what))

    def hear(self, row: Recorded, watched: Watched) -> list[Entry]:
        """Take in a row; return what is to be noted at once."""
        if row.seq in self._heard:
            return []
        self._hear(row.seq)
        entry = row.entry
        found: list[Entry | None] = []
        match entry.kind:
            case Kind.SESSION_STARTED:
                found = [self._outside(row, watched, first=True), self._helper(row)]
                self.stays.begin(entry, row.wall_ms)
            case Kind.SESSION_ENDED:
                found = [self._outside(row, watched, first=False)]
                self.stays.end(entry, row.wall_ms)
                self._count(row, watched, entry.reason.value if entry.reason else "lock")
            case Kind.ATTEMPT_REFUSED:
                found = [self._attempt(row)]
                self._count(row, watched, REFUSED)
            case Kind.VIEW_REFUSED:
                self._count(row, watched, VIEW_REFUSED)
            case Kind.VIEW_ACKNOWLEDGED:
                self._count(row, watched, PROTECTED)
            case _:
                pass
        return [each for each in found if each is not None]

    def over(self, today: str) -> list[Entry]:
        """Return the sums of the days before this one, to be written; each is forgotten once it is heard back."""
        ready = [place for place in self.sums if place[0] < today]
        return [_sum(place, self.sums[place]) for place in ready]

    def _hear(self, seq: int) -> None:
        self._heard.add(seq)
        self._order.append(seq)
        if len(self._order) > MOST_HEARD:
            self._heard.discard(self._order.popleft())

    def _count(self, row: Recorded, watched: Watched, what: str) -> None:
        entry = row.entry
        if entry.seat is None:
            return
        place = (watched.calendar.day(row.wall_ms).isoformat(), entry.seat, entry.subject)
        if place in self.written:
            return
        self.sums.setdefault(place, Counter())[what] += 1
        if len(self.sums) > MOST_DAYS:
            self.sums.popitem(last=False)

    def _outside(self, row: Recorded, watched: Watched, *, first: bool) -> Entry | None:
        """Of a day, the first session that begins outside the shift, and the first that ends after it."""
        entry, at = row.entry, watched.calendar.local(row.wall_ms)
        if entry.subject is None or (not first and entry.reason in (EndReason.CRASH, EndReason.SHUTDOWN)):
            return None
        try:
            how = outside(watched.terms(entry.subject, at.date()), at, watched.calendar)
        except LookupError:
            return None
        if how is None or (not first and how is not Outside.AFTER):
            return None
        return self._once(entry, how.value, at.date().isoformat(), {})

    def _once(self, entry: Entry, what: str, day: str, data: Mapping[str, Value]) -> Entry | None:
        assert entry.subject is not None
        if (entry.subject, day, what) in self.noted:
            return None
        self.noted.add((entry.subject, day, what))
        return noted(entry, {"what": what, "day": day, **data})

    def _attempt(self, row: Recorded) -> Entry | None:
        """Recognised at one seat and refused there, while their session is open at another."""
        entry = row.entry
        if entry.subject is None or entry.seat is None or "why" in entry.data:
            return None  # a card's number, or a key that was not accepted, is nobody's act
        return self._seen(Sighting(entry.subject, entry.seat, row.wall_ms, Source.SEAT, Grade.MATCHED))

    def _helper(self, row: Recorded) -> Entry | None:
        """Whoever vouches at one seat is not at the other, where their session is open."""
        helper, seat = row.entry.data.get("helper"), row.entry.seat
        if not isinstance(helper, str) or seat is None:
            return None
        return self._seen(Sighting(SubjectId(helper), seat, row.wall_ms, Source.SEAT, Grade.MATCHED))

    def _seen(self, sighting: Sighting) -> Entry | None:
        return next(iter(self.seen([sighting])), None)

    def seen(self, sightings: Iterable[Sighting]) -> list[Entry]:
        """Return a note for each session that was open while its owner was seen elsewhere; of each session one."""
        found: list[Entry] = []
        for sighting in sightings:
            stay = self.stays.elsewhere(sighting)
            key = (sighting.subject, stay.session, ELSEWHERE) if stay is not None else None
            if stay is None or key is None or key in self.noted:
                continue
            self.noted.add(key)
            when = datetime.fromtimestamp(sighting.at_ms / 1000, UTC).isoformat()
            data: dict[str, Value] = {"what": ELSEWHERE, "place": sighting.place, "seen": when}
            owner = Entry(Kind.SESSION_STARTED, stay.seat, stay.epoch, sighting.subject, stay.session)
            found.append(noted(replace(owner, grade=sighting.grade), data | {"source": sighting.source.value}))
        return found


def noted(about: Entry, data: Mapping[str, Value]) -> Entry:
    """Return the note on a row."""
    return Entry(
        Kind.DISCIPLINE_NOTED, about.seat, about.epoch, about.subject, about.session, grade=about.grade, data=data
    )


def _sum(place: Place, counts: Counter[str]) -> Entry:
    day, seat, subject = place
    return Entry(Kind.DISCIPLINE_NOTED, seat, subject=subject, data={"what": DAY, "day": day, **counts})
