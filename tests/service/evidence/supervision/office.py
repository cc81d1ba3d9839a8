"""A ledger whose clock a test sets, people in a real store, and seats where a touch comes when the test says so."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from authd.core.model import (
    Action,
    Decision,
    Entry,
    Epoch,
    Evidence,
    Factor,
    Grade,
    Instant,
    Kind,
    Limits,
    Nonce,
    ReaderId,
    Request,
    SeatId,
    Session,
    SessionId,
    SteppedUp,
    SubjectId,
)
from authd.service.config import Config, load
from authd.service.evidence import Ground
from authd.service.evidence.supervision import Supervision
from authd.service.evidence.supervision.terms import Term
from authd.service.ledger import Ledger, Recorded
from authd.service.pdp.attributes import Directory
from authd.service.pdp.settings import Settings
from authd.service.staff import PersonRecord
from authd.service.store import Store
from tests.core.playbook import PERMIT
from tests.service.ledgers import SIGNER

ONE, TWO = SeatId("counter-1"), SeatId("counter-2")
TOML = """\
[host]
name = "ward-1"
[section.resident]
name_ja = "市民課"
name_en = "Resident Affairs"
[section.tax]
name_ja = "税務課"
[application.residents]
name_ja = "住民記録"
url = "https://residents.city.example/"
key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
account = "staff_{staff_number}"
[application.shared]
name_ja = "共通"
url = "https://shared.city.example/"
key = "7fy]8H{@/LsmmcF%n@o.Rk%1E74snL@?U}>Mr:qr"
[seat.counter-1]
section = "resident"
roster = ["resident"]
applications = ["residents", "shared"]
[seat.counter-2]
section = "tax"
roster = ["tax"]
applications = ["shared"]
"""
CHIEF, HEAD, SATO, ITO, ABE = (SubjectId(f"sub_{name}") for name in ("chief", "head", "sato", "ito", "abe"))
PEOPLE = (
    PersonRecord(CHIEF, "1", "登録 係長", "", "office", officer=True),
    PersonRecord(HEAD, "1001", "課長 一郎", "", "resident"),
    PersonRecord(SATO, "1003", "佐藤 花子", "さとう はなこ", "resident"),
    PersonRecord(ITO, "1004", "伊藤 健", "", "tax"),
    PersonRecord(ABE, "1009", "阿部 臨", "", "resident"),
)
SINCE = date(2026, 4, 1)
TERMS = (
    Term("1001", "課長 一郎", "resident", SINCE, start=510, end=1035, supervisor=True, reports_to="1"),
    Term("1", "登録 係長", "office", SINCE),
    Term("1003", "佐藤 花子", "resident", SINCE, "さとう はなこ", start=510, end=1035, reports_to="1001"),
    Term("1004", "伊藤 健", "tax", SINCE, start=510, end=1035),
)


@dataclass
class Clock:
    """The wall clock is set by hand."""

    boot: str = "boot-1"
    at_ms: int = 0

    def now(self) -> Instant:
        return Instant(1_000_000_000_000)  # stands still: only the wall moves

    def wall_ms(self) -> int:
        return self.at_ms

    def set(self, text: str) -> None:
        """Local time, as people say it."""
        self.at_ms = int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)


def _again(seat: SeatId, owner: Session) -> Request:
    return Request(Action.KEEP_SESSION, owner.subject, seat, frozenset(), True, Grade.MATCHED, owner=owner.subject)


@dataclass
class Seats:
    """As much of the pipeline as supervision asks."""

    directory: Directory
    touches: bool = True
    fed: list[tuple[SeatId, object]] = field(default_factory=list[tuple[SeatId, object]])
    asked: list[str] = field(default_factory=list[str])
    members: dict[SeatId, list[SubjectId]] = field(default_factory=dict[SeatId, list[SubjectId]])
    strangers: set[SubjectId] = field(default_factory=set[SubjectId])
    """Who may open no session, by the policy."""
    before_touch: Any = None

    def __post_init__(self) -> None:
        self.seats: dict[SeatId, Any] = {seat: SimpleNamespace(owner=None, pending=None) for seat in (ONE, TWO)}
        self.judge = SimpleNamespace(again=_again)
        policy = SimpleNamespace(decide=self._decide)
        self.ports = SimpleNamespace(roster=SimpleNamespace(members=self.members.__getitem__), policy=policy)

    def _decide(self, request: Request) -> Decision:
        """As the policy has it: anybody keeps a seat, and who opens one is of its section."""
        may = request.action is Action.KEEP_SESSION or request.subject not in self.strangers
        return replace(PERMIT, permitted=may)

    def sit(self, seat: SeatId, subject: SubjectId) -> Session:
        seen = Evidence(ReaderId("vein-1"), Factor.VEIN, Grade.MATCHED, Nonce("n"), Instant(0), "tpl_1@1")
        id_ = SessionId(f"ses_{subject}")
        made = Session(id_, subject, seat, Epoch(1), seen, Limits(), Instant(0), Instant(0))
        self.seats[seat].owner = made
        return made

    async def step_up(self, seat: SeatId, session: SessionId, purpose: str) -> SteppedUp:
        self.asked.append(purpose)
        if self.before_touch is not None:
            await self.before_touch()
        return SteppedUp(granted=self.touches)

    def feed(self, seat: SeatId, event: object) -> None:
        self.fed.append((seat, event))
        self.seats[seat].owner = None


@dataclass
class Office:
    """A host."""

    config: Config
    clock: Clock
    store: Store
    ledger: Ledger
    pipeline: Seats
    ground: Ground
    part: Supervision

    async def again(self) -> Supervision:
        """The same, made anew from the ledger, as a restart does."""
        part = Supervision(self.ground)
        await part.begin()
        return part

    async def hire(self, *terms: Term) -> None:
        """Put a roster into force."""
        at, self.pipeline.seats[TWO].owner = self.pipeline.seats[TWO].owner, None
        self.pipeline.sit(TWO, CHIEF)
        self.part.roll.stage("0" * 64, 0, [(number, term) for number, term in enumerate(terms or TERMS, 2)])
        await self.part.roll.apply("0" * 64, TWO)
        self.pipeline.seats[TWO].owner = at

    async def write(self, at_ms: int, entry: Entry) -> None:
        """A row of that time."""
        now, self.clock.at_ms = self.clock.at_ms, at_ms
        await self.ledger.append(replace(entry, at=self.clock.now()))
        self.clock.at_ms = now

    async def hear(self) -> None:
        """Let supervision hear everything that it has not heard, and do what a day brings."""
        part: Any = self.part
        while part._after < self.ledger.head:
            async for row in self.ledger.follow(part._after, internal=False):
                part._after = row.seq
                await part._hear(row)
                if row.seq >= self.ledger.head:
                    break
        part._caught_up.set()
        await self.part.look()

    async def rows(self, kind: Kind) -> list[Recorded]:
        return await self.ledger.entries(f"kind:{kind}")


@asynccontextmanager
async def office(folder: Path, at: str = "2027-02-27T09:00") -> AsyncGenerator[Office]:
    """Everybody of `PEOPLE` works here; `CHIEF` is an officer by the ledger too."""
    (folder / "authd.toml").write_text(f"{TOML}\n", encoding="utf-8")
    config = replace(load(folder / "authd.toml"), state=folder)
    clock = Clock()
    clock.set(at)
    store = await Store.open(folder / "store.sqlite")
    ledger = await Ledger.open(folder / "ledger", SIGNER, clock, clock.wall_ms, reserve=65_536)
    try:
        for person in PEOPLE:
            await store.save_person(person)
        await ledger.append(Entry(Kind.ENROLMENT_FOUNDED, subject=CHIEF))
        directory = Directory()
        pipeline = Seats(directory, members={ONE: [SATO, HEAD], TWO: [ITO]})
        bundle = SimpleNamespace(settings=Settings())
        fakes: Any = SimpleNamespace(bundle=bundle, directory=directory)
        some: Any = pipeline
        own: Any = clock
        nothing: Any = None
        ground = Ground(config, own, nothing, store, ledger, fakes, some)
        part = Supervision(ground)
        await part.begin()
        yield Office(config, clock, store, ledger, pipeline, ground, part)
    finally:
        await ledger.close()
        await store.close()
