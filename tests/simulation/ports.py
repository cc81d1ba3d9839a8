"""One life of the daemon: its pipeline over fake ports that delay, fail, answer others, and can be killed anywhere."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from authd.core import ports as port
from authd.core.model import (
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
    SessionId,
    SubjectId,
)
from authd.core.pipeline import Pipeline
from authd.core.ports import Given
from tests.simulation.oracle import NO_NONCE, Finger, Held

if TYPE_CHECKING:
    from tests.simulation.world import World


class Killed(BaseException):
    """SIGKILL arrives in the middle of a call."""


@dataclass(slots=True)
class Disk:
    """What survives a crash."""

    rows: list[Entry] = field(default_factory=list[Entry])
    counters: dict[str, Counter] = field(default_factory=dict[str, Counter])
    lives: dict[SeatId, int] = field(default_factory=dict[SeatId, int])
    ledger: str = "good"
    """good, slow, full (nothing but the reserve), corrupt."""


class Ear:
    """What the devices of one seat have said and the pipeline has not heard yet."""

    def __init__(self, life: Life, seat: SeatId) -> None:
        self.life, self.seat = life, seat
        self.said: deque[port.Heard] = deque(maxlen=1_000)
        self.waiter: asyncio.Future[None] | None = None
        self.heard: port.Heard | None = None

    def say(self, heard: port.Heard) -> None:
        self.said.append(heard)
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def __aiter__(self) -> Ear:
        return self

    async def __anext__(self) -> port.Heard:
        if self.heard is not None and self.life.alive:
            self.life.world.heard(self.seat, self.heard)
        while not self.said:
            self.waiter = self.life.world.loop.create_future()
            await self.waiter
        self.heard = heard = self.said.popleft()
        if self.life.alive:
            self.life.world.noted(self.seat, heard)
        return heard


class Life:
    """From a start to a crash. Dead, its ports do nothing more."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.boot = world.boot
        self.alive = True
        self.fuse = -1
        """Calls until the next one breaks; below zero: none does."""
        self.fault = ""
        self.queue: list[tuple[Entry, asyncio.Future[int] | None]] = []
        self.flushing = False
        self.alarm: int | None = None
        self.woken: asyncio.Event | None = None
        self.ears = {seat: Ear(self, seat) for seat in world.touchable}
        self.serving = False
        self.at_once = 0
        itself: Any = self  # one object is all ports: their methods differ
        ports = port.Ports(*[itself] * 10)
        self.pipeline = Pipeline(ports, world.touchable)
        self.task = world.loop.start(self.pipeline.run())
        self.others: list[asyncio.Task[None]] = []

    def _call(self, name: str, seat: SeatId | None = None) -> bool:
        """Count a call; False: the process is dead and the call reaches nobody."""
        self.fuse -= 1
        if self.fuse == 0 and self.alive:
            self.world.blow(name, seat)
        return self.alive

    # Readers.

    def listen(self, seat: SeatId) -> Ear:
        if self.alive and not self.serving:
            self.serving = True
            self.world.oracle.recovered()
        return self.ears[seat]

    def arm(self, seat: SeatId, nonce: Nonce, claim: SubjectId | None = None, *, calm: bool = False) -> None:
        if self._call("arm", seat):
            self.world.oracle.armed(seat, nonce, claim)
            self.world.nonces[seat] = nonce

    def confirm(self, seat: SeatId, nonce: Nonce, reader: ReaderId, reference: str) -> None:
        if self._call("confirm", seat):
            self.world.oracle.confirming(seat, nonce, reference)
            self.world.confirm(seat, nonce, reader)

    def answer(self, seat: SeatId, reader: ReaderId, typed: str) -> None:
        self._call("answer", seat)

    # The verifier.

    async def identify(self, sample: port.Sample, scope: Sequence[SubjectId], asked: port.Asked) -> Found:
        seat = self.world.seat_of[sample.reader]
        if self.alive:
            self.world.oracle.asking(sample)
        try:
            if not self._call("identify", seat):
                return Miss.UNAVAILABLE
        except port.Unavailable:
            if asked.first is not None:  # nobody's fault: what its first finger was counted for is given back
                self._verified(sample, None)
            raise
        self.world.oracle.verifying(sample, asked)
        mood = self.world.dice.below(100)
        try:
            if mood >= 40:
                await asyncio.sleep(self._verifying_takes(mood))
            if mood in (97, 98):
                raise port.Unavailable("restarting")
        except (asyncio.CancelledError, port.Unavailable):
            self._verified(sample, None)
            raise
        if mood == 99 or (asked.first is not None and mood >= 94):
            self._verified(sample, None)
            return self._crossed(sample, asked)
        found = self._truth(sample, scope, asked)
        self._verified(sample, found)
        if mood < 3:
            await asyncio.sleep(0)
        return found

    def _verifying_takes(self, mood: int) -> float:
        if mood == 96:
            return 20.0
        return self.world.dice.below(11_000 if 85 <= mood < 96 else 300) / 1_000

    def _verified(self, sample: port.Sample, found: Found | None) -> None:
        if self.alive:
            self.world.oracle.verified(sample, found)

    def _truth(self, sample: port.Sample, scope: Sequence[SubjectId], asked: port.Asked) -> Found:
        if sample.given is not Given.PROBE:
            return _shown(sample, scope)
        seen, first = Finger.of(sample), asked.first and Finger.of(asked.first)
        if seen.who == "replayed":
            return Miss.REPLAYED
        if asked.first and first and first.who == seen.who and first.which != seen.which and seen.who in scope:
            return _candidate(sample, seen.who, (first.which, seen.which), asked.first.nonce)
        if seen.who in scope and (seen.who == asked.alone or (asked.fingers == 1 and seen.clear)):
            return _candidate(sample, seen.who, (seen.which,))
        if asked.first is None and (asked.fingers > 1 or seen.who in scope):
            return Miss.ANOTHER_FINGER
        return Miss.NOBODY if sample.claim is None else Miss.NOT_CLAIMED

    def _crossed(self, sample: port.Sample, asked: port.Asked) -> Found:
        """An answer, but to another question."""
        dice, world = self.world.dice, self.world
        other = dice.pick(world.samples) if world.samples else sample
        if sample.given is not Given.PROBE:
            return self._lie(sample)
        if asked.first is not None and dice.chance(80):
            first, which = asked.first.nonce, dice.pick(("1", "2"))
            if dice.chance(50):
                return _candidate(sample, dice.pick(world.people), (which, which), first)
            return _candidate(sample, dice.pick(world.people), ("1", "2"), other.nonce) if other.nonce != first else _NO
        return _candidate(other, dice.pick(world.people)) if other.nonce != sample.nonce else _NO

    def _lie(self, sample: port.Sample) -> Found:
        """Evidence that does not fit a sample of this kind."""
        dice, world = self.world.dice, self.world
        true = _shown(sample, world.people)
        if not isinstance(true, Candidate):
            return _NO
        seen = true.evidence
        wrong: tuple[Evidence, ...] = (
            replace(seen, grade=Grade.STATEMENT),
            replace(seen, more=seen.more | {Factor.SEAT_KEY}),
            replace(seen, more=seen.more | {Factor.VOUCH}),
            replace(seen, more=seen.more | {Factor.VEIN}),
            replace(seen, nonce=Nonce("n0")),
            replace(seen, bound=() if seen.bound else ((sample.reader, "i0"),)),
        )
        return replace(true, evidence=dice.pick(wrong))

    # The ledger.

    async def append(self, entry: Entry) -> int:
        if not self._call("append", entry.seat):
            return 0
        self.world.oracle.appending(entry)
        if self.world.disk.ledger in ("full", "corrupt"):
            raise port.LedgerDown(self.world.disk.ledger)
        done: asyncio.Future[int] = self.world.loop.create_future()
        item = (entry, done)
        self.queue.append(item)
        self.flush_soon()
        try:
            return await done
        except asyncio.CancelledError:
            if item in self.queue and self.world.dice.chance(30):
                self.queue.remove(item)
            raise

    def write(self, entry: Entry) -> None:
        if self._call("write", entry.seat):
            self.world.oracle.written(entry)
            self.queue.append((entry, None))
            self.flush_soon()

    def flush_soon(self) -> None:
        if self.flushing:
            return
        self.flushing = True
        loop, dice = self.world.loop, self.world.dice
        if self.world.disk.ledger == "slow":
            loop.call_later((500 + dice.below(4_500)) / 1_000, self.flush)
        elif dice.chance(70):
            loop.call_soon(self.flush)
        else:
            loop.call_later(dice.below(50) / 1_000, self.flush)

    def flush(self, most: int = 1_000_000) -> None:
        """One group commit: what is queued is durable, in order."""
        self.flushing = False
        if not self.alive or self.world.disk.ledger == "corrupt":
            return
        rows, self.queue = self.queue[:most], self.queue[most:]
        for entry, done in rows:
            self.world.disk.rows.append(entry)
            self.world.oracle.durable(entry)
            if done is not None and not done.done():
                done.set_result(len(self.world.disk.rows))

    async def unfinished(self) -> Sequence[Entry]:
        if not self._call("unfinished"):
            return ()
        if self.world.disk.ledger == "corrupt":
            raise port.LedgerDown("corrupt")
        return unfinished(self.world.disk.rows)

    # Counters, roster, seats, policy.

    async def load(self) -> dict[str, Counter]:
        return dict(self.world.disk.counters) if self._call("load") else {}

    async def save(self, key: str, counter: Counter) -> None:
        if not self._call("save"):
            return
        if self.world.dice.chance(10):
            await asyncio.sleep(self.world.dice.below(30) / 1_000)
        if self.alive:
            self.world.disk.counters[key] = counter

    def scope(self, seat: SeatId) -> Sequence[SubjectId]:
        self._call("scope", seat)
        return self.world.people

    def members(self, seat: SeatId) -> Sequence[SubjectId]:
        self._call("members", seat)
        return self.world.people

    def fingers(self, seat: SeatId, *, claimed: bool) -> int:
        return self.world.oracle.views[seat].wanted

    def disabled(self, subject: SubjectId) -> bool:
        return subject in self.world.gone

    async def claim(self, seat: SeatId) -> Epoch:
        lives = self.world.disk.lives
        if self._call("claim"):
            lives[seat] = lives.get(seat, 0) + 1
        return Epoch(lives.get(seat, 0))

    def vouch(self, seat: SeatId, nonce: Nonce) -> bool:
        return seat in self.world.oracle.seat_keys

    def vouches(self, subject: SubjectId) -> int:
        return self.world.oracle.vouched.get(subject, 0)

    def decide(self, request: Request) -> Decision:
        decision = self.world.decide(request)
        if self.alive:
            self.world.oracle.decision(request, decision)
        return decision

    # Doors to the outside.

    def event(self, entry: Entry) -> None:
        if self._call("event", entry.seat):
            self.world.oracle.told(entry)

    def face(self, face: Face) -> None:
        if self._call("face", face.seat):
            self.world.oracle.shown(face)

    # Clock and dice.

    def now(self) -> Instant:
        world = self.world
        return Instant(world.loop.ns + world.asleep)

    async def sleep_until(self, instant: Instant | None, woken: asyncio.Event) -> None:
        if woken.is_set() or (instant is not None and instant <= self.now()):
            self.at_once += 1
            if self.at_once > 1_000:
                raise self.world.oracle.broken("I3", "the timer spins on a deadline that does not move")
            return
        self.at_once = 0
        self.alarm, self.woken = instant, woken
        await woken.wait()
        self.alarm = None

    def nonce(self) -> Nonce:
        self.world.drawn += 1
        return Nonce(f"n{self.world.drawn}")

    def session(self) -> SessionId:
        self.world.drawn += 1
        return SessionId(f"ses{self.world.drawn}")

    # Its end.

    def die(self) -> None:
        """Nothing more gets out; of what was queued a first part became durable, in order."""
        if self.alive and self.world.disk.ledger != "corrupt":
            self.flush(self.world.dice.below(len(self.queue) + 1))
        self.alive = False

    def bury(self) -> None:
        """Unwind its tasks, whose calls reach nobody."""
        for task in (self.task, *self.others):
            task.cancel()
        self.world.loop.run()
        self.world.loop.forget()
        if self.task.done() and not self.task.cancelled():
            self.task.exception()


_NO = Miss.UNAVAILABLE


def _candidate(
    sample: port.Sample, who: SubjectId, fingers: tuple[str, ...] = (), first: Nonce = NO_NONCE
) -> Candidate:
    seen = Evidence(sample.reader, Factor.VEIN, Grade.MATCHED, sample.nonce, Instant(0), f"tpl_{who}@1")
    return Candidate(who, replace(seen, fingers=fingers, first=first))


def _shown(sample: port.Sample, scope: Sequence[SubjectId]) -> Found:
    """What a key, a card or a service says, believed as far as it may be."""
    held = Held.of(sample)
    if held.why is not None:
        return Denied(held.why, scope[0] if scope else None, "crd_denied@1")
    if held.who not in scope:
        return Miss.NOT_CLAIMED if sample.given is Given.CLAIMED else Denied(Denial.UNKNOWN)
    if sample.given is Given.CLAIMED and held.who != sample.claim:
        return Miss.NOT_CLAIMED
    grade = {Given.PROOF: Grade.SIGNED, Given.IDENTIFIER: Grade.DEVICE}.get(sample.given, Grade.MATCHED)
    first, *more = held.factors
    seen = Evidence(sample.reader, first, grade, sample.nonce, Instant(0), held.reference, more=frozenset(more))
    bound = ((sample.reader, sample.insertion),) if sample.insertion else ()
    return Candidate(held.who, replace(seen, bound=bound))


def unfinished(rows: Sequence[Entry]) -> list[Entry]:
    """Grants without an answer, and sessions without an end, in order."""
    open_: dict[SessionId, Entry] = {}
    for row in rows:
        if row.session is None:
            continue
        if row.kind in (Kind.GRANT, Kind.SESSION_STARTED):
            open_[row.session] = row
        elif row.kind in (Kind.VOID, Kind.SESSION_ENDED):
            open_.pop(row.session, None)
    return list(open_.values())
