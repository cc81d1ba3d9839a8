"""Enrolling and disabling people: an officer's fresh touch first, then the ledger, then the store, then the gallery.

The first two officers are founded without one, by the host's administrator on the local socket, while there are fewer
than two; never again after that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from authd.core.model import Candidate, Entry, Hint, Kind, Nonce, ReaderId, SeatId, SessionId, SubjectId, Value
from authd.core.pipeline import Finger, Pipeline
from authd.core.ports import Hinted, Sample
from authd.service.bus.house import Enrolment, EnrolStep, Error, Refused
from authd.service.pdp import Pdp
from authd.service.roster import HostRoster, attributes
from authd.service.seal import SealedTemplate
from authd.service.staff import BadAttribute, PersonRecord, checked, new_subject
from authd.service.store import Store
from authd.service.verifier import ChildVerifier, NoTemplate, Sealed

SAMPLES: Final = 3
MOST_TRIES: Final = 8
TOUCH_WITHIN_S: Final = 60.0
FOUNDERS: Final = 2
PURPOSE: Final = "authd/enrolment"
"""What the officer confirms; the policy is asked about it as a step-up."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What an enrolment works with."""

    pipeline: Pipeline
    roster: HostRoster
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

    async def enrol(self, order: Enrolment) -> AsyncGenerator[EnrolStep, None]:
        """Enrol one finger of one person. Raises `Refused`; nothing is kept of an enrolment that is abandoned."""
        if self._one.locked():
            raise Refused(Error.BUSY, "another enrolment is going on")
        async with self._one:
            person = self._checked(order)
            officer = None
            if not order.founding:
                yield EnrolStep("officer_touch")
                officer = await self._officer(order.seat)
            with self._borrowed(order.seat) as touches:
                sitting = _Sitting(self._desk, order.seat, officer, touches)
                async for step in sitting.collect(person.subject, order.finger):
                    yield step
            await self._refuse_twice(sitting.samples)
            await self._keep(person, order.seat, officer, sitting.sealed)
            yield EnrolStep("done", 1.0, subject=person.subject)

    async def disable(self, subject: SubjectId, seat: SeatId) -> None:
        """Let no session of this person open any more, and end those that are open."""
        person = self._desk.store.people.get(subject)
        if person is None or person.disabled:
            raise Refused(Error.NOT_FOUND, "no such person, or disabled already")
        officer = await self._officer(seat)
        if officer.subject == subject:
            raise Refused(Error.REFUSED, "an officer cannot disable themselves")
        await self._record(Kind.ENROLMENT_DISABLED, seat, subject, officer, {})
        await self._desk.store.disable(subject)
        self._desk.pdp.directory.update(attributes(self._desk.store.people[subject]))
        self._desk.pipeline.revoke(subject)
        await self._desk.verifier.remove(subject)

    def _checked(self, order: Enrolment) -> PersonRecord:
        """The person to be, or `Refused` before anybody is asked for a touch."""
        desk = self._desk
        if order.seat not in desk.pipeline.seats:
            raise Refused(Error.NOT_FOUND, f"no seat {order.seat}")
        if order.founding and not (order.officer and desk.roster.officers() < FOUNDERS):
            raise Refused(Error.REFUSED, f"only the first {FOUNDERS} officers are founded")
        person = PersonRecord(new_subject(), order.staff_number, order.name, order.kana, order.section, order.officer)
        try:
            person = checked(person)
        except BadAttribute as bad:
            raise Refused(Error.BAD_REQUEST, str(bad)) from bad
        if desk.store.by_staff_number(person.staff_number) is not None:
            raise Refused(Error.REFUSED, f"staff number {person.staff_number} is enrolled already")
        return person

    async def _officer(self, seat: SeatId) -> _Officer:
        """Ask the person at the seat, who must be an officer, for a fresh touch."""
        owner = self._desk.pipeline.seats[seat].owner if seat in self._desk.pipeline.seats else None
        person = self._desk.store.people.get(owner.subject) if owner else None
        if owner is None or person is None or not person.officer:
            raise Refused(Error.REFUSED, "an officer must be logged in at this seat")
        if not await self._desk.pipeline.step_up(seat, owner.id, PURPOSE):
            raise Refused(Error.REFUSED, "the officer's touch did not come")
        return _Officer(owner.subject, owner.id)

    async def _refuse_twice(self, samples: list[Sample]) -> None:
        """One person, one entry: a finger that is known already is somebody's."""
        everybody = [person.subject for person in self._desk.store.people.values() if not person.disabled]
        found = await self._desk.verifier.identify(samples[0], everybody)
        if isinstance(found, Candidate):
            raise Refused(Error.REFUSED, "this finger is enrolled already")

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
            await self._record(kind, seat, person.subject, officer, _anchor(template))
        await self._desk.store.enrol(person, sealed.keys, sealed.templates)
        self._desk.pdp.directory.update(attributes(person))
        await self._desk.verifier.add(sealed)

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
                    heard = await self._touches.get()
                    self._still_there()
                    if isinstance(heard, Hinted) or (isinstance(heard, Sample) and heard.nonce == nonce):
                        return heard
        except TimeoutError:
            raise Refused(Error.EXPIRED, "no touch within a minute") from None

    def _still_there(self) -> None:
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
