"""What a touch does, from the armed nonce to the grant that is asked of the ledger."""

from __future__ import annotations

from dataclasses import replace

from authd.core import presence
from authd.core.model import (
    Candidate,
    Decision,
    Denial,
    Denied,
    EndReason,
    Entry,
    Epoch,
    Hint,
    Instant,
    Kind,
    Message,
    Miss,
    ReaderId,
    Session,
    Value,
)
from authd.core.seat.effects import Append, Arm, StepUpDone, Write
from authd.core.seat.events import (
    NO_NONCE,
    Armed,
    Captured,
    Event,
    First,
    Hinted,
    StepUpAsked,
    Throttled,
    TurnedDown,
    Verdict,
)
from authd.core.seat.session import (
    MESSAGE_FOR,
    NOTHING,
    WANTING,
    Outcome,
    decided,
    end,
    entry_of,
    evidence,
    join,
    rearm,
    say,
    spent,
    unsuccessful,
)
from authd.core.seat.state import (
    INSERTED_WITHIN,
    S,
    Seat,
    StepUp,
    Verification,
    began_at,
    resting,
    waits_until,
)

MISSES_BEFORE_OTHER_WAY = 2
_SAID = {Denial.UNKNOWN: Message.KEY_UNKNOWN, Denial.BLOCKED: Message.KEY_BLOCKED}
"""What the screen says of a denial; of the others, that the key was refused."""


def arm(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Armed)
    seat = seat._replace(verification=Verification(event.nonce, first=event.first))
    asks = seat.message in WANTING and event.first is None  # for what nothing waits any more
    return (say(seat, resting(seat)) if asks else seat), NOTHING


def reading(seat: Seat, event: Event, now: Instant) -> Outcome:
    return say(seat, Message.READING, now), NOTHING


def hint(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Hinted)
    if event.hint is Hint.TOUCH_THE_KEY:  # it waits, and nothing went wrong: what is said besides still holds
        return seat._replace(hint=event.hint), NOTHING
    return say(seat, Message.ONCE_MORE, now, event.hint), NOTHING


def stamp(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Captured)
    assert seat.verification is not None
    open_ = replace(seat.verification, captured_at=now, meant=seat.state)
    what = (event.reader, event.insertion)
    for stay in seat.stays:
        if stay.what == what:
            open_ = replace(open_, acted=not stay.used and now - stay.at <= INSERTED_WITHIN)
            seat = seat._replace(stays=tuple(replace(each, used=each.used or each is stay) for each in seat.stays))
    return seat._replace(verification=open_), NOTHING


def throttle(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Throttled)
    seat, effects = rearm(seat)
    if seat.owner is not None:
        return seat, effects
    message = Message.OTHER_WAY if event.until is None else Message.WAIT
    until = event.until if event.until is not None else Instant(now + MESSAGE_FOR)
    return seat._replace(message=message, message_until=until, hint=None), effects


def ask_ledger(seat: Seat, event: Event, now: Instant) -> Outcome:
    """The person is known and permitted: from here the ledger alone can say yes."""
    assert isinstance(event, Verdict)
    found, decision, verification = event.found, event.decision, seat.verification
    assert isinstance(found, Candidate)
    assert decision is not None
    assert verification is not None
    assert verification.captured_at is not None
    seat = seat._replace(epoch=Epoch(seat.epoch + 1), verification=None, moving=event.moving)
    captured = began_at(verification) if found.evidence.first else verification.captured_at
    if found.evidence.nonce != event.nonce:  # the last touch was the second person's
        captured = began_at(verification)
    session = Session(
        id=event.session,
        subject=found.subject,
        seat=seat.id,
        epoch=seat.epoch,
        evidence=replace(found.evidence, captured_at=captured),
        limits=decision.limits,
        shift_began=event.shift_began if event.shift_began is not None else captured,
        granted_at=now,
        policy=decision.bundle,
        rules=decision.rules,
        helper=event.helper,
        asked=decision.asked,
    )
    seat = say(seat._replace(pending=session, last_touch=None, claim=None, ladder=None), Message.READING)
    asked: dict[str, Value] = {"asked": session.asked} if session.asked else {}
    grant = entry_of(seat, Kind.GRANT, now, session, data=evidence(session) | asked)
    return seat, (Append(grant, session.id),)


def hand_over(seat: Seat, event: Event, now: Instant) -> Outcome:
    """Another person's good touch: the first one's session ends before anything is asked for the second."""
    verification = seat.verification
    ended, effects = end(seat, EndReason.HANDOVER, now)
    ended = ended._replace(verification=verification)
    without_arm = tuple(effect for effect in effects if not isinstance(effect, Arm))
    return join(ask_ledger(ended, event, now), without_arm)


def ask_another(seat: Seat, event: Event, now: Instant) -> Outcome:
    """One touch alone does not say it. An owner's fade is not painted over."""
    assert isinstance(event, Verdict)
    assert seat.verification is not None
    first = _first(event, seat.verification)
    seat, effects = rearm(seat)
    if not effects:  # nothing can be armed, so nothing can follow
        return unsuccessful(seat, Message.ONCE_MORE, now)
    if seat.ladder is not None and seat.ladder.helper is None:  # a colleague's word is not made to last longer
        seat = seat._replace(ladder=replace(seat.ladder, until=max(seat.ladder.until, waits_until(first))))
    if seat.state is not S.FADING:
        seat = say(seat, first.wants)._replace(message_until=waits_until(first))
    return seat, (Arm(first),)


def _first(event: Verdict, open_: Verification) -> First:
    """What waits: a finger that is unclear, with what waited before it, or somebody who is known."""
    assert open_.captured_at is not None
    before, decision = open_.first, event.decision
    if isinstance(event.found, Candidate) and decision is not None:
        captured = began_at(open_) if event.found.evidence.first else open_.captured_at
        return First(event.nonce, captured, decision.message)
    waits = before is not None and before.wants is not Message.ANOTHER_FINGER
    return First(event.nonce, began_at(open_), before=before.nonce if before is not None and waits else NO_NONCE)


def refuse(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Verdict)
    assert isinstance(event.found, Candidate)
    decision = event.decision
    entry = entry_of(seat, Kind.ATTEMPT_REFUSED, now, data=decided(decision), subject=event.found.subject)
    message = decision.message if decision else Message.REFUSED
    return join(unsuccessful(seat, message, now), (Write(entry),))


def miss(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Verdict)
    assert isinstance(event.found, Miss)
    if event.found is Miss.UNAVAILABLE:
        return unsuccessful(seat, Message.FAULT, now)
    refused = event.found in (Miss.REPLAYED, Miss.ATTACK)
    kind = Kind.ATTEMPT_REFUSED if refused else Kind.ATTEMPT_NOT_RECOGNISED
    entry = entry_of(seat, kind, now, data={"why": event.found.value})
    misses = seat.misses + 1
    message = Message.OTHER_WAY if misses >= MISSES_BEFORE_OTHER_WAY or refused else Message.ONCE_MORE
    return join(unsuccessful(seat._replace(misses=misses), message, now), (Write(entry),))


def deny(seat: Seat, event: Event, now: Instant) -> Outcome:
    """A key, card or service's word that was not accepted: nobody's failed finger."""
    assert isinstance(event, Verdict)
    assert isinstance(event.found, Denied)
    found = event.found
    entry = _denied(seat, event.reader, found, now)
    return join(unsuccessful(seat, _SAID.get(found.why, Message.KEY_REFUSED), now), (Write(entry),))


def turn_down(seat: Seat, event: Event, now: Instant) -> Outcome:
    """The device itself says no. The others go on waiting under this nonce, and it waits for another key."""
    assert isinstance(event, TurnedDown)
    entry = _denied(seat, event.reader, Denied(event.why), now)
    if seat.owner is None:
        seat = say(seat, _SAID.get(event.why, Message.KEY_REFUSED), now)
    return seat, (Write(entry),)


def _denied(seat: Seat, reader: ReaderId, found: Denied, now: Instant) -> Entry:
    data: dict[str, Value] = {"why": found.why.value, "reader": reader}
    if found.reference:
        data["reference"] = found.reference
    return entry_of(seat, Kind.ATTEMPT_REFUSED, now, data=data, subject=found.subject)


def ignore_bounce(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Verdict)
    return rearm(touched_by_owner(seat, event))


def lock_by_touch(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Verdict)
    return end(touched_by_owner(seat, event), EndReason.LOCK, now)


def keep_by_touch(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Verdict)
    seat = touched_by_owner(seat, event)
    assert seat.owner is not None
    kept = entry_of(seat, Kind.SESSION_KEPT, now, seat.owner, data={"by": "touch", **decided(event.decision)})
    seat = _acted(seat, event)._replace(watch=presence.touched(seat.watch, now))
    seat, effects = rearm(say(seat, Message.KEPT))
    return seat, (Write(kept), *effects)


def record_step_up(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Verdict)
    seat = touched_by_owner(seat, event)
    assert seat.owner is not None
    assert seat.step_up is not None
    asked = seat.step_up
    if asked.recording:
        return rearm(seat)
    seat = _acted(seat, event)
    entry = entry_of(seat, Kind.SESSION_STEPPED_UP, now, seat.owner, data=stepped(asked, seat, event.decision))
    seat = seat._replace(watch=presence.touched(seat.watch, now), step_up=replace(asked, recording=True))
    return join(rearm(seat), (Append(entry, asked.id),))


def stepped(asked: StepUp, seat: Seat, decision: Decision | None) -> dict[str, Value]:
    """What the ledger keeps of a step-up, in the words of RFC 9470, and of the decision about it."""
    factors = ",".join(sorted(seat.acted_by))
    terms: dict[str, Value] = {"purpose": asked.purpose, "acr": asked.acr.value}
    return terms | {"auth_time": seat.acted_at, "factors": factors} | decided(decision)


def _acted(seat: Seat, event: Verdict) -> Seat:
    """Their authentication is as old as this."""
    assert isinstance(event.found, Candidate)
    assert seat.verification is not None
    open_, seen = seat.verification, event.found.evidence
    captured_at = began_at(open_) if seen.first or open_.captured_at is None else open_.captured_at
    return seat._replace(acted_at=captured_at, acted_by=seen.factors)


def ask_step_up(seat: Seat, event: Event, now: Instant) -> Outcome:
    """Whatever was put in before this was meant for something else."""
    assert isinstance(event, StepUpAsked)
    asked = StepUp(event.id, event.purpose, event.until, now, acr=event.acr, max_age=event.max_age)
    return say(seat._replace(step_up=asked, stays=spent(seat)), Message.CONFIRM), NOTHING


def decline_step_up(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, StepUpAsked)
    return seat, (StepUpDone(event.id, granted=False),)


def step_up_granted(seat: Seat, event: Event, now: Instant) -> Outcome:
    return answer_step_up(seat, granted=True)


def step_up_failed(seat: Seat, event: Event, now: Instant) -> Outcome:
    return answer_step_up(seat, granted=False)


def answer_step_up(seat: Seat, *, granted: bool) -> Outcome:
    assert seat.step_up is not None
    done = StepUpDone(seat.step_up.id, granted)
    return say(seat._replace(step_up=None), Message.START), (done,)


def touched_by_owner(seat: Seat, event: Verdict) -> Seat:
    assert seat.owner is not None
    return seat._replace(last_touch=(event.nonce, seat.owner.subject))
