"""Ports that do as they are told: what each call answers, raises or waits for is set by its name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

from authd.core import ports as port
from authd.core.model import (
    SECOND,
    Candidate,
    Counter,
    Decision,
    Denial,
    Denied,
    Entry,
    Epoch,
    Evidence,
    Face,
    Factor,
    Found,
    Grade,
    Instant,
    Kind,
    Miss,
    Nonce,
    ReaderId,
    Request,
    SeatId,
    SeatState,
    SessionId,
    SubjectId,
)
from authd.core.pipeline import Pipeline
from tests.core.playbook import AOKI, BABA, PERMIT
from tests.simulation.loop import Dice, Loop

ONE, TWO = SeatId("counter-1"), SeatId("counter-2")
READERS = {ONE: ReaderId("vein-1"), TWO: ReaderId("vein-2")}
SENSOR = ReaderId("presence-1")
HANG = object()
"""A call set to this never answers."""


class House:
    """Two seats, one pipeline and all its ports, in virtual time. Start it with `with House() as house:`."""

    boot = "boot-1"

    def __init__(self, seed: int = 1) -> None:
        self.loop = Loop(Dice(seed))
        self.faults: dict[str, Any] = {}
        self.calls: list[str] = []
        self.rows: list[Entry] = []
        self.told: list[Entry] = []
        self.faces: dict[SeatId, Face] = {}
        self.armed: dict[SeatId, Nonce] = {}
        self.counters: dict[str, Counter] = {}
        self.asked: list[Request] = []
        self.gone: set[SubjectId] = set()
        self.left_open: list[Entry] = []
        self.decision: Decision = PERMIT
        self.rules: Callable[[Request], Decision] | None = None
        self.armings: list[tuple[Nonce, SubjectId | None, bool]] = []
        self.confirms: list[tuple[Nonce, ReaderId, str]] = []
        self.typed: list[tuple[ReaderId, str]] = []
        self.lives = 0
        self.slept = 1_000 * SECOND
        self.people = [AOKI, BABA]
        self.wanted = 1
        self.vouching = False
        self.vouched = 0
        self.terms: list[port.Asked] = []
        self._drawn = 0
        self._queues = {seat: asyncio.Queue[port.Heard]() for seat in READERS}
        self.pipeline = self.born()

    def born(self) -> Pipeline:
        itself: Any = self  # one object is all ports: their methods differ
        ports = port.Ports(*[itself] * 10)
        return Pipeline(ports, {seat: frozenset({reader}) for seat, reader in READERS.items()})

    def __enter__(self) -> House:
        self.loop.__enter__()
        self.running = self.loop.start(self.pipeline.run())
        self.loop.run()
        for seat, reader in READERS.items():
            self.hear(seat, port.ReaderUp(reader))
        return self

    def __exit__(self, *_: object) -> None:
        self.faults.clear()
        self.running.cancel()
        self.loop.run()
        if not self.running.cancelled():
            self.running.exception()
        self.loop.__exit__()

    def _call(self, name: str) -> Any:
        self.calls.append(name)
        fault = self.faults.get(name)
        if isinstance(fault, BaseException):
            raise fault
        return fault

    async def _wait(self, name: str) -> None:
        if self._call(name) is HANG:
            await self.loop.create_future()
        if isinstance(delay := self.faults.get(name), int | float):
            await asyncio.sleep(delay)

    # What happens.

    def hear(self, seat: SeatId, heard: port.Heard) -> None:
        """The seat's devices say this, and everybody does what follows at once."""
        self._queues[seat].put_nowait(heard)
        self.loop.run()

    def sample(self, seat: SeatId, who: str = AOKI, claim: SubjectId | None = None) -> port.Sample:
        """This person's finger on the seat's armed reader."""
        return port.Sample(READERS[seat], self.armed[seat], who.encode(), 0.9, claim=claim)

    def touch(self, seat: SeatId = ONE, who: str = AOKI, claim: SubjectId | None = None) -> None:
        self.hear(seat, self.sample(seat, who, claim))

    def put_in(self, insertion: str, seat: SeatId = ONE) -> None:
        self.hear(seat, port.Inserted(READERS[seat], insertion))

    def take_out(self, insertion: str, seat: SeatId = ONE) -> None:
        self.hear(seat, port.Withdrawn(READERS[seat], insertion))

    def show(self, who: str, seat: SeatId = ONE, insertion: str = "", given: port.Given = port.Given.PROOF) -> None:
        """A key or card: `aoki+key+pin`, `aoki+card`, or why not: `cloned`."""
        sample = port.Sample(READERS[seat], self.armed[seat], who.encode(), 1.0, given=given, insertion=insertion)
        self.hear(seat, sample)

    def service(self, who: str, claim: SubjectId, seat: SeatId = ONE) -> None:
        """What a service says of a claimed person's finger."""
        given = port.Given.CLAIMED
        self.hear(seat, port.Sample(READERS[seat], self.armed[seat], who.encode(), 1.0, claim=claim, given=given))

    def came_back(self, who: str, insertion: str, seat: SeatId = ONE, nonce: Nonce | None = None) -> None:
        """A silent answer of what was put in again."""
        nonce, proof = nonce or self.confirms[-1][0], port.Given.PROOF
        data = who.encode()
        self.hear(seat, port.Sample(READERS[seat], nonce, data, 1.0, given=proof, insertion=insertion, silent=True))

    def wait(self, seconds: float) -> None:
        self.loop.spend(seconds)

    # What is so.

    def state(self, seat: SeatId = ONE) -> SeatState:
        return self.faces[seat].state

    def owner(self, seat: SeatId = ONE) -> SubjectId | None:
        """Who sits there: by the machine, the screen, the events and the ledger, which must agree."""
        state = self.pipeline.seats[seat]
        by_machine = state.owner.subject if state.owner else None
        assert self.faces[seat].subject == by_machine
        assert last_owner(self.told, seat) == last_owner(self.rows, seat) == by_machine
        return by_machine

    def kinds(self, *kinds: Kind) -> list[Kind]:
        return [row.kind for row in self.rows if row.kind in kinds]

    # The ports.

    async def listen(self, seat: SeatId) -> AsyncIterator[port.Heard]:
        while True:
            yield await self._queues[seat].get()

    def arm(self, seat: SeatId, nonce: Nonce, claim: SubjectId | None = None, *, calm: bool = False) -> None:
        self._call("arm")
        self.armed[seat] = nonce
        self.armings.append((nonce, claim, calm))

    def confirm(self, seat: SeatId, nonce: Nonce, reader: ReaderId, reference: str) -> None:
        self._call("confirm")
        self.confirms.append((nonce, reader, reference))

    def answer(self, seat: SeatId, reader: ReaderId, typed: str) -> None:
        self._call("answer")
        self.typed.append((reader, typed))

    async def identify(self, sample: port.Sample, scope: Sequence[SubjectId], asked: port.Asked) -> Found:
        self.terms.append(asked)
        await self._wait("identify")
        said = self.faults.get("identify")
        if isinstance(said, Candidate | Denied | Miss):
            return said
        if sample.given is not port.Given.PROBE:
            return _shown(sample)
        return self._found(sample, scope, asked) or (Miss.NOT_CLAIMED if sample.claim else Miss.NOBODY)

    def _found(self, sample: port.Sample, scope: Sequence[SubjectId], asked: port.Asked) -> Found | None:
        """`aoki/left` is a finger of Aoki's, `aoki` one that cannot be told from their others; `?` is unclear."""
        who, _, finger = sample.probe.decode().partition("/")
        subject = SubjectId(who)
        seen = Evidence(sample.reader, Factor.VEIN, Grade.MATCHED, sample.nonce, Instant(0), f"tpl_{subject}@1")
        if finger:
            seen = replace(seen, fingers=(finger,))
        if asked.first is not None:
            whose, _, other = asked.first.probe.decode().partition("/")
            if whose != who or {finger, other} & {"", finger if finger == other else ""}:
                return None
            return Candidate(subject, replace(seen, fingers=(other, finger), first=asked.first.nonce))
        if subject not in scope:
            return None
        clear = asked.fingers == 1 and finger != "?"
        return Candidate(subject, seen) if clear or subject == asked.alone else Miss.ANOTHER_FINGER

    async def append(self, entry: Entry) -> int:
        await self._wait("append")
        self.rows.append(entry)
        return len(self.rows)

    def write(self, entry: Entry) -> None:
        self._call("write")
        self.rows.append(entry)

    async def unfinished(self) -> Sequence[Entry]:
        await self._wait("unfinished")
        return self.left_open

    async def load(self) -> dict[str, Counter]:
        await self._wait("load")
        return dict(self.counters)

    async def save(self, key: str, counter: Counter) -> None:
        await self._wait("save")
        self.counters[key] = counter

    def scope(self, seat: SeatId) -> Sequence[SubjectId]:
        self._call("scope")
        return self.people

    def members(self, seat: SeatId) -> Sequence[SubjectId]:
        self._call("members")
        return self.people

    def fingers(self, seat: SeatId, *, claimed: bool) -> int:
        self._call("fingers")
        return self.wanted

    def disabled(self, subject: SubjectId) -> bool:
        self._call("disabled")
        return subject in self.gone

    async def claim(self, seat: SeatId) -> Epoch:
        await self._wait("claim")
        self.lives += 1
        return Epoch(self.lives)

    def vouch(self, seat: SeatId, nonce: Nonce) -> bool:
        self._call("vouch")
        return self.vouching

    def vouches(self, subject: SubjectId) -> int:
        self._call("vouches")
        return self.vouched

    def decide(self, request: Request) -> Decision:
        self._call("decide")
        self.asked.append(request)
        return self.decision if self.rules is None else self.rules(request)

    def event(self, entry: Entry) -> None:
        self._call("event")
        self.told.append(entry)

    def face(self, face: Face) -> None:
        self._call("face")
        self.faces[face.seat] = face

    def now(self) -> Instant:
        return Instant(self.loop.ns + self.slept)

    async def sleep_until(self, instant: Instant | None, woken: asyncio.Event) -> None:
        assert instant is None or instant > self.now(), "the timer spins"
        left = None if instant is None else (instant - self.now()) / SECOND
        try:
            async with asyncio.timeout(left):
                await woken.wait()
        except TimeoutError:
            pass

    def nonce(self) -> Nonce:
        self._call("nonce")
        self._drawn += 1
        return Nonce(f"nonce-{self._drawn}")

    def session(self) -> SessionId:
        self._call("session")
        self._drawn += 1
        return SessionId(f"ses_{self._drawn}")


def _shown(sample: port.Sample) -> Found:
    """What a key, card or service says, as it is written in the sample."""
    who, *factors = sample.probe.decode().split("+")
    if not factors and who in set(Denial):
        return Denied(Denial(who), AOKI, "crd_aoki@1")
    if sample.given is port.Given.CLAIMED:
        seen = Evidence(sample.reader, Factor.FINGERPRINT, Grade.MATCHED, sample.nonce, Instant(0), f"prt_{who}", 1, 1)
        return Candidate(SubjectId(who), seen) if who == sample.claim else Miss.NOT_CLAIMED
    first, *more = [Factor(each) for each in factors] or [Factor.CARD]
    grade = Grade.SIGNED if sample.given is port.Given.PROOF else Grade.DEVICE
    bound = ((sample.reader, sample.insertion),) if sample.insertion else ()
    seen = Evidence(sample.reader, first, grade, sample.nonce, Instant(0), f"crd_{who}@1")
    return Candidate(SubjectId(who), replace(seen, more=frozenset(more), bound=bound))


def last_owner(entries: Sequence[Entry], seat: SeatId) -> SubjectId | None:
    """Who sits at the seat if these are all the rows."""
    owner = None
    for entry in entries:
        if entry.seat == seat and entry.kind is Kind.SESSION_STARTED:
            owner = entry.subject
        elif entry.seat == seat and entry.kind is Kind.SESSION_ENDED:
            owner = None
    return owner


def elsewhere(sample: port.Sample, nonce: Nonce) -> port.Sample:
    return replace(sample, nonce=nonce)
