"""What everything but a touch does: readers, presence, buttons, the ledger, sleep, faults."""

from __future__ import annotations

from authd.core import presence
from authd.core.model import EndReason, Instant, Kind, Message
from authd.core.seat.effects import Arm, Write
from authd.core.seat.events import Event, LedgerHealth, ReaderDown, ReaderUp, Revoked, Sensed
from authd.core.seat.session import (
    NOTHING,
    Outcome,
    arms,
    cleared,
    close_shift,
    end,
    entry_of,
    join,
    rearm,
    say,
    spent,
    void,
)
from authd.core.seat.state import S, Seat, resting


def add_reader(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, ReaderUp)
    up = entry_of(seat, Kind.READER_AVAILABLE, now, data={"reader": event.reader})
    seat = seat._replace(readers=seat.readers | {event.reader})
    if seat.state is S.OUT_OF_SERVICE:
        seat = say(seat, resting(seat))
    if seat.verification is not None and seat.verification.captured_at is None:
        seat = seat._replace(verification=None)  # this reader does not know the nonce the others were armed with
    return seat, (Write(up), *arms(seat))


def drop_reader(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, ReaderDown)
    lost = entry_of(seat, Kind.READER_LOST, now, data={"reader": event.reader, "why": event.why})
    stays = tuple(stay for stay in seat.stays if stay.what[0] != event.reader)
    prompt = None if seat.prompt is not None and seat.prompt[0] == event.reader else seat.prompt
    return seat._replace(readers=seat.readers - {event.reader}, stays=stays, prompt=prompt), (Write(lost),)


def drop_last_reader(seat: Seat, event: Event, now: Instant) -> Outcome:
    seat, effects = drop_reader(seat, event, now)
    return say(cleared(seat), Message.READER_LOST), effects


def drop_verifying_reader(seat: Seat, event: Event, now: Instant) -> Outcome:
    seat, effects = drop_reader(seat, event, now)
    return join(rearm(say(seat, resting(seat))), effects)


def stir(seat: Seat, event: Event, now: Instant) -> Outcome:
    return seat._replace(watch=presence.active(seat.watch, now)), NOTHING


def drop_step_up(seat: Seat, event: Event, now: Instant) -> Outcome:
    return say(seat._replace(step_up=None), Message.START), NOTHING


def sense(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Sensed)
    owner = seat.owner
    fading = owner is not None and presence.absence_fades(seat.watch, owner.limits, now)
    return seat._replace(watch=presence.sensed(seat.watch, event.present, now, fading=fading)), NOTHING


def keep_by_activity(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert seat.owner is not None
    kept = entry_of(seat, Kind.SESSION_KEPT, now, seat.owner, data={"by": "activity"})
    return say(seat._replace(watch=presence.active(seat.watch, now)), Message.KEPT), (Write(kept),)


def end_by_press(seat: Seat, event: Event, now: Instant) -> Outcome:
    return end(seat, EndReason.LOCK, now)


def cancel(seat: Seat, event: Event, now: Instant) -> Outcome:
    return rearm(say(cleared(seat), Message.LOCKED, now))


def end_revoked(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Revoked)
    seat, effects = end(seat, EndReason.REVOKED, now)
    return join(close_shift(seat, event.subject, now), effects)


def end_elsewhere(seat: Seat, event: Event, now: Instant) -> Outcome:
    return end(seat, EndReason.ELSEWHERE, now, Message.MOVED_AWAY)


def end_by_policy(seat: Seat, event: Event, now: Instant) -> Outcome:
    return end(seat, EndReason.POLICY, now, Message.REFUSED)


def void_locked(seat: Seat, event: Event, now: Instant) -> Outcome:
    return void(seat, type(event).__name__.lower(), now)


def void_unrecorded(seat: Seat, event: Event, now: Instant) -> Outcome:
    return void(seat, "not recorded", now, Message.LEDGER_DOWN)


def lose_ledger(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, LedgerHealth)
    lost = None if event.healthy else seat.ledger_lost_at if seat.ledger_lost_at is not None else now
    seat = seat._replace(ledger_lost_at=lost)
    idle = seat.owner is None and seat.pending is None
    return (say(seat, resting(seat)) if idle else seat), NOTHING


def sleep(seat: Seat, event: Event, now: Instant) -> Outcome:
    """Lock before the machine sleeps; nothing is armed until it wakes."""
    seat = seat._replace(asleep=True)
    seat, effects = end_whatever(seat, EndReason.LOCK, now, Message.LOCKED)
    return seat._replace(verification=None), effects


def wake(seat: Seat, event: Event, now: Instant) -> Outcome:
    """Nobody has sat here through a sleep, also where no warning of it came; the readers need a new arming."""
    seat, effects = end_whatever(seat._replace(asleep=False), EndReason.LOCK, now, Message.LOCKED)
    return join(rearm(seat), effects)


def leave(seat: Seat, event: Event, now: Instant) -> Outcome:
    """Nobody sits where nothing would cover what they leave on the screen; nothing is armed until that is mended."""
    seat = seat._replace(left=True)
    seat, effects = end_whatever(seat, EndReason.FAULT, now, Message.UNATTENDED)
    return seat._replace(verification=None, message_until=None), effects


def attend(seat: Seat, event: Event, now: Instant) -> Outcome:
    seat = seat._replace(left=False)
    return rearm(say(seat, resting(seat)))


def lend(seat: Seat, event: Event, now: Instant) -> Outcome:
    """Whatever was asked at the seat is not asked of an enrolment; what a session is bound to stays bound."""
    seat = seat._replace(claim=None, ladder=None, prompt=None, stays=spent(seat))
    return seat._replace(lent=True, verification=None), NOTHING


def take_back(seat: Seat, event: Event, now: Instant) -> Outcome:
    return rearm(seat._replace(lent=False))


def fail(seat: Seat, event: Event, now: Instant) -> Outcome:
    seat, effects = end_whatever(seat, EndReason.FAULT, now, Message.FAULT)
    return join(rearm(seat), tuple(effect for effect in effects if not isinstance(effect, Arm)))


def shut(seat: Seat, event: Event, now: Instant) -> Outcome:
    seat = seat._replace(closed=True, readers=frozenset())
    seat, effects = end_whatever(seat, EndReason.SHUTDOWN, now, Message.FAULT)
    return seat._replace(verification=None), effects


def end_whatever(seat: Seat, reason: EndReason, now: Instant, message: Message) -> Outcome:
    if seat.owner is not None:
        return end(seat, reason, now, message)
    if seat.pending is not None:
        return void(seat, reason.value, now, message)
    return say(cleared(seat), message, now), NOTHING


def end_logged_out(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert seat.owner is not None
    subject = seat.owner.subject
    seat, effects = end(seat, EndReason.LOGOUT, now, Message.LOGGED_OUT)
    return join(close_shift(seat, subject, now), effects)


def log_out_after_lock(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert seat.last_touch is not None
    subject = seat.last_touch[1]
    return close_shift(say(seat._replace(last_touch=None), Message.LOGGED_OUT, now), subject, now)
