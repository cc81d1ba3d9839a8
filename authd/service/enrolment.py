"""Enrolling people: an officer's fresh touch first, then the ledger, then the store, then the gallery.

The first two officers are founded without one, by the host's administrator on the local socket. The ledger counts
them, and says who is an officer: the store could have been edited.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from authd.core.host import Finger
from authd.core.model import FINGERS, Entry, Kind, SeatId, SubjectId, Value
from authd.service.anchored import OFFICER, STAFF, anchor_of
from authd.service.bus.house import Enrolment, EnrolStep, Error, Means, Refused
from authd.service.key_sitting import MODALITIES, KeySitting
from authd.service.officers import Officers
from authd.service.revocation import Revocations
from authd.service.roster import attributes
from authd.service.seal import WrappedKey
from authd.service.sitting import Desk, Officer, Sitting, officer_is_there
from authd.service.staff import BadAttribute, PersonRecord, checked, new_subject
from authd.service.verifier import Resembling, Sealed

FOUNDERS: Final = 2
MOST_FINGERS: Final = 4
"""In one sitting; a person may have more."""
log = logging.getLogger("authd.enrolment")


@dataclass(slots=True)
class Made:
    """What a sitting has come to."""

    sealed: Sealed = field(default_factory=lambda: Sealed([], ()))


class Enrolments:
    """One at a time on a host: it is a quiet hour's work, and two of them must not know the same staff number."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._one = asyncio.Lock()
        self._officers = Officers(desk)
        self.revocations = Revocations(desk, self._officers)
        self._sitting: tuple[SeatId, KeySitting] | None = None

    async def enrol(self, order: Enrolment) -> AsyncGenerator[EnrolStep, None]:
        """Enrol fingers of one person, who is new or has others. Raises `Refused`; all of them are kept, or none."""
        if self._one.locked():
            raise Refused(Error.BUSY, "another enrolment is going on")
        async with self._one:
            person = await (self._known(order) if order.adding else self._checked(order))
            officer = None
            if not order.founding:
                yield EnrolStep("officer_touch")
                officer = await self._officers.fresh(order.seat)
            made = Made()
            collect = self._fingers if order.means is Means.FINGER else self._made_by_reader
            async for step in collect(order, person.subject, officer, made):
                yield step
            officer_is_there(self._desk, order.seat, officer)
            # Once the ledger is asked, what it says must reach the store, though the caller goes away.
            keep = self._keep_more if order.adding else self._keep
            await asyncio.shield(keep(person, order.seat, officer, made.sealed))
            yield EnrolStep("done", 1.0, subject=person.subject)

    async def _fingers(
        self, order: Enrolment, subject: SubjectId, officer: Officer | None, made: Made
    ) -> AsyncGenerator[EnrolStep, None]:
        with self._borrowed(order.seat) as touches:
            sitting = Sitting(self._desk, order.seat, officer, touches, await self._key(subject))
            for finger in order.fingers:
                async for step in sitting.collect(subject, finger):
                    yield step
                await self._refuse_twice(subject, sitting)
            made.sealed = sitting.sealed

    async def _made_by_reader(
        self, order: Enrolment, subject: SubjectId, officer: Officer | None, made: Made
    ) -> AsyncGenerator[EnrolStep, None]:
        """A key, a card, a finger that a service keeps."""
        held = await self._desk.anchored.held(subject)
        with self._borrowed(order.seat):
            sitting = KeySitting(self._desk, order.seat, officer, await self._key(subject), held)
            self._sitting = order.seat, sitting
            try:
                async for step in sitting.collect(subject, order.means, order.finger):
                    yield step
            finally:
                self._sitting = None
            made.sealed = sitting.sealed

    def answer(self, seat: SeatId, typed: str) -> bool:
        """Hand what was typed to the reader that enrols there and asks; False: none does."""
        return self._sitting is not None and self._sitting[0] == seat and self._sitting[1].answer(typed)

    async def _checked(self, order: Enrolment) -> PersonRecord:
        """The person to be, or `Refused` before anybody is asked for a touch."""
        desk = self._desk
        if order.seat not in desk.pipeline.seats:
            raise Refused(Error.NOT_FOUND, f"no seat {order.seat}")
        if order.founding and not (order.officer and len(await desk.anchored.founded()) < FOUNDERS):
            raise Refused(Error.REFUSED, f"only the first {FOUNDERS} officers are founded")
        person = PersonRecord(new_subject(), order.staff_number, order.name, order.kana, order.section, order.officer)
        _check_what(order)
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
        _check_what(order)
        person = desk.store.by_staff_number(order.staff_number)
        if person is None or order.founding:
            raise Refused(Error.NOT_FOUND, "nobody with this staff number has a finger to add to")
        if order.means is not Means.FINGER:
            await self._refuse_too_many(person.subject, order)
            return person
        theirs = [each for each in await desk.store.templates() if each.subject == person.subject]
        held = {each.finger for each in theirs if each.modality not in MODALITIES.values()}
        if twice := sorted(held & set(order.fingers)):
            raise Refused(Error.REFUSED, f"{twice[0]} of theirs is enrolled already")
        return person

    async def _refuse_too_many(self, subject: SubjectId, order: Enrolment) -> None:
        modality, most = MODALITIES[order.means], self._desk.most_keys
        held = [each for each in await self._desk.anchored.held(subject) if each.modality == modality]
        good = [each for each in held if not each.revoked]
        if order.means is Means.FINGERPRINT and any(each.label == order.finger for each in good):
            raise Refused(Error.REFUSED, f"{order.finger} of theirs is enrolled already")
        if order.means is not Means.FINGERPRINT and len(good) >= most:
            raise Refused(Error.REFUSED, f"they have {len(good)} already, and {most} are allowed: revoke one first")

    async def _key(self, subject: SubjectId) -> WrappedKey | None:
        """The person's own key, under which every finger of theirs is sealed; None for a new person."""
        return next((key for key in await self._desk.store.keys() if key.subject == subject), None)

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
        async with self._officers.changing:  # whoever is disabled meanwhile is anchored no more
            self._officers.refuse_unknown(person.subject)
            for template in sealed.templates:  # the role as the ledger has it: the store could have been edited
                await self._officers.record(
                    Kind.ENROLMENT_CREATED, seat, person.subject, officer, anchor_of(template) | role
                )
            await self._desk.store.enrol(self._desk.store.people[person.subject], sealed.keys, sealed.templates)
        await self._officers.tell_verifier(self._desk.verifier.add(sealed))

    async def _keep(self, person: PersonRecord, seat: SeatId, officer: Officer | None, sealed: Sealed) -> None:
        """The ledger first: a template that it does not anchor is never loaded."""
        kind = Kind.ENROLMENT_FOUNDED if officer is None else Kind.ENROLMENT_CREATED
        for template in sealed.templates:
            role: dict[str, Value] = {"role": OFFICER if person.officer else STAFF}
            await self._officers.record(kind, seat, person.subject, officer, anchor_of(template) | role)
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
        await self._officers.tell_verifier(self._desk.verifier.add(sealed))


def _check_what(order: Enrolment) -> None:
    if order.means is Means.FINGER:
        _check_fingers(order.fingers)
    elif order.more or (order.means is Means.FINGERPRINT and order.finger not in FINGERS):
        raise Refused(Error.BAD_REQUEST, "one key, one card or one finger in a sitting")


def _check_fingers(fingers: Sequence[str]) -> None:
    unknown = [finger for finger in fingers if finger not in FINGERS]
    if unknown or len(set(fingers)) != len(fingers) or len(fingers) > MOST_FINGERS:
        raise Refused(Error.BAD_REQUEST, f"finger: up to {MOST_FINGERS} different of {', '.join(FINGERS)}")
