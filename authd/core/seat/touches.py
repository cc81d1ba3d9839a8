"""What a touch does, from the armed nonce to the grant that is asked of the ledger."""

from __future__ import annotations

from dataclasses import replace

from authd.core import presence
from authd.core.model import Candidate, EndReason, Epoch, Instant, Kind, Message, Miss, Session, Value
from authd.core.seat.effects import Append, Arm, StepUpDone, Write
from authd.core.seat.events import Armed, Captured, Event, First, Hinted, StepUpAsked, Throttled, Verdict
from authd.core.seat.session import (
    MESSAGE_FOR,
    NOTHING,
    Outcome,
    end,
    entry_of,
    evidence,
    join,
    rearm,
    say,
    unsuccessful,
)
from authd.core.seat.state import S, Seat, StepUp, Verification, began_at, resting, waits_until

MISSES_BEFORE_OTHER_WAY = 2


def arm(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Armed)
    seat = seat._replace(verification=Verification(event.nonce, first=event.first))
    asks = seat.message is Message.ANOTHER_FINGER and event.first is None  # for what nothing waits any more
    return (say(seat, resting(seat)) if asks else seat), NOTHING


def reading(seat: Seat, event: Event, now: Instant) -> Outcome:
    return say(seat, Message.READING, now), NOTHING


def hint(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Hinted)
    return say(seat, Message.ONCE_MORE, now, event.hint), NOTHING


def stamp(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Captured)
    assert seat.verification is not None
    return seat._replace(verification=replace(seat.verification, captured_at=now, meant=seat.state)), NOTHING


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
    session = Session(
        id=event.session,
        subject=found.subject,
        seat=seat.id,
        epoch=seat.epoch,
        evidence=replace(found.evidence, nonce=event.nonce, captured_at=captured),
        limits=decision.limits,
        shift_began=event.shift_began if event.shift_began is not None else captured,
        granted_at=now,
        policy=decision.bundle,
        rules=decision.rules,
    )
    seat = say(seat._replace(pending=session, last_touch=None), Message.READING)
    grant = entry_of(seat, Kind.GRANT, now, session, data=evidence(session))
    return seat, (Append(grant, session.id),)


def hand_over(seat: Seat, event: Event, now: Instant) -> Outcome:
    """Another person's good touch: the first one's session ends before anything is asked for the second."""
    verification = seat.verification
    ended, effects = end(seat, EndReason.HANDOVER, now)
    ended = ended._replace(verification=verification)
    without_arm = tuple(effect for effect in effects if not isinstance(effect, Arm))
    return join(ask_ledger(ended, event, now), without_arm)


def ask_another(seat: Seat, event: Event, now: Instant) -> Outcome:
    """One finger alone does not say it. An owner's fade is not painted over."""
    assert isinstance(event, Verdict)
    assert seat.verification is not None
    assert seat.verification.captured_at is not None
    first = First(event.nonce, seat.verification.captured_at)
    seat, effects = rearm(seat)
    if not effects:  # nothing can be armed, so nothing can follow
        return unsuccessful(seat, Message.ONCE_MORE, now)
    if seat.state is not S.FADING:
        seat = say(seat, Message.ANOTHER_FINGER)._replace(message_until=waits_until(first))
    return seat, (Arm(first),)


def refuse(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Verdict)
    assert isinstance(event.found, Candidate)
    decision = event.decision
    rules = ",".join(decision.rules) if decision else ""
    entry = entry_of(seat, Kind.ATTEMPT_REFUSED, now, data={"rules": rules}, subject=event.found.subject)
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
    kept = entry_of(seat, Kind.SESSION_KEPT, now, seat.owner, data={"by": "touch"})
    seat, effects = rearm(say(seat._replace(watch=presence.touched(seat.watch, now)), Message.KEPT))
    return seat, (Write(kept), *effects)


def record_step_up(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Verdict)
    seat = touched_by_owner(seat, event)
    assert seat.owner is not None
    assert seat.step_up is not None
    asked = seat.step_up
    if asked.recording:
        return rearm(seat)
    data: dict[str, Value] = {"purpose": asked.purpose}
    entry = entry_of(seat, Kind.SESSION_STEPPED_UP, now, seat.owner, data=data)
    seat = seat._replace(watch=presence.touched(seat.watch, now), step_up=replace(asked, recording=True))
    return join(rearm(seat), (Append(entry, asked.id),))


def ask_step_up(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, StepUpAsked)
    asked = StepUp(event.id, event.purpose, event.until, now)
    return say(seat._replace(step_up=asked), Message.CONFIRM), NOTHING


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
