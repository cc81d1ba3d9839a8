"""The table: in which state, on which event, under which condition, what is done and where it leads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from authd.core.model import Instant, SeatState
from authd.core.seat import guards, keys, ladder, touches, world
from authd.core.seat.events import (
    Activity,
    Armed,
    Asking,
    Attended,
    Captured,
    Confirmed,
    Confirming,
    Elsewhere,
    Event,
    Failed,
    FingerDown,
    Held,
    HelpAsked,
    Hinted,
    Inserted,
    LedgerHealth,
    Lent,
    Named,
    NotRecorded,
    PolicyChanged,
    Pressed,
    ReaderDown,
    ReaderUp,
    Recorded,
    Resumed,
    Returned,
    Revoked,
    Sensed,
    Shutdown,
    StepUpAsked,
    StepUpDropped,
    Suspending,
    Throttled,
    Tick,
    TurnedDown,
    Unattended,
    Verdict,
    Withdrawn,
)
from authd.core.seat.session import NOTHING, Outcome, activate
from authd.core.seat.state import OWNED, S, Seat

Guard = Callable[[Seat, Event, Instant], bool]
Do = Callable[[Seat, Event, Instant], Outcome]


@dataclass(frozen=True, slots=True)
class Rule:
    """In one of `states`, on `event`, if `when` holds: `do`, then be in `to` (None: as before; HOME: see `_home`)."""

    states: tuple[SeatState, ...]
    event: type
    when: Guard
    do: Do
    to: SeatState | str | None


HOME = "home"
"""LOCKED, or OUT_OF_SERVICE while there is no reader to touch."""
CLOSED_STATES = (S.OUT_OF_SERVICE, S.LOCKED)
EVERY = tuple(SeatState)

# The first rule of a state and event whose guard holds is taken; none: the event changes nothing.
RULES: tuple[Rule, ...] = (
    Rule(EVERY, Tick, guards.always, lambda seat, event, now: (seat, NOTHING), None),
    # Readers come and go.
    Rule((S.OUT_OF_SERVICE,), ReaderUp, guards.not_closed, world.add_reader, S.LOCKED),
    Rule((S.LOCKED, S.VERIFYING, S.GRANTING, *OWNED), ReaderUp, guards.always, world.add_reader, None),
    Rule((S.LOCKED, S.VERIFYING), ReaderDown, guards.last_reader, world.drop_last_reader, S.OUT_OF_SERVICE),
    Rule((S.VERIFYING,), ReaderDown, guards.always, world.drop_verifying_reader, S.LOCKED),
    Rule(OWNED, ReaderDown, keys.rests_on_reader, keys.end_reader_down, HOME),
    Rule((S.GRANTING,), ReaderDown, keys.rests_on_reader, keys.void_reader_down, HOME),
    Rule((S.LOCKED, S.GRANTING, *OWNED), ReaderDown, guards.always, world.drop_reader, None),
    # Keys and cards come and go.
    Rule(EVERY, Inserted, guards.always, keys.insert, None),
    Rule(OWNED, Withdrawn, keys.may_come_back, keys.fade_withdrawn, S.FADING),
    Rule(OWNED, Withdrawn, keys.rests_on, keys.end_withdrawn, HOME),
    Rule((S.GRANTING,), Withdrawn, keys.rests_on, keys.void_withdrawn, HOME),
    Rule(EVERY, Withdrawn, guards.always, keys.withdraw, None),
    Rule((S.FADING,), Confirming, keys.came_back, keys.confirming, None),
    Rule((S.FADING,), Confirmed, keys.same_awake, keys.keep_confirmed, S.ACTIVE),
    Rule((S.FADING,), Confirmed, keys.same_again, keys.fade_on, None),
    Rule((S.FADING,), Confirmed, keys.confirmed, keys.end_unconfirmed, HOME),
    # What is asked at the screen: to type something, who is there, another person's touch.
    Rule((S.LOCKED, S.FADING, S.STEPPING_UP), Asking, keys.asks, keys.ask, None),
    Rule((S.LOCKED,), Named, ladder.can_ask, ladder.name, None),
    Rule((S.LOCKED,), HelpAsked, ladder.can_ask, ladder.ask_help, None),
    # A touch: armed, seen, captured.
    Rule((S.LOCKED, *OWNED), Armed, guards.can_listen, touches.arm, None),
    Rule((S.LOCKED,), FingerDown, guards.always, touches.reading, None),
    Rule((S.LOCKED,), Hinted, guards.always, touches.hint, None),
    Rule((S.LOCKED,), Captured, guards.awaited, touches.stamp, S.VERIFYING),
    Rule(OWNED, Captured, guards.awaited, touches.stamp, None),
    Rule((S.LOCKED, *OWNED), TurnedDown, guards.turned_down, touches.turn_down, None),
    Rule((S.VERIFYING,), Throttled, guards.current, touches.throttle, S.LOCKED),
    Rule(OWNED, Throttled, guards.current, touches.throttle, None),
    # A verdict where nobody sits.
    Rule((S.VERIFYING,), Verdict, ladder.vouches, ladder.take_vouch, S.LOCKED),
    Rule((S.VERIFYING,), Verdict, guards.permitted, touches.ask_ledger, S.GRANTING),
    Rule((S.VERIFYING,), Verdict, guards.unclear, touches.ask_another, S.LOCKED),
    Rule((S.VERIFYING,), Verdict, ladder.names, ladder.name_by_card, S.LOCKED),
    Rule((S.VERIFYING,), Verdict, guards.refused, touches.refuse, S.LOCKED),
    Rule((S.VERIFYING,), Verdict, guards.denied, touches.deny, S.LOCKED),
    Rule((S.VERIFYING,), Verdict, guards.current, touches.miss, S.LOCKED),
    # A verdict where somebody sits: first the owner's own touch, then another person's.
    Rule(OWNED, Verdict, guards.bounced, touches.ignore_bounce, None),
    Rule(OWNED, Verdict, guards.meant_to_lock, touches.lock_by_touch, HOME),
    Rule((S.ACTIVE,), Verdict, guards.by_owner, touches.ignore_bounce, None),
    Rule((S.FADING,), Verdict, guards.keeps, touches.keep_by_touch, S.ACTIVE),
    Rule((S.STEPPING_UP,), Verdict, guards.answers, touches.record_step_up, None),
    Rule((S.STEPPING_UP,), Verdict, guards.unclear, touches.ask_another, None),
    Rule((S.FADING, S.STEPPING_UP), Verdict, guards.by_owner, touches.refuse, None),
    Rule(OWNED, Verdict, guards.permitted, touches.hand_over, S.GRANTING),
    Rule(OWNED, Verdict, guards.unclear, touches.ask_another, None),
    Rule(OWNED, Verdict, guards.refused, touches.refuse, None),
    Rule(OWNED, Verdict, guards.denied, touches.deny, None),
    Rule(OWNED, Verdict, guards.current, touches.miss, None),
    # The ledger's answer.
    Rule((S.GRANTING,), Recorded, guards.ledger_lost, world.void_unrecorded, HOME),
    Rule((S.GRANTING,), Recorded, guards.pending_fresh, activate, S.ACTIVE),
    Rule((S.GRANTING,), Recorded, guards.pending_same, world.void_locked, HOME),
    Rule((S.GRANTING,), NotRecorded, guards.pending_same, world.void_unrecorded, HOME),
    Rule((S.STEPPING_UP,), Recorded, guards.step_up_same, touches.step_up_granted, S.ACTIVE),
    Rule((S.STEPPING_UP,), NotRecorded, guards.step_up_same, touches.step_up_failed, S.ACTIVE),
    # Holding the finger, or the button, ends session and shift.
    Rule(OWNED, Held, guards.held_by_owner, world.end_logged_out, HOME),
    Rule((S.LOCKED,), Held, guards.held_after_lock, world.log_out_after_lock, None),
    Rule(OWNED, Pressed, guards.logout, world.end_logged_out, HOME),
    Rule(OWNED, Pressed, guards.always, world.end_by_press, HOME),
    Rule((S.GRANTING,), Pressed, guards.always, world.void_locked, HOME),
    Rule((S.VERIFYING,), Pressed, guards.always, world.cancel, S.LOCKED),
    Rule((S.LOCKED,), Pressed, guards.awaits_another, world.cancel, None),
    # Is the owner there?
    Rule((S.ACTIVE, S.STEPPING_UP), Activity, guards.always, world.stir, None),
    Rule((S.FADING,), Activity, guards.fading_by_idle, world.keep_by_activity, S.ACTIVE),
    Rule(EVERY, Sensed, guards.always, world.sense, None),
    # Applications ask for a fresh touch.
    Rule((S.ACTIVE,), StepUpAsked, guards.always, touches.ask_step_up, S.STEPPING_UP),
    Rule(EVERY, StepUpAsked, guards.always, touches.decline_step_up, None),
    Rule((S.STEPPING_UP,), StepUpDropped, guards.step_up_open, world.drop_step_up, S.ACTIVE),
    # The world intervenes.
    Rule(OWNED, Revoked, guards.names_owner, world.end_revoked, HOME),
    Rule((S.GRANTING,), Revoked, guards.names_pending, world.void_locked, HOME),
    Rule(OWNED, Elsewhere, guards.names_owner, world.end_elsewhere, HOME),
    Rule((S.GRANTING,), Elsewhere, guards.names_pending, world.void_locked, HOME),
    Rule(OWNED, PolicyChanged, guards.always, world.end_by_policy, HOME),
    Rule((S.GRANTING,), PolicyChanged, guards.always, world.void_locked, HOME),
    Rule(EVERY, LedgerHealth, guards.always, world.lose_ledger, None),
    Rule(EVERY, Suspending, guards.always, world.sleep, HOME),
    Rule(EVERY, Resumed, guards.always, world.wake, HOME),
    Rule(EVERY, Unattended, guards.always, world.leave, HOME),
    Rule(EVERY, Attended, guards.was_left, world.attend, None),
    Rule((S.LOCKED, *OWNED), Lent, guards.always, world.lend, None),
    Rule(EVERY, Returned, guards.always, world.take_back, None),
    Rule(EVERY, Failed, guards.always, world.fail, HOME),
    Rule(EVERY, Shutdown, guards.always, world.shut, S.OUT_OF_SERVICE),
)


def _index() -> Mapping[SeatState, Mapping[type, tuple[Rule, ...]]]:
    table: dict[SeatState, dict[type, tuple[Rule, ...]]] = {state: {} for state in SeatState}
    for rule in RULES:
        for state in rule.states:
            table[state][rule.event] = (*table[state].get(rule.event, ()), rule)
    return table


TRANSITIONS = _index()
