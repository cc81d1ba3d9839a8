"""The one path: from a touch to an unlocked seat, and from anything at all to a locked one.

    armed nonce -> touch -> sample -> stamp -> throttle -> verifier -> policy -> seat machine
                -> durable ledger row -> session.started -> the application acts

Where one touch does not say it, another is wanted: a finger after one that is unclear, a factor or a person after
somebody who is known. The seat is armed again, and the next touch takes the same path together with the one that waits.
What cancels an armed nonce forgets that one too.

Two rules: a grant waits for the ledger's durable answer, a lock waits for nothing. Whatever breaks in here ends with
the seat locked and nobody in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from authd.core import ports as port
from authd.core import seat as machine
from authd.core.charges import Charges, Paid, claims
from authd.core.doors import Doors
from authd.core.fits import fits
from authd.core.host import APPEND_WITHIN_S, Finger
from authd.core.model import (
    Candidate,
    Denied,
    Entry,
    Found,
    Kind,
    Miss,
    Nonce,
    ReaderId,
    SeatId,
    SeatState,
    SubjectId,
)
from authd.core.ports import Given

VERIFY_WITHIN_S = 10.0
log = logging.getLogger("authd.core.pipeline")


@dataclass(frozen=True, slots=True)
class _First:
    """A touch that waits for the next one."""

    nonce: Nonce
    finger: port.Sample | None = None
    """To be compared together with another finger of the same person, and what its try has paid."""
    paid: Paid | None = None
    known: Candidate | None = None
    """Recognised, and in want of another factor or of a second person."""


_NONE = _First(Nonce(""))


class Pipeline(Doors):
    """What a touch goes through at any seat of this host."""

    def __init__(self, ports: port.Ports, touchable: Mapping[SeatId, frozenset[ReaderId]]) -> None:
        super().__init__(ports, touchable)
        self.charges = Charges(ports.counters, ports.clock)
        self._firsts: dict[SeatId, _First] = {}
        """At most one a seat, and only while the seat's open verification names it."""
        self._confirming: dict[SeatId, Nonce] = {}

    async def run(self) -> None:
        """Close what an earlier life left open, then serve every seat until cancelled."""
        await self.charges.load()
        await super().run()

    def feed(self, seat: SeatId, event: machine.Event) -> None:
        """See `Host`. A touch that the seat does not wait with any more is forgotten."""
        super().feed(seat, event)
        kept = self._firsts.get(seat)
        if kept is not None and kept.nonce != self._waiting(seat):
            del self._firsts[seat]

    # The one path.

    async def _touch(self, seat: SeatId, sample: port.Sample, first: _First) -> None:
        """One touch, from its stamped sample to the seat machine's verdict."""
        may = self.charges.judge(seat, sample, first.paid)
        if not may.allowed:
            self.feed(seat, machine.Throttled(sample.nonce, None if may.disabled else may.until))
            return
        paid = first.paid
        try:
            paid = await self.charges.before(sample, paid)
            found = await self._identify(seat, sample, first.finger)
            paid = await self.charges.after(seat, sample, paid, found)
        except port.PortError as error:  # what cannot be counted is not accepted; whoever sits there may stay
            log.warning("not counted at %s: %s", seat, error)
            found = Miss.UNAVAILABLE
        finally:
            self.charges.over(sample)
        verdict = self.judge.verdict(seat, sample, found, first.known)
        self._keep(seat, sample, verdict, _First(sample.nonce, sample, paid, first.known))
        self.feed(seat, verdict)

    def _keep(self, seat: SeatId, sample: port.Sample, verdict: machine.Verdict, finger: _First) -> None:
        """What is to wait for the next touch; `feed` forgets it at once if the seat does not wait with it."""
        if verdict.found is Miss.ANOTHER_FINGER:
            self._firsts[seat] = finger
        elif isinstance(verdict.found, Candidate) and verdict.decision is not None and verdict.decision.another_factor:
            self._firsts[seat] = _First(sample.nonce, known=verdict.found)

    def _stamp(self, seat: SeatId, sample: port.Sample) -> bool:
        """Stamp it as it comes in; a cancelled nonce gets no stamp, and no nonce gets two."""
        before = self.seats[seat].verification
        self.feed(seat, machine.Captured(sample.nonce, sample.reader, sample.insertion))
        open_ = self.seats[seat].verification
        return open_ is not None and open_ is not before and open_.captured_at is not None

    def _waiting(self, seat: SeatId) -> Nonce | None:
        """The touch that the seat's open verification is to be taken together with."""
        open_ = self.seats[seat].verification
        return open_.first.nonce if open_ is not None and open_.first is not None else None

    def _first(self, seat: SeatId, sample: port.Sample) -> _First:
        """The touch that waited for this one; it is used once. A finger waits for a finger, within the same claim."""
        kept = self._firsts.pop(seat, None)
        if kept is None or kept.nonce != self._waiting(seat):
            return _NONE
        finger = kept.finger
        if finger is None or (sample.given is finger.given and finger.claim == sample.claim):
            return kept
        return _First(kept.nonce, known=kept.known)

    async def _identify(self, seat: SeatId, sample: port.Sample, first: port.Sample | None) -> Found:
        scope = self._scope(seat, sample)
        asked = self._asked(seat, sample, first)
        found = await self._verify(sample, scope, asked)
        if found is Miss.ANOTHER_FINGER and (first is not None or sample.given is not Given.PROBE):
            return Miss.NOT_CLAIMED if claims(sample) else Miss.NOBODY  # a try has two fingers, not three
        return found

    async def _verify(self, sample: port.Sample, scope: Sequence[SubjectId], asked: port.Asked) -> Found:
        try:
            async with asyncio.timeout(VERIFY_WITHIN_S):
                found = await self.ports.verifier.identify(sample, scope, asked)
        except (port.PortError, TimeoutError):
            return Miss.UNAVAILABLE
        return found if fits(found, sample, scope, asked) else Miss.UNAVAILABLE

    def _scope(self, seat: SeatId, sample: port.Sample) -> Sequence[SubjectId]:
        """A finger is looked for among as many as its bound allows; what a key signs is anybody's of this seat."""
        if claims(sample) and sample.claim is not None:
            return [sample.claim]
        roster = self.ports.roster
        return roster.scope(seat) if sample.given is Given.PROBE else roster.members(seat)

    def _asked(self, seat: SeatId, sample: port.Sample, first: port.Sample | None) -> port.Asked:
        """How many fingers. Who sits there locks and stays with one; a step-up is as strict as a login."""
        fingers = self.ports.roster.fingers(seat, claimed=sample.claim is not None)
        state = self.seats[seat]
        meant = state.verification.meant if state.verification is not None else None
        theirs = state.owner is not None and meant in (SeatState.ACTIVE, SeatState.FADING)
        return port.Asked(fingers, first, state.owner.subject if theirs and state.owner else None)

    async def _confirm(self, seat: SeatId, sample: port.Sample, owner: SubjectId) -> None:
        """Whether what came back is what was taken out. Nobody's act: it keeps a session, and opens none."""
        found = await self._verify(sample, [owner], port.ONE_FINGER)
        self.feed(seat, machine.Confirmed(sample.nonce, found))

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
        may = self.ports.policy.decide
        for seat, state in list(self.seats.items()):
            if state.pending is not None:
                self.feed(seat, machine.PolicyChanged())  # who is not in yet touches again, under the new rules
            elif state.owner is not None and not may(self.judge.again(seat, state.owner)).permitted:
                self.feed(seat, machine.PolicyChanged())

    # What the readers say.

    def hear(self, seat: SeatId, heard: port.Heard) -> None:
        """One word of a device of this seat."""
        borrower = self._borrowers.get(seat)
        match heard:
            case port.ReaderUp() | port.ReaderDown():
                self._hear_device(seat, heard)
            case port.Sensed(present):
                self.feed(seat, machine.Sensed(present))
            case port.Inserted(reader, insertion) if reader in self.touchable[seat]:
                self.feed(seat, machine.Inserted(reader, insertion))
            case port.Withdrawn(reader, insertion):
                self.feed(seat, machine.Withdrawn(reader, insertion))
            case port.Inserted():
                log.error("%s: a key in %s, which does not stand here", seat, heard.reader)
            case _ if borrower is not None:
                borrower(heard)
            case _:
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
                self._hear_sample(seat, heard)
            case port.FingerDown():
                self.feed(seat, machine.FingerDown())
            case port.FingerUp():
                pass
            case port.Hinted(hint):
                self.feed(seat, machine.Hinted(hint))
            case port.Held(nonce):
                self.feed(seat, machine.Held(nonce))
            case port.Asking(reader, prompt):
                self.feed(seat, machine.Asking(reader, prompt))
            case port.TurnedDown(reader, nonce, why):
                self.feed(seat, machine.TurnedDown(reader, nonce, why))
                self.feed(seat, machine.Confirmed(nonce, Denied(why)))

    def _hear_sample(self, seat: SeatId, sample: port.Sample) -> None:
        """A touch, if it is one: not another seat's, nor of a key that is not there, nor of nobody's act."""
        if sample.reader not in self.touchable[seat]:
            log.error("%s: a sample of %s, which does not stand here", seat, sample.reader)
        elif sample.silent:
            self._hear_silent(seat, sample)
        elif self._expected(seat, sample) and self._stamp(seat, sample):
            self.spawn(seat, self._touch(seat, sample, self._first(seat, sample)))

    def _expected(self, seat: SeatId, sample: port.Sample) -> bool:
        """A service's word is of the person who was named, and a key's of one that is in its reader."""
        state = self.seats[seat]
        if sample.given is Given.CLAIMED and (sample.claim is None or sample.claim != machine.claimed(state)):
            return False
        return not sample.insertion or machine.inserted(state, (sample.reader, sample.insertion))

    def _hear_silent(self, seat: SeatId, sample: port.Sample) -> None:
        """The answer of a credential that came back, once, to the question that was put to it."""
        removed, owner = self.seats[seat].removed, self.seats[seat].owner
        asked = removed is not None and removed.nonce == sample.nonce and self._confirming.get(seat) != sample.nonce
        if asked and owner is not None and sample.given is Given.PROOF:
            self._confirming[seat] = sample.nonce
            self.spawn(seat, self._confirm(seat, sample, owner.subject))
