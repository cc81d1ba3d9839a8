"""The house behind the mock's doors: seats that obey a script, and people who were never enrolled."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn, cast

from authd.core.model import (
    Acr,
    EndReason,
    Entry,
    Epoch,
    Evidence,
    Face,
    Factor,
    Grade,
    Instant,
    Kind,
    Limits,
    Message,
    Nonce,
    ReaderId,
    SeatId,
    SeatState,
    Session,
    SessionId,
    SubjectId,
    Value,
)
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
    Refused,
    Stay,
    StepUp,
)
from authd.service.bus.outlet import Outlet
from authd.service.certificates import Certificates
from authd.service.clock import BootClock
from authd.service.evidence.views import Views
from authd.service.tokens import Tokens
from authd_simulators.mock.rows import MockLedger

if TYPE_CHECKING:
    from authd.service.evidence import Evidence as EvidenceParts
    from authd.service.keys import Keys

READER = ReaderId("mock-reader")
_TOKEN_KEYS: dict[str, bytes] = {}


@dataclass(frozen=True, slots=True)
class MockPerson:
    """Somebody who may sit at a seat. Implements `house.Person`."""

    subject: SubjectId
    staff_number: str
    name: str
    kana: str = ""
    section: str = ""
    officer: bool = False
    disabled: bool = False


@dataclass(slots=True)
class MockSeat:
    """What there is at one seat now."""

    epoch: Epoch = Epoch(1)
    owner: Session | None = None
    since_ms: int = 0
    acted_at: Instant = Instant(0)
    """Of the owner's last touch, where a step-up asked for one."""
    acted_by: frozenset[Factor] = frozenset()


@dataclass
class MockHouse:
    """Implements `House`: sessions, tickets and record views are answered; what has no script is refused in words."""

    ledger: MockLedger
    outlet: Outlet
    clock: BootClock
    keys: Keys
    seats: dict[SeatId, MockSeat]
    issuer: str
    name: str = "mock-host"
    known: dict[SubjectId, MockPerson] = field(default_factory=dict[SubjectId, MockPerson])
    urls: dict[SeatId, dict[str, Application]] = field(default_factory=dict[SeatId, dict[str, Application]])
    stepping_up: StepUp | None = None
    """What a step-up comes to; None: the owner touches at once."""
    said: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])
    """What screens and applications have asked for: verb, seat, and the rest."""

    def __post_init__(self) -> None:
        config = SimpleNamespace(views_per_application=50, views_per_session=10, issuer=self.issuer, host=self.name)
        settings = SimpleNamespace(thresholds=SimpleNamespace(seat_key_counts=True))
        ground = SimpleNamespace(
            config=config,
            clock=self.clock,
            keys=self.keys,
            ledger=self.ledger,
            owner=self.owner,
            pdp=SimpleNamespace(bundle=SimpleNamespace(settings=settings)),
            pipeline=SimpleNamespace(seats=self.seats),
        )
        self._views = Views(cast("Any", ground))
        self.tokens = Tokens(cast("Any", ground))
        self.certificates = Certificates(cast("Any", ground))

    async def begin(self) -> None:
        """Read the keys, or make them."""
        _give_token_keys(self.keys.folder / "tokens")
        for part in (self._views, self.tokens, self.certificates):
            await part.begin()
        _keep_token_keys(self.keys.folder / "tokens")

    # The script.

    def open(self, seat: SeatId, person: MockPerson, grade: Grade, factor: Factor) -> SessionId:
        """Log somebody in; whoever sits there goes first, and they leave where they were. Raises `LedgerDown`."""
        self.ledger.must_write()
        for other, each in self.seats.items():
            if each.owner is not None and (other == seat or each.owner.subject == person.subject):
                self.end(other, EndReason.HANDOVER if other == seat else EndReason.ELSEWHERE)
        session = self._session(seat, person, grade, factor)
        data: dict[str, Value] = {"factor": factor.value, "reader": READER, "reference": "tpl_mock@1"}
        for kind in (Kind.GRANT, Kind.SESSION_STARTED):
            entry = Entry(kind, seat, session.epoch, person.subject, session.id, self.clock.now(), None, grade, data)
            self.ledger.add(entry)
        each = self.seats[seat]
        each.owner, each.since_ms, each.acted_at, each.acted_by = session, self.clock.wall_ms(), Instant(0), frozenset()
        self._show(seat, SeatState.ACTIVE, Message.START)
        return session.id

    def end(self, seat: SeatId, reason: EndReason, *, durable: bool = True) -> None:
        """End the session of a seat, if there is one: told at once, then written."""
        owner = self.seats[seat].owner
        if owner is None:
            return
        self.seats[seat].owner = None
        entry = self._about(owner, Kind.SESSION_ENDED, reason)
        if durable:
            self.outlet.event(entry)
            self._show(seat, SeatState.LOCKED, Message.LOCKED)
        self.ledger.add(entry, reserved=True)

    def note(self, seat: SeatId, kind: Kind, data: Mapping[str, Value]) -> int:
        """Write a row about a seat, and about its session where there is one."""
        owner = self.seats[seat].owner
        entry = Entry(kind, seat, self.seats[seat].epoch, at=self.clock.now(), data=dict(data))
        return self.ledger.add(entry if owner is None else self._about(owner, kind, None, data))

    def restart(self) -> None:
        """What a new daemon finds: nobody anywhere, and rows that say so."""
        for seat, each in self.seats.items():
            self.end(seat, EndReason.CRASH, durable=False)
            each.epoch = Epoch(each.epoch + 1)
            self._show(seat, SeatState.LOCKED, Message.WAITING)

    def owner(self, session: SessionId) -> tuple[SeatId, Session] | None:
        """Return the seat and the session, while it is the one that is active there."""
        found = ((seat, each.owner) for seat, each in self.seats.items() if each.owner is not None)
        return next(((seat, owner) for seat, owner in found if owner.id == session), None)

    def _session(self, seat: SeatId, person: MockPerson, grade: Grade, factor: Factor) -> Session:
        now = self.clock.now()
        evidence = Evidence(READER, factor, grade, Nonce(secrets.token_hex(16)), now, "tpl_mock@1")
        session = SessionId(f"ses_{secrets.token_hex(8)}")
        return Session(session, person.subject, seat, self.seats[seat].epoch, evidence, Limits(), now, now)

    def _about(
        self, owner: Session, kind: Kind, reason: EndReason | None, data: Mapping[str, Value] | None = None
    ) -> Entry:
        now, grade = self.clock.now(), owner.evidence.grade
        return Entry(kind, owner.seat, owner.epoch, owner.subject, owner.id, now, reason, grade, dict(data or {}))

    def _show(self, seat: SeatId, state: SeatState, message: Message) -> None:
        each = self.seats[seat]
        owner = (each.owner.subject, each.owner.id) if each.owner is not None else (None, None)
        self.outlet.face(Face(seat, each.epoch, state, message, self.clock.now(), *owner))

    # What the doors ask.

    @property
    def evidence(self) -> EvidenceParts:
        """Record views are real; what else the evidence has is not here."""
        return cast("EvidenceParts", _Parts(self._views))

    def who(self, seat: SeatId) -> Occupancy:
        """Who is there."""
        if seat not in self.seats:
            raise Refused(Error.NOT_FOUND, "no such seat")
        each = self.seats[seat]
        if each.owner is None:
            return Occupancy(seat, SeatState.LOCKED)
        owner = each.owner
        return Occupancy(seat, SeatState.ACTIVE, owner.id, owner.subject, each.since_ms, owner.evidence.grade)

    def person(self, subject: SubjectId) -> MockPerson | None:
        """Whoever it is."""
        return self.known.get(subject)

    def applications(self, seat: SeatId) -> Sequence[Application]:
        """What the seat's screen may open."""
        return tuple(self.urls.get(seat, {}).values())

    def activity(self, seat: SeatId) -> None:
        """Only noted: the mock has no idle."""
        self.said.append(("activity", seat))

    async def press(self, seat: SeatId, button: Button) -> None:
        """Lock or log out; other buttons need people."""
        self.said.append(("press", seat, button.value))
        if button not in (Button.LOCK, Button.LOGOUT):
            _no(button.value)
        self.end(seat, EndReason.LOCK if button is Button.LOCK else EndReason.LOGOUT)

    async def step_up(
        self, seat: SeatId, session: SessionId, purpose: str, acr: Acr = Acr.ONE, max_age: int | None = None
    ) -> StepUp:
        """As the script says; what was confirmed is written down."""
        self.said.append(("step_up", seat, session, purpose, acr.value))
        touched = StepUp(stepped_up=True, acr=acr.value, auth_time=self.clock.wall_ms() // 1000)
        answer = self.stepping_up or touched
        if answer.stepped_up:
            self.seats[seat].acted_at, self.seats[seat].acted_by = self.clock.now(), frozenset({Factor.VEIN})
            self.note(seat, Kind.SESSION_STEPPED_UP, {"purpose": purpose, "factor": Factor.VEIN.value})
        return answer

    @contextmanager
    def watched(self, seat: SeatId) -> Generator[None, None, None]:
        """Nothing depends on it."""
        yield

    async def people(self) -> Sequence[MockPerson]:
        """Everybody of the script."""
        return tuple(self.known.values())

    async def history(self, seat: SeatId, start_ms: int, end_ms: int) -> Sequence[Stay]:
        """The sessions of a seat that touched [start, end), from the rows."""
        return await self.ledger.presence(seat, start_ms, end_ms)

    async def credentials(self, subject: SubjectId) -> Sequence[Credential]:
        """Nobody has enrolled anything."""
        return ()

    async def broken_glass(self) -> Sequence[BreakGlass]:
        """No session was opened outside the rules."""
        return ()

    def roster(self, seat: SeatId) -> Sequence[MockPerson]:
        """Everybody of the script may be named."""
        return tuple(self.known.values())

    def claim(self, seat: SeatId, subject: SubjectId) -> None:
        """Only noted."""
        self.said.append(("claim", seat, subject))

    def answer(self, seat: SeatId, typed: str) -> None:
        """Nothing asks."""
        raise Refused(Error.NOT_FOUND, "nothing asks for anything to be typed")

    def ceremony(self, seat: SeatId) -> Ceremony:
        """No keys here."""
        _no("webauthn_begin")

    def signed(self, seat: SeatId, response: bytes) -> None:
        """No keys here."""
        _no("webauthn_done")

    async def enrol(self, order: Enrolment) -> AsyncGenerator[EnrolStep, None]:
        """No readers here."""
        _no("enrol")
        yield EnrolStep("")

    async def disable(self, subject: SubjectId, seat: SeatId, *, erase: bool = False) -> None:
        """No officers here."""
        _no("disable")

    async def revoke(self, reference: str, seat: SeatId) -> None:
        """No keys here."""
        _no("revoke")

    async def review(self, session: SessionId, seat: SeatId) -> None:
        """Nothing to review."""
        raise Refused(Error.NOT_FOUND, "no such session to review")

    def status(self) -> Mapping[str, object]:
        """That it is a mock, first of all."""
        return {"mock": True, "seats": {seat: {"state": self.who(seat).state.value} for seat in self.seats}}

    async def seal(self) -> int:
        """Every row is in."""
        return self.ledger.head

    async def stop(self) -> None:
        """Only noted: its test ends it."""
        self.said.append(("stop",))


def _give_token_keys(folder: Path) -> None:
    """Use the keys that an earlier mock of this process made: an RSA key takes a while, and means nothing here."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, data in _TOKEN_KEYS.items():
        (folder / name).touch(0o600)
        (folder / name).write_bytes(data)


def _keep_token_keys(folder: Path) -> None:
    _TOKEN_KEYS.update({path.name: path.read_bytes() for path in folder.iterdir()})


class _Parts:
    """The parts of the evidence that the mock has."""

    def __init__(self, views: Views) -> None:
        self.views = views

    def __getattr__(self, part: str) -> NoReturn:
        _no(part)


def _no(what: str) -> NoReturn:
    raise Refused(Error.REFUSED, f"the mock daemon does not have {what}: test it with authd demo")
