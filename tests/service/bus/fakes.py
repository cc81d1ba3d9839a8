"""A small house with two seats, a ledger in memory, and the doors of both kinds in front of them."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import create_autospec

import zmq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from authd.core.model import (
    Acr,
    EndReason,
    Entry,
    Epoch,
    Face,
    Grade,
    Instant,
    Kind,
    Message,
    SeatId,
    SeatState,
    SessionId,
    SubjectId,
    Value,
)
from authd.service.bus.envelope import Signer
from authd.service.bus.house import (
    Application,
    Attribute,
    BreakGlass,
    Button,
    Ceremony,
    Credential,
    Enrolment,
    EnrolStep,
    Error,
    Occupancy,
    Peer,
    Refused,
    Role,
    Stay,
    StepUp,
)
from authd.service.bus.local import Local
from authd.service.bus.outlet import Outlet
from authd.service.bus.peers import Directory, screen
from authd.service.bus.router import Router
from authd.service.bus.tally import Tally
from authd.service.bus.tickets import Tickets
from authd.service.bus.verbs import Desk
from authd.service.certificates import Certificates
from authd.service.clock import BootClock
from authd.service.evidence import Evidence
from authd.service.tokens import Tokens

ONE, TWO = SeatId("counter-1"), SeatId("counter-2")
SATO, ITO = SubjectId("sub_sato"), SubjectId("sub_ito")


@dataclass(frozen=True, slots=True)
class FakePerson:
    subject: SubjectId
    staff_number: str
    name: str
    kana: str
    section: str
    officer: bool = False
    disabled: bool = False


PEOPLE = {
    SATO: FakePerson(SATO, "1001", "佐藤 花子", "サトウ ハナコ", "resident", officer=True),
    ITO: FakePerson(ITO, "1002", "伊藤 健", "イトウ ケン", "tax"),
}


@dataclass(frozen=True, slots=True)
class Row:
    seq: int
    wall_ms: int
    entry: Entry


class FakeLedger:
    """Rows that are durable as soon as they are appended."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._more = asyncio.Event()

    @property
    def head(self) -> int:
        return len(self.rows)

    def append(self, entry: Entry) -> int:
        self.rows.append(Row(len(self.rows) + 1, 1_795_305_600_000 + len(self.rows), entry))
        self._more.set()
        self._more = asyncio.Event()
        return len(self.rows)

    async def follow(self, after: int) -> AsyncIterator[Row]:
        for number in itertools.count(after):
            while number >= len(self.rows):
                await self._more.wait()
            yield self.rows[number]


@dataclass
class FakeHouse:
    """Implements `House`; `open` and `end` do what the pipeline would."""

    ledger: FakeLedger
    outlet: Outlet
    tickets: Tickets
    name: str = "host-1"
    calls: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])
    seats: dict[SeatId, Occupancy] = field(
        default_factory=lambda: {seat: Occupancy(seat, SeatState.LOCKED) for seat in (ONE, TWO)}
    )
    people_known: dict[SubjectId, FakePerson] = field(default_factory=lambda: dict(PEOPLE))
    step_up_answer: StepUp = field(default_factory=lambda: StepUp(stepped_up=True))
    watchers: Counter[SeatId] = field(default_factory=Counter[SeatId])
    typed: list[str] = field(default_factory=list[str])
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    evidence: Evidence = field(default_factory=lambda: create_autospec(Evidence, instance=True))
    certificates: Certificates = field(default_factory=lambda: create_autospec(Certificates, instance=True))
    tokens: Tokens = field(default_factory=lambda: create_autospec(Tokens, instance=True))
    _sessions: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def open(self, seat: SeatId, subject: SubjectId) -> SessionId:
        session = SessionId(f"ses_{next(self._sessions)}")
        self.ledger.append(Entry(Kind.GRANT, seat, Epoch(1), subject, session))
        data: dict[str, Value] = {"factor": "vein", "score": 0.93, "reference": "tpl_1@1"}
        self.ledger.append(
            Entry(Kind.SESSION_STARTED, seat, Epoch(1), subject, session, grade=Grade.MATCHED, data=data)
        )
        self.seats[seat] = Occupancy(seat, SeatState.ACTIVE, session, subject, 1_795_305_600_000, Grade.MATCHED)
        self.outlet.face(Face(seat, Epoch(1), SeatState.ACTIVE, Message.START, Instant(1), subject, session))
        return session

    def end(self, seat: SeatId, reason: EndReason = EndReason.IDLE, *, durable: bool = True) -> None:
        was = self.seats[seat]
        entry = Entry(Kind.SESSION_ENDED, seat, Epoch(1), was.subject, was.session, reason=reason, grade=was.grade)
        self.seats[seat] = Occupancy(seat, SeatState.LOCKED)
        self.outlet.event(entry)
        self.outlet.face(Face(seat, Epoch(1), SeatState.LOCKED, Message.LOCKED, Instant(2)))
        if durable:
            self.ledger.append(entry)

    def who(self, seat: SeatId) -> Occupancy:
        self.calls.append(("who", seat))
        if seat not in self.seats:
            raise Refused(Error.NOT_FOUND, "no such seat")
        return self.seats[seat]

    def person(self, subject: SubjectId) -> FakePerson | None:
        return self.people_known.get(subject)

    def applications(self, seat: SeatId) -> Sequence[Application]:
        return (
            [Application("resident", "住民", "Residents", "http://127.0.0.1:8790/open?lang=ja")] if seat == ONE else []
        )

    def activity(self, seat: SeatId) -> None:
        self.calls.append(("activity", seat))

    async def press(self, seat: SeatId, button: Button) -> None:
        self.calls.append(("press", seat, button.value))
        self.end(seat, EndReason.LOCK)

    async def step_up(
        self, seat: SeatId, session: SessionId, purpose: str, acr: Acr = Acr.ONE, max_age: int | None = None
    ) -> StepUp:
        asked = () if (acr, max_age) == (Acr.ONE, None) else (acr.value, str(max_age))
        self.calls.append(("step_up", seat, session, purpose, *asked))
        return self.step_up_answer

    @contextmanager
    def watched(self, seat: SeatId) -> Generator[None, None, None]:
        self.watchers[seat] += 1
        try:
            yield
        finally:
            self.watchers[seat] -= 1

    def answer(self, seat: SeatId, typed: str) -> None:
        self.typed.append(typed)

    def roster(self, seat: SeatId) -> Sequence[FakePerson]:
        return list(self.people_known.values())

    def claim(self, seat: SeatId, subject: SubjectId) -> None:
        self.calls.append(("claim", seat, subject))

    def ceremony(self, seat: SeatId) -> Ceremony:
        if seat != ONE:
            raise Refused(Error.REFUSED, "no key is waited for here")
        return Ceremony("get", {"challenge": "AAAA", "allowCredentials": []})

    def signed(self, seat: SeatId, response: bytes) -> None:
        self.calls.append(("signed", seat, response.decode()))

    async def credentials(self, subject: SubjectId) -> Sequence[Credential]:
        return [Credential("tpl_1@1", "fido2", "key-1"), Credential("tpl_2@1", "fido2", "key-2", revoked=True)]

    async def revoke(self, reference: str, seat: SeatId) -> None:
        self.calls.append(("revoke", reference, seat))

    async def broken_glass(self) -> Sequence[BreakGlass]:
        return [BreakGlass(SessionId("ses_1"), ONE, SATO, ITO, 1_795_305_600_000, "2026-11-24", late=True)]

    async def review(self, session: SessionId, seat: SeatId) -> None:
        self.calls.append(("review", session, seat))

    async def history(self, seat: SeatId, start_ms: int, end_ms: int) -> Sequence[Stay]:
        self.calls.append(("history", seat, str(start_ms), str(end_ms)))
        return [Stay(SessionId("ses_1"), SATO, start_ms, None, Grade.MATCHED, None, 2)]

    async def people(self) -> Sequence[FakePerson]:
        return list(self.people_known.values())

    async def enrol(self, order: Enrolment) -> AsyncGenerator[EnrolStep, None]:
        self.calls.append(("enrol", order.seat, order.name))
        yield EnrolStep("present", 0.3)
        await self.gate.wait()
        yield EnrolStep("done", 1.0, subject=SubjectId("sub_new"))

    async def disable(self, subject: SubjectId, seat: SeatId, *, erase: bool = False) -> None:
        self.calls.append(("erase" if erase else "disable", subject, seat))
        self.people_known[subject] = replace(self.people_known[subject], disabled=True)

    def status(self) -> Mapping[str, object]:
        return {"seats": {seat: {"state": each.state} for seat, each in self.seats.items()}}

    async def seal(self) -> int:
        return self.ledger.head

    async def stop(self) -> None:
        self.calls.append(("stop",))


@dataclass(frozen=True, slots=True)
class Pair:
    public: str
    secret: str


def new_pair() -> Pair:
    public, secret = zmq.curve_keypair()
    return Pair(public.decode(), secret.decode())


@dataclass
class World:
    """A running host: what its tests need to reach."""

    folder: Path
    house: FakeHouse
    ledger: FakeLedger
    directory: Directory
    desk: Desk
    door: Pair
    resident: Pair
    tax: Pair
    screen_one: Pair

    @property
    def tally(self) -> Tally:
        return self.desk.tally

    @property
    def local(self) -> str:
        return f"unix:{self.folder}/door.sock"

    @property
    def router(self) -> str:
        return f"ipc://{self.folder}/router.sock"

    @property
    def tap(self) -> str:
        return f"ipc://{self.folder}/tap.sock"

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None, None]:
        """Run both doors; leaving is a daemon that dies."""
        local = Local(self.desk, self.directory, self.folder / "door.sock")
        router = Router(self.desk, self.directory, self.door.secret.encode(), [self.router], [self.tap])
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(local.run()), group.create_task(router.run())]
            await local.ready.wait()
            await router.ready.wait()
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()


def world(folder: Path, uids: frozenset[int]) -> World:
    ledger, outlet, tickets = FakeLedger(), Outlet(), Tickets()
    house = FakeHouse(ledger, outlet, tickets)
    directory = Directory(uids)
    pairs = [new_pair() for _ in range(4)]
    desk = Desk(house, ledger, outlet, BootClock(), Signer(Ed25519PrivateKey.generate()), tickets)
    made = World(folder, house, ledger, directory, desk, *pairs)
    scope = frozenset({Attribute.NAME, Attribute.SECTION})
    directory.allow(made.resident.public, Peer(Role.APPLICATION, "resident", frozenset({ONE}), scope))
    directory.allow(made.tax.public, Peer(Role.APPLICATION, "tax", frozenset({TWO}), frozenset()))
    directory.allow(made.screen_one.public, screen(ONE))
    return made
