"""What the doors ask of the seats: step-ups, names, what was typed, the buttons of the ladder, enrolments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from authd.core import ports as port
from authd.core import seat as machine
from authd.core.host import APPEND_WITHIN_S, Finger, Host
from authd.core.judge import Judge
from authd.core.model import (
    SECOND,
    Acr,
    Decision,
    Entry,
    Instant,
    Kind,
    ReaderId,
    Rung,
    SeatId,
    SeatState,
    Session,
    SessionId,
    SteppedUp,
    SubjectId,
)

STEP_UP_WITHIN = 30 * SECOND
NAMED_FOR = 20 * SECOND
HELP_WITHIN = 30 * SECOND
"""How long a locked seat waits for the first of two people."""
MOST_TYPED = 256
"""Characters."""
NO = SteppedUp(granted=False)


class Doors(Host):
    """All seats of one host, as the doors see them. Nothing here opens a session."""

    def __init__(self, ports: port.Ports, touchable: Mapping[SeatId, frozenset[ReaderId]]) -> None:
        super().__init__(ports, touchable)
        self.judge = Judge(self)

    async def step_up(
        self, seat: SeatId, session: SessionId, purpose: str, acr: Acr = Acr.ONE, max_age: int | None = None
    ) -> SteppedUp:
        """Ask the owner of this session for a fresh touch; refused when it did not come within 30 s, or they left.

        max_age: seconds; where the last touch is younger and strong enough, nobody is asked again (RFC 9470).
        """
        owner = self.seats[seat].owner
        if owner is None or owner.id != session:
            return NO
        if max_age is not None and (decision := self._still(seat, owner, purpose, acr, max_age)) is not None:
            asked = machine.StepUp("", purpose, _NOW, _NOW, False, acr, max_age)
            return await self._step_up_again(seat, owner, asked, decision)
        id_ = self.ports.random.nonce()
        answer: asyncio.Future[Instant | None] = asyncio.get_running_loop().create_future()
        self._step_ups[id_] = answer
        until = Instant(self.ports.clock.now() + STEP_UP_WITHIN)
        self.feed(seat, machine.StepUpAsked(id_, purpose, until, acr, max_age))
        try:
            acted_at = await answer
        finally:
            if self._step_ups.pop(id_, None) is not None:  # given up: the next touch is no answer to it
                self.feed(seat, machine.StepUpDropped(id_))
        return NO if acted_at is None else SteppedUp(granted=True, acr=acr, auth_time=acted_at)

    def _still(self, seat: SeatId, owner: Session, purpose: str, acr: Acr, max_age: int) -> Decision | None:
        working = self.seats[seat].state is SeatState.ACTIVE and not self.ports.roster.disabled(owner.subject)
        return self.judge.still(seat, owner, purpose, acr, max_age) if working else None

    async def _step_up_again(
        self, seat: SeatId, owner: Session, asked: machine.StepUp, decision: Decision
    ) -> SteppedUp:
        """The act that they have done answers it; recorded before it is believed, as any other."""
        acted_at = self.seats[seat].acted_at
        entry = Entry(
            Kind.SESSION_STEPPED_UP,
            seat,
            owner.epoch,
            owner.subject,
            owner.id,
            self.ports.clock.now(),
            grade=owner.evidence.grade,
            data={**machine.stepped(asked, self.seats[seat], decision), "by": "age"},
        )
        try:
            async with asyncio.timeout(APPEND_WITHIN_S):
                await self.ports.ledger.append(entry)
        except (port.PortError, TimeoutError):
            return NO
        now = self.seats[seat].owner
        return SteppedUp(True, asked.acr, acted_at) if now is not None and now.id == owner.id else NO

    def claim(self, seat: SeatId, subject: SubjectId) -> bool:
        """A tile names who is about to touch; forgotten after 20 s. False: not now, or not known here."""
        state = self.seats[seat]
        if subject not in self.ports.roster.members(seat) or state.state is not SeatState.LOCKED:
            return False
        self.feed(seat, machine.Named(subject, Instant(self.ports.clock.now() + NAMED_FOR)))
        return machine.claimed(self.seats[seat]) == subject

    def answer(self, seat: SeatId, typed: str) -> bool:
        """Hand on what was typed at the seat's screen; False: nothing asks for it any more."""
        prompt = self.seats[seat].prompt
        if prompt is None or not 0 < len(typed) <= MOST_TYPED:
            return False
        self.feed(seat, machine.Asking(prompt[0], None))  # asked once, answered once
        self.ports.readers.answer(seat, prompt[0], typed)
        return True

    def vouch(self, seat: SeatId) -> bool:
        """The locked screen's button: a colleague vouches in place of a second factor. False: not now."""
        return self._ask_help(seat, Rung.VOUCH)

    def break_glass(self, seat: SeatId) -> bool:
        """The locked screen's button: two people open a session outside the rules. False: not now."""
        return self._ask_help(seat, Rung.BREAK_GLASS)

    def _ask_help(self, seat: SeatId, rung: Rung) -> bool:
        self.feed(seat, machine.HelpAsked(rung, Instant(self.ports.clock.now() + HELP_WITHIN)))
        ladder = self.seats[seat].ladder
        return ladder is not None and ladder.rung is rung

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


_NOW = Instant(0)
