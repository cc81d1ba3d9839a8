"""The one path: from a touch to an unlocked seat, and from anything at all to a locked one.

    armed nonce -> touch -> sample -> stamp -> throttle -> verifier -> policy -> seat machine
                -> durable ledger row -> session.started -> the application acts

Where one finger does not say it, the verifier wants another: the seat is armed again, and the next touch takes the same
path together with the one that waits. What cancels an armed nonce forgets that one too.

Two rules: a grant waits for the ledger's durable answer, a lock waits for nothing. Whatever breaks in here ends with
the seat locked and nobody in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from authd.core import ports as port
from authd.core import seat as machine
from authd.core.charges import Charges, Paid
from authd.core.host import Finger, Host
from authd.core.model import (
    Action,
    Candidate,
    Entry,
    Evidence,
    Factor,
    Found,
    Kind,
    Message,
    Miss,
    Nonce,
    ReaderId,
    Request,
    SeatId,
    SeatState,
    Session,
    Shift,
    SubjectId,
)

APPEND_WITHIN_S = 2.0
VERIFY_WITHIN_S = 10.0
log = logging.getLogger("authd.core.pipeline")


@dataclass(frozen=True, slots=True)
class _First:
    """A finger that waits for another one, and what its try has paid."""

    sample: port.Sample
    paid: Paid | None


class Pipeline(Host):
    """What a touch goes through at any seat of this host."""

    def __init__(self, ports: port.Ports, touchable: Mapping[SeatId, frozenset[ReaderId]]) -> None:
        super().__init__(ports, touchable)
        self.charges = Charges(ports.counters, ports.clock)
        self._firsts: dict[SeatId, _First] = {}
        """At most one a seat, and only while the seat's open verification names it."""

    async def run(self) -> None:
        """Close what an earlier life left open, then serve every seat until cancelled."""
        await self.charges.load()
        await super().run()

    def feed(self, seat: SeatId, event: machine.Event) -> None:
        """See `Host`. A finger that the seat does not wait with any more is forgotten."""
        super().feed(seat, event)
        kept = self._firsts.get(seat)
        if kept is not None and kept.sample.nonce != self._waiting(seat):
            del self._firsts[seat]

    # The one path.

    async def _touch(self, seat: SeatId, sample: port.Sample, first: _First | None) -> None:
        """One touch, from its stamped sample to the seat machine's verdict."""
        paid = first.paid if first is not None else None
        may = self.charges.judge(seat, sample, paid)
        if not may.allowed:
            self.feed(seat, machine.Throttled(sample.nonce, None if may.disabled else may.until))
            return
        try:
            paid = await self.charges.before(sample, paid)
            found = await self._identify(seat, sample, first.sample if first is not None else None)
            paid = await self.charges.after(seat, sample, paid, found)
        except port.PortError as error:  # what cannot be counted is not accepted; whoever sits there may stay
            log.warning("not counted at %s: %s", seat, error)
            found = Miss.UNAVAILABLE
        finally:
            self.charges.over(sample)
        if found is Miss.ANOTHER_FINGER:
            self._firsts[seat] = _First(sample, paid)
        self.feed(seat, self._verdict(seat, sample, found))

    def _stamp(self, seat: SeatId, sample: port.Sample) -> bool:
        """Stamp it as it comes in; a cancelled nonce gets no stamp, and no nonce gets two."""
        before = self.seats[seat].verification
        self.feed(seat, machine.Captured(sample.nonce))
        open_ = self.seats[seat].verification
        return open_ is not None and open_ is not before and open_.captured_at is not None

    def _waiting(self, seat: SeatId) -> Nonce | None:
        """The touch that the seat's open verification is to be compared together with."""
        open_ = self.seats[seat].verification
        return open_.first.nonce if open_ is not None and open_.first is not None else None

    def _first(self, seat: SeatId, sample: port.Sample) -> _First | None:
        """The finger that waited for this one; it is used once, and only within the same claim."""
        kept = self._firsts.pop(seat, None)
        fits = kept is not None and kept.sample.nonce == self._waiting(seat) and kept.sample.claim == sample.claim
        return kept if fits else None

    async def _identify(self, seat: SeatId, sample: port.Sample, first: port.Sample | None) -> Found:
        scope = [sample.claim] if sample.claim is not None else self.ports.roster.scope(seat)
        asked = self._asked(seat, sample, first)
        try:
            async with asyncio.timeout(VERIFY_WITHIN_S):
                found = await self.ports.verifier.identify(sample, scope, asked)
        except (port.PortError, TimeoutError):
            return Miss.UNAVAILABLE
        if found is Miss.ANOTHER_FINGER and first is not None:  # a try has two fingers, not three
            return Miss.NOBODY if sample.claim is None else Miss.NOT_CLAIMED
        return found if _fits(found, sample, scope, asked) else Miss.UNAVAILABLE

    def _asked(self, seat: SeatId, sample: port.Sample, first: port.Sample | None) -> port.Asked:
        """How many fingers. Who sits there locks and stays with one; a step-up is as strict as a login."""
        fingers = self.ports.roster.fingers(seat, claimed=sample.claim is not None)
        state = self.seats[seat]
        meant = state.verification.meant if state.verification is not None else None
        theirs = state.owner is not None and meant in (SeatState.ACTIVE, SeatState.FADING)
        return port.Asked(fingers, first, state.owner.subject if theirs and state.owner else None)

    def _verdict(self, seat: SeatId, sample: port.Sample, found: Found) -> machine.Verdict:
        """Ask the policy and hand its answer on in one breath: nothing can come between the two."""
        if not isinstance(found, Candidate):
            return machine.Verdict(sample.nonce, found)
        shift = self.shift_of(found.subject)
        decision = self.ports.policy.decide(self._request(seat, found, shift))
        if self.ports.roster.disabled(found.subject):
            decision = replace(decision, permitted=False, message=Message.REFUSED)
        return machine.Verdict(
            sample.nonce,
            found,
            decision,
            session=self.ports.random.session(),
            shift_began=shift.begun_at if shift else None,
            moving=self.sits_elsewhere(seat, found.subject),
        )

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
            pad=seen.pad,
            resource=asked.purpose if asked else "",
            fresh=frozenset({seen.factor}),
            owner=state.owner.subject if state.owner else None,
            fingers=seen.shown,
        )

    async def record(self, seat: SeatId, entry: Entry, id_: str) -> None:
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

    # Other rules.

    def reconsider(self) -> None:
        """Other rules are in force: whoever may not go on under them is out, and the rest keep their limits."""
        for seat, state in list(self.seats.items()):
            if state.pending is not None:
                self.feed(seat, machine.PolicyChanged())  # who is not in yet touches again, under the new rules
            elif state.owner is not None and not self.ports.policy.decide(self._again(seat, state.owner)).permitted:
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
            pad=owner.evidence.pad,
            fresh=frozenset({owner.evidence.factor}),
            owner=owner.subject,
            fingers=owner.evidence.shown,
        )

    # What the readers say.

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
        self.write(Entry(kind, seat, epoch, at=now, data={"reader": heard.reader, "sensor": True}))

    def _hear_finger(self, seat: SeatId, heard: Finger) -> None:
        match heard:
            case port.Sample():
                if heard.reader not in self.touchable[seat]:
                    log.error("%s: a sample of %s, which does not stand here", seat, heard.reader)
                elif self._stamp(seat, heard):
                    self.spawn(seat, self._touch(seat, heard, self._first(seat, heard)))
            case port.FingerDown():
                self.feed(seat, machine.FingerDown())
            case port.FingerUp():
                pass
            case port.Hinted(hint):
                self.feed(seat, machine.Hinted(hint))
            case port.Held(nonce):
                self.feed(seat, machine.Held(nonce))


def _fits(found: Found, sample: port.Sample, scope: Sequence[SubjectId], asked: port.Asked) -> bool:
    """Whether a candidate is an answer to this very question, and not another's that came in its place."""
    if not isinstance(found, Candidate):
        return True
    seen = found.evidence
    fits = found.subject in scope and seen.nonce == sample.nonce and seen.reader == sample.reader
    fits = fits and _enough(seen, asked, found.subject)
    if not fits:
        log.error("the verifier answered for another sample than the one of %s", sample.reader)
    return fits


def _enough(seen: Evidence, asked: port.Asked, subject: SubjectId) -> bool:
    """Whether it rests on as many fingers as were asked: two are two touches of this try, of different fingers."""
    if seen.first:
        return asked.first is not None and seen.first == asked.first.nonce and seen.shown > 1
    return seen.shown == 1 and (asked.fingers == 1 or subject == asked.alone)
