"""Enrolling and disabling people: an officer's fresh touch first, then the ledger, then the store, then the gallery.

The first two officers are founded without one, by the host's administrator on the local socket. The ledger counts
them, and says who is an officer: the store could have been edited.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from authd.core.host import Finger
from authd.core.model import Entry, Hint, Kind, Miss, Nonce, ReaderId, SeatId, SessionId, SubjectId, Value
from authd.core.pipeline import Pipeline
from authd.core.ports import SUSPECT, Hinted, PortError, Sample
from authd.service.anchored import OFFICER, STAFF, Anchored
from authd.service.bus.house import Enrolment, EnrolStep, Error, Refused
from authd.service.pdp import Pdp
from authd.service.roster import attributes
from authd.service.seal import SealedTemplate
from authd.service.staff import BadAttribute, PersonRecord, check_word, checked, new_subject
from authd.service.store import Store
from authd.service.verifier import ChildVerifier, NoTemplate, Sealed

SAMPLES: Final = 3
MOST_TRIES: Final = 8
TOUCH_WITHIN_S: Final = 60.0
LOOK_S: Final = 0.5
"""How soon an enrolment ends when the officer has gone."""
FOUNDERS: Final = 2
PURPOSE: Final = "authd/enrolment"
"""What the officer confirms; the policy is asked about it as a step-up."""
log = logging.getLogger("authd.enrolment")


@dataclass(frozen=True, slots=True)
class Desk:
    """What an enrolment works with."""

    pipeline: Pipeline
    anchored: Anchored
    pdp: Pdp
    store: Store
    verifier: ChildVerifier
    modality: Callable[[ReaderId], str]
    """Modality of a reader's samples."""


class Enrolments:
    """One at a time on a host: it is a quiet hour's work, and two of them must not know the same staff number."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._one = asyncio.Lock()
        self._disabling = asyncio.Lock()

    async def enrol(self, order: Enrolment) -> AsyncGenerator[EnrolStep, None]:
        """Enrol one finger of one person. Raises `Refused`; nothing is kept of an enrolment that is abandoned."""
        if self._one.locked():
            raise Refused(Error.BUSY, "another enrolment is going on")
        async with self._one:
            person = await self._checked(order)
            officer = None
            if not order.founding:
                yield EnrolStep("officer_touch")
                officer = await self._officer(order.seat)
            with self._borrowed(order.seat) as touches:
                sitting = _Sitting(self._desk, order.seat, officer, touches)
                async for step in sitting.collect(person.subject, order.finger):
                    yield step
            await self._refuse_twice(sitting.samples)
            sitting.still_there()
            # Once the ledger is asked, what it says must reach the store, though the caller goes away.
            await asyncio.shield(self._keep(person, order.seat, officer, sitting.sealed))
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
        try:
            person = checked(person)
            check_word("finger", order.finger)
        except BadAttribute as bad:
            raise Refused(Error.BAD_REQUEST, str(bad)) from bad
        if desk.store.by_staff_number(person.staff_number) is not None:
            raise Refused(Error.REFUSED, f"staff number {person.staff_number} is enrolled already")
        return person

    async def _officer(self, seat: SeatId) -> _Officer:
        """Ask the person at the seat, who must be an officer, for a fresh touch."""
        owner = self._desk.pipeline.seats[seat].owner if seat in self._desk.pipeline.seats else None
        person = self._desk.store.people.get(owner.subject) if owner else None
        if owner is None or person is None or not await self._is_officer(person):
            raise Refused(Error.REFUSED, "an officer must be logged in at this seat")
        if not await self._desk.pipeline.step_up(seat, owner.id, PURPOSE):
            raise Refused(Error.REFUSED, "the officer's touch did not come")
        return _Officer(owner.subject, owner.id)

    async def _is_officer(self, person: PersonRecord) -> bool:
        return person.officer and not person.disabled and await self._desk.anchored.officer(person.subject)

    async def _refuse_twice(self, samples: list[Sample]) -> None:
        """One person, one entry: a finger that is known already is somebody's."""
        everybody = [person.subject for person in self._desk.store.people.values() if not person.disabled]
        found = await self._desk.verifier.identify(samples[0], everybody)
        if found is not Miss.NOBODY:
            raise Refused(Error.REFUSED, "this finger is enrolled already, or was touched before")

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

    async def _keep(self, person: PersonRecord, seat: SeatId, officer: _Officer | None, sealed: Sealed) -> None:
        """The ledger first: a template that it does not anchor is never loaded."""
        kind = Kind.ENROLMENT_FOUNDED if officer is None else Kind.ENROLMENT_CREATED
        for template in sealed.templates:
            role: dict[str, Value] = {"role": OFFICER if person.officer else STAFF}
            await self._record(kind, seat, person.subject, officer, _anchor(template) | role)
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
        self, kind: Kind, seat: SeatId, subject: SubjectId, officer: _Officer | None, data: dict[str, Value]
    ) -> None:
        ports = self._desk.pipeline.ports
        by: dict[str, Value] = {"officer": officer.subject if officer else None}
        entry = Entry(kind, seat, subject=subject, at=ports.clock.now(), data={**data, **by})
        await ports.ledger.append(entry)


@dataclass(frozen=True, slots=True)
class _Officer:
    """Whose touch allowed it."""

    subject: SubjectId
    session: SessionId


class _Sitting:
    """One person's touches at one seat, until three of them fit together."""

    def __init__(self, desk: Desk, seat: SeatId, officer: _Officer | None, touches: asyncio.Queue[Finger]) -> None:
        self._desk, self._seat, self._officer, self._touches = desk, seat, officer, touches
        self.samples: list[Sample] = []
        self.sealed = Sealed((), ())

    async def collect(self, subject: SubjectId, finger: str) -> AsyncGenerator[EnrolStep, None]:
        """Ask for touches, and seal what they make. Raises `Refused` where it does not come to that."""
        for _ in range(MOST_TRIES):
            nonce = self._desk.pipeline.ports.random.nonce()
            self._desk.pipeline.ports.readers.arm(self._seat, nonce)  # before the person is asked: they may be quick
            yield self._step("touch")
            heard = await self._next(nonce)
            if isinstance(heard, Hinted):
                yield self._step("hint", heard.hint)
                continue
            if heard.pad is not None and heard.pad < SUSPECT:
                self._refuse_attack()
                yield self._step("hint", Hint.REMOVE_AND_RETRY)
                continue
            self.samples.append(heard)
            if len(self.samples) < SAMPLES:
                continue
            try:
                self.sealed = await self._seal(subject, finger)
            except NoTemplate as none:
                del self.samples[0]  # the three do not fit together: the oldest goes
                yield self._step("hint", none.hint)
            else:
                return
        raise Refused(Error.REFUSED, "too many unusable touches; try another finger")

    def _refuse_attack(self) -> None:
        ports = self._desk.pipeline.ports
        why: dict[str, Value] = {"why": Miss.ATTACK.value}
        ports.ledger.write(Entry(Kind.ATTEMPT_REFUSED, self._seat, at=ports.clock.now(), data=why))

    def _step(self, name: str, hint: Hint | None = None) -> EnrolStep:
        return EnrolStep(name, len(self.samples) / SAMPLES, hint)

    async def _seal(self, subject: SubjectId, finger: str) -> Sealed:
        probes = [sample.probe for sample in self.samples]
        modality = self._desk.modality(self.samples[0].reader)
        return await self._desk.verifier.enrol(subject, modality, finger, probes, None)

    async def _next(self, nonce: Nonce) -> Sample | Hinted:
        """Wait for a good sample, or a hint."""
        try:
            async with asyncio.timeout(TOUCH_WITHIN_S):
                while True:
                    heard = await self._heard()
                    self.still_there()
                    if isinstance(heard, Hinted) or (isinstance(heard, Sample) and heard.nonce == nonce):
                        return heard
        except TimeoutError:
            raise Refused(Error.EXPIRED, "no touch within a minute") from None

    async def _heard(self) -> Finger | None:
        """What a finger does next; None after a moment, to look whether the officer is still there."""
        try:
            async with asyncio.timeout(LOOK_S):
                return await self._touches.get()
        except TimeoutError:
            return None

    def still_there(self) -> None:
        """Raise `Refused` once the officer's session has ended."""
        owner = self._desk.pipeline.seats[self._seat].owner
        if self._officer is not None and (owner is None or owner.id != self._officer.session):
            raise Refused(Error.REFUSED, "the officer's session has ended")


def _anchor(template: SealedTemplate) -> dict[str, Value]:
    return {
        "template": template.reference,
        "digest": template.digest,
        "modality": template.modality,
        "finger": template.finger,
    }
