"""The seats of one host around their machine: events in, effects out to the world, time, and what a fault does.

`feed` never waits, so nothing can come between an event and what it does; what waits runs in tasks that come back with
events of their own. Whatever breaks in here ends with the seat locked and nobody in it.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from authd.core import ports as port
from authd.core import seat as machine
from authd.core.model import (
    EndReason,
    Entry,
    Epoch,
    Face,
    Instant,
    Kind,
    Nonce,
    ReaderId,
    SeatId,
    Shift,
    SubjectId,
)

APPEND_WITHIN_S = 2.0
OWNERS_BITS = 24
"""The upper bits of an epoch count the seat's lives, durably; these count its owners in one, which nobody stores."""
Finger = port.Sample | port.FingerDown | port.FingerUp | port.Hinted | port.Held | port.TurnedDown | port.Asking
log = logging.getLogger("authd.core.host")


@dataclass(frozen=True, slots=True)
class _Arming:
    """What the readers of a seat were asked last."""

    nonce: Nonce
    claim: SubjectId | None
    calm: bool


class Host(ABC):
    """All seats of one host. `feed` is the only way in, and it never waits."""

    def __init__(self, ports: port.Ports, touchable: Mapping[SeatId, frozenset[ReaderId]]) -> None:
        self.ports = ports
        self.touchable = touchable
        self.seats: dict[SeatId, machine.Seat] = {}
        self.shifts: dict[SubjectId, Shift] = {}
        self._armed: dict[SeatId, _Arming] = {}
        self._step_ups: dict[str, asyncio.Future[Instant | None]] = {}
        self._borrowers: dict[SeatId, Callable[[Finger], None]] = {}
        self.ready = asyncio.Event()
        """Set once every seat is there: what an earlier life left open is closed."""
        self._woken = asyncio.Event()
        self._bug: Exception | None = None
        self._tasks = asyncio.TaskGroup()

    @abstractmethod
    def hear(self, seat: SeatId, heard: port.Heard) -> None:
        """One word of a device of this seat."""

    @abstractmethod
    async def record(self, seat: SeatId, entry: Entry, id_: str) -> None:
        """Make an entry durable, and feed back whether it is."""

    # The way in, and what it does to the world.

    def feed(self, seat: SeatId, event: machine.Event) -> None:
        """Apply one event to a seat, now, and carry out what it asks for. Never waits."""
        try:
            self.seats[seat], effects = machine.step(self.seats[seat], event, self.ports.clock.now())
        except Exception as bug:
            self._bug = bug  # whoever called may go on; the daemon must not
            self._woken.set()
            raise
        good = [self._carried_out(seat, effect) for effect in effects]
        if not (all(good) and self._attuned(seat)) and not isinstance(event, machine.Failed):
            self.feed(seat, machine.Failed())
        self._woken.set()

    def feed_all(self, event: machine.Event) -> None:
        """The same event to every seat."""
        for seat in self.seats:
            self.feed(seat, event)

    def _carried_out(self, seat: SeatId, effect: machine.Effect) -> bool:
        """One door that breaks must not keep a lock from the others."""
        try:
            self._carry_out(seat, effect)
        except Exception:
            log.exception("fault at %s in %s", seat, type(effect).__name__)
            return False
        return True

    def _carry_out(self, seat: SeatId, effect: machine.Effect) -> None:
        match effect:
            case machine.Arm(first):
                nonce = self.ports.random.nonce()
                self.feed(seat, machine.Armed(nonce, first))
                self._arm(seat, nonce)
            case machine.Confirm(reader, reference):
                nonce = self.ports.random.nonce()
                self.feed(seat, machine.Confirming(nonce))
                self.ports.readers.confirm(seat, nonce, reader, reference)
            case machine.Append(entry, id_):
                self.spawn(seat, self.record(seat, entry, id_))
            case machine.Write(entry):
                self.write(entry)
            case machine.Show(face):
                self.ports.publish.face(face)
            case machine.EndElsewhere(subject):
                self._end_elsewhere(seat, subject)
            case machine.BeginShift(session):
                factors, lasts = session.evidence.factors, session.limits.overall
                self.shifts.setdefault(session.subject, Shift(session.subject, session.shift_began, factors, lasts))
            case machine.EndShift(subject):
                self.shifts.pop(subject, None)
            case machine.StepUpDone(id_, granted):
                self._answer_step_up(id_, self.seats[seat].acted_at if granted else None)

    def _end_elsewhere(self, seat: SeatId, subject: SubjectId) -> None:
        for other in self.seats:
            if other != seat:
                self.feed(other, machine.Elsewhere(subject))

    def _answer_step_up(self, id_: str, acted_at: Instant | None) -> None:
        waiting = self._step_ups.pop(id_, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(acted_at)

    def _arm(self, seat: SeatId, nonce: Nonce) -> None:
        """Whom the readers wait for, and whether they may be seen to, is what the seat says at this moment."""
        state = self.seats[seat]
        if state.verification is None or state.verification.nonce != nonce:
            return  # time has passed meanwhile, and armed them anew
        asked = self._armed[seat] = _Arming(nonce, machine.claimed(state), machine.calm(state))
        self.ports.readers.arm(seat, nonce, asked.claim, calm=asked.calm)

    def _attuned(self, seat: SeatId) -> bool:
        """The seat has begun to fade, or to ask for something: the readers hear of it under the nonce they have."""
        state, asked = self.seats[seat], self._armed.get(seat)
        open_ = state.verification
        if asked is None or open_ is None or open_.captured_at is not None or open_.nonce != asked.nonce:
            return True
        if (asked.claim, asked.calm) == (machine.claimed(state), machine.calm(state)):
            return True
        try:
            self._arm(seat, open_.nonce)
        except Exception:
            log.exception("fault at %s in arming", seat)
            return False
        return True

    def write(self, entry: Entry) -> None:
        """Told at once, recorded as soon as it can be, and recorded though it cannot be told."""
        try:
            self.ports.publish.event(entry)
        finally:
            self.ports.ledger.write(entry)

    def shift_of(self, subject: SubjectId) -> Shift | None:
        """Their open shift. One that is over by its age needs no logout: the next touch begins another."""
        shift = self.shifts.get(subject)
        if shift is not None and self.ports.clock.now() >= shift.begun_at + shift.lasts:
            del self.shifts[subject]
            return None
        return shift

    def sits_elsewhere(self, seat: SeatId, subject: SubjectId) -> bool:
        """Whether this person has a session at another seat."""
        owners = (state.owner for id_, state in self.seats.items() if id_ != seat)
        return any(owner is not None and owner.subject == subject for owner in owners)

    # Start, time, faults.

    def face(self, seat: SeatId) -> Face:
        """What the seat's screen shows now."""
        return machine.face_of(self.seats[seat], self.ports.clock.now())

    async def run(self) -> None:
        """Close what an earlier life left open, then serve every seat until cancelled."""
        await self._recover()
        self.ready.set()
        try:
            async with self._tasks as tasks:
                for seat in self.seats:
                    tasks.create_task(self._listen(seat))
                tasks.create_task(self._keep_time())
        finally:
            self._feed_each(machine.Shutdown())

    def _feed_each(self, event: machine.Event) -> None:
        """To every seat, though one of them contradicts itself: it must not keep another open."""
        for seat in self.seats:
            try:
                self.feed(seat, event)
            except Exception:
                log.exception("fault at %s: it cannot be locked", seat)

    async def _recover(self) -> None:
        """Nothing resumes: every grant and session of an earlier life is closed before the first reader is armed."""
        now = self.ports.clock.now
        for entry in await self.ports.ledger.unfinished():
            kind, reason = (Kind.VOID, None) if entry.kind is Kind.GRANT else (Kind.SESSION_ENDED, EndReason.CRASH)
            await self.ports.ledger.append(replace(entry, kind=kind, reason=reason, at=now(), data={}))
        for seat in self.touchable:
            life = await self.ports.seats.claim(seat)
            self.seats[seat] = machine.Seat(seat, Epoch(life << OWNERS_BITS), watch=machine.Watch(now()))
            self.ports.publish.face(self.face(seat))

    async def _keep_time(self) -> None:
        """Wake at the next deadline of any seat, and whenever a change may have brought it nearer."""
        while self._bug is None:
            self._woken.clear()
            await self.ports.clock.sleep_until(self._let_time_pass(), self._woken)
        raise self._bug

    def _let_time_pass(self) -> Instant | None:
        """Tick every seat that is due; returns when the next one will be."""
        now, nearest = self.ports.clock.now(), None
        for seat, state in list(self.seats.items()):
            due = machine.deadline(state)
            if due is not None and due <= now:
                self.feed(seat, machine.Tick())
            elif due is not None and (nearest is None or due < nearest):
                nearest = due
        return nearest

    def spawn(self, seat: SeatId, work: Awaitable[None]) -> None:
        """Let this go on beside everything else."""
        self._tasks.create_task(self._guarded(seat, work))

    async def _guarded(self, seat: SeatId, work: Awaitable[None]) -> None:
        """A bug, or a port that breaks its word, locks the seat; the other seats are served on."""
        try:
            await work
        except AssertionError:  # the machine contradicts itself: nothing it says can be believed
            self._feed_each(machine.Failed())
            raise
        except Exception:
            log.exception("fault at %s: locked", seat)
            self.feed(seat, machine.Failed())

    async def _listen(self, seat: SeatId) -> None:
        async for heard in self.ports.readers.listen(seat):
            self.hear(seat, heard)
