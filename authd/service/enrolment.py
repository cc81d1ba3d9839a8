"""Enrolling and disabling people: an officer's fresh touch first, then the ledger, then the store, then the gallery.

The first two officers are founded without one, by the host's administrator on the local socket. The ledger counts
them, and says who is an officer: the store could have been edited.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Generator, Sequence
from contextlib import contextmanager
from typing import Final

from authd.core.host import Finger
from authd.core.model import FINGERS, Entry, Kind, SeatId, SubjectId, Value
from authd.core.ports import PortError
from authd.service.anchored import OFFICER, STAFF, anchor_of
from authd.service.bus.house import Enrolment, EnrolStep, Error, Refused
from authd.service.roster import attributes
from authd.service.seal import WrappedKey
from authd.service.sitting import Desk, Officer, Sitting
from authd.service.staff import BadAttribute, PersonRecord, checked, new_subject
from authd.service.verifier import Resembling, Sealed

FOUNDERS: Final = 2
MOST_FINGERS: Final = 4
"""In one sitting; a person may have more."""
PURPOSE: Final = "authd/enrolment"
"""What the officer confirms; the policy is asked about it as a step-up."""
log = logging.getLogger("authd.enrolment")


class Enrolments:
    """One at a time on a host: it is a quiet hour's work, and two of them must not know the same staff number."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._one = asyncio.Lock()
        self._disabling = asyncio.Lock()

    async def enrol(self, order: Enrolment) -> AsyncGenerator[EnrolStep, None]:
        """Enrol fingers of one person, who is new or has others. Raises `Refused`; all of them are kept, or none."""
        if self._one.locked():
            raise Refused(Error.BUSY, "another enrolment is going on")
        async with self._one:
            person = await (self._known(order) if order.adding else self._checked(order))
            officer = None
            if not order.founding:
                yield EnrolStep("officer_touch")
                officer = await self._officer(order.seat)
            with self._borrowed(order.seat) as touches:
                sitting = Sitting(self._desk, order.seat, officer, touches, await self._key(person.subject))
                for finger in order.fingers:
                    async for step in sitting.collect(person.subject, finger):
                        yield step
                    await self._refuse_twice(person.subject, sitting)
            sitting.still_there()
            # Once the ledger is asked, what it says must reach the store, though the caller goes away.
            keep = self._keep_more if order.adding else self._keep
            await asyncio.shield(keep(person, order.seat, officer, sitting.sealed))
            yield EnrolStep("done", 1.0, subject=person.subject)

    async def disable(self, subject: SubjectId, seat: SeatId) -> None:
        """Let no session of this person open any more, and end those that are open."""
        self._refuse_unknown(subject)
        officer = await self._officer(seat)
        if officer.subject == subject:
            raise Refused(Error.REFUSED, "an officer cannot disable themselves")
        async with self._disabling:  # two officers who disable each other: one of them is left
            self._refuse_unknown(subject)
            self._refuse_unknown(officer.subject)
            await self._record(Kind.ENROLMENT_DISABLED, seat, subject, officer, {})
            await asyncio.shield(self._shut_out(subject))

    async def _shut_out(self, subject: SubjectId) -> None:
        """Out at once; only then what takes time, and may fail."""
        desk = self._desk
        desk.store.refuse(subject)
        desk.pdp.directory.update(attributes(desk.store.people[subject]))
        desk.pipeline.revoke(subject)
        try:
            await desk.store.disable(subject)
        finally:
            await self._tell_verifier(desk.verifier.remove(subject))

    def _refuse_unknown(self, subject: SubjectId) -> None:
        person = self._desk.store.people.get(subject)
        if person is None or person.disabled:
            raise Refused(Error.NOT_FOUND, "no such person, or disabled already")

    async def _checked(self, order: Enrolment) -> PersonRecord:
        """The person to be, or `Refused` before anybody is asked for a touch."""
        desk = self._desk
        if order.seat not in desk.pipeline.seats:
            raise Refused(Error.NOT_FOUND, f"no seat {order.seat}")
        if order.founding and not (order.officer and len(await desk.anchored.founded()) < FOUNDERS):
            raise Refused(Error.REFUSED, f"only the first {FOUNDERS} officers are founded")
        person = PersonRecord(new_subject(), order.staff_number, order.name, order.kana, order.section, order.officer)
        _check_fingers(order.fingers)
        try:
            person = checked(person)
        except BadAttribute as bad:
            raise Refused(Error.BAD_REQUEST, str(bad)) from bad
        if desk.store.by_staff_number(person.staff_number) is not None:
            raise Refused(Error.REFUSED, f"staff number {person.staff_number} is enrolled already")
        return person

    async def _known(self, order: Enrolment) -> PersonRecord:
        """The person who is to have further fingers, or `Refused` before anybody is asked for a touch."""
        desk = self._desk
        if order.seat not in desk.pipeline.seats:
            raise Refused(Error.NOT_FOUND, f"no seat {order.seat}")
        _check_fingers(order.fingers)
        person = desk.store.by_staff_number(order.staff_number)
        if person is None or order.founding:
            raise Refused(Error.NOT_FOUND, "nobody with this staff number has a finger to add to")
        held = {each.finger for each in await desk.store.templates() if each.subject == person.subject}
        if twice := sorted(held & set(order.fingers)):
            raise Refused(Error.REFUSED, f"{twice[0]} of theirs is enrolled already")
        return person

    async def _key(self, subject: SubjectId) -> WrappedKey | None:
        """The person's own key, under which every finger of theirs is sealed; None for a new person."""
        return next((key for key in await self._desk.store.keys() if key.subject == subject), None)

    async def _officer(self, seat: SeatId) -> Officer:
        """Ask the person at the seat, who must be an officer, for a fresh touch."""
        owner = self._desk.pipeline.seats[seat].owner if seat in self._desk.pipeline.seats else None
        person = self._desk.store.people.get(owner.subject) if owner else None
        if owner is None or person is None or not await self._is_officer(person):
            raise Refused(Error.REFUSED, "an officer must be logged in at this seat")
        if not await self._desk.pipeline.step_up(seat, owner.id, PURPOSE):
            raise Refused(Error.REFUSED, "the officer's touch did not come")
        return Officer(owner.subject, owner.id)

    async def _is_officer(self, person: PersonRecord) -> bool:
        return person.officer and not person.disabled and await self._desk.anchored.officer(person.subject)

    async def _refuse_twice(self, subject: SubjectId, sitting: Sitting) -> None:
        """One person, one entry, one name a finger: what everybody has enrolled is searched with every sample."""
        found = await sitting.known()
        if found.replayed:
            raise Refused(Error.REFUSED, "this finger was touched before: a recording is nobody's finger")
        if found.again:
            raise Refused(Error.REFUSED, "this is a finger that was taken a moment ago, under another name")
        if found.subject is None:
            return
        if found.subject == subject:
            raise Refused(Error.REFUSED, f"this finger of theirs is enrolled already, as {await self._name(found)}")
        person = self._desk.store.people.get(found.subject)
        number = person.staff_number if person is not None else "?"
        raise Refused(Error.REFUSED, f"this finger is enrolled already, of staff number {number}")

    async def _name(self, found: Resembling) -> str:
        id_ = found.reference.partition("@")[0]
        return next((each.finger for each in await self._desk.store.templates() if each.id == id_), "another finger")

    @contextmanager
    def _borrowed(self, seat: SeatId) -> Generator[asyncio.Queue[Finger], None, None]:
        touches: asyncio.Queue[Finger] = asyncio.Queue(100)

        def hear(heard: Finger) -> None:
            if not touches.full():
                touches.put_nowait(heard)

        if not self._desk.pipeline.lend(seat, hear):
            state = self._desk.pipeline.seats[seat].state
            raise Refused(Error.BUSY, f"the seat's reader is in use ({state.value})")
        try:
            yield touches
        finally:
            self._desk.pipeline.take_back(seat)

    async def _keep_more(self, person: PersonRecord, seat: SeatId, officer: Officer | None, sealed: Sealed) -> None:
        """Further fingers. What the ledger anchors and the store does not hold is a finger to enrol again, no more."""
        role: dict[str, Value] = {"role": OFFICER if await self._desk.anchored.officer(person.subject) else STAFF}
        async with self._disabling:  # whoever is disabled meanwhile is anchored no more
            self._refuse_unknown(person.subject)
            for template in sealed.templates:  # the role as the ledger has it: the store could have been edited
                await self._record(Kind.ENROLMENT_CREATED, seat, person.subject, officer, anchor_of(template) | role)
            await self._desk.store.enrol(self._desk.store.people[person.subject], sealed.keys, sealed.templates)
        await self._tell_verifier(self._desk.verifier.add(sealed))

    async def _keep(self, person: PersonRecord, seat: SeatId, officer: Officer | None, sealed: Sealed) -> None:
        """The ledger first: a template that it does not anchor is never loaded."""
        kind = Kind.ENROLMENT_FOUNDED if officer is None else Kind.ENROLMENT_CREATED
        for template in sealed.templates:
            role: dict[str, Value] = {"role": OFFICER if person.officer else STAFF}
            await self._record(kind, seat, person.subject, officer, anchor_of(template) | role)
        try:
            await self._desk.store.enrol(person, sealed.keys, sealed.templates)
        except Exception:  # whatever it is, the ledger must not say that this person can log in
            why: dict[str, Value] = {"why": "not stored"}
            ports = self._desk.pipeline.ports
            ports.ledger.write(
                Entry(Kind.ENROLMENT_DISABLED, seat, subject=person.subject, at=ports.clock.now(), data=why)
            )
            raise
        self._desk.pdp.directory.update(attributes(person))
        await self._tell_verifier(self._desk.verifier.add(sealed))

    async def _tell_verifier(self, told: Awaitable[None]) -> None:
        """It is so already: a child that cannot hear it now is given the whole gallery anew."""
        try:
            await told
        except PortError as error:
            log.warning("the verifier is given its gallery anew: %s", error)
            await self._desk.verifier.reload()

    async def _record(
        self, kind: Kind, seat: SeatId, subject: SubjectId, officer: Officer | None, data: dict[str, Value]
    ) -> None:
        ports = self._desk.pipeline.ports
        by: dict[str, Value] = {"officer": officer.subject if officer else None}
        entry = Entry(kind, seat, subject=subject, at=ports.clock.now(), data={**data, **by})
        await ports.ledger.append(entry)


def _check_fingers(fingers: Sequence[str]) -> None:
    unknown = [finger for finger in fingers if finger not in FINGERS]
    if unknown or len(set(fingers)) != len(fingers) or len(fingers) > MOST_FINGERS:
        raise Refused(Error.BAD_REQUEST, f"finger: up to {MOST_FINGERS} different of {', '.join(FINGERS)}")
