"""The daemon as its doors see it (`bus.house.House`): every question and order, answered from the parts that know."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from authd.core import seat as machine
from authd.core.model import MILLISECOND, Acr, SeatId, SessionId, SubjectId
from authd.core.pipeline import Pipeline
from authd.service.anchored import Anchored
from authd.service.bus.house import (
    Application,
    BreakGlass,
    Button,
    Ceremony,
    Credential,
    Enrolment,
    EnrolStep,
    Error,
    Occupancy,
    Person,
    Refused,
    Stay,
    StepUp,
)
from authd.service.certificates import Certificates
from authd.service.clock import BootClock
from authd.service.config import Config
from authd.service.enrolment import Enrolments
from authd.service.evidence import Evidence
from authd.service.ledger import Ledger
from authd.service.readers import HostReaders
from authd.service.reviews import Reviews
from authd.service.store import Store
from authd.service.tokens import Tokens


@dataclass(frozen=True, slots=True)
class DaemonHouse:
    """Implements `House`.

    named: who may be named at a seat; state: what `authd status` shows besides the seats; end: ends the daemon.
    """

    config: Config
    pipeline: Pipeline
    ledger: Ledger
    store: Store
    clock: BootClock
    enrolments: Enrolments
    readers: HostReaders
    anchored: Anchored
    reviews: Reviews
    evidence: Evidence
    tokens: Tokens
    certificates: Certificates
    named: Callable[[SeatId], Sequence[Person]]
    state: Callable[[], Mapping[str, object]]
    end: Callable[[], None]

    @property
    def name(self) -> str:
        """Name of the host."""
        return self.config.host

    def who(self, seat: SeatId) -> Occupancy:
        """Who is at the seat at this very moment."""
        state = self._seat(seat)
        owner = state.owner
        if owner is None:
            return Occupancy(seat, state.state)
        since = self.clock.wall_ms() - (self.clock.now() - owner.granted_at) // MILLISECOND
        return Occupancy(seat, state.state, owner.id, owner.subject, since, owner.evidence.grade)

    def person(self, subject: SubjectId) -> Person | None:
        """What the store knows of a person."""
        return self.store.people.get(subject)

    def applications(self, seat: SeatId) -> Sequence[Application]:
        """What the seat's screen may open."""
        names = self.config.seats[seat].applications if seat in self.config.seats else ()
        found = [(name, self.config.applications[name]) for name in names]
        return [Application(name, each.name_ja, each.name_en, each.url, each.account) for name, each in found]

    def activity(self, seat: SeatId) -> None:
        """The seat's own agent saw its keyboard or mouse move."""
        self._seat(seat)
        self.pipeline.feed(seat, machine.Activity())

    async def press(self, seat: SeatId, button: Button) -> None:
        """A button of the seat's screen."""
        self._seat(seat)
        match button:
            case Button.VOUCH | Button.BREAK_GLASS if button.value not in self.config.seats[seat].ladder:
                raise Refused(Error.REFUSED, "this seat does not offer that")
            case Button.VOUCH if not self.pipeline.vouch(seat):
                raise Refused(Error.REFUSED, "nobody can vouch here now")
            case Button.BREAK_GLASS if not self.pipeline.break_glass(seat):
                raise Refused(Error.REFUSED, "this seat cannot be opened by two people now")
            case Button.LOCK | Button.LOGOUT:
                self.pipeline.feed(seat, machine.Pressed(logout=button is Button.LOGOUT))
            case _:
                pass

    @contextmanager
    def watched(self, seat: SeatId) -> Generator[None, None, None]:
        """A screen of the seat watches; it may be a reader."""
        self._seat(seat)
        with self.readers.watched(seat):
            yield

    def answer(self, seat: SeatId, typed: str) -> None:
        """Hand what was typed to the reader that asks: of the seat, or of an enrolment there."""
        self._seat(seat)
        if not (self.pipeline.answer(seat, typed) or self.enrolments.answer(seat, typed)):
            raise Refused(Error.NOT_FOUND, "nothing is asked here")

    def roster(self, seat: SeatId) -> Sequence[Person]:
        """Who may be named at the seat."""
        self._seat(seat)
        return self.named(seat)

    def claim(self, seat: SeatId, subject: SubjectId) -> None:
        """Somebody says whose finger comes next."""
        self._seat(seat)
        if not self.pipeline.claim(seat, subject):
            raise Refused(Error.REFUSED, "nobody is waited for here")

    def ceremony(self, seat: SeatId) -> Ceremony:
        """What the screen's browser is to ask of a key."""
        self._seat(seat)
        asked = self.readers.ceremony(seat)
        if asked is None:
            raise Refused(Error.REFUSED, "no key is waited for here")
        return Ceremony(asked.kind, asked.options)

    def signed(self, seat: SeatId, response: bytes) -> None:
        """Take what the browser got from a key."""
        self._seat(seat)
        if not self.readers.signed(seat, response):
            raise Refused(Error.EXPIRED, "no key is waited for here any more")

    async def step_up(
        self, seat: SeatId, session: SessionId, purpose: str, acr: Acr = Acr.ONE, max_age: int | None = None
    ) -> StepUp:
        """Ask the owner for a fresh touch."""
        self._seat(seat)
        done = await self.pipeline.step_up(seat, session, purpose, acr, max_age)
        if not done.granted:
            return StepUp(stepped_up=False, reason="refused")
        ago = (self.clock.now() - done.auth_time) // MILLISECOND
        return StepUp(True, "", done.acr.value, (self.clock.wall_ms() - ago) // 1000)

    async def history(self, seat: SeatId, start_ms: int, end_ms: int) -> Sequence[Stay]:
        """Who sat there, from the ledger."""
        self._seat(seat)
        return [
            Stay(stay.session, stay.subject, stay.since_ms, stay.until_ms, stay.grade, stay.reason, stay.first)
            for stay in await self.ledger.presence(seat, start_ms, end_ms)
            if stay.grade is not None
        ]

    async def people(self) -> Sequence[Person]:
        """Everyone ever enrolled, by staff number."""
        return sorted(self.store.people.values(), key=lambda person: person.staff_number)

    def enrol(self, order: Enrolment) -> AsyncGenerator[EnrolStep, None]:
        """Enrol one finger of one person."""
        return self.enrolments.enrol(order)

    async def disable(self, subject: SubjectId, seat: SeatId, *, erase: bool = False) -> None:
        """Let no session of this person open any more; `erase`: and destroy their templates and key."""
        self._seat(seat)
        await self.enrolments.revocations.disable(subject, seat, erase=erase)

    async def credentials(self, subject: SubjectId) -> Sequence[Credential]:
        """What a person has enrolled."""
        if subject not in self.store.people:
            raise Refused(Error.NOT_FOUND, "no such person")
        held = await self.anchored.held(subject)
        return [Credential(each.reference, each.modality, each.label, each.revoked) for each in held]

    async def revoke(self, reference: str, seat: SeatId) -> None:
        """Let nothing open with this key or card any more."""
        self._seat(seat)
        await self.enrolments.revocations.revoke(reference, seat)

    async def broken_glass(self) -> Sequence[BreakGlass]:
        """Every session that was opened outside the rules."""
        return await self.reviews.all()

    async def review(self, session: SessionId, seat: SeatId) -> None:
        """Such a session has been reviewed by the officer at the seat, who is neither of the two."""
        self._seat(seat)
        found = next((each for each in await self.reviews.all() if each.session == session), None)
        if found is None or found.reviewed_ms is not None:
            raise Refused(Error.NOT_FOUND, "no such session, or reviewed already")
        await self.enrolments.revocations.review(found, seat)

    def status(self) -> Mapping[str, object]:
        """How every part is."""
        seats = {
            id_: {
                "state": seat.state.value,
                "readers": sorted(seat.readers),
                "epoch": seat.epoch,
                "message": seat.message.value,
            }
            for id_, seat in self.pipeline.seats.items()
        }
        return {"host": self.name, "simulated": self.config.simulate, "seats": seats, **self.state()}

    async def seal(self) -> int:
        """Bring every row there is into the ledger's completeness index."""
        covered = await self.ledger.seal()
        await self.ledger.checkpoint()  # signed and published: who reads the files beside us sees it
        return covered

    async def stop(self) -> None:
        """Begin to end the daemon."""
        self.end()

    def _seat(self, seat: SeatId) -> machine.Seat:
        found = self.pipeline.seats.get(seat)
        if found is None:
            raise Refused(Error.NOT_FOUND, f"no seat {seat}")
        return found
