"""Keys and cards: what is put in and taken out, the end or the short grace that follows, and what is to be typed."""

from __future__ import annotations

from dataclasses import replace

from authd.core import presence
from authd.core.model import Candidate, EndReason, Evidence, Hint, Instant, Kind, Message, Nonce
from authd.core.seat.effects import Confirm, Write
from authd.core.seat.events import Asking, Confirmed, Confirming, Event, Inserted, ReaderDown, Withdrawn
from authd.core.seat.session import NOTHING, Outcome, end, entry_of, fade, say, void
from authd.core.seat.state import MOST_STAYS, Removed, S, Seat, Stay, inserted, resting
from authd.core.seat.world import drop_reader

# What comes and goes.


def insert(seat: Seat, event: Event, now: Instant) -> Outcome:
    """Nothing is known of whose it is. Where a bound one is missed, this may be it."""
    assert isinstance(event, Inserted)
    what, removed = (event.reader, event.insertion), seat.removed
    if inserted(seat, what):
        return seat, NOTHING
    seat = seat._replace(stays=(*seat.stays[1 - MOST_STAYS :], Stay(what, now)))
    if removed is None or removed.again is not None or removed.what[0] != event.reader:
        return seat, NOTHING
    return seat._replace(removed=replace(removed, again=what)), (Confirm(event.reader, removed.reference),)


def withdraw(seat: Seat, event: Event, now: Instant) -> Outcome:
    """One that nothing rests on."""
    assert isinstance(event, Withdrawn)
    what = (event.reader, event.insertion)
    seat = _without(seat, event)
    if seat.removed is not None and seat.removed.again == what:
        seat = seat._replace(removed=replace(seat.removed, again=None, nonce=Nonce("")))
    return seat, NOTHING


def end_withdrawn(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Withdrawn)
    return end(_without(seat, event), EndReason.REMOVAL, now, Message.REMOVED)


def fade_withdrawn(seat: Seat, event: Event, now: Instant) -> Outcome:
    """The seat fades at once, and locks unless the very same credential says in time that it is back."""
    assert isinstance(event, Withdrawn)
    owner, what = seat.owner, (event.reader, event.insertion)
    assert owner is not None
    removed = Removed(what, _reference(owner.evidence, what), Instant(now + owner.limits.removal))
    seat, effects = fade(_without(seat, event), owner, EndReason.REMOVAL, now)
    return seat._replace(removed=removed), effects


def void_withdrawn(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Withdrawn)
    return void(_without(seat, event), "removal", now, Message.REMOVED)


def end_reader_down(seat: Seat, event: Event, now: Instant) -> Outcome:
    """What is in there cannot be seen any more."""
    seat, before = drop_reader(seat, event, now)
    seat, effects = end(seat, EndReason.REMOVAL, now, Message.REMOVED)
    return seat, before + effects


def void_reader_down(seat: Seat, event: Event, now: Instant) -> Outcome:
    seat, before = drop_reader(seat, event, now)
    seat, effects = void(seat, "removal", now, Message.REMOVED)
    return seat, before + effects


def _without(seat: Seat, event: Withdrawn) -> Seat:
    what = (event.reader, event.insertion)
    hint = None if seat.hint is Hint.TOUCH_THE_KEY else seat.hint
    return seat._replace(stays=tuple(stay for stay in seat.stays if stay.what != what), hint=hint)


def _reference(seen: Evidence, what: tuple[str, str]) -> str:
    """Which credential was in there."""
    held = dict(zip(seen.bound, seen.held, strict=False))
    return next((reference for bound, reference in held.items() if bound == what), seen.reference)


# Whether what came back is the same.


def confirming(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Confirming)
    assert seat.removed is not None
    return seat._replace(removed=replace(seat.removed, nonce=event.nonce)), NOTHING


def keep_confirmed(seat: Seat, event: Event, now: Instant) -> Outcome:
    """The same credential in a new stay: the session is bound to this one now. Nobody has touched anything."""
    assert isinstance(event, Confirmed)
    assert seat.owner is not None
    removed = seat.removed
    assert removed is not None
    assert removed.again is not None
    again, seen = removed.again, seat.owner.evidence
    bound = tuple(again if what == removed.what else what for what in seen.bound)
    owner = replace(seat.owner, evidence=replace(seen, bound=bound))
    kept = entry_of(seat, Kind.SESSION_KEPT, now, owner, data={"by": "key", "reader": again[0]})
    return say(seat._replace(owner=owner, removed=None), Message.KEPT), (Write(kept),)


def fade_on(seat: Seat, event: Event, now: Instant) -> Outcome:
    """The key is back, and idle or absence had begun to fade too: a key that stays is not presence."""
    seat, effects = keep_confirmed(seat, event, now)
    return say(seat, Message.FADING), effects


def end_unconfirmed(seat: Seat, event: Event, now: Instant) -> Outcome:
    return end(seat, EndReason.REMOVAL, now, Message.REMOVED)


def same_again(seat: Seat, event: Event, now: Instant) -> bool:
    """The owner's very credential, in the stay that was asked, which goes on."""
    assert isinstance(event, Confirmed)
    removed, owner, found = seat.removed, seat.owner, event.found
    if not confirmed(seat, event, now) or removed is None or removed.again is None or owner is None:
        return False
    if not isinstance(found, Candidate) or found.subject != owner.subject:
        return False
    seen = found.evidence
    same = seen.reference == removed.reference and seen.bound == (removed.again,)
    return same and inserted(seat, removed.again)


def same_awake(seat: Seat, event: Event, now: Instant) -> bool:
    """And nothing else had begun to fade."""
    if not same_again(seat, event, now) or seat.owner is None:
        return False
    return presence.due(seat.watch, seat.owner.limits, seat.owner.shift_began).fades_at > now


def confirmed(seat: Seat, event: Event, now: Instant) -> bool:
    """An answer to what was asked last."""
    assert isinstance(event, Confirmed)
    return seat.removed is not None and bool(event.nonce) and seat.removed.nonce == event.nonce


def came_back(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, Confirming)
    return seat.removed is not None and seat.removed.again is not None and not seat.removed.nonce


# What anything rests on.


def rests_on(seat: Seat, event: Event, now: Instant) -> bool:
    """The session, or the grant that waits for the ledger, is bound to this stay."""
    assert isinstance(event, Withdrawn)
    return (event.reader, event.insertion) in _bound(seat)


def may_come_back(seat: Seat, event: Event, now: Instant) -> bool:
    """The settings give a grace, and nothing else is missed already."""
    graced = seat.owner is not None and seat.owner.limits.removal > 0 and seat.removed is None
    return graced and rests_on(seat, event, now)


def rests_on_reader(seat: Seat, event: Event, now: Instant) -> bool:
    assert isinstance(event, ReaderDown)
    return any(reader == event.reader for reader, _ in _bound(seat))


def _bound(seat: Seat) -> tuple[tuple[str, str], ...]:
    session = seat.owner if seat.owner is not None else seat.pending
    return session.evidence.bound if session is not None else ()


# What is to be typed.


def asks(seat: Seat, event: Event, now: Instant) -> bool:
    """One of the seat's readers, and they are not lent; or it asks no more."""
    assert isinstance(event, Asking)
    if event.prompt is None:
        return seat.prompt is not None and seat.prompt[0] == event.reader
    return event.reader in seat.readers and seat.verification is not None and not seat.lent


def ask(seat: Seat, event: Event, now: Instant) -> Outcome:
    assert isinstance(event, Asking)
    seat = seat._replace(prompt=None if event.prompt is None else (event.reader, event.prompt))
    return (say(seat, resting(seat)) if seat.state is S.LOCKED else seat), NOTHING
