"""The part of the daemon: the book, the two people, the gate, the days on which things are to be back, the tripwire."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from authd.core.model import SECOND, Entry, Grade, Instant, Kind, SubjectId, Value
from authd.core.ports import LedgerDown
from authd.service.bus.house import Error
from authd.service.evidence.carryout.asking import DAY_MS, Asking
from authd.service.evidence.carryout.book import KINDS, Book
from authd.service.evidence.carryout.gate import Covered, Gate
from authd.service.evidence.carryout.said import NotOut, Why
from authd.service.evidence.carryout.tripwire import Trip, Tripwire, day_of
from authd.service.evidence.ground import Ground, Part
from authd.service.evidence.views import View
from authd.service.ledger import Recorded

LOOK: Final = 60 * SECOND
"""How often it is asked what should be back: it is a matter of days."""
MOST_ASKED: Final = 10_000
SHOWN: Final = 20
"""Overdue carry-outs that `authd status` names."""
log = logging.getLogger("authd.carryout")


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export was: rows and canary rows written, and the SHA-256 (hex) of the file and of its fingerprints."""

    rows: int
    canaries: int
    file: str
    prints: str


class Carryouts(Part):
    """Carry-out of this host. `covered`: `Flags.covered`; without it every system is silent, and nothing leaves."""

    def __init__(self, ground: Ground, covered: Covered = lambda _system: False) -> None:
        super().__init__(ground)
        self.book = Book()
        self.gate = Gate(ground, self.book, covered)
        self.asking = Asking(ground, self.book, self.gate)
        self._tripwire = Tripwire()
        self._asked: asyncio.Queue[tuple[SubjectId, str, int]] = asyncio.Queue(MOST_ASKED)
        self._trips = 0

    async def begin(self) -> None:
        """Read every carry-out that is not over, and whose day has tripped already."""
        ledger, now = self.ground.ledger, self.ground.clock.wall_ms()
        used = await ledger.entries(f"kind:{Kind.CARRYOUT_USED}")
        closed = await ledger.entries(f"kind:{Kind.CARRYOUT_CLOSED}")
        since = _since(used, closed, now)
        rows = [row for kind in KINDS for row in await ledger.entries(f"kind:{kind}", since)]
        self.book.read([*used, *rows, *closed], self.ground.clock.boot)
        self.book.forget(self.ground.clock.now())
        for row in await ledger.entries(f"kind:{Kind.CARRYOUT_TRIPPED}", now - 2 * DAY_MS, now + DAY_MS):
            if row.entry.subject is not None and row.entry.data.get("span") == "day":
                self._tripwire.trod(row.entry.subject, str(row.entry.data.get("day")))

    def jobs(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What asks after things, and what counts the day so far of people whom an earlier life has served."""
        return self._ask_after(), self._count_days()

    def state(self) -> Mapping[str, object]:
        """What waits, what is out, and what should be back."""
        late = [each for each in self.book.out() if each.due_ms < self.ground.clock.wall_ms()]
        return {
            "waiting": sum(not each.out for each in self.book.all()),
            "out": len(self.book.out()),
            "overdue": len(late),
            "overdue_ids": [each.id for each in late[:SHOWN]],
            "tripped": self._trips,
            "blocked_unrecorded": self.gate.unrecorded,
        }

    async def exported(self, id_: str, what: Exported) -> None:
        """Take down what an export was, once, before its file is given its name. Raises `NotOut` and `LedgerDown`."""
        found = self.book.get(id_)
        if found is None:
            raise NotOut(Why.UNKNOWN, Error.NOT_FOUND)
        if not found.out or found.exported:
            raise NotOut(Why.SPENT if found.exported else Why.NOT_OUT)
        if not 0 <= what.rows <= found.order.rows:
            raise NotOut(Why.ROWS)
        self.book.put(replace(found, exported=True))
        data: dict[str, Value] = {"carryout": id_, "system": found.order.system, "rows": what.rows}
        data |= {"canaries": what.canaries, "file": what.file, "prints": what.prints}
        data |= {"given_to": found.requester, "approver": found.approver}
        now = self.ground.clock.now()
        # as in the gate: who ran the command is not known, and whoever asked may have gone home
        await self.ground.ledger.append(Entry(Kind.CARRYOUT_EXPORTED, at=now, grade=Grade.STATEMENT, data=data))

    async def baseline(self, id_: str, name: str, what: Exported) -> None:
        """Take down a data set that was there before: what it is called, and its fingerprints. Raises `LedgerDown`."""
        data: dict[str, Value] = {"carryout": id_, "name": name, "rows": what.rows}
        data |= {"canaries": what.canaries, "file": what.file, "prints": what.prints}
        now = self.ground.clock.now()
        await self.ground.ledger.append(Entry(Kind.CARRYOUT_BASELINE, at=now, data=data))

    def viewed(self, view: View) -> None:
        """Count a view that is durable; a hook of `Views.on_view`."""
        subject, day = view.session.subject, day_of(view.wall_ms)
        if not self._tripwire.knows(subject, day) and not self._asked.full():
            self._asked.put_nowait((subject, day, view.seq))
        limits = self.ground.pdp.bundle.settings.carryout
        for trip in self._tripwire.view(view.session.id, subject, day, limits.trip_session, limits.trip_day):
            self._tell(view, day, trip)

    def _tell(self, view: View, day: str, trip: Trip) -> None:
        """In the ledger's order, without waiting: the view stands there already."""
        self._trips += 1
        session = view.session
        data: dict[str, Value] = {"span": trip.span, "day": day, "count": trip.count, "limit": trip.limit}
        data |= {"system": view.said.system}
        now, grade = self.ground.clock.now(), session.evidence.grade
        self.ground.ledger.write(
            Entry(
                Kind.CARRYOUT_TRIPPED,
                view.seat,
                session.epoch,
                session.subject,
                session.id,
                now,
                grade=grade,
                data=data,
            )
        )
        log.warning("%s: %d records opened in one %s, more than %d", view.seat, trip.count, trip.span, trip.limit)

    async def _count_days(self) -> None:
        while True:
            subject, day, seq = await self._asked.get()
            now = self.ground.clock.wall_ms()
            try:
                rows = await self.ground.ledger.entries(f"subject:{subject}", now - DAY_MS, now + DAY_MS)
            except LedgerDown as error:
                log.warning("the day of somebody was not counted: %s", error)
                continue
            mine = (row for row in rows if row.entry.kind is Kind.VIEW_OPENED and row.seq < seq)
            self._tripwire.add(subject, day, sum(day_of(row.wall_ms) == day for row in mine))

    async def _ask_after(self) -> None:
        never = asyncio.Event()
        while True:
            await self.ask_after()
            await self.ground.clock.sleep_until(Instant(self.ground.clock.now() + LOOK), never)

    async def ask_after(self) -> None:
        """Tell of what should be back by now, once each; forget what nobody has used in time."""
        self.book.forget(self.ground.clock.now())
        now, wall = self.ground.clock.now(), self.ground.clock.wall_ms()
        for each in self.book.out():
            if each.due_ms >= wall or each.overdue:
                continue
            data: dict[str, Value] = {"carryout": each.id, "requester": each.requester, "approver": each.approver}
            data |= {"system": each.order.system, "due_ms": each.due_ms, "kind": each.order.kind.value}
            try:
                await self.ground.ledger.append(Entry(Kind.CARRYOUT_OVERDUE, each.seat, at=now, data=data))
            except LedgerDown as error:
                log.warning("overdue, and not told: %s", error)
                return
            current = self.book.get(each.id)
            if current is not None:
                self.book.put(replace(current, overdue=True))


def _since(used: Sequence[Recorded], closed: Sequence[Recorded], now: int) -> int:
    """Return when the oldest that is still out may have been asked for, ms: what is older is over."""
    over = {row.entry.data.get("carryout") for row in closed}
    out = (row.wall_ms for row in used if row.entry.data.get("carryout") not in over)
    return min([now, *out]) - 2 * DAY_MS
