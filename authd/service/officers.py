"""Officers: whose fresh touch allows a change to who may log in, and how such a change is recorded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Final

from authd.core.model import Entry, Kind, SeatId, SubjectId, Value
from authd.core.ports import PortError
from authd.service.bus.house import Error, Refused
from authd.service.sitting import Desk, Officer
from authd.service.staff import PersonRecord

PURPOSE: Final = "authd/enrolment"
"""What the officer confirms; the policy is asked about it as a step-up."""
log = logging.getLogger("authd.enrolment")


class Officers:
    """The ledger says who is one: the store could have been edited. `changing`: one change to people at a time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.changing = asyncio.Lock()

    async def fresh(self, seat: SeatId) -> Officer:
        """Ask the person at the seat, who must be an officer, for a fresh touch."""
        owner = self._desk.pipeline.seats[seat].owner if seat in self._desk.pipeline.seats else None
        person = self._desk.store.people.get(owner.subject) if owner else None
        if owner is None or person is None or not await self._is_officer(person):
            raise Refused(Error.REFUSED, "an officer must be logged in at this seat")
        if not (await self._desk.pipeline.step_up(seat, owner.id, PURPOSE)).granted:
            raise Refused(Error.REFUSED, "the officer's touch did not come")
        return Officer(owner.subject, owner.id)

    async def _is_officer(self, person: PersonRecord) -> bool:
        return person.officer and not person.disabled and await self._desk.anchored.officer(person.subject)

    def refuse_unknown(self, subject: SubjectId, *, disabled: bool = False) -> None:
        """Raise `Refused` unless this person is there, and (but where `disabled` will do) not disabled."""
        person = self._desk.store.people.get(subject)
        if person is None or (person.disabled and not disabled):
            raise Refused(Error.NOT_FOUND, "no such person, or disabled already")

    async def tell_verifier(self, told: Awaitable[None]) -> None:
        """It is so already: a child that cannot hear it now is given the whole gallery anew."""
        try:
            await told
        except PortError as error:
            log.warning("the verifier is given its gallery anew: %s", error)
            await self._desk.verifier.reload()

    async def record(
        self, kind: Kind, seat: SeatId, subject: SubjectId, officer: Officer | None, data: dict[str, Value]
    ) -> None:
        """Make it durable in the ledger. Raises `LedgerDown`."""
        ports = self._desk.pipeline.ports
        by: dict[str, Value] = {"officer": officer.subject if officer else None}
        entry = Entry(kind, seat, subject=subject, at=ports.clock.now(), data={**data, **by})
        await ports.ledger.append(entry)
