"""The daemon as its doors see it (`bus.house.House`): every question and order, answered from the parts that know."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass

from authd.core import seat as machine
from authd.core.model import MILLISECOND, SeatId, SessionId, SubjectId
from authd.core.pipeline import Pipeline
from authd.service.bus.house import (
    Application,
    Button,
    Enrolment,
    EnrolStep,
    Error,
    Occupancy,
    Person,
    Refused,
    Stay,
    StepUp,
)
from authd.service.clock import BootClock
from authd.service.config import Config
from authd.service.enrolment import Enrolments
from authd.service.ledger import Ledger
from authd.service.store import Store


@dataclass(frozen=True, slots=True)
class DaemonHouse:
    """Implements `House`. `state`: what `authd status` shows besides the seats; `end`: begins to end the daemon."""

    config: Config
    pipeline: Pipeline
    ledger: Ledger
    store: Store
    clock: BootClock
    enrolments: Enrolments
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
        known = self.config.applications
        names = self.config.seats[seat].applications if seat in self.config.seats else ()
        return [Application(name, known[name].name_ja, known[name].name_en, known[name].url) for name in names]

    def activity(self, seat: SeatId) -> None:
        """The seat's own agent saw its keyboard or mouse move."""
        self._seat(seat)
        self.pipeline.feed(seat, machine.Activity())

    async def press(self, seat: SeatId, button: Button) -> None:
        """A button of the seat's screen."""
        self._seat(seat)
        self.pipeline.feed(seat, machine.Pressed(logout=button is Button.LOGOUT))

    async def step_up(self, seat: SeatId, session: SessionId, purpose: str) -> StepUp:
        """Ask the owner for a fresh touch."""
        self._seat(seat)
        good = await self.pipeline.step_up(seat, session, purpose)
        return StepUp(good, "" if good else "refused")

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

    async def disable(self, subject: SubjectId, seat: SeatId) -> None:
        """Let no session of this person open any more."""
        self._seat(seat)
        await self.enrolments.disable(subject, seat)

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

    async def stop(self) -> None:
        """Begin to end the daemon."""
        self.end()

    def _seat(self, seat: SeatId) -> machine.Seat:
        found = self.pipeline.seats.get(seat)
        if found is None:
            raise Refused(Error.NOT_FOUND, f"no seat {seat}")
        return found
