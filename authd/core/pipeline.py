"""The one path: from a touch to an unlocked seat, and from anything at all to a locked one.

    armed nonce -> touch -> sample -> stamp -> throttle -> verifier -> policy -> seat machine
                -> durable ledger row -> session.started -> the application acts

Two rules: a grant waits for the ledger's durable answer, a lock waits for nothing. Whatever breaks in here ends with
the seat locked and nobody in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from authd.core import ports as port
from authd.core import seat as machine
from authd.core.charges import Charges
from authd.core.model import (
    SECOND,
    Action,
    Candidate,
    EndReason,
    Entry,
    Epoch,
    Face,
    Factor,
    Found,
    Instant,
    Kind,
    Message,
    Miss,
    ReaderId,
    Request,
    SeatId,
    Session,
    SessionId,
    Shift,
    SubjectId,
)

APPEND_WITHIN_S = 2.0
VERIFY_WITHIN_S = 10.0
STEP_UP_WITHIN = 30 * SECOND
OWNERS_BITS = 24
"""The upper bits of an epoch count the seat's lives, durably; these count its owners in one, which nobody stores."""
Finger = port.Sample | port.FingerDown | port.FingerUp | port.Hinted | port.Held
log = logging.getLogger("authd.core.pipeline")


class Pipeline:
    """All seats of one host. `feed` is the only way in, and it never waits."""

    def __init__(self, ports: port.Ports, touchable: Mapping[SeatId, frozenset[ReaderId]]) -> None:
        self.ports = ports
        self.touchable = touchable
        self.seats: dict[SeatId, machine.Seat] = {}
        self.shifts: dict[SubjectId, Shift] = {}
        self.charges = Charges(ports.counters, ports.clock)
        self._step_ups: dict[str, asyncio.Future[bool]] = {}
        self._borrowers: dict[SeatId, Callable[[Finger], None]] = {}
        self._woken = asyncio.Event()
        self._bug: Exception | None = None
        self._tasks = asyncio.TaskGroup()

    # The one path.

    async def _touch(self, seat: SeatId, sample: port.Sample) -> None:
        """One touch, from its stamped sample to the seat machine's verdict."""
        may = self.charges.judge(seat, sample)
        if not may.allowed:
            self.feed(seat, machine.Throttled(sample.nonce, None if may.disabled else may.until))
            return
        try:
            owed = await self.charges.before(sample)
            found = await self._identify(seat, sample)
            await self.charges.after(seat, sample, owed, found)
        except port.PortError as error:  # what cannot be counted is not accepted; whoever sits there may stay
            log.warning("not counted at %s: %s", seat, error)
            found = Miss.UNAVAILABLE
        finally:
            self.charges.over(sample)
        self.feed(seat, self._verdict(seat, sample, found))

    def _stamp(self, seat: SeatId, sample: port.Sample) -> bool:
        """Stamp it as it comes in; a cancelled nonce gets no stamp, and no nonce gets two."""
        before = self.seats[seat].verification
        self.feed(seat, machine.Captured(sample.nonce))
        open_ = self.seats[seat].verification
        return open_ is not None and open_ is not before and open_.captured_at is not None

    async def _identify(self, seat: SeatId, sample: port.Sample) -> Found:
        scope = [sample.claim] if sample.claim is not None else self.ports.roster.scope(seat)
        try:
            async with asyncio.timeout(VERIFY_WITHIN_S):
                found = await self.ports.verifier.identify(sample, scope)
        except (port.PortError, TimeoutError):
            return Miss.UNAVAILABLE
        return found if _fits(found, sample, scope) else Miss.UNAVAILABLE

    def _verdict(self, seat: SeatId, sample: port.Sample, found: Found) -> machine.Verdict:
        """Ask the policy and hand its answer on in one breath: nothing can come between the two."""
        if not isinstance(found, Candidate):
            return machine.Verdict(sample.nonce, found)
        shift = self._shift_of(found.subject)
        decision = self.ports.policy.decide(self._request(seat, found, shift))
        if self.ports.roster.disabled(found.subject):
            decision = replace(decision, permitted=False, message=Message.REFUSED)
        return machine.Verdict(
            sample.nonce,
            found,
            decision,
            session=self.ports.random.session(),
            shift_began=shift.begun_at if shift else None,
            moving=self._sits_elsewhere(seat, found.subject),
        )

    def _shift_of(self, subject: SubjectId) -> Shift | None:
        """Their open shift. One that is over by its age needs no logout: the next touch begins another."""
        shift = self.shifts.get(subject)
        if shift is not None and self.ports.clock.now() >= shift.begun_at + shift.lasts:
            del self.shifts[subject]
            return None
        return shift

    def _request(self, seat: SeatId, found: Candidate, shift: Shift | None) -> Request:
        state, seen = self.seats[seat], found.evidence
        action = machine.action_for(state, found.subject)
        asked = state.step_up if action is Action.STEP_UP else None
        return Request(
            action=action,
            subject=found.subject,
            seat=seat,
            factors=frozenset({seen.factor}) | (shift.factors if shift else frozenset[Factor]()),
            shift_open=shift is not None,
            grade=seen.grade,
            margin=seen.margin,
            pad_level=seen.pad_level,
            resource=asked.purpose if asked else "",
            fresh=frozenset({seen.factor}),
            owner=state.owner.subject if state.owner else None,
        )

    def _sits_elsewhere(self, seat: SeatId, subject: SubjectId) -> bool:
        owners = (state.owner for id_, state in self.seats.items() if id_ != seat)
        return any(owner is not None and owner.subject == subject for owner in owners)

    async def _record(self, seat: SeatId, entry: Entry, id_: str) -> None:
        """Ledger before grant: only its durable answer makes a session."""
        if not machine.waits_for(self.seats[seat], id_):
            return  # void before this task ran: its row is written, and no grant may come after it
        try:
            async with asyncio.timeout(APPEND_WITHIN_S):
                await self.ports.ledger.append(entry)
        except (port.PortError, TimeoutError) as error:
            log.warning("not recorded at %s: %s", seat, error or type(error).__name__)
            self.feed(seat, machine.NotRecorded(id_))
        else:
            if entry.subject is not None and self.ports.roster.disabled(entry.subject):
                self.feed(seat, machine.Revoked(entry.subject))  # disabled while the ledger was writing
            self.feed(seat, machine.Recorded(id_))

    # The way in, and what it does to the world.

    def feed(self, seat: SeatId, event: machine.Event) -> None:
        """Apply one event to a seat, now, and carry out what it asks for. Never waits."""
        try:
            self.seats[seat], effects = machine.step(self.seats[seat], event, self.ports.clock.now())
        except Exception as bug:
            self._bug = bug  # whoever called may go on; the daemon must not
            self._woken.set()
            raise
        broken = False
        for effect in effects:
            try:
                self._carry_out(seat, effect)
            except Exception:  # one door that breaks must not keep a lock from the others
                log.exception("fault at %s in %s", seat, type(effect).__name__)
                broken = True
        self._woken.set()
        if broken and not isinstance(event, machine.Failed):
            self.feed(seat, machine.Failed())

    def feed_all(self, event: machine.Event) -> None:
        """The same event to every seat."""
        for seat in self.seats:
            self.feed(seat, event)

    def _carry_out(self, seat: SeatId, effect: machine.Effect) -> None:
        match effect:
            case machine.Arm():
                nonce = self.ports.random.nonce()
                self.feed(seat, machine.Armed(nonce))
                self.ports.readers.arm(seat, nonce)
            case machine.Append(entry, id_):
                self._spawn(seat, self._record(seat, entry, id_))
            case machine.Write(entry):
                self._write(entry)
            case machine.Show(face):
                self.ports.publish.face(face)
            case machine.EndElsewhere(subject):
                self._end_elsewhere(seat, subject)
            case machine.BeginShift(session):
                factors, lasts = frozenset({session.evidence.factor}), session.limits.overall
                self.shifts.setdefault(session.subject, Shift(session.subject, session.shift_began, factors, lasts))
            case machine.EndShift(subject):
                self.shifts.pop(subject, None)
            case machine.StepUpDone(id_, granted):
                self._answer_step_up(id_, granted)

    def _end_elsewhere(self, seat: SeatId, subject: SubjectId) -> None:
        for other in self.seats:
            if other != seat:
                self.feed(other, machine.Elsewhere(subject))

    def _answer_step_up(self, id_: str, granted: bool) -> None:
        waiting = self._step_ups.pop(id_, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(granted)

    def _write(self, entry: Entry) -> None:
        """Told at once, recorded as soon as it can be, and recorded though it cannot be told."""
        try:
            self.ports.publish.event(entry)
        finally:
            self.ports.ledger.write(entry)

    # What the readers say.

    async def _listen(self, seat: SeatId) -> None:
        async for heard in self.ports.readers.listen(seat):
            self.hear(seat, heard)

    def hear(self, seat: SeatId, heard: port.Heard) -> None:
        """One word of a device of this seat."""
        borrower = self._borrowers.get(seat)
        if isinstance(heard, port.ReaderUp | port.ReaderDown):
            self._hear_device(seat, heard)
        elif isinstance(heard, port.Sensed):
            self.feed(seat, machine.Sensed(heard.present))
        elif borrower is not None:
            borrower(heard)
        else:
            self._hear_finger(seat, heard)

    def _hear_device(self, seat: SeatId, heard: port.ReaderUp | port.ReaderDown) -> None:
        if heard.reader not in self.touchable[seat]:
            self._hear_sensor(seat, heard)
        elif isinstance(heard, port.ReaderUp):
            self.feed(seat, machine.ReaderUp(heard.reader))
        else:
            self.feed(seat, machine.ReaderDown(heard.reader, heard.fault.value))

    def _hear_sensor(self, seat: SeatId, heard: port.ReaderUp | port.ReaderDown) -> None:
        kind = Kind.READER_AVAILABLE if isinstance(heard, port.ReaderUp) else Kind.READER_LOST
        epoch, now = self.seats[seat].epoch, self.ports.clock.now()
        self._write(Entry(kind, seat, epoch, at=now, data={"reader": heard.reader, "sensor": True}))

    def _hear_finger(self, seat: SeatId, heard: Finger) -> None:
        match heard:
            case port.Sample():
                if self._stamp(seat, heard):
                    self._spawn(seat, self._touch(seat, heard))
            case port.FingerDown():
                self.feed(seat, machine.FingerDown())
            case port.FingerUp():
                pass
            case port.Hinted(hint):
                self.feed(seat, machine.Hinted(hint))
            case port.Held(nonce):
                self.feed(seat, machine.Held(nonce))

    # What the doors ask.

    async def step_up(self, seat: SeatId, session: SessionId, purpose: str) -> bool:
        """Ask the owner of this session for a fresh touch; False when it did not come within 30 s, or they left."""
        owner = self.seats[seat].owner
        if owner is None or owner.id != session:
            return False
        id_ = self.ports.random.nonce()
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._step_ups[id_] = answer
        self.feed(seat, machine.StepUpAsked(id_, purpose, Instant(self.ports.clock.now() + STEP_UP_WITHIN)))
        try:
            return await answer
        finally:
            self._step_ups.pop(id_, None)

    def lend(self, seat: SeatId, borrower: Callable[[Finger], None]) -> bool:
        """Let an enrolment have the seat's readers: what a finger does there goes to `borrower`. False: not now."""
        if seat in self._borrowers:
            return False
        self.feed(seat, machine.Lent())
        if not self.seats[seat].lent:
            return False
        self._borrowers[seat] = borrower
        return True

    def take_back(self, seat: SeatId) -> None:
        """The enrolment is over."""
        self._borrowers.pop(seat, None)
        self.feed(seat, machine.Returned())

    def revoke(self, subject: SubjectId) -> None:
        """End this person's sessions everywhere; the roster must refuse them already."""
        self.shifts.pop(subject, None)
        self.feed_all(machine.Revoked(subject))

    def reconsider(self) -> None:
        """Other rules are in force: whoever may not go on under them is out, and the rest keep their limits."""
        for seat, state in list(self.seats.items()):
            if state.owner is not None and not self.ports.policy.decide(self._again(seat, state.owner)).permitted:
                self.feed(seat, machine.PolicyChanged())

    def _again(self, seat: SeatId, owner: Session) -> Request:
        """What the policy would be asked if the owner touched now."""
        return Request(
            action=Action.KEEP_SESSION,
            subject=owner.subject,
            seat=seat,
            factors=self.shifts[owner.subject].factors if owner.subject in self.shifts else frozenset(),
            shift_open=owner.subject in self.shifts,
            grade=owner.evidence.grade,
            margin=owner.evidence.margin,
            pad_level=owner.evidence.pad_level,
            fresh=frozenset({owner.evidence.factor}),
            owner=owner.subject,
        )

    def face(self, seat: SeatId) -> Face:
        """What the seat's screen shows now."""
        return machine.face_of(self.seats[seat], self.ports.clock.now())

    # Start, time, faults.

    async def run(self) -> None:
        """Close what an earlier life left open, then serve every seat until cancelled."""
        await self._recover()
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
        await self.charges.load()
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

    def _spawn(self, seat: SeatId, work: Awaitable[None]) -> None:
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


def _fits(found: Found, sample: port.Sample, scope: Sequence[SubjectId]) -> bool:
    """Whether a candidate is an answer to this very question, and not another's that came in its place."""
    if not isinstance(found, Candidate):
        return True
    seen = found.evidence
    fits = found.subject in scope and seen.nonce == sample.nonce and seen.reader == sample.reader
    if not fits:
        log.error("the verifier answered for another sample than the one of %s", sample.reader)
    return fits
