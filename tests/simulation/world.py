"""The world around the daemon: people, fingers, devices, time, and everything that can happen to them.

An episode is a row of actions. Action `i` of seed `s` draws everything it needs from dice seeded by `(s, i)`, so that
it can be left out without changing the draws of the others: that is how a trace is made minimal.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from authd.core import ports as port
from authd.core import seat as machine
from authd.core.model import (
    MILLISECOND,
    MINUTE,
    SECOND,
    Acr,
    Action,
    Candidate,
    Counter,
    Decision,
    Denial,
    Evidence,
    Factor,
    Fault,
    Grade,
    Hint,
    Instant,
    Limits,
    Message,
    Nonce,
    Prompt,
    PromptId,
    ReaderId,
    Request,
    Rung,
    SeatId,
    SessionId,
    SubjectId,
)
from authd.core.ports import Given
from tests.simulation.loop import Dice, Loop
from tests.simulation.oracle import Oracle, Tries, two
from tests.simulation.ports import Disk, Killed, Life

SEATS = (SeatId("s1"), SeatId("s2"), SeatId("s3"))
PEOPLE = tuple(SubjectId(name) for name in ("aoki", "baba", "chiba", "doi"))
BUNDLES = (
    Limits(idle=20 * SECOND, absence=10 * SECOND, overall=2 * MINUTE),
    Limits(idle=60 * SECOND, absence=6 * SECOND, overall=10 * MINUTE, removal=800 * MILLISECOND),
    Limits(idle=15 * SECOND, absence=None, overall=12 * 60 * MINUTE, removal=300 * MILLISECOND),
    Limits(idle=300 * SECOND, absence=10 * SECOND, overall=50 * SECOND),
)
SPANS = (1, 50, 300, 900, 1_000, 1_100, 1_900, 2_000, 2_500, 4_000, 5_000, 5_500, 9_900, 10_000, 15_000, 30_000, 61_000)
"""Milliseconds that time likes to pass in."""


class World:
    """Two or three seats and everything around them; `act(i)` lets the i-th thing happen."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = Dice(seed)
        self.loop = Loop(self.dice)
        seats = SEATS[: 2 + self.dice.below(2)]
        self.touchable = {seat: self._readers(seat) for seat in seats}
        self.seats = tuple(seats)
        self.seat_of = {reader: seat for seat, readers in self.touchable.items() for reader in readers}
        self.asleep = 0
        """How far CLOCK_BOOTTIME is ahead of the loop's clock; a reboot sets it back."""
        self.wall = 0
        self.boots = 0
        self.disk = Disk()
        self.people: Sequence[SubjectId] = PEOPLE
        self.gone: set[SubjectId] = set()
        self.refused: set[SubjectId] = set()
        self.limits = BUNDLES[0]
        self.drawn = 0
        self.nonces: dict[SeatId, Nonce] = {}
        self.samples: deque[port.Sample] = deque(maxlen=16)
        self.suspended = False
        self.trace: list[str] = []
        self.tracing = False
        self.steps = 0
        self.oracle = Oracle(self.seats, self.now)
        if self.dice.chance(15):
            self._tried_before(PEOPLE[0], 44 + self.dice.below(5))
        for view in self.oracle.views.values():
            view.wanted = 1 + self.dice.chance(30)
        self.inside: dict[ReaderId, list[Inside]] = {}
        """Which keys and cards are in which reader."""
        self.oracle.strict = self.dice.chance(40)
        self.oracle.seat_keys = {seat for seat in seats if self.dice.chance(30)}
        self.life = self._start()

    def _readers(self, seat: SeatId) -> frozenset[ReaderId]:
        return frozenset(ReaderId(f"{seat}-vein-{n}") for n in range(1 + self.dice.below(2)))

    def _tried_before(self, who: SubjectId, failures: int) -> None:
        """Somebody has guessed at this person for days, under another boot."""
        self.disk.counters[f"subject:{who}"] = Counter(failures, boot="long ago")
        self.oracle.tries[who] = Tries(failures, self.now(), self.now())

    @property
    def boot(self) -> str:
        return f"boot-{self.boots}"

    def now(self) -> int:
        return self.loop.ns + self.asleep

    def note(self, what: str) -> None:
        if self.tracing:
            self.trace.append(f"{self.now() / SECOND:12.3f} s  {what}")

    # Life and death.

    def _start(self) -> Life:
        life = Life(self)
        for seat, readers in self.touchable.items():
            for reader in readers:
                life.ears[seat].say(port.ReaderUp(reader))
        return life

    def restart(self, *, rebooted: bool = False) -> None:
        """The process is dead; a supervisor or a boot starts the next."""
        self.note("the machine boots" if rebooted else "the daemon starts")
        self.life.die()
        self.life.bury()
        if rebooted:
            self.boots += 1
            self.asleep = (5 + self.dice.below(20)) * SECOND - self.loop.ns
        else:
            self.loop.advance(self.loop.ns + (100 + self.dice.below(2_000)) * MILLISECOND)
        self.suspended = False
        self.oracle.died(rebooted=rebooted)
        self.samples.clear()
        self.nonces.clear()
        self.inside.clear()
        self.life = self._start()

    def blow(self, name: str, seat: SeatId | None) -> None:
        """The fuse of this life is burnt down to this call."""
        life, kind = self.life, self.life.fault
        if kind == "kill":
            self.note(f"killed in {name}")
            life.die()
            raise Killed
        if kind == "no" and name in ("identify", "append", "save", "arm", "unfinished", "load", "claim"):
            self.note(f"{name} says no")
            if name == "arm" and seat is not None:
                self.oracle.broke(seat)
            raise {"identify": port.Unavailable, "append": port.LedgerDown}.get(name, port.PortError)("no")
        if kind == "bug" and name in ("identify", "append", "scope", "arm", "event", "face") and seat is not None:
            self.note(f"{name} breaks")
            (self.oracle.unshown if name == "face" else self.oracle.broke)(seat)
            raise ValueError(name)
        life.fuse = 1

    # One thing after another.

    def act(self, at: int) -> None:
        """Let the action of this number happen, and some or all of what follows from it."""
        self.dice.seed(self.seed * 1_000_003 + at)
        try:
            ACTIONS[self.dice.below(len(ACTIONS))](self)
            if self.dice.chance(60):
                self.settle()
            else:
                self.loop.run(1 + self.dice.below(6))
        except Killed:
            pass
        except Exception as bug:
            self.oracle.broken("I7", f"the machine contradicts itself: {bug!r}")
        if not self.life.alive or self.life.task.done():
            self._ask_why()
            self.restart()
        if self.oracle.violation is not None:
            raise self.oracle.violation

    def _ask_why(self) -> None:
        """A daemon ends because it is killed, or cannot start; never by itself."""
        task = self.life.task
        error = task.exception() if self.life.alive and not task.cancelled() else None
        if error is not None and self.life.serving:
            self.oracle.broken("I7", f"the daemon ended by itself: {error!r}")

    def settle(self) -> None:
        """Nothing is left to do at this moment."""
        self.loop.run()
        if self.life.alive and not self.life.task.done():
            self.oracle.quiet()

    def finish(self) -> None:
        """The last chance of every promise: a while passes, then the process ends and starts again."""
        self.dice.seed(self.seed)
        try:
            self.pass_time(70 * SECOND)
            self.disk.ledger = "good"
            self.restart()
            self.pass_time(3 * SECOND)
        except Killed:
            pass
        if self.oracle.violation is not None:
            raise self.oracle.violation

    def feed(self, seat: SeatId, event: machine.Event) -> None:
        """A door or the machine tells a seat something."""
        if self.serves(seat):
            self.life.pipeline.feed(seat, event)
            self.oracle.fed(seat)

    def serves(self, seat: SeatId) -> bool:
        """Whether the process lives and has come so far in its start."""
        return self.life.alive and seat in self.life.pipeline.seats

    def lock(self, cause: str, event: machine.Event, seats: Iterable[SeatId] | None = None) -> None:
        """Something that must leave nobody at these seats."""
        for seat in self.seats if seats is None else seats:
            if self.serves(seat):
                self.oracle.happened(seat, cause)
                self.feed(seat, event)

    def noted(self, seat: SeatId, heard: port.Heard) -> None:
        """The pipeline is about to hear this."""
        if type(heard) is port.Sample and heard.reader in self.touchable[seat]:
            self.oracle.captured(seat, heard)
        elif type(heard) is port.Sensed:
            self.oracle.sensed(seat, heard.present)
        elif isinstance(heard, port.Inserted) and heard.reader in self.touchable[seat]:
            self.oracle.inserted(seat, (heard.reader, heard.insertion))
        elif isinstance(heard, port.Withdrawn):
            what = (heard.reader, heard.insertion)
            self.oracle.withdrawn(seat, lambda each: each == what)
        elif isinstance(heard, port.ReaderDown):
            reader = heard.reader
            self.oracle.withdrawn(seat, lambda each: each[0] == reader, reader=True)

    def heard(self, seat: SeatId, heard: port.Heard) -> None:
        """The pipeline has heard it; a finger lifted, an enrolment's, or another seat's sample says nothing here."""
        foreign = type(heard) is port.Sample and heard.reader not in self.touchable[seat]
        if isinstance(heard, port.Sample) and (heard.silent or heard.insertion or heard.given is Given.CLAIMED):
            foreign = foreign or not self.oracle.views[seat].offered  # it may have been told nothing
        if type(heard) is not port.FingerUp and not foreign and not self.oracle.views[seat].lent:
            self.oracle.fed(seat)

    def say(self, seat: SeatId, heard: port.Heard) -> None:
        """A device says something, by its queue or at once."""
        if isinstance(heard, port.ReaderDown):
            self.inside.pop(heard.reader, None)
        self.note(f"{seat}: {heard}") if self.tracing else None
        if self.dice.chance(30) or not self.serves(seat):
            self.life.ears[seat].say(heard)
            return
        self.noted(seat, heard)
        self.life.pipeline.hear(seat, heard)
        self.heard(seat, heard)

    def decide(self, request: Request) -> Decision:
        """The policy as it is at this moment; every decision has a bundle's name of its own."""
        self.drawn += 1
        permit = Decision(True, ("rule",), f"b{self.drawn}", self.limits)
        refuse = replace(permit, permitted=False)
        if request.subject in self.refused or request.grade is Grade.DEVICE or request.grade is Grade.STATEMENT:
            return refuse
        if request.helper == request.subject or request.vouches > 2:
            return refuse
        if request.action is Action.BREAK_GLASS and request.helper is None:
            return replace(refuse, another_factor=True, message=Message.SECOND_PERSON)
        shown = request.factors if request.helper is not None else request.factors - {Factor.VOUCH}
        opens = request.action is Action.OPEN_SESSION and self.oracle.strict and not request.shift_open
        asks = request.action is Action.STEP_UP and request.acr is Acr.TWO
        lacks = (opens and not two(shown)) or (asks and not two(request.fresh - {Factor.VOUCH}))
        return replace(refuse, another_factor=True, message=Message.ANOTHER_FACTOR) if lacks else permit

    # Keys and cards.

    def confirm(self, seat: SeatId, nonce: Nonce, reader: ReaderId) -> None:
        """A reader is asked whether what came back is the same: it says what is in it, late, wrongly, or nothing."""
        inside, dice = self.inside.get(reader), self.dice
        mood = dice.below(100)
        if not inside or mood < 12:
            return
        key = inside[-1]
        sample = port.Sample(
            reader, nonce, key.says, 1.0, given=Given.PROOF, insertion=key.insertion, silent=mood >= 20
        )
        heard: port.Heard = port.TurnedDown(reader, nonce, Denial.UNKNOWN) if mood >= 95 else sample
        delay = dice.pick((0, 0, 0, 0, 20, 100, 400, 900)) / 1_000
        life = self.life
        self.loop.call_later(delay, lambda: life.ears[seat].say(heard) if life.alive else None)

    # Time.

    def pass_time(self, span: int) -> None:
        """Time passes for a process that is not starved: whatever is due runs when it is due."""
        target = self.loop.ns + span
        self.settle()
        while self.life.alive and not self.life.task.done():
            due = self.next_due()
            self.loop.advance(target if due is None or due > target else due)
            self._ring()
            self.settle()
            if self.life.alive:
                self.oracle.passed()
            if self.loop.ns >= target:
                return

    def next_due(self) -> int | None:
        timer, alarm = self.loop.next_timer(), self.life.alarm
        if alarm is None:
            return timer
        alarm = max(alarm - self.asleep, self.loop.ns)
        return alarm if timer is None else min(timer, alarm)

    def _ring(self) -> None:
        life = self.life
        if life.alarm is not None and life.woken is not None and life.alarm <= self.now():
            life.alarm = None
            life.woken.set()

    def leap(self, span: int, *, stalled: bool) -> None:
        """The process does not run for a while: the machine sleeps, or the process alone is stopped."""
        if stalled:
            self.loop.advance(self.loop.ns + span)
        else:
            self.asleep += span
        self.oracle.slept()
        if self.life.alarm is not None and self.life.alarm <= self.now():
            self.life.alarm = Instant(self.now() + self.dice.below(500) * MILLISECOND)


@dataclass(frozen=True, slots=True)
class Inside:
    """A key or card in a reader, and what it would say."""

    insertion: str
    says: bytes


Act = Callable[[World], Any]


def _seat(world: World) -> SeatId:
    return world.seats[world.dice.below(len(world.seats))]


def touch(world: World, seat: SeatId | None = None) -> None:
    """Somebody puts a finger on a reader: mostly who sits there, mostly their own."""
    dice = world.dice
    seat = seat or _seat(world)
    nonce = world.nonces.get(seat)
    if nonce is None:
        return
    sitting = world.oracle.views[seat].sitting
    who = sitting.subject if sitting is not None and dice.chance(60) else PEOPLE[dice.below(len(PEOPLE))]
    finger: str = who if dice.chance(88) else dice.pick(("nobody", "nobody", "replayed"))
    claim = who if dice.chance(25) else None
    if claim is not None and dice.chance(45):
        finger = dice.pick(PEOPLE)
    sample = _laid(world, seat, nonce, finger, claim)
    if dice.chance(20):
        world.say(seat, port.FingerDown())
    world.samples.append(sample)
    world.say(seat, sample)


def _laid(world: World, seat: SeatId, nonce: Nonce, who: str, claim: SubjectId | None) -> port.Sample:
    """One of two fingers on one of the seat's readers, now and then badly."""
    dice = world.dice
    which = f"{dice.pick('12')}{'?' if dice.chance(12) else ''}"
    reader = dice.pick(sorted(world.touchable[seat]))
    return port.Sample(reader, nonce, f"{who}/{which}".encode(), 0.9, claim=claim)


def login(world: World) -> None:
    """A touch and what follows, so that there is somebody to whom things can happen."""
    touch(world)
    world.pass_time((10 + world.dice.below(400)) * MILLISECOND)


def pair(world: World) -> None:
    """Two touches: as it is asked, with the same finger, by two people, too late, or after a lock."""
    dice, seat = world.dice, _seat(world)
    who, claim = dice.pick(PEOPLE), None
    if dice.chance(10):
        claim = who
    for _ in range(2 + dice.below(2)):
        nonce = world.nonces.get(seat)
        if nonce is None:
            return
        sample = _laid(world, seat, nonce, who, claim)
        world.samples.append(sample)
        world.say(seat, sample)
        world.pass_time(dice.pick((20, 400, 1_000, 4_000, 9_500, 10_500)) * MILLISECOND)
        if dice.chance(15):
            who = dice.pick(PEOPLE)
        if dice.chance(10):
            seat = _seat(world)
        if dice.chance(8):
            press(world)


def guess(world: World) -> None:
    """Somebody claims to be another, again and again, at whatever seat."""
    seat, dice = _seat(world), world.dice
    claim = dice.pick(PEOPLE[:2])
    for _ in range(1 + dice.below(6)):
        nonce = world.nonces.get(seat)
        if nonce is None:
            return
        reader = dice.pick(sorted(world.touchable[seat]))
        finger = claim if dice.chance(5) else SubjectId("doi")
        world.say(seat, port.Sample(reader, nonce, f"{finger}/{dice.pick('12')}".encode(), 0.9, claim=claim))
        world.pass_time(dice.below(2_000) * MILLISECOND)


def replay(world: World) -> None:
    """A sample comes again, at the same seat or another, or under another seat's nonce."""
    if not world.samples:
        return
    sample = world.dice.pick(world.samples)
    seat = _seat(world)
    if world.dice.chance(20):
        nonce = world.nonces.get(_seat(world), Nonce(""))
        sample = replace(sample, nonce=nonce)
        seat = _seat(world)
        if world.nonces.get(seat) == nonce:
            world.samples.append(sample)
    world.say(seat, sample)


def forge(world: World) -> None:
    """A verdict or the ledger's word that is early, late, repeated or another seat's."""
    dice, seat = world.dice, _seat(world)
    old = dice.pick(world.samples).nonce if world.samples and dice.chance(60) else Nonce("n0")
    touched = world.oracle.touches.get(old)
    if touched is not None and touched is world.oracle.views[touched.seat].touch and touched.sample is not None:
        return  # its own verdict is under way: this would not be a forgery but the truth
    nonce = world.nonces.get(seat, Nonce("")) if dice.chance(30) and _uncaptured(world, seat) else old
    who = dice.pick(PEOPLE)
    world.drawn += 1
    session = SessionId(f"ses{world.drawn}")
    seen = Evidence(ReaderId("x"), Factor.VEIN, Grade.MATCHED, nonce, Instant(world.now()), "tpl_forged@1")
    request = machine.Verdict(nonce, Candidate(who, seen), _forged(world, who, seat), session)
    world.note(f"{seat}: forged verdict under {nonce} for {who}")
    world.feed(seat, request)
    if dice.chance(30):
        world.feed(seat, machine.Recorded(session))
        world.feed(seat, machine.Recorded(f"ses{dice.below(world.drawn + 1)}") if dice.chance(0) else machine.Tick())


def _uncaptured(world: World, seat: SeatId) -> bool:
    touch = world.oracle.views[seat].touch
    return touch is not None and touch.sample is None


def _forged(world: World, who: SubjectId, seat: SeatId) -> Decision:
    decision = Decision(True, ("forged",), f"f{world.drawn}", world.limits)
    asked = Request(Action.OPEN_SESSION, who, seat, frozenset(), shift_open=False, grade=Grade.MATCHED)
    world.oracle.decided[decision.bundle] = asked, decision
    return decision


def work(world: World) -> None:
    """Keyboard and mouse, here and there."""
    for _ in range(3 + world.dice.below(12)):
        seat = _seat(world)
        if world.serves(seat):
            world.oracle.active(seat)
            world.feed(seat, machine.Activity())


def fidget(world: World) -> None:
    """Fingers that come and go, hints, holds."""
    dice, seat = world.dice, _seat(world)
    for _ in range(3 + dice.below(8)):
        heard = dice.below(4)
        if heard == 0:
            world.say(seat, port.FingerDown())
        elif heard == 1:
            world.say(seat, port.Hinted(Hint.CENTRE))
        elif heard == 2:
            world.say(seat, port.FingerUp())
        elif world.samples and dice.chance(20):
            world.say(seat, port.Held(dice.pick(world.samples).nonce))


def sense(world: World) -> None:
    """The presence sensor sees somebody, or nobody."""
    seat = _seat(world)
    for _ in range(1 + world.dice.below(3)):
        world.say(seat, port.Sensed(world.dice.chance(50)))


def leave(world: World) -> None:
    """The person leaves; perhaps somebody else sits down in the fade and works on."""
    seat, dice = _seat(world), world.dice
    world.say(seat, port.Sensed(present=False))
    world.pass_time(dice.below(11_000) * MILLISECOND)
    if dice.chance(60):
        world.say(seat, port.Sensed(present=True))
    if dice.chance(50) and world.serves(seat):
        world.oracle.active(seat)
        world.feed(seat, machine.Activity())
    world.pass_time(dice.below(11_000) * MILLISECOND)


def press(world: World) -> None:
    seat = _seat(world)
    world.note(f"{seat}: lock button")
    world.lock("press", machine.Pressed(logout=world.dice.chance(40)), [seat])


def pass_some(world: World) -> None:
    world.pass_time(SPANS[world.dice.below(len(SPANS))] * MILLISECOND)


def pass_to_deadline(world: World) -> None:
    """To the very next thing that is due, give or take a nanosecond."""
    world.settle()
    due = world.next_due()
    if due is not None:
        world.pass_time(max(0, due - world.loop.ns + world.dice.below(3) - 1))


def stop(world: World) -> None:
    """SIGSTOP, a stalled disk, a debugger: the process does not run."""
    span = SPANS[world.dice.below(len(SPANS))] * MILLISECOND
    world.note(f"the process stands still for {span / SECOND} s")
    world.leap(span, stalled=True)


def suspend(world: World) -> None:
    """With warning or without; the clocks leap, then the machine wakes."""
    dice = world.dice
    if dice.chance(60):
        world.note("the machine is about to sleep")
        world.lock("sleep", machine.Suspending())
        if dice.chance(70):
            world.settle()
    span = dice.pick((1, 4, 9, 30, 400, 50_000)) * SECOND
    world.note(f"it sleeps for {span / SECOND} s")
    world.leap(span, stalled=False)
    if dice.chance(30):
        for seat in world.seats:
            for reader in world.touchable[seat]:
                world.say(seat, port.ReaderDown(reader, Fault.SUSPENDED))
                world.say(seat, port.ReaderUp(reader))
    if dice.chance(30):
        world.settle()
    if dice.chance(90):
        world.note("it wakes")
        world.lock("wake", machine.Resumed())


def unplug(world: World) -> None:
    dice, seat = world.dice, _seat(world)
    reader = dice.pick(sorted(world.touchable[seat]))
    world.say(seat, port.ReaderDown(reader, dice.pick((Fault.REMOVED, Fault.CRASHED, Fault.TIMEOUT))))
    if dice.chance(80):
        world.pass_time(dice.below(3_000) * MILLISECOND)
        world.say(seat, port.ReaderUp(reader))


def ledger(world: World) -> None:
    """The ledger slows down, fills up, breaks or heals, and says so now or a little later."""
    disk, dice = world.disk, world.dice
    disk.ledger = dice.pick(("slow", "full", "corrupt", "good", "good", "good", "good"))
    world.note(f"the ledger is {disk.ledger}")
    world.life.flush_soon()
    if dice.chance(70):
        world.pass_time(dice.below(800) * MILLISECOND)
        healthy = disk.ledger in ("good", "slow")
        if all(world.serves(seat) for seat in world.seats):
            world.oracle.ledger(healthy)
            for seat in world.seats:
                world.feed(seat, machine.LedgerHealth(healthy))
            if not healthy and dice.chance(50):
                world.pass_time((4_000 + dice.below(4_000)) * MILLISECOND)


def revoke(world: World) -> None:
    """Somebody is disabled: the roster knows at once, the seats hear of it now or within a second."""
    dice = world.dice
    who = dice.pick(PEOPLE)
    if who in world.gone:
        return
    world.note(f"{who} is disabled")
    world.gone.add(who)
    world.oracle.disabled(who)
    if dice.chance(50):
        world.pass_time(dice.below(1_000) * MILLISECOND)
    if world.life.alive:
        world.oracle.revoked(who)
        world.life.pipeline.revoke(who)


def readmit(world: World) -> None:
    for who in world.gone.copy():
        if world.dice.chance(70):
            world.note(f"{who} is back")
            world.gone.discard(who)
            world.oracle.enabled(who)
    world.refused.clear()


def rule(world: World) -> None:
    """The policy changes: other limits, somebody refused."""
    dice = world.dice
    world.limits = dice.pick(BUNDLES)
    for view in world.oracle.views.values():
        view.wanted = 1 + dice.below(2)
    if dice.chance(30):
        world.refused.add(dice.pick(PEOPLE))
    else:
        world.refused.clear()
    world.note(f"new rules: {world.limits}, refused: {sorted(world.refused)}")
    for seat, view in world.oracle.views.items():
        if view.sitting is not None and view.sitting.subject in world.refused:
            world.lock("policy", machine.PolicyChanged(), [seat])


def step_up(world: World) -> None:
    """An application wants a fresh touch."""
    dice, seat = world.dice, _seat(world)
    sitting = world.oracle.views[seat].sitting
    if sitting is None or not world.serves(seat):
        return
    world.drawn += 1
    purpose = f"system/{world.drawn}"
    session = sitting.session if dice.chance(90) else SessionId("another")
    world.note(f"{seat}: step-up {purpose}")
    acr, max_age = dice.pick((Acr.ONE, Acr.ONE, Acr.TWO)), dice.pick((None, None, 2, 30))
    world.oracle.step_up_asked(purpose, seat, acr, max_age)
    if dice.chance(30):
        touch(world, seat)
    life = world.life
    asking = world.loop.start(_ask(world, seat, session, purpose, acr, max_age))
    life.others.append(asking)
    world.loop.run()
    given_up = dice.below(4)  # 0: before the first touch, 1: after it; else never
    for n in range(1 + (acr is Acr.TWO)):
        if given_up == n:
            _give_up(world, life, asking, purpose)
        if dice.chance(70):
            world.pass_time(dice.below(1_500) * MILLISECOND)
            (show if acr is Acr.TWO and dice.chance(50) else touch)(world, seat)


def _give_up(world: World, life: Life, asking: asyncio.Task[None], purpose: str) -> None:
    """The application has gone, or its own patience has ended."""
    if world.life is not life or not life.alive or asking.done():
        return
    world.note(f"{purpose} is given up")
    asking.cancel()
    world.loop.run(1 + world.dice.below(3))
    if life.alive and asking.cancelled():
        world.oracle.step_up_given_up(purpose)


async def _ask(world: World, seat: SeatId, session: SessionId, purpose: str, acr: Acr, max_age: int | None) -> None:
    life = world.life
    granted = await life.pipeline.step_up(seat, session, purpose, acr, max_age)
    if life.alive:
        world.oracle.step_up_answered(purpose, granted.granted)


# Keys, cards, names, helpers.

SHOWN = ("key", "key", "key+pin", "key+fingerprint", "card", "card+pin")
DENIED = (Denial.UNKNOWN, Denial.CLONED, Denial.BLOCKED, Denial.FOREIGN)
PIN = Prompt(PromptId.PIN, left=3)


def _who(world: World, seat: SeatId) -> SubjectId:
    sitting = world.oracle.views[seat].sitting
    return sitting.subject if sitting is not None and world.dice.chance(50) else world.dice.pick(PEOPLE)


def _put_in(world: World, seat: SeatId, reader: ReaderId, says: bytes) -> Inside:
    world.drawn += 1
    key = Inside(f"i{world.drawn}", says)
    world.inside.setdefault(reader, []).append(key)
    world.say(seat, port.Inserted(reader, key.insertion))
    return key


def show(world: World, seat: SeatId | None = None, who: SubjectId | None = None) -> None:
    """Somebody taps a key or card, or puts one in, or touches the one that is in; some are not good."""
    dice = world.dice
    seat = seat or _seat(world)
    reader = dice.pick(sorted(world.touchable[seat]))
    says = f"{who or _who(world, seat)}={dice.pick(SHOWN)}".encode()
    if dice.chance(8):
        says = f"={dice.pick(DENIED).value}".encode()
    insertion, mood = "", dice.below(100)
    if mood < 25:
        insertion = _put_in(world, seat, reader, says).insertion
    elif mood < 50 and world.inside.get(reader):
        key = dice.pick(world.inside[reader])
        insertion, says = key.insertion, key.says
    elif mood < 54:
        insertion = f"i{dice.below(world.drawn + 1)}"
    nonce = world.nonces.get(seat)
    if nonce is None:
        return
    given = Given.IDENTIFIER if says.endswith(b"=card") and dice.chance(30) else Given.PROOF
    sample = port.Sample(reader, nonce, says, 1.0, given=given, insertion=insertion, silent=dice.chance(6))
    if dice.chance(10):
        sample = replace(sample, claim=dice.pick(PEOPLE))
    world.samples.append(sample)
    world.say(seat, sample)


def plug(world: World) -> None:
    """A key is taken out, while whatever happens; perhaps it comes back, or another does, soon or late."""
    dice, bound = world.dice, [seat for seat in world.seats if _bound(world, seat)]
    seat = dice.pick(bound) if bound and dice.chance(80) else _seat(world)
    sitting = world.oracle.views[seat].sitting
    stays = [what for what in sitting.bound if what[0] in world.touchable[seat]] if sitting is not None else []
    reader = dice.pick(sorted(stays))[0] if stays and dice.chance(70) else dice.pick(sorted(world.touchable[seat]))
    inside = world.inside.get(reader)
    if not inside:
        show(world, seat)
        return
    if dice.chance(30):
        show(world, seat)
        world.loop.run(dice.below(6))
    key = inside.pop(dice.below(len(inside)))
    world.say(seat, port.Withdrawn(reader, key.insertion))
    if dice.chance(75):
        world.pass_time(dice.pick((0, 0, 50, 50, 200, 290, 700, 790, 810, 1_100)) * MILLISECOND)
        says = key.says if dice.chance(55) else f"{dice.pick(PEOPLE)}={dice.pick(SHOWN)}".encode()
        _put_in(world, seat, reader, says)
        world.pass_time(dice.pick((0, 10, 90, 500, 1_000)) * MILLISECOND)
    if dice.chance(15):
        _work_at(world, seat)


def _bound(world: World, seat: SeatId) -> bool:
    sitting = world.oracle.views[seat].sitting
    return sitting is not None and bool(sitting.bound)


def stay(world: World) -> None:
    """Somebody logs in with a key that stays in its reader, works a little, and perhaps takes it out."""
    dice, seat = world.dice, _seat(world)
    nonce = world.nonces.get(seat)
    if nonce is None:
        return
    reader, who = dice.pick(sorted(world.touchable[seat])), dice.pick(PEOPLE)
    says = f"{who}={dice.pick(('key+pin', 'key+fingerprint', 'card+pin', 'card', 'key'))}".encode()
    key = _put_in(world, seat, reader, says)
    sample = port.Sample(reader, nonce, says, 1.0, given=Given.PROOF, insertion=key.insertion)
    world.samples.append(sample)
    world.say(seat, sample)
    world.pass_time(dice.pick((0, 1, 200, 3_000)) * MILLISECOND)
    if dice.chance(60):
        plug(world)


def _work_at(world: World, seat: SeatId) -> None:
    if world.serves(seat):
        world.oracle.active(seat)
        world.feed(seat, machine.Activity())


def join(world: World) -> None:
    """A finger and a key of one person, or nearly: of two, too late, at two seats, after a lock."""
    dice, seat = world.dice, _seat(world)
    who = dice.pick(PEOPLE)
    order = [0, 1] if dice.chance(50) else [1, 0]
    for kind in [*order, *([dice.below(2)] if dice.chance(30) else [])]:
        nonce = world.nonces.get(seat)
        if nonce is None:
            return
        if kind == 0:
            sample = _laid(world, seat, nonce, who, None)
            world.samples.append(sample)
            world.say(seat, sample)
        else:
            show(world, seat, who)
        world.pass_time(dice.pick((20, 400, 1_000, 4_000, 9_500, 10_500)) * MILLISECOND)
        if dice.chance(12):
            who = dice.pick(PEOPLE)
        if dice.chance(10):
            seat = _seat(world)
        if dice.chance(8):
            press(world)


def name(world: World) -> None:
    """A tile or a card's number names somebody; a service says whose finger it was, or speaks unasked."""
    dice, seat = world.dice, _seat(world)
    who = dice.pick(PEOPLE)
    nonce = world.nonces.get(seat)
    reader = dice.pick(sorted(world.touchable[seat]))
    if dice.chance(50) and world.serves(seat):
        if world.life.pipeline.claim(seat, who):
            world.oracle.fed(seat)
    elif nonce is not None and dice.chance(70):
        world.say(seat, port.Sample(reader, nonce, f"{who}=card".encode(), 1.0, given=Given.IDENTIFIER))
    for _ in range(1 + dice.below(4)):
        world.pass_time(dice.pick((10, 300, 3_000, 10_000, 21_000)) * MILLISECOND)
        nonce = world.nonces.get(seat)
        if nonce is None:
            return
        claim = who if dice.chance(85) else dice.pick(PEOPLE)
        finger = claim if dice.chance(60) else dice.pick(PEOPLE)
        says = f"{finger}=fingerprint".encode()
        world.say(seat, port.Sample(reader, nonce, says, 1.0, claim=claim, given=Given.CLAIMED))


def help_out(world: World) -> None:
    """A button of the ladder, and two people, or one, who come in time or not, or to another seat."""
    dice, seat = world.dice, _seat(world)
    if not world.serves(seat):
        return
    rung = dice.pick((Rung.VOUCH, Rung.BREAK_GLASS))
    if dice.chance(40) and world.oracle.views[seat].sitting is not None:
        world.note(f"{seat}: lock button")
        world.lock("press", machine.Pressed(logout=dice.chance(70)), [seat])
        world.pass_time(100 * MILLISECOND)
    press_it = world.life.pipeline.vouch if rung is Rung.VOUCH else world.life.pipeline.break_glass
    world.note(f"{seat}: {rung.value}")
    if press_it(seat):
        world.oracle.pressed(seat, rung)
    world.oracle.fed(seat)
    who = dice.pick(PEOPLE)
    for _ in range(2 + dice.chance(30)):
        world.pass_time(dice.pick((50, 50, 50, 1_000, 1_000, 4_000, 9_000, 11_000, 29_000, 31_000)) * MILLISECOND)
        nonce = world.nonces.get(seat)
        if nonce is None:
            return
        if dice.chance(70):
            sample = _laid(world, seat, nonce, who, None)
            world.samples.append(sample)
            world.say(seat, sample)
        else:
            show(world, seat, who)
        if dice.chance(85):
            who = dice.pick(PEOPLE)
        if dice.chance(7):
            press(world)
        if dice.chance(7):
            seat = _seat(world)


def device(world: World) -> None:
    """A device turns a key down, asks for a PIN, is answered, asks no more."""
    dice, seat = world.dice, _seat(world)
    reader = dice.pick(sorted(world.touchable[seat]))
    nonce = world.nonces.get(seat, Nonce("n0")) if dice.chance(80) else Nonce("n0")
    for _ in range(1 + dice.below(4)):
        mood = dice.below(4)
        if mood == 0:
            world.say(seat, port.TurnedDown(reader, nonce, dice.pick(DENIED)))
        elif mood == 1:
            world.say(seat, port.Asking(reader, PIN if dice.chance(80) else None))
        elif mood == 2 and world.serves(seat):
            face = world.oracle.views[seat].face
            if world.life.pipeline.answer(seat, "1234"):
                if face is None or face.prompt is None:
                    world.oracle.broken("I4", f"{seat}: something was typed that nobody asked for")
                world.oracle.fed(seat)
        else:
            touch(world, seat)


def enrol(world: World) -> None:
    """The seat's readers are lent to an enrolment for a while."""
    seat = _seat(world)
    if world.serves(seat) and world.life.pipeline.lend(seat, _ignore):
        world.note(f"{seat}: readers lent")
        world.oracle.let_go(seat, lent=True)
        touch(world, seat)
        world.pass_time(world.dice.below(3_000) * MILLISECOND)
        if world.serves(seat):
            world.oracle.let_go(seat, lent=False)
            world.life.pipeline.take_back(seat)


def abandon(world: World) -> None:
    """What would cover the seat's desktop is gone, for a while or for good; people touch all the same."""
    seat, dice = _seat(world), world.dice
    world.note(f"{seat}: nothing would cover its desktop")
    world.lock("left", machine.Unattended(), [seat])
    for _ in range(dice.below(3)):
        world.pass_time(dice.below(2_000) * MILLISECOND)
        touch(world, seat)
    if dice.chance(70):
        attend(world, seat)


def attend(world: World, seat: SeatId | None = None) -> None:
    """It is there, as it was, or again."""
    seat = seat or _seat(world)
    if world.serves(seat):
        world.note(f"{seat}: its desktop is attended")
        world.oracle.attended(seat)
        world.feed(seat, machine.Attended())


def _ignore(_: object) -> None:
    pass


def fail(world: World) -> None:
    seat = _seat(world)
    world.note(f"{seat}: something broke")
    world.lock("fault", machine.Failed(), [seat])


def kill(world: World) -> None:
    world.note("SIGKILL")
    world.loop.run(world.dice.below(5))
    world.life.die()


def reboot(world: World) -> None:
    world.note("power cut")
    world.restart(rebooted=True)


def shut(world: World) -> None:
    """An orderly end."""
    world.note("shutdown")
    world.oracle.closed = True
    world.lock("shutdown", machine.Shutdown())
    if world.dice.chance(70):
        touch(world)
    world.settle()
    world.restart()


def fuse(world: World) -> None:
    """Some call from now on will be the one that breaks, or in which the process is killed."""
    life, dice = world.life, world.dice
    life.fault = dice.pick(("kill", "kill", "no", "bug"))
    life.fuse = 1 + dice.below(40)
    world.note(f"fuse: {life.fault} at call {life.fuse}")


def set_wall(world: World) -> None:
    """The wall clock is set ten years on or back: nothing here reads it."""
    world.wall += world.dice.pick((-1, 1)) * 10 * 365 * 24 * 3_600 * SECOND


WEIGHTS: tuple[tuple[int, Act], ...] = (
    (16, touch),
    (14, login),
    (10, pair),
    (6, guess),
    (5, replay),
    (5, forge),
    (24, work),
    (14, fidget),
    (5, sense),
    (5, leave),
    (5, press),
    (10, pass_some),
    (5, pass_to_deadline),
    (2, stop),
    (3, suspend),
    (3, unplug),
    (12, show),
    (5, stay),
    (8, plug),
    (8, join),
    (6, name),
    (9, help_out),
    (4, device),
    (5, ledger),
    (2, revoke),
    (3, readmit),
    (2, rule),
    (5, step_up),
    (1, enrol),
    (1, fail),
    (2, abandon),
    (2, attend),
    (2, kill),
    (1, reboot),
    (1, shut),
    (3, fuse),
    (1, set_wall),
)
ACTIONS: tuple[Act, ...] = tuple(act for weight, act in WEIGHTS for _ in range(weight))
