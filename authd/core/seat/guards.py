"""May a rule apply? Each guard looks at one thing and changes nothing."""

from __future__ import annotations

from authd.core import presence
from authd.core.model import Candidate, Found, Instant, Miss, SeatState
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
    Throttled,
    Verdict,
)
from authd.core.seat.state import Seat, began_at, stale_at, waiting_first


def always(seat: Seat, event: Event, now: Instant) -> bool:
    return True


def last_reader(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, ReaderDown)
    return seat.readers <= {event.reader}


def not_closed(seat: Seat, event: Event, now: Instant) -> bool:
    return not seat.closed


def can_listen(seat: Seat, event: Event, now: Instant) -> bool:
    return not (seat.asleep or seat.closed or seat.lent)


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
    return good and current(seat, event, now) and bool(event.session) and _paired(seat, event.found)


def _paired(seat: Seat, found: Found) -> bool:
    """What rests on an earlier touch too is the second of that very pair."""
    first = seat.verification.first if seat.verification is not None else None
    named = found.evidence.first if isinstance(found, Candidate) else ""
    return not named or (first is not None and first.nonce == named)


def unclear(seat: Seat, event: Event, now: Instant) -> bool:
    """Another finger is wanted, and this is not the other finger already."""
    assert isinstance(event, Verdict)
    wanted = event.found is Miss.ANOTHER_FINGER and current(seat, event, now)
    return wanted and seat.verification is not None and seat.verification.first is None


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
    if not owner_permitted(seat, event, now):
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
    if seat.owner is None:
        return False
    stirred = presence.active(seat.watch, now)
    return presence.due(stirred, seat.owner.limits, seat.owner.shift_began).fades_at > now


def awaits_another(seat: Seat, event: Event, now: Instant) -> bool:
    return waiting_first(seat) is not None


def logout(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, Pressed)
    return event.logout
