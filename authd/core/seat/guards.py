"""May a rule apply? Each guard looks at one thing and changes nothing."""

from __future__ import annotations

from authd.core import presence
from authd.core.model import Action, Candidate, Denied, Instant, Message, Miss, Rung, SeatState
from authd.core.seat.events import (
    Captured,
    Elsewhere,
    Event,
    Held,
    NotRecorded,
    Pressed,
    ReaderDown,
    Recorded,
    Revoked,
    StepUpDropped,
    Throttled,
    TurnedDown,
    Verdict,
)
from authd.core.seat.state import Seat, began_at, inserted, stale_at, waiting_first


def always(seat: Seat, event: Event, now: Instant) -> bool:
    return True


def last_reader(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, ReaderDown)
    return seat.readers <= {event.reader}


def not_closed(seat: Seat, event: Event, now: Instant) -> bool:
    return not seat.closed


def can_listen(seat: Seat, event: Event, now: Instant) -> bool:
    return not (seat.asleep or seat.closed or seat.lent or seat.left)


def was_left(seat: Seat, event: Event, now: Instant) -> bool:
    return seat.left


def awaited(seat: Seat, event: Event, now: Instant) -> bool:
    """A sample under the armed nonce, the first one: late, repeated and foreign ones fall through."""
    assert isinstance(event, Captured)
    open_ = seat.verification
    return open_ is not None and open_.nonce == event.nonce and open_.captured_at is None


def current(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, Verdict | Throttled)
    open_ = seat.verification
    return open_ is not None and open_.nonce == event.nonce and open_.captured_at is not None


def permitted(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, Verdict)
    good = isinstance(event.found, Candidate) and event.decision is not None and event.decision.permitted
    good = good and event.action is not Action.VOUCH  # a colleague's word opens nothing
    return good and current(seat, event, now) and bool(event.session) and _paired(seat, event) and _here(seat, event)


def _paired(seat: Seat, event: Verdict) -> bool:
    """What rests on an earlier touch too is the second of that very pair."""
    assert isinstance(event.found, Candidate)
    first, seen = seat.verification.first if seat.verification is not None else None, event.found.evidence
    known = (first.nonce, first.before) if first is not None else ()
    own = seen.nonce == event.nonce or (_second_person(event) and seen.nonce in known)
    return own and (not seen.first or seen.first in known or seen.nonce != event.nonce)


def _second_person(event: Verdict) -> bool:
    """The last touch was the second of two people's."""
    by = event.helper
    return by is not None and by.rung is Rung.BREAK_GLASS and by.evidence.nonce == event.nonce


def _here(seat: Seat, event: Verdict) -> bool:
    """What the session would be bound to has not been taken out meanwhile."""
    assert isinstance(event.found, Candidate)
    return all(inserted(seat, what) for what in event.found.evidence.bound)


def unclear(seat: Seat, event: Event, now: Instant) -> bool:
    """Another touch is wanted: a finger after an unclear one, a factor or a person after somebody who is known."""
    assert isinstance(event, Verdict)
    if not current(seat, event, now) or seat.verification is None:
        return False
    if isinstance(event.found, Candidate):
        return event.decision is not None and event.decision.another_factor and not event.decision.permitted
    first = seat.verification.first
    return event.found is Miss.ANOTHER_FINGER and (first is None or first.wants is not Message.ANOTHER_FINGER)


def denied(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, Verdict)
    return isinstance(event.found, Denied) and current(seat, event, now)


def turned_down(seat: Seat, event: Event, now: Instant) -> bool:
    """Of what the readers wait for now."""
    assert isinstance(event, TurnedDown)
    open_ = seat.verification
    return open_ is not None and open_.nonce == event.nonce and open_.captured_at is None


def refused(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, Verdict)
    return isinstance(event.found, Candidate) and current(seat, event, now)


def by_owner(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, Verdict)
    found = event.found
    same = isinstance(found, Candidate) and seat.owner is not None and found.subject == seat.owner.subject
    return same and current(seat, event, now)


def bounced(seat: Seat, event: Event, now: Instant) -> bool:
    """The owner's second touch right after the first one: a nervous finger, not a wish."""
    if not by_owner(seat, event, now) or _meant(seat) is SeatState.STEPPING_UP:
        return False
    assert seat.owner is not None
    assert seat.verification is not None
    assert seat.verification.captured_at is not None
    return seat.verification.captured_at - seat.owner.granted_at < seat.owner.limits.bounce


def meant_to_lock(seat: Seat, event: Event, now: Instant) -> bool:
    """The owner's touch of a seat that asked for nothing."""
    return by_owner(seat, event, now) and _meant(seat) is SeatState.ACTIVE


def answers(seat: Seat, event: Event, now: Instant) -> bool:
    """The owner's touch after this step-up was asked for: one before it was meant for something else."""
    if not owner_permitted(seat, event, now):
        return False
    assert seat.verification is not None
    return seat.step_up is not None and began_at(seat.verification) > seat.step_up.asked_at


def _meant(seat: Seat) -> SeatState | None:
    return seat.verification.meant if seat.verification is not None else None


def owner_permitted(seat: Seat, event: Event, now: Instant) -> bool:
    return by_owner(seat, event, now) and permitted(seat, event, now)


def keeps(seat: Seat, event: Event, now: Instant) -> bool:
    """A touch takes back idle and absence, but no touch makes a shift longer."""
    if not owner_permitted(seat, event, now) or seat.removed is not None:
        return False
    assert seat.owner is not None
    return presence.due(presence.touched(seat.watch, now), seat.owner.limits, seat.owner.shift_began).fades_at > now


def pending_fresh(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, Recorded)
    return seat.pending is not None and seat.pending.id == event.id and now < stale_at(seat.pending)


def ledger_lost(seat: Seat, event: Event, now: Instant) -> bool:
    """A row came through, but the ledger says it cannot be relied on: the session would have to end at once."""
    return seat.ledger_lost_at is not None and pending_same(seat, event, now)


def pending_same(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, NotRecorded | Recorded)
    return seat.pending is not None and seat.pending.id == event.id


def step_up_same(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, Recorded | NotRecorded)
    return seat.step_up is not None and seat.step_up.recording and seat.step_up.id == event.id


def step_up_open(seat: Seat, event: Event, now: Instant) -> bool:
    """Nobody has answered it yet: what the ledger is being told of goes on."""
    assert isinstance(event, StepUpDropped)
    return seat.step_up is not None and not seat.step_up.recording and seat.step_up.id == event.id


def names_owner(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, Revoked | Elsewhere)
    return seat.owner is not None and seat.owner.subject == event.subject


def names_pending(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, Revoked | Elsewhere)
    return seat.pending is not None and seat.pending.subject == event.subject


def held_by_owner(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, Held)
    return seat.owner is not None and seat.last_touch == (event.nonce, seat.owner.subject)


def held_after_lock(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, Held)
    return seat.last_touch is not None and seat.last_touch[0] == event.nonce


def fading_by_idle(seat: Seat, event: Event, now: Instant) -> bool:
    """Activity takes back an idle fade only: after an absence, who knows whose hands these are."""
    if seat.owner is None or seat.removed is not None:
        return False
    stirred = presence.active(seat.watch, now)
    return presence.due(stirred, seat.owner.limits, seat.owner.shift_began).fades_at > now


def awaits_another(seat: Seat, event: Event, now: Instant) -> bool:
    """Something is asked here that a lock takes back."""
    asked = waiting_first(seat) is not None or seat.ladder is not None or seat.claim is not None
    return asked or any(not stay.used for stay in seat.stays)


def logout(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, Pressed)
    return event.logout
