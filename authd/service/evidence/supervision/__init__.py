"""Supervision: reviews that are signed with a touch, rosters, and what does not fit them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from authd.core.model import Entry, Grade, Kind, SeatId, SubjectId
from authd.core.ports import PortError
from authd.service.anchored import Anchored
from authd.service.evidence.ground import Ground, Part
from authd.service.evidence.supervision.calendar import Calendar
from authd.service.evidence.supervision.days import ELSEWHERE, Days, Watched
from authd.service.evidence.supervision.desk import Reviews
from authd.service.evidence.supervision.elsewhere import OLDEST_MS, Sighting, Source
from authd.service.evidence.supervision.roll import Roll
from authd.service.ledger import Recorded
from authd.service.staff import BadAttribute

LOOK_S: Final = 20.0
"""How soon a new day is noticed: its transfers, the sums of the day before, what is late."""
AGAIN_S: Final = 1.0
BACK: Final = timedelta(days=7)
"""How far back a restart looks for days that are not summed up."""
SLICE_MS: Final = 6 * 3_600_000
AHEAD_MS: Final = 300_000
"""How far ahead of ours the clock of a door may be."""
MOST_ALERTS: Final = 50
MOST_UNWRITTEN: Final = 10_000
"""Notes that wait for a ledger that is down."""
SETTLED_MS: Final = 60_000
"""How long after midnight a day is summed up: its last rows have been heard by then."""
log = logging.getLogger("authd.supervision")


@dataclass(frozen=True, slots=True)
class Seen:
    """One line of a feed: a person by staff number was seen at a place."""

    staff_number: str
    place: str
    at_ms: int
    source: Source
    out: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """A seat was active while its owner was elsewhere."""

    seq: int
    at_ms: int
    seat: SeatId
    subject: SubjectId
    place: str
    seen: str
    source: str
    grade: Grade | None


class Supervision(Part):
    """Watches the ledger from beside it; nothing waits for it."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self.calendar = Calendar(lambda day: ground.pdp.bundle.settings.working(day))
        self.roll = Roll(ground, self.calendar, Anchored(ground.store, ground.ledger))
        self.reviews = Reviews(ground, self.calendar, self.roll)
        self.alerts: deque[Alert] = deque(maxlen=MOST_ALERTS)
        self._days = Days()
        self._watched = Watched(self.calendar, self.roll.term)
        self._looked: tuple[date, int | None] | None = None
        self._after = 0
        self._caught_up = asyncio.Event()
        self._unwritten: deque[Entry] = deque(maxlen=MOST_UNWRITTEN)
        self._writing = asyncio.Lock()

    async def begin(self) -> None:
        """Read the roster, and what was noted lately. Raises `LedgerDown`."""
        config, ledger = self.ground.config, self.ground.ledger
        for seat in config.seats.values():
            self._days.stays.here[seat.id] = frozenset({seat.id, seat.section, config.host})
        await self.roll.begin()
        self._after = ledger.head
        since = self.calendar.begins(self._today() - BACK - timedelta(days=1))
        for row in await ledger.entries(f"kind:{Kind.DISCIPLINE_NOTED}", since):
            self._remember(row)

    def jobs(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Watch, and keep the days."""
        return self._watch(), self._keep_days()

    def state(self) -> Mapping[str, object]:
        """How many reviews wait, which are late, who was seen elsewhere, and what roster holds."""
        roster = self.roll.roster
        imported = self.roll.imported_ms
        return {
            "reviews_waiting": self.reviews.waiting,
            "reviews_late": self.reviews.late,
            "elsewhere": [f"{each.seat} {each.seen} {each.place}" for each in list(self.alerts)[-5:]],
            "roster_people": len(roster) if roster is not None else 0,
            "roster_imported": self.calendar.local(imported).isoformat() if imported is not None else None,
            "roster_trouble": self.roll.damage,
        }

    async def seen(self, feed: Sequence[Seen]) -> tuple[int, int]:
        """Take a feed's lines; returns how many were noted, and how many said nothing. Raises `LedgerDown`."""
        now, known = self.ground.clock.wall_ms(), list[Sighting]()
        for each in feed:
            person = self.ground.store.by_staff_number(each.staff_number)
            if person is None or not now - OLDEST_MS <= each.at_ms <= now + AHEAD_MS:
                continue
            known.append(Sighting(person.subject, each.place, each.at_ms, each.source, Grade.DEVICE, each.out))
        notes = self._days.seen(known)
        self._unwritten.extend(notes)
        await self._write()
        return len(notes), len(feed) - len(known)

    async def alerts_for(self, subject: SubjectId) -> list[Alert]:
        """Return what this person is to be shown at once, the newest first. Raises `Refused`."""
        officer, today = await self.roll.is_officer(subject), self._today()
        found: list[Alert] = []
        for each in reversed(self.alerts):
            section = self.roll.section(each.subject, today)
            chain = self.roll.chain(section, today)
            if each.subject != subject and (any(subject in level for level in chain) or (officer and not chain)):
                found.append(each)
        return found

    async def is_supervisor(self, subject: SubjectId) -> bool:
        """Whether there is anything here for this person at all."""
        if await self.roll.is_officer(subject):
            return True
        person, roster = self.ground.store.people.get(subject), self.roll.roster
        if person is None or person.disabled or roster is None:
            return False
        term = roster.on(person.staff_number, self._today())
        above = any(each.reports_to == person.staff_number for each in roster.present(self._today()) if each.supervisor)
        return above or (term is not None and term.supervisor)

    def supervisor_at(self, seat: SeatId) -> SubjectId:
        """Return who is logged in at the seat. Raises `Refused`."""
        return self.reviews.owner(seat).subject

    def _today(self) -> date:
        return self.calendar.day(self.ground.clock.wall_ms())

    # Watching.

    async def _watch(self) -> None:
        """Hear every row, from those that a restart may have missed on; a ledger that fails is waited for."""
        while True:
            try:
                await self._write()
                if not self._caught_up.is_set():
                    await self._catch_up()
                    self._caught_up.set()
                async for row in self.ground.ledger.follow(self._after, internal=False):
                    self._after = row.seq
                    await self._hear(row)
                return  # the ledger is closed
            except PortError as error:
                log.warning("supervision waits for the ledger: %s", error)
                await asyncio.sleep(AGAIN_S)

    async def _catch_up(self) -> None:
        """Read the days that are not summed up, slice by slice, so that nobody else's question waits long."""
        since, now = self.calendar.begins(self._today() - BACK), self.ground.clock.wall_ms()
        for seat in self.ground.config.seats:
            for begin in range(since, now, SLICE_MS):
                for row in await self.ground.ledger.entries(f"seat:{seat}", begin, begin + SLICE_MS - 1):
                    if row.seq <= self._after:
                        await self._hear(row)

    async def _hear(self, row: Recorded) -> None:
        if row.entry.kind is Kind.DISCIPLINE_NOTED:
            self._remember(row)
            return
        self._unwritten.extend(self._days.hear(row, self._watched))
        await self._write()

    async def _write(self) -> None:
        """Write what is noted, in order; what the ledger does not take now is written later."""
        async with self._writing:
            while self._unwritten:
                await self.ground.ledger.append(self._unwritten[0])
                self._unwritten.popleft()

    def _remember(self, row: Recorded) -> None:
        self._days.remember(row)
        entry, data = row.entry, row.entry.data
        if data.get("what") == ELSEWHERE and entry.seat is not None and entry.subject is not None:
            place, seen, source = (str(data.get(name, "")) for name in ("place", "seen", "source"))
            alert = Alert(row.seq, row.wall_ms, entry.seat, entry.subject, place, seen, source, entry.grade)
            if all(each.seq != row.seq for each in self.alerts):
                self.alerts.append(alert)

    async def _keep_days(self) -> None:
        while True:
            try:
                await self.look()
            except (PortError, BadAttribute) as error:  # a roster that the store will not have keeps nobody out
                log.warning("supervision waits for the ledger or the store: %s", error)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Do what a new day brings. Raises `PortError`."""
        await self.roll.transfer()
        await self._write()
        if self._caught_up.is_set():
            for note in self._days.over(self.calendar.day(self.ground.clock.wall_ms() - SETTLED_MS).isoformat()):
                await self.ground.ledger.append(note)
        now = (self._today(), self.roll.imported_ms)
        if self._looked != now:
            await self.reviews.look()
            self._looked = now
