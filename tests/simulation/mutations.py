"""Bugs sown on purpose, each of which the oracle must find: a table of names, and what each breaks while it lasts."""

# What is replaced is private and of every shape:
# pyright: basic, reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from authd.core import charges, fits, host, judge, pipeline, presence, throttle
from authd.core import seat as face
from authd.core.factors import join, with_factor
from authd.core.judge import Judge, Judged
from authd.core.model import (
    Acr,
    Candidate,
    Decision,
    Evidence,
    Factor,
    Grade,
    Helper,
    Instant,
    Kind,
    Limits,
    Miss,
    Rung,
)
from authd.core.pipeline import Pipeline
from authd.core.ports import Sample
from authd.core.seat import (
    Attended,
    BeginShift,
    Elsewhere,
    Failed,
    Pressed,
    ReaderDown,
    Resumed,
    Revoked,
    Seat,
    StepUpDropped,
    Suspending,
    Tick,
    Unattended,
    Verdict,
    Withdrawn,
    Write,
    guards,
    keys,
    ladder,
    machine,
    session,
    state,
    table,
    touches,
    world,
)
from authd.core.seat.session import NOTHING, Outcome
from authd.core.seat.state import S
from authd.core.seat.table import Rule
from tests.simulation import ports

FOR_EVER = 1 << 62
Sown = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One bug."""

    name: str
    sow: Sown


@contextmanager
def _rules(change: Callable[[Rule], Rule | None]) -> Generator[None]:
    """The table with some rules changed, or left out."""
    changed = tuple(new for rule in table.RULES if (new := change(rule)) is not None)
    with patch.object(table, "RULES", changed), patch.object(machine, "TRANSITIONS", table._index()):
        yield


def _without(event: type, *when: object) -> Sown:
    """No rule for this event; with these guards, if any are named."""
    return lambda: _rules(lambda rule: None if rule.event is event and (not when or rule.when in when) else rule)


def _doing(do: object, instead: Callable[..., Outcome]) -> Sown:
    return lambda: _rules(lambda rule: replace(rule, do=instead) if rule.do is do else rule)


def _when(guard: object, instead: Callable[..., bool]) -> Sown:
    return lambda: _rules(lambda rule: replace(rule, when=instead) if rule.when is guard else rule)


def _set(where: object, name: str, value: object) -> Sown:
    return lambda: patch.object(where, name, value)


@contextmanager
def _all(*sown: AbstractContextManager[Any]) -> Generator[None]:
    if not sown:
        yield
        return
    with sown[0], _all(*sown[1:]):
        yield


def _together(*sown: Sown) -> Sown:
    return lambda: _all(*(each() for each in sown))


# What some of them do instead.


def _no_nonce(seat: Seat, event: Any, now: Instant) -> bool:
    return seat.verification is not None and seat.verification.captured_at is not None


def _current_anew(instead: Callable[..., bool]) -> Sown:
    return _together(_set(guards, "current", instead), _when(guards.current, instead))


def _listens_left(seat: Seat, event: Any, now: Instant) -> bool:
    return guards.can_listen(seat._replace(left=False), event, now)


def _arms_left(seat: Seat) -> tuple[Any, ...]:
    return _ARMS(seat._replace(left=False))


def _leaves_no_grant(rule: Rule) -> Rule:
    if rule.event is not Unattended:
        return rule
    return replace(rule, states=tuple(state for state in rule.states if state is not S.GRANTING))


_ARMS = session.arms


def _twice(seat: Seat, event: Any, now: Instant) -> Outcome:
    seat, effects = session.activate(seat, event, now)
    return seat, effects + tuple(each for each in effects if isinstance(each, Write))


def _started_first(seat: Seat, event: Any, now: Instant) -> Outcome:
    seat, effects = session.activate(seat, event, now)
    return seat, tuple(sorted(effects, key=lambda each: not isinstance(each, Write)))


def _silent(of: Callable[..., Outcome], kind: Kind) -> Callable[..., Outcome]:
    def silent(*args: Any, **more: Any) -> Outcome:
        seat, effects = of(*args, **more)
        return seat, tuple(each for each in effects if not (isinstance(each, Write) and each.entry.kind is kind))

    return silent


def _everywhere(name: str, instead: object) -> Sown:
    """In every module that has imported it."""
    modules = [module for module in (session, touches, world, machine) if hasattr(module, name)]
    return _together(*(_set(module, name, instead) for module in modules))


def _take_over(seat: Seat, event: Any, now: Instant) -> Outcome:
    return touches.ask_ledger(seat._replace(owner=None, step_up=None), event, now)


async def _record_late(self: Pipeline, seat: Any, entry: Any, id_: str) -> None:
    self.feed(seat, face.Recorded(id_))
    await _RECORD(self, seat, entry, id_)


_RECORD, _EVIDENCE = Pipeline.record, session.evidence
_STEP, _SETTLE = face.step, machine._settle


@contextmanager
def _event_first() -> Generator[None]:
    """Time is let pass at ticks only."""
    ticking = [False]

    def step(seat: Seat, event: Any, now: Instant) -> Outcome:
        ticking[0] = isinstance(event, Tick)
        return _STEP(seat, event, now)

    def settle(seat: Seat, now: Instant) -> Outcome:
        return _SETTLE(seat, now) if ticking[0] else (seat, NOTHING)

    with patch.object(machine, "_settle", settle), patch.object(face, "step", step):
        yield


def _refunding(when: Miss) -> Callable[..., Any]:
    async def refund(self: charges.Charges, seat: Any, sample: Any, paid: Any, found: Any) -> Any:
        return await _AFTER(self, seat, sample, paid, Miss.UNAVAILABLE if paid is not None and found is when else found)

    return refund


async def _clear_all(self: charges.Charges, seat: Any, sample: Any, paid: Any, found: Any) -> Any:
    if isinstance(found, Candidate):
        self._known.clear()
    return await _AFTER(self, seat, sample, paid, found)


async def _pay_nothing(self: charges.Charges, sample: Any, paid: Any = None) -> Any:
    owed = self._of(throttle.claim_key(sample.claim)) if sample.claim is not None else None
    return charges.Paid(owed, owed) if owed is not None else paid


async def _pay_later(self: charges.Charges, seat: Any, sample: Any, paid: Any, found: Any) -> Any:
    if sample.claim is not None and found in (Miss.NOT_CLAIMED, Miss.NOBODY, Miss.REPLAYED, Miss.ANOTHER_FINGER):
        await self._save(throttle.claim_key(sample.claim), throttle.charge_claim(paid.before, self._clock.now()))
        return paid
    return await _AFTER(self, seat, sample, paid, found)


_AFTER = charges.Charges.after


async def _load_nothing(self: charges.Charges) -> None:
    pass


def _stamp_again(self: Pipeline, seat: Any, sample: Any) -> bool:
    self.feed(seat, face.Captured(sample.nonce))
    open_ = self.seats[seat].verification
    return open_ is not None and open_.nonce == sample.nonce and open_.captured_at is not None


def _hear_anywhere(self: Pipeline, seat: Any, heard: Any) -> None:
    if type(heard) is Sample:
        if self._stamp(seat, heard):
            self.spawn(seat, self._touch(seat, heard, self._first(seat, heard)))
    else:
        _HEAR(self, seat, heard)


_HEAR = Pipeline._hear_finger


def _first_of(self: Pipeline, seat: Any, sample: Any) -> Any:
    """Whatever was kept for this seat, and it is kept for ever."""
    return self._firsts.get(seat, pipeline._NONE)


def _first_of_the_host(self: Pipeline, seat: Any, sample: Any) -> Any:
    return self._firsts.popitem()[1] if self._firsts else pipeline._NONE


def _ask_one(self: Pipeline, seat: Any, sample: Any, first: Any) -> Any:
    return replace(_ASKED(self, seat, sample, first), fingers=1)


_ASKED = Pipeline._asked


def _tell_first(self: Pipeline, entry: Any) -> None:
    self.ports.publish.event(entry)
    self.ports.ledger.write(entry)


async def _recover_nothing(self: ports.Life) -> Any:
    return ()


_DUE, _ACTIVE, _TOUCHED = presence.due, presence.active, presence.touched


def _due_without(**limits: int) -> Callable[..., Any]:
    return lambda watch, limited, began: _DUE(watch, replace(limited, **limits), began)


def _just_wake(seat: Seat, event: Any, now: Instant) -> Outcome:
    return session.rearm(seat._replace(asleep=False))


# Of two factors, helpers, and what must stay.


def _half(self: Judge, seat: Any, sample: Any, found: Any, first: Any) -> Verdict:
    told = _VERDICT(self, seat, sample, found, first)
    if told.decision is None or not told.decision.another_factor:
        return told
    return replace(told, decision=replace(told.decision, permitted=True, another_factor=False))


def _seat_says(self: Judge, seat: Any, found: Any, first: Any) -> Judged:
    return _JUDGE(self, seat, with_factor(found, Factor.SEAT_KEY), first)


def _sign_everything(self: Judge, seat: Any, action: Any, found: Any, helper: Any = None) -> Any:
    seen = replace(found.evidence, grade=Grade.SIGNED)
    return _DECIDE(self, seat, action, replace(found, evidence=seen), helper)


def _second_persons(self: Judge, seat: Any, found: Any, first: Any) -> Judged:
    judged = _GLASS(self, seat, found, first)
    return judged if judged.helper is None else replace(judged, found=found)


def _alone(self: Judge, seat: Any, found: Any, first: Any) -> Judged:
    judged = _GLASS(self, seat, found, first)
    if not judged.decision.another_factor:
        return judged
    decision = replace(judged.decision, permitted=True, another_factor=False)
    return replace(judged, decision=decision, helper=Helper(found.subject, Rung.BREAK_GLASS, found.evidence))


_VERDICT, _JUDGE, _DECIDE, _GLASS = Judge.verdict, Judge._judge, Judge._decide, Judge._break_glass


def _hear_silence(self: Pipeline, seat: Any, sample: Any) -> None:
    _HEAR_SAMPLE(self, seat, replace(sample, silent=False))


_HEAR_SAMPLE = Pipeline._hear_sample


def _keep_ladder(seat: Seat) -> Seat:
    return _CLEARED(seat)._replace(ladder=seat.ladder)


_CLEARED = session.cleared


def _permit_vouch(seat: Seat, event: Any, now: Instant) -> bool:
    return _permit_all(seat, event, now) and event.decision is not None and event.decision.permitted


def _begin_shift(seat: Seat, event: Any, now: Instant) -> Outcome:
    seat, effects = session.activate(seat, event, now)
    return seat, (*effects, BeginShift(seat.owner)) if seat.owner is not None else effects


def _ask_one_factor(seat: Seat, event: Any, now: Instant) -> Outcome:
    return touches.ask_step_up(seat, replace(event, acr=Acr.ONE), now)


def _void_no_removal(rule: Rule) -> Rule | None:
    return None if rule.event is Withdrawn and _not_pending(rule) else rule


def _fades_by_idle(seat: Seat, event: Any, now: Instant) -> bool:
    return guards.fading_by_idle(seat._replace(removed=None), event, now)


def _join_unbound(first: Any, second: Any) -> Candidate:
    both = join(first, second)
    return replace(both, evidence=replace(both.evidence, bound=second.evidence.bound, held=()))


def _permit_all(seat: Seat, event: Any, now: Instant) -> bool:
    return isinstance(event, Verdict) and isinstance(event.found, Candidate) and guards.current(seat, event, now)


def _not_pending(rule: Rule) -> bool:
    return rule.states == (S.GRANTING,)


MUTATIONS: tuple[Mutation, ...] = (
    # I1
    Mutation("any nonce will do", _current_anew(_no_nonce)),
    Mutation(
        "a verdict before its capture",
        _current_anew(lambda seat, event, now: (seat.verification or event).nonce == event.nonce),
    ),
    Mutation(
        "freshness is not checked at the grant",
        _together(
            _when(guards.pending_fresh, guards.pending_same),
            _set(machine, "stale_at", lambda asked: FOR_EVER),
            _set(state, "stale_at", lambda asked: FOR_EVER),
        ),
    ),
    Mutation("a grant does not wait for the ledger", _set(Pipeline, "record", _record_late)),
    Mutation("a lock does not cancel the verification", _without(Pressed, guards.always)),
    Mutation("a crossed answer is believed", _set(pipeline, "fits", lambda found, sample, scope, asked: True)),
    Mutation("a sample of another seat's reader will do", _set(Pipeline, "_hear_finger", _hear_anywhere)),
    Mutation("one nonce for many samples", _set(Pipeline, "_stamp", _stamp_again)),
    Mutation(
        "a refusal of the policy is ignored",
        _together(_set(guards, "permitted", _permit_all), _when(guards.permitted, _permit_all)),
    ),
    Mutation(
        "an earlier touch answers a step-up",
        _together(
            _when(guards.answers, guards.owner_permitted), _when(guards.meant_to_lock, lambda seat, event, now: False)
        ),
    ),
    Mutation(
        "a shift does not grow old",
        _together(
            _set(Pipeline, "shift_of", lambda self, subject: self.shifts.get(subject)),
            _set(machine, "_run_out", lambda seat, owner, reason, now: session.ended_home(seat, reason, now)),
        ),
    ),
    # I1 of two fingers
    Mutation("the same finger twice is two", _set(Evidence, "shown", property(lambda seen: max(1, len(seen.fingers))))),
    Mutation(
        "an answer to another pair is believed",
        _together(_set(fits, "enough", lambda seen, asked, subject: True), _set(guards, "_paired", lambda *_: True)),
    ),
    Mutation("a first finger waits for ever", _set(state, "ANOTHER_WITHIN", FOR_EVER)),
    Mutation(
        "what cancels a nonce keeps the first finger",
        _together(_set(Pipeline, "_first", _first_of), _set(Pipeline, "feed", host.Host.feed)),
    ),
    Mutation(
        "another seat's first finger will do",
        _together(_set(Pipeline, "_first", _first_of_the_host), _set(Pipeline, "feed", host.Host.feed)),
    ),
    Mutation("one finger where two are asked", _set(Pipeline, "_asked", _ask_one)),
    Mutation("a grant is as old as its second finger", _set(touches, "began_at", lambda open_: open_.captured_at)),
    Mutation(
        "a row that does not name both fingers",
        _everywhere("evidence", lambda asked: {k: v for k, v in _EVIDENCE(asked).items() if k != "first"}),
    ),
    # I1 of two factors and of helpers
    Mutation("half a login is a login", _set(Judge, "verdict", _half)),
    Mutation("another person's factor joins", _set(judge, "joins", lambda first, second: True)),
    Mutation("the seat is believed unasked", _set(Judge, "_judge", _seat_says)),
    Mutation("evidence of another kind is believed", _set(fits, "_kind", lambda seen, sample: True)),
    Mutation("a silent sample is a touch", _set(Pipeline, "_hear_sample", _hear_silence)),
    Mutation("the number of a card is an act", _set(Judge, "_decide", _sign_everything)),
    Mutation("a card that lies there is an act", _set(judge, "bare", lambda seen: False)),
    Mutation("a service may name whom it likes", _set(Pipeline, "_expected", lambda self, seat, sample: True)),
    Mutation("a lock takes back no word", _everywhere("cleared", _keep_ladder)),
    Mutation("a word waits for ever", _set(ladder, "VOUCHED_FOR", FOR_EVER)),
    Mutation(
        "a word opens the seat to whoever gave it",
        _together(
            lambda: _rules(
                lambda rule: (
                    None
                    if rule.when is ladder.vouches
                    else replace(rule, when=_permit_vouch)
                    if rule.when is guards.permitted
                    else rule
                )
            ),
            _set(guards, "permitted", _permit_vouch),
        ),
    ),
    Mutation("the session is the second person's", _set(Judge, "_break_glass", _second_persons)),
    Mutation("one person breaks the glass", _set(Judge, "_break_glass", _alone)),
    Mutation("a broken glass lasts a day", _set(judge, "BREAK_GLASS_LASTS", FOR_EVER)),
    Mutation("a broken glass begins a shift", _doing(session.activate, _begin_shift)),
    Mutation(
        "nobody is told of a broken glass",
        _doing(session.activate, _silent(session.activate, Kind.BREAKGLASS_OPENED)),
    ),
    Mutation("a step-up of two takes one", _doing(touches.ask_step_up, _ask_one_factor)),
    Mutation("an old act is young", _set(Judge, "still", lambda self, *asked: Decision(True, ("rule",), "", Limits()))),
    # I3 of what must stay
    Mutation("a key that is taken out ends nothing", _without(Withdrawn, keys.rests_on, keys.may_come_back)),
    Mutation("taken out before the ledger has answered", lambda: _rules(_void_no_removal)),
    Mutation("taken out before the verdict", _set(guards, "_here", lambda seat, event: True)),
    Mutation("a reader that dies takes no key with it", _without(ReaderDown, keys.rests_on_reader)),
    Mutation("any key that comes back will do", _when(keys.same_awake, keys.confirmed)),
    Mutation(
        "the grace never ends",
        _set(keys, "Removed", lambda what, reference, until: state.Removed(what, reference, Instant(FOR_EVER))),
    ),
    Mutation("hands take back a removal", _when(guards.fading_by_idle, _fades_by_idle)),
    Mutation("two factors are bound as the last one", _set(judge, "join", _join_unbound)),
    # I4, I5 of keys
    Mutation("a prompt stays over other work", _set(machine, "_unprompted", lambda before, seat: seat)),
    Mutation("a busy reader makes keys wait", _set(throttle, "proof_key", throttle.seat_key)),
    # I2
    Mutation("a hand-over without an end", _doing(touches.hand_over, _take_over)),
    Mutation("whoever sits elsewhere stays", _without(Elsewhere)),
    Mutation("started before the other seat has ended", _doing(session.activate, _started_first)),
    Mutation("started twice", _doing(session.activate, _twice)),
    Mutation("an old epoch again", _set(host, "OWNERS_BITS", 0)),
    Mutation("a bounce locks", lambda: _rules(lambda rule: None if rule.when is guards.bounced else rule)),
    # I3
    Mutation(
        "activity takes back an absence",
        _set(presence, "active", lambda watch, now: replace(_ACTIVE(watch, now), absent_since=None)),
    ),
    Mutation(
        "somebody takes back an absence that fades", _set(presence, "absence_fades", lambda watch, limits, now: False)
    ),
    Mutation(
        "a touch forgets that nobody is seen",
        _set(presence, "touched", lambda watch, now: replace(_TOUCHED(watch, now), absent_since=None)),
    ),
    Mutation("the maximum age is ignored", _set(presence, "due", _due_without(overall=FOR_EVER))),
    Mutation("idle is ignored", _set(presence, "due", _due_without(idle=FOR_EVER))),
    Mutation("a fade never ends", _set(machine, "_run_out", lambda seat, owner, reason, now: (seat, NOTHING))),
    Mutation("the event comes before the time", _event_first),
    Mutation("a sleep is ignored", _without(Suspending)),
    Mutation(
        "waking locks nothing",
        lambda: _rules(lambda rule: replace(rule, do=_just_wake, to=None) if rule.event is Resumed else rule),
    ),
    Mutation("a step-up that was given up is answered", _without(StepUpDropped)),
    Mutation("a desktop that nothing covers stays open", _without(Unattended)),
    Mutation(
        "a desktop that nothing covers waits for a touch",
        _together(_when(guards.can_listen, _listens_left), _everywhere("arms", _arms_left)),
    ),
    Mutation("a grant outlives what would cover its desktop", lambda: _rules(_leaves_no_grant)),
    Mutation("an agent that is back is not heard", _without(Attended)),
    Mutation("the timer spins", _set(machine, "stale_at", lambda asked: state.stale_at(asked) + 1)),
    # I4, I6
    Mutation("an end without its row", _everywhere("end", _silent(session.end, Kind.SESSION_ENDED))),
    Mutation("a void without its row", _everywhere("void", _silent(session.void, Kind.VOID))),
    Mutation("a grant after its void", _set(face, "waits_for", lambda seat, id_: True)),
    Mutation("what cannot be told is not recorded", _set(Pipeline, "write", _tell_first)),
    Mutation("a start closes nothing", _set(ports.Life, "unfinished", _recover_nothing)),
    # I5
    Mutation("a restart forgets the counters", _set(charges.Charges, "load", _load_nothing)),
    Mutation(
        "a reboot forgets the delay",
        _set(throttle, "adopt", lambda key, counter, now, boot: replace(counter, not_before=0, boot=boot)),
    ),
    Mutation("a failure is given back", _set(charges.Charges, "after", _refunding(Miss.NOT_CLAIMED))),
    Mutation("anybody's success clears", _set(charges.Charges, "after", _clear_all)),
    Mutation(
        "paid after, not before",
        _together(_set(charges.Charges, "before", _pay_nothing), _set(charges.Charges, "after", _pay_later)),
    ),
    Mutation("no delay", _set(throttle, "CLAIM_DELAY", 0)),
    Mutation("never disabled", _set(throttle, "DISABLED_AT", FOR_EVER)),
    Mutation("a first finger costs nothing", _set(charges.Charges, "after", _refunding(Miss.ANOTHER_FINGER))),
    # I7, I8, I14
    Mutation("a fault is ignored", _without(Failed)),
    Mutation(
        "the ledger's grace never ends",
        _together(_set(machine, "LEDGER_GRACE", FOR_EVER), _set(state, "LEDGER_GRACE", FOR_EVER)),
    ),
    Mutation("a session opens while the ledger is lost", _when(guards.ledger_lost, lambda seat, event, now: False)),
    Mutation(
        "a revocation misses who waits for the ledger",
        lambda: _rules(lambda rule: None if rule.event is Revoked and _not_pending(rule) else rule),
    ),
    Mutation(
        "a revocation misses who sits there",
        lambda: _rules(lambda rule: None if rule.event is Revoked and not _not_pending(rule) else rule),
    ),
    Mutation("nobody asks who is disabled", _set(ports.Life, "disabled", lambda self, subject: False)),
)
BY_NAME: Mapping[str, Mutation] = {mutation.name: mutation for mutation in MUTATIONS}
