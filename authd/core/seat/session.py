"""The two functions that every session passes, one in and one out, and the words they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from authd.core import presence
from authd.core.model import (
    SECOND,
    Decision,
    EndReason,
    Entry,
    Hint,
    Instant,
    Kind,
    Message,
    SeatState,
    Session,
    SubjectId,
    Value,
)
from authd.core.seat.effects import Arm, BeginShift, Effect, EndElsewhere, EndShift, StepUpDone, Write
from authd.core.seat.events import Event
from authd.core.seat.state import Seat, Stay, home, resting

MESSAGE_FOR = 4 * SECOND
"""How long a sentence stays on a locked screen."""

WANTING = (Message.ANOTHER_FINGER, Message.ANOTHER_FACTOR, Message.SECOND_PERSON)
"""What the screen says while a touch waits for another one."""

Outcome = tuple[Seat, tuple[Effect, ...]]
NOTHING: tuple[Effect, ...] = ()


def activate(seat: Seat, event: Event, now: Instant) -> Outcome:
    """Emit `session.started`. Nothing else does."""
    assert seat.pending is not None
    session = replace(seat.pending, granted_at=now)
    seen = session.evidence
    seat = seat._replace(pending=None, owner=session, watch=presence.touched(seat.watch, now), misses=0)
    seat = seat._replace(acted_at=seen.captured_at, acted_by=seen.factors, stays=spent(seat))
    seat = say(seat, Message.MOVED_HERE if seat.moving else Message.START)
    started = Write(entry_of(seat, Kind.SESSION_STARTED, now, session, data=evidence(session)))
    if session.break_glass:
        return seat, (EndElsewhere(session.subject), started, _opened(seat, session, now), *arms(seat))
    return seat, (EndElsewhere(session.subject), BeginShift(session), started, *arms(seat))


def _opened(seat: Seat, session: Session, now: Instant) -> Write:
    """A session outside the rules begins no shift, and somebody must look at it afterwards."""
    data: dict[str, Value] = {**helped(session), "until": session.shift_began + session.limits.overall}
    return Write(entry_of(seat, Kind.BREAKGLASS_OPENED, now, session, data=data))


def end(seat: Seat, reason: EndReason, now: Instant, message: Message = Message.LOCKED) -> Outcome:
    """Emit `session.ended`, cancel what is open. Every path out of a session comes through here."""
    owner = seat.owner
    assert owner is not None
    work: dict[str, Value] = {"work": owner.limits.handover.value}  # what the application does with what is unfinished
    ended = Write(entry_of(seat, Kind.SESSION_ENDED, now, owner, reason=reason, data=work))
    answered = (StepUpDone(seat.step_up.id, granted=False),) if seat.step_up else NOTHING
    seat = say(cleared(seat._replace(owner=None, step_up=None)), message, now)
    return seat, (ended, *answered, *arms(seat))


def ended_home(seat: Seat, reason: EndReason, now: Instant, message: Message = Message.LOCKED) -> Outcome:
    """End the session where no rule of the table says what state follows."""
    seat, effects = end(seat, reason, now, message)
    return seat._replace(state=home(seat)), effects


def fade(seat: Seat, owner: Session, reason: EndReason, now: Instant) -> Outcome:
    """The visible end of a session has begun; it may be taken back."""
    entry = entry_of(seat, Kind.SESSION_FADING, now, owner, reason=reason)
    answered = (StepUpDone(seat.step_up.id, granted=False),) if seat.step_up else NOTHING
    return seat._replace(state=SeatState.FADING, step_up=None, message=Message.FADING), (*answered, Write(entry))


def void(seat: Seat, why: str, now: Instant, message: Message = Message.LOCKED) -> Outcome:
    """A grant that was asked of the ledger will never become a session."""
    pending = seat.pending
    assert pending is not None
    void = Write(entry_of(seat, Kind.VOID, now, pending, data={"why": why}))
    seat = say(cleared(seat._replace(pending=None)), message, now)
    return seat, (void, *arms(seat))


def cleared(seat: Seat) -> Seat:
    """A lock: whatever was asked or waited for is worth nothing from now on, and a card that was put in before too."""
    seat = seat._replace(claim=None, ladder=None, prompt=None, removed=None)
    return seat._replace(verification=None, stays=spent(seat))


def spent(seat: Seat) -> tuple[Stay, ...]:
    """Put in before this: nobody's act any more."""
    return tuple(replace(stay, used=True) for stay in seat.stays)


def close_shift(seat: Seat, subject: SubjectId, now: Instant) -> Outcome:
    """Two factors at this person's next login."""
    entry = entry_of(seat, Kind.SHIFT_ENDED, now, subject=subject)
    return seat._replace(last_touch=None), (EndShift(subject), Write(entry))


def say(seat: Seat, message: Message, now: Instant | None = None, hint: Hint | None = None) -> Seat:
    """Put a sentence on the screen; with `now` it goes away by itself."""
    until = None if now is None else Instant(now + MESSAGE_FOR)
    return seat._replace(message=message, message_until=until, hint=hint)


def rearm(seat: Seat) -> Outcome:
    """Drop the open verification, whose nonce is worth nothing from now on, and wait for the next touch."""
    seat = seat._replace(verification=None)
    return seat, arms(seat)


def forget_first(seat: Seat) -> Seat:
    """The other touch did not come in time: the next one stands alone."""
    assert seat.verification is not None
    seat = seat._replace(verification=replace(seat.verification, first=None))
    return say(seat, resting(seat)) if seat.message in WANTING else seat


def unsuccessful(seat: Seat, message: Message, now: Instant) -> Outcome:
    """Nothing came of the touch. The screen of a working owner is not disturbed by it."""
    seat, effects = rearm(seat)
    return (seat if seat.owner else say(seat, message, now)), effects


def arms(seat: Seat) -> tuple[Effect, ...]:
    """Ask for an armed reader, where one can be armed."""
    ready = bool(seat.readers) and not (seat.asleep or seat.closed or seat.lent or seat.left)
    return (Arm(),) if ready and seat.verification is None and seat.pending is None else NOTHING


def join(outcome: Outcome, before: tuple[Effect, ...]) -> Outcome:
    """Put effects in front of an outcome's own."""
    seat, effects = outcome
    return seat, before + effects


def entry_of(
    seat: Seat,
    kind: Kind,
    now: Instant,
    session: Session | None = None,
    *,
    reason: EndReason | None = None,
    subject: SubjectId | None = None,
    data: Mapping[str, Value] | None = None,
) -> Entry:
    """A ledger entry of this seat; of this session, if one is given."""
    return Entry(
        kind=kind,
        seat=seat.id,
        epoch=session.epoch if session else seat.epoch,
        subject=session.subject if session else subject,
        session=session.id if session else None,
        at=now,
        reason=reason,
        grade=session.evidence.grade if session else None,
        data=data or {},
    )


def evidence(session: Session) -> dict[str, Value]:
    """What the ledger keeps of why: who was recognised by what, how well, and which rules allowed it."""
    seen = session.evidence
    two: dict[str, Value] = {"fingers": ",".join(seen.fingers), "first": seen.first} if seen.first else {}
    if seen.more:
        two["more"] = ",".join(sorted(seen.more))
    if seen.bound:
        two["bound"] = ",".join("/".join(stay) for stay in seen.bound)
    return {
        "reader": seen.reader,
        "factor": seen.factor.value,
        "reference": seen.reference,
        "score": round(seen.score, 4),
        "margin": round(seen.margin, 4),
        "pad": seen.pad_level,
        "nonce": seen.nonce,
        "captured_at": seen.captured_at,
        "shift_began": session.shift_began,
        "policy": session.policy,
        "rules": ",".join(session.rules),
        **two,
        **helped(session),
    }


def decided(decision: Decision | None) -> dict[str, Value]:
    """What the ledger keeps of a decision: by which rules, of which bundle, about what."""
    if decision is None:
        return {"rules": ""}
    told: dict[str, Value] = {"policy": decision.bundle, "asked": decision.asked}
    return {"rules": ",".join(decision.rules), **{name: value for name, value in told.items() if value}}


def helped(session: Session) -> dict[str, Value]:
    """Who touched beside the owner, and how they were recognised."""
    if session.helper is None:
        return {}
    by, seen = session.helper, session.helper.evidence
    return {
        "ladder": by.rung.value,
        "helper": by.subject,
        "helper_reader": seen.reader,
        "helper_factors": ",".join(sorted(seen.factors)),
        "helper_grade": seen.grade.value,
        "helper_reference": seen.reference,
        "helper_nonce": seen.nonce,
    }
