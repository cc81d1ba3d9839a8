"""The two functions that every session passes, one in and one out, and the words they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from authd.core import presence
from authd.core.model import SECOND, EndReason, Entry, Hint, Instant, Kind, Message, Session, SubjectId, Value
from authd.core.seat.effects import Arm, BeginShift, Effect, EndElsewhere, EndShift, StepUpDone, Write
from authd.core.seat.events import Event
from authd.core.seat.state import Seat, home, resting

MESSAGE_FOR = 4 * SECOND
"""How long a sentence stays on a locked screen."""

Outcome = tuple[Seat, tuple[Effect, ...]]
NOTHING: tuple[Effect, ...] = ()


def activate(seat: Seat, event: Event, now: Instant) -> Outcome:
    """Emit `session.started`. Nothing else does."""
    assert seat.pending is not None
    session = replace(seat.pending, granted_at=now)
    seat = say(
        seat._replace(pending=None, owner=session, watch=presence.touched(seat.watch, now), misses=0),
        Message.MOVED_HERE if seat.moving else Message.START,
    )
    started = Write(entry_of(seat, Kind.SESSION_STARTED, now, session, data=evidence(session)))
    return seat, (EndElsewhere(session.subject), BeginShift(session), started, *arms(seat))


def end(seat: Seat, reason: EndReason, now: Instant, message: Message = Message.LOCKED) -> Outcome:
    """Emit `session.ended`, cancel what is open. Every path out of a session comes through here."""
    owner = seat.owner
    assert owner is not None
    work: dict[str, Value] = {"work": owner.limits.handover.value}  # what the application does with what is unfinished
    ended = Write(entry_of(seat, Kind.SESSION_ENDED, now, owner, reason=reason, data=work))
    answered = (StepUpDone(seat.step_up.id, granted=False),) if seat.step_up else NOTHING
    seat = say(seat._replace(owner=None, step_up=None, verification=None), message, now)
    return seat, (ended, *answered, *arms(seat))


def ended_home(seat: Seat, reason: EndReason, now: Instant, message: Message = Message.LOCKED) -> Outcome:
    """End the session where no rule of the table says what state follows."""
    seat, effects = end(seat, reason, now, message)
    return seat._replace(state=home(seat)), effects


def void(seat: Seat, why: str, now: Instant, message: Message = Message.LOCKED) -> Outcome:
    """A grant that was asked of the ledger will never become a session."""
    pending = seat.pending
    assert pending is not None
    void = Write(entry_of(seat, Kind.VOID, now, pending, data={"why": why}))
    seat = say(seat._replace(pending=None, verification=None), message, now)
    return seat, (void, *arms(seat))


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
    """The other finger did not come in time: the next touch stands alone."""
    assert seat.verification is not None
    seat = seat._replace(verification=replace(seat.verification, first=None))
    return say(seat, resting(seat)) if seat.message is Message.ANOTHER_FINGER else seat


def unsuccessful(seat: Seat, message: Message, now: Instant) -> Outcome:
    """Nothing came of the touch. The screen of a working owner is not disturbed by it."""
    seat, effects = rearm(seat)
    return (seat if seat.owner else say(seat, message, now)), effects


def arms(seat: Seat) -> tuple[Effect, ...]:
    """Ask for an armed reader, where one can be armed."""
    ready = bool(seat.readers) and not (seat.asleep or seat.closed or seat.lent)
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
    }
