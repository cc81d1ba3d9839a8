"""What the policy is asked about a touch: of one person alone, with the factor before, or with another person beside.

Everything here happens in one breath: between the policy's answer and its use nothing can come.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from authd.core import seat as machine
from authd.core.factors import bare, join, joins, with_factor
from authd.core.host import Host
from authd.core.model import (
    MINUTE,
    Acr,
    Action,
    Candidate,
    Decision,
    Denial,
    Denied,
    Factor,
    Found,
    Helper,
    Message,
    Request,
    Rung,
    SeatId,
    Session,
    SubjectId,
)
from authd.core.ports import Given, Sample

BREAK_GLASS_LASTS = 60 * MINUTE
"""At most, whatever the policy says."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Whose touch it is taken for, what it was asked about, and the answer."""

    found: Candidate
    action: Action
    decision: Decision
    helper: Helper | None = None


class Judge:
    """Asks the policy about what the seats of this host have seen."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._ports = host.ports

    def verdict(self, seat: SeatId, sample: Sample, found: Found, first: Candidate | None) -> machine.Verdict:
        """What the seat machine is told of this touch. `first`: who was recognised before, and waits for this one."""
        found = self._acted(seat, sample, found)
        if not isinstance(found, Candidate):
            return machine.Verdict(sample.nonce, found, reader=sample.reader)
        judged = self._enabled(self._judge(seat, found, first))
        if sample.given is Given.IDENTIFIER:
            judged = replace(judged, decision=replace(judged.decision, another_factor=False))
        shift = None if judged.action is Action.BREAK_GLASS else self._host.shift_of(judged.found.subject)
        return machine.Verdict(
            sample.nonce,
            judged.found,
            judged.decision,
            session=self._ports.random.session(),
            shift_began=shift.begun_at if shift else None,
            moving=self._host.sits_elsewhere(seat, judged.found.subject),
            reader=sample.reader,
            action=judged.action,
            helper=judged.helper,
            names=sample.given is Given.IDENTIFIER,
        )

    def still(self, seat: SeatId, owner: Session, purpose: str, acr: Acr, max_age: int) -> Decision | None:
        """The decision, if the owner's last act answers this step-up: young enough, and permitted as if it came now."""
        state = self._host.seats[seat]
        if self._ports.clock.now() - state.acted_at >= max_age * 1_000_000_000:
            return None
        asked = replace(self.again(seat, owner), action=Action.STEP_UP, resource=purpose, acr=acr, max_age=max_age)
        factors = asked.factors | state.acted_by
        decision = self._ports.policy.decide(replace(asked, fresh=state.acted_by, factors=factors))
        return decision if decision.permitted else None

    def again(self, seat: SeatId, owner: Session) -> Request:
        """What the policy would be asked if the owner touched now."""
        shift, seen = self._host.shift_of(owner.subject), owner.evidence
        return Request(
            action=Action.KEEP_SESSION,
            subject=owner.subject,
            seat=seat,
            factors=shift.factors if shift else frozenset(),
            shift_open=shift is not None,
            grade=seen.grade,
            margin=seen.margin,
            pad_level=seen.pad_level,
            pad=seen.pad,
            fresh=seen.factors,
            owner=owner.subject,
            fingers=seen.shown,
            break_glass=owner.break_glass,
        )

    # Whose touch it is, and for what.

    def _acted(self, seat: SeatId, sample: Sample, found: Found) -> Found:
        """Stamp it. A card that nobody touches speaks for its person only when it has just been put in."""
        open_ = self._host.seats[seat].verification
        if not isinstance(found, Candidate) or open_ is None or open_.nonce != sample.nonce:
            return found
        if bare(found.evidence) and not open_.acted and sample.given is Given.PROOF:
            return Denied(Denial.ABSENT, found.subject, found.evidence.reference)
        captured_at = open_.captured_at if open_.captured_at is not None else found.evidence.captured_at
        return replace(found, evidence=replace(found.evidence, captured_at=captured_at))

    def _judge(self, seat: SeatId, found: Candidate, first: Candidate | None) -> Judged:
        action = machine.action_for(self._host.seats[seat], found.subject)
        if self._lacks(action, found.subject) and self._ports.seats.vouch(seat, found.evidence.nonce):
            found = with_factor(found, Factor.SEAT_KEY)
        if action is Action.BREAK_GLASS:
            return self._break_glass(seat, found, first)
        decision = self._decide(seat, action, found)
        if action is Action.VOUCH:
            return Judged(found, action, decision, Helper(found.subject, Rung.VOUCH, found.evidence))
        alone = Judged(found, action, decision)
        if decision.permitted or not decision.another_factor:
            return alone
        return self._joined(seat, alone, first) or self._vouched(seat, alone) or alone

    def _lacks(self, action: Action, subject: SubjectId) -> bool:
        """Whether a second factor may be asked: that of the seat itself, then, is in it too."""
        return action is Action.STEP_UP or (action is Action.OPEN_SESSION and self._host.shift_of(subject) is None)

    def _joined(self, seat: SeatId, alone: Judged, first: Candidate | None) -> Judged | None:
        """Two touches of one person, each of which lacks nothing but the other."""
        if first is None or not joins(first, alone.found):
            return None
        both = join(first, alone.found)
        decision = self._decide(seat, alone.action, both)
        return Judged(both, alone.action, decision) if decision.permitted else None

    def _vouched(self, seat: SeatId, alone: Judged) -> Judged | None:
        """A colleague's word in place of the factor that is missing; of a login only."""
        ladder = self._host.seats[seat].ladder
        helper = ladder.helper if ladder is not None else None
        if helper is None or alone.action is not Action.OPEN_SESSION:
            return None
        found = with_factor(alone.found, Factor.VOUCH)
        decision = self._decide(seat, alone.action, found, helper.subject)
        return Judged(found, alone.action, replace(decision, another_factor=False), helper)

    def _break_glass(self, seat: SeatId, found: Candidate, first: Candidate | None) -> Judged:
        """Two people, each of whom lacks nothing but the other. The session is the first one's."""
        alone = Judged(found, Action.BREAK_GLASS, self._decide(seat, Action.BREAK_GLASS, found))
        if first is None or first.subject == found.subject or not alone.decision.another_factor:
            return alone
        decision = self._decide(seat, Action.BREAK_GLASS, first, found.subject)
        limits = replace(decision.limits, overall=min(decision.limits.overall, BREAK_GLASS_LASTS))
        decision = replace(decision, limits=limits, another_factor=False)
        return Judged(first, Action.BREAK_GLASS, decision, Helper(found.subject, Rung.BREAK_GLASS, found.evidence))

    def _enabled(self, judged: Judged) -> Judged:
        """Asked anew at every touch: whoever was disabled a moment ago neither opens anything nor helps."""
        people = [judged.found.subject] + ([judged.helper.subject] if judged.helper else [])
        if not any(self._ports.roster.disabled(subject) for subject in people):
            return judged
        refused = replace(judged.decision, permitted=False, another_factor=False, message=Message.REFUSED)
        return replace(judged, decision=refused)

    def _decide(self, seat: SeatId, action: Action, found: Candidate, helper: SubjectId | None = None) -> Decision:
        state, seen = self._host.seats[seat], found.evidence
        shift = self._host.shift_of(found.subject)
        asked = state.step_up if action is Action.STEP_UP else None
        vouched = helper is not None and action is Action.OPEN_SESSION
        request = Request(
            action=action,
            subject=found.subject,
            seat=seat,
            factors=seen.factors | (shift.factors if shift else frozenset[Factor]()),
            shift_open=shift is not None,
            grade=seen.grade,
            margin=seen.margin,
            pad_level=seen.pad_level,
            pad=seen.pad,
            resource=asked.purpose if asked else "",
            fresh=seen.factors,
            owner=state.owner.subject if state.owner else None,
            fingers=seen.shown,
            helper=helper,
            vouches=self._ports.roster.vouches(found.subject) if vouched else 0,
            acr=asked.acr if asked else Acr.ONE,
            max_age=asked.max_age if asked else None,
            break_glass=state.owner is not None and state.owner.break_glass,
        )
        return self._ports.policy.decide(request)
