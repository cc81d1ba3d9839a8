"""Protected records: one registry of flags, two persons for each change, and the guard in front of a record.

The parts: `book` is what the ledger says, `registry` how it is changed, `links` who holds a copy, `guard` what stands
before a record. A record is a pseudonym in all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Coroutine, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from authd.core.model import SeatId
from authd.service.bus.house import Error, Refused
from authd.service.evidence.flags.book import Book, Change, Flag, Wish
from authd.service.evidence.flags.guard import By, Guard, Look, Unmasked
from authd.service.evidence.flags.links import Coverage, Links, Marks
from authd.service.evidence.flags.registry import Registry
from authd.service.evidence.ground import Ground, Part
from authd.service.evidence.procedures import Procedures
from authd.service.evidence.records import RESIDENT, Pseudonyms, RecordId
from authd.service.evidence.views import LOOKED_UP, Said, Views

__all__ = ["By", "Change", "Coverage", "Flag", "Flags", "Look", "Unmasked", "Wish"]

SYSTEM: Final = "authd"
"""Who opens a record when a flag is looked up here."""
_SWEEP_S: Final = 5.0


class Flags(Part):
    """Protected records of this host."""

    def __init__(self, ground: Ground, views: Views, procedures: Procedures) -> None:
        super().__init__(ground)
        self._views = views
        self._registry = Registry(ground)
        self._links = Links(ground, lambda: self.version)
        self.guard = Guard(ground, views, procedures, self.protected)
        self._pseudonyms: Pseudonyms | None = None
        self._marks: Marks | None = None

    async def begin(self) -> None:
        """Read the registry, and what each linked system held, out of the ledger. Raises `LedgerDown`."""
        key = self.ground.keys.record_key()
        self._pseudonyms, self._marks = Pseudonyms(key), Marks(key)
        await self._registry.begin()
        await self._links.begin()

    def jobs(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Old requests, silent systems, and refusals that were counted."""
        return (self._registry.watch(), self._links.watch(), self._sweep())

    def state(self) -> Mapping[str, object]:
        """Versions, and how many wait; nothing of a record."""
        systems = {each.system: _shown(each) for each in self._links.coverage() if each.linked}
        waiting = len(self.book.waiting)
        return {"version": self.version, "waiting": waiting, "linked": systems, "refused": self.guard.refusals.count}

    @property
    def book(self) -> Book:
        """The registry as it stands."""
        return self._registry.book

    @property
    def version(self) -> int:
        """Of the registry: the number of the newest change's row."""
        return self.book.version

    def record(self, number: str, namespace: str = RESIDENT) -> RecordId:
        """Return what a record is known by. Raises `BadNumber`."""
        assert self._pseudonyms is not None, "begin() comes first"
        return self._pseudonyms.record(number, namespace)

    def protected(self, record: RecordId) -> bool:
        """Whether a record is to be masked."""
        flag = self.book.flags.get(record)
        return flag is not None and flag.protected

    def covered(self, system: str) -> bool:
        """Whether a system may let data out: it is not silent, and holds every protection there is.

        An application that is not linked holds none, and says so in `coverage`; nothing is known of it here.
        """
        return self._links.covered(system)

    def coverage(self) -> Sequence[Coverage]:
        """Which system holds which version."""
        return self._links.coverage()

    # Two persons.

    async def request(
        self, seat: SeatId, change: Change, records: Sequence[RecordId], until: str = "", case: str = ""
    ) -> Wish:
        """The first person asks, with a touch at their seat. Raises `Refused`, `LedgerDown`."""
        return await self._registry.request(seat, change, records, until, case)

    async def approve(self, request: str, seat: SeatId, *, refuse: bool = False) -> tuple[Wish, int]:
        """The second person answers, with a touch at any seat. Raises `Refused`, `LedgerDown`."""
        return await self._registry.approve(request, seat, refuse=refuse)

    async def ask(self, seat: SeatId, record: RecordId, purpose: str) -> Flag | None:
        """Somebody who is logged in looks a flag up, with a touch: a view, durable before it is answered."""
        state = self.ground.pipeline.seats.get(seat)
        if state is None or state.owner is None:
            raise Refused(Error.REFUSED, f"nobody is logged in at {seat}: log in there, then ask again")
        session = state.owner
        asked = await self.ground.pipeline.step_up(seat, session.id, LOOKED_UP)
        if not asked.granted or self.ground.owner(session.id) is None:
            raise Refused(Error.REFUSED, "the touch did not come, or was not this person's: ask again, then touch")
        nonce = self.ground.pipeline.ports.random.nonce()
        wall = self.ground.clock.wall_ms()
        await self._views.note(seat, session, Said(SYSTEM, session.id, record, "flags", purpose, "", nonce, wall))
        return self.book.find(record)

    # Linked systems.

    def marks(self, system: str, records: Sequence[RecordId]) -> Sequence[str]:
        """Return what a linked system will hear these records of its own called. Raises `Refused`."""
        self._links.matching(system)
        return [self.mark(system, record) for record in records]

    def mark(self, system: str, record: RecordId) -> str:
        """Return what a linked system knows a record by."""
        assert self._marks is not None, "begin() comes first"
        return self._marks.mark(system, record)

    async def held(self, system: str, version: int) -> None:
        """A linked system says that it is there, and what it holds. Raises `Refused`, `LedgerDown`."""
        await self._links.held(system, version)

    async def changes(self, after: int) -> AsyncGenerator[tuple[int, Sequence[Flag]], None]:
        """Yield the flags whose newest change is behind a version, by version, in order, now and for ever."""
        if after > self.version:
            raise Refused(Error.REFUSED, f"the registry is at version {self.version}: it is another one; follow from 0")
        while True:
            changed = self._registry.changed
            for version, flags in groupby(self.book.after(after), key=lambda flag: flag.version):
                yield version, list(flags)
                after = version
            if self._registry.changed is changed:
                await changed.wait()

    def linked(self, system: str) -> None:
        """Raise `Refused` unless a system is linked: who is protected is told to no other application."""
        self._links.check(system)

    async def look(self, said: Said, seats: Collection[SeatId], by: By) -> Look:
        """See `Guard.look`."""
        return await self.guard.look(said, seats, by)

    async def _sweep(self) -> None:
        try:
            while True:
                await asyncio.sleep(_SWEEP_S)
                self.guard.refusals.close(self.ground.clock.now())
        finally:
            self.guard.refusals.close(None)


def _shown(each: Coverage) -> Mapping[str, object]:
    return {"version": each.version, "silent": each.silent, "covered": each.covered}
