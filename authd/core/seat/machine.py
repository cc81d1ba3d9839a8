"""The interpreter of the table. Pure; the daemon and the simulator run this very object.

Two rules, which everything beneath keeps:
1. Time comes first. Before an event is looked at, every limit that has passed takes effect, so that no late event
   (a suspend lies between, a queue was slow) can lengthen a session.
2. One function starts a session (`session.activate`), one ends it (`session.end`), and what the screen shows is
   computed from the state, never sent beside it.
"""

from __future__ import annotations

from authd.core import presence
from authd.core.model import EndReason, Instant, Message, SeatState, Session
from authd.core.seat.effects import Arm, Effect, Show, StepUpDone
from authd.core.seat.events import Event
from authd.core.seat.ladder import withdrawn_help
from authd.core.seat.session import (
    NOTHING,
    Outcome,
    close_shift,
    ended_home,
    fade,
    forget_first,
    join,
    say,
    unsuccessful,
    void,
)
from authd.core.seat.state import (
    LEDGER_GRACE,
    VERDICT_WITHIN,
    S,
    Seat,
    face_of,
    home,
    looks,
    overdue,
    resting,
    stale_at,
    waiting_first,
    waits_until,
)
from authd.core.seat.table import HOME, TRANSITIONS, Rule


def step(seat: Seat, event: Event, now: Instant) -> Outcome:
    """Apply one event at one instant: first the time that has passed, then the event by the table."""
    settled, effects = _settle(seat, now)
    for rule in TRANSITIONS[settled.state].get(type(event), ()):
        if rule.when(settled, event, now):
            after, more = rule.do(settled, event, now)
            settled, effects = _moved(after, _target(rule, after)), effects + more
            break
    if seat.prompt is not None:
        settled = _unprompted(seat, settled)
    return settled, _arm_last(effects + _shown(seat, settled, now))


# Time.


def _settle(seat: Seat, now: Instant) -> Outcome:
    """Let every limit that has passed take effect."""
    effects: tuple[Effect, ...] = ()
    if seat.owner is not None:
        seat, effects = _settle_owner(seat, seat.owner, now)
    if seat.pending is not None and now >= stale_at(seat.pending):
        seat, effects = join(void(seat, "stale", now), effects)
        seat = seat._replace(state=home(seat))
    waiting = seat.verification
    if waiting is not None and waiting.captured_at is not None and now >= waiting.captured_at + VERDICT_WITHIN:
        seat, effects = join(unsuccessful(seat._replace(state=_unverified(seat)), Message.FAULT, now), effects)
    first = waiting_first(seat)
    if first is not None and now >= waits_until(first):
        seat = forget_first(seat)
    if overdue(seat, seat.claim, now):
        seat = seat._replace(claim=None)
    if overdue(seat, seat.ladder, now):
        seat = withdrawn_help(seat)
    if seat.message_until is not None and now >= seat.message_until:
        seat = seat._replace(message=resting(seat), message_until=None, hint=None, misses=0)
    return seat, effects


def _settle_owner(seat: Seat, owner: Session, now: Instant) -> Outcome:
    due = presence.due(seat.watch, owner.limits, owner.shift_began)
    lost = seat.ledger_lost_at
    if now >= due.ends_at:
        return _run_out(seat, owner, due.reason, now)
    if overdue(seat, seat.removed, now):
        return ended_home(seat, EndReason.REMOVAL, now, Message.REMOVED)
    if lost is not None and now >= lost + LEDGER_GRACE:
        return ended_home(seat, EndReason.FAULT, now, Message.LEDGER_DOWN)
    effects: tuple[Effect, ...] = ()
    if seat.step_up is not None and now >= seat.step_up.until:
        effects = (StepUpDone(seat.step_up.id, granted=False),)
        seat = seat._replace(step_up=None, state=S.ACTIVE, message=Message.START)
    if now >= due.fades_at and seat.state is not S.FADING:
        seat, effects = join(fade(seat, owner, due.reason, now), effects)
    return seat, effects


def _run_out(seat: Seat, owner: Session, reason: EndReason, now: Instant) -> Outcome:
    """A session that ends by the age of its shift ends the shift too: else every later one would end at its start."""
    seat, effects = ended_home(seat, reason, now)
    of_shift = reason is EndReason.EXPIRED and not owner.break_glass
    return join(close_shift(seat, owner.subject, now), effects) if of_shift else (seat, effects)


def _unverified(seat: Seat) -> SeatState:
    return home(seat) if seat.state is S.VERIFYING else seat.state


def _unprompted(before: Seat, seat: Seat) -> Seat:
    """What was asked for an operation that is over, or behind another picture, is not asked any more."""
    asked, now_asked = before.verification, seat.verification
    same = asked is not None and now_asked is not None and asked.nonce == now_asked.nonce
    if (same and before.state is seat.state) or seat.prompt is not before.prompt:
        return seat
    seat = seat._replace(prompt=None)
    return say(seat, resting(seat)) if seat.message is Message.PIN else seat


def _shown(before: Seat, seat: Seat, now: Instant) -> tuple[Effect, ...]:
    same = before is seat or looks(before) == looks(seat)
    return NOTHING if same else (Show(face_of(seat, now)),)


def _arm_last(effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
    """Arm once, after the picture: `Armed` is a step of its own, and what it shows must not be painted over."""
    arming = [effect for effect in effects if isinstance(effect, Arm)]
    if not arming:
        return effects
    return (*(effect for effect in effects if not isinstance(effect, Arm)), arming[-1])


def _moved(seat: Seat, state: SeatState) -> Seat:
    return seat if seat.state is state else seat._replace(state=state)


def _target(rule: Rule, seat: Seat) -> SeatState:
    if rule.to == HOME:
        return home(seat)
    return seat.state if rule.to is None else SeatState(rule.to)
