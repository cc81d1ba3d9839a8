"""The seat machine as scripts: what happens, and what follows from it, in order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authd.core import seat as machine
from authd.core.model import SECOND, Handover, Instant, Kind, Limits, Message, Miss, Nonce, SeatState, SessionId
from authd.core.seat import (
    Activity,
    Attended,
    Captured,
    Elsewhere,
    Event,
    Failed,
    FingerDown,
    Held,
    LedgerHealth,
    Lent,
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
    Tick,
    Unattended,
    Verdict,
)
from tests.core.playbook import (
    AOKI,
    BABA,
    PERMIT,
    REFUSE,
    SECOND_VEIN,
    START,
    VEIN,
    Line,
    Playbook,
    candidate,
    capture,
    in_state,
    kinds,
    leap,
    opened,
    pass_time,
    quietly,
    recorded,
    together,
    touch,
    verdict,
    with_limits,
)

S = SeatState


# The path in.


def test_a_touch_opens_a_session_once_the_ledger_has_it() -> None:
    book = Playbook()
    assert (
        book
        >> FingerDown()
        << "show locked reading"
        >> capture()
        << "show verifying reading"
        >> verdict(AOKI)
        << "append grant aoki"
        << "show granting reading"
        >> recorded()
        << "end elsewhere aoki"
        << "begin shift aoki"
        << "write session.started aoki"
        << "show active start aoki"
        << "arm n2"
    )
    assert in_state(book, S.ACTIVE)


def test_what_changes_nothing_to_see_shows_nothing() -> None:
    assert opened() >> Activity() >> Activity() >> pass_time(1)


def test_arming_comes_last_so_that_no_older_picture_is_painted_over_its_own() -> None:
    assert opened() >> leap(61) >> Pressed() << "write session.ended aoki idle" << "show locked locked" << "arm n3"


# Deadlines.


@pytest.mark.parametrize(
    "book",
    [
        Playbook() >> quietly(capture()),
        Playbook() >> quietly(touch(AOKI)),
        Playbook() >> quietly(touch(Miss.NOBODY)),
        opened(),
        opened() >> quietly(StepUpAsked("u1", "resident/print", Instant(START + 30 * SECOND))),
        opened() >> quietly(pass_time(56)),
        opened() >> quietly(LedgerHealth(healthy=False)),
    ],
    ids=["captured", "asked of the ledger", "missed", "open", "step-up", "fading", "ledger lost"],
)
def test_the_tick_at_a_deadline_moves_it(book: Playbook) -> None:
    """Else the timer would spin on it."""
    for _ in range(6):
        due = machine.deadline(book.seat)
        if due is None:
            return
        book.now = due
        book.feed(Tick())
        after = machine.deadline(book.seat)
        assert after is None or after > due


# Sleep.


def test_a_warned_sleep_locks_before_it_and_arms_after_it() -> None:
    assert (
        opened()
        >> Suspending()
        << "write session.ended aoki lock"
        << "show locked locked"
        >> FingerDown()
        << "show locked reading"
        >> leap(3_600)
        >> Resumed()
        << "show locked locked"
        << "arm n3"
    )


def test_an_unwarned_sleep_locks_after_it() -> None:
    assert opened() >> leap(20) >> Resumed() << "write session.ended aoki lock" << "show locked locked" << "arm n3"


def test_waking_in_the_middle_of_a_verification_leaves_a_seat_that_can_be_touched() -> None:
    book = Playbook() >> quietly(capture(), Resumed())
    assert in_state(book, S.LOCKED)
    assert book >> quietly(touch(AOKI), recorded())
    assert in_state(book, S.ACTIVE)


def test_a_grant_does_not_survive_a_sleep() -> None:
    book = Playbook() >> quietly(touch(AOKI)) >> Resumed() << "write void aoki" << "show locked locked" << "arm n2"
    assert book >> recorded()


# Readers come and go.


def test_the_last_reader_takes_the_seat_with_it_and_brings_it_back() -> None:
    assert (
        Playbook()
        >> ReaderDown(VEIN, "removed")
        << "write reader.lost"
        << "show out_of_service reader_lost"
        >> ReaderUp(VEIN)
        << "write reader.available"
        << "show locked waiting"
        << "arm n2"
    )


def test_a_reader_that_is_back_before_the_machine_is_awake_is_armed_when_it_is() -> None:
    assert (
        Playbook()
        >> quietly(Suspending(), ReaderDown(VEIN, "suspended"))
        >> ReaderUp(VEIN)
        << "write reader.available"
        << "show locked waiting"
        >> Resumed()
        << "show locked locked"
        << "arm n2"
    )


def test_a_reader_that_comes_back_while_its_owner_works_is_armed_again() -> None:
    book = opened() >> quietly(ReaderDown(VEIN, "removed"))
    assert book >> ReaderUp(VEIN) << "write reader.available" << "show active start aoki" << "arm n3"
    assert book >> quietly(touch(AOKI))
    assert in_state(book, S.LOCKED)


def test_a_second_reader_is_armed_as_it_comes() -> None:
    assert Playbook() >> ReaderUp(SECOND_VEIN) << "write reader.available" << "arm n2"


def test_a_second_reader_does_not_disturb_the_touch_on_the_first() -> None:
    book = Playbook() >> quietly(capture()) >> ReaderUp(SECOND_VEIN) << "write reader.available"
    assert book >> quietly(verdict(AOKI), recorded())
    assert in_state(book, S.ACTIVE)


# Any lock cancels the verification that is open.


def test_a_lock_between_capture_and_verdict_opens_nothing() -> None:
    late = capture(), Pressed(), Verdict(Nonce("n1"), candidate(AOKI), PERMIT, SessionId("s1"))
    book = Playbook() >> quietly(*late)
    assert in_state(book, S.LOCKED)
    assert "grant" not in kinds(book.effects)


def test_a_lock_between_verdict_and_ledger_opens_nothing() -> None:
    book = Playbook() >> quietly(touch(AOKI)) >> Pressed() << "write void aoki" << "show locked locked" << "arm n2"
    assert book >> recorded()


def test_new_rules_void_a_grant_that_the_old_ones_permitted() -> None:
    book = Playbook() >> quietly(touch(AOKI)) >> PolicyChanged() << "write void aoki" << "show locked locked"
    assert book << "arm n2" >> recorded()


# Holds.


def test_a_touch_locks_and_its_hold_ends_the_shift() -> None:
    assert (
        opened()
        >> touch(AOKI)
        << "write session.ended aoki lock"
        << "show locked locked"
        << "arm n3"
        >> pass_time(2)
        >> Held(Nonce("n2"))
        << "end shift aoki"
        << "write shift.ended aoki"
        << "show locked logged_out"
    )


def test_a_held_bounce_logs_out() -> None:
    assert (
        opened(after=1)
        >> touch(AOKI)
        << "arm n3"
        >> pass_time(2)
        >> Held(Nonce("n2"))
        << "write session.ended aoki logout"
        << "end shift aoki"
        << "write shift.ended aoki"
        << "show locked logged_out"
        << "arm n4"
    )


@pytest.mark.parametrize("between", [Activity(), Pressed(), Resumed(), Failed()], ids=lambda e: type(e).__name__)
def test_a_hold_of_the_touch_that_opened_the_session_is_a_slow_finger(between: Event) -> None:
    assert opened(after=1) >> quietly(between) >> Held(Nonce("n1"))


def test_a_hold_of_a_touch_that_opened_nothing_logs_nobody_out() -> None:
    assert Playbook() >> quietly(touch(AOKI), NotRecorded("s1")) >> Held(Nonce("n1"))


# A touch is judged by what its person saw.

ASKED = StepUpAsked("u1", "resident/print", Instant(START + 60 * SECOND))


def test_a_touch_after_the_question_is_the_answer() -> None:
    assert (
        opened()
        >> ASKED
        << "show stepping_up confirm aoki"
        >> pass_time(1)
        >> touch(AOKI)
        << "append session.stepped_up aoki"
        << "arm n3"
        >> Recorded("u1")
        << "step up granted"
        << "show active start aoki"
    )


def test_a_touch_before_the_question_is_not_the_answer_but_the_lock_it_was_meant_for() -> None:
    assert (
        opened()
        >> capture()
        >> ASKED
        << "show stepping_up confirm aoki"
        >> verdict(AOKI)
        << "write session.ended aoki lock"
        << "step up not granted"
        << "show locked locked"
        << "arm n3"
    )


def test_a_bounce_before_the_question_does_not_lock_either() -> None:
    book = opened(after=1) >> quietly(capture(), ASKED, verdict(AOKI))
    assert in_state(book, S.STEPPING_UP)


def test_a_second_touch_of_a_step_up_does_not_lock_when_the_first_has_answered() -> None:
    book = opened() >> quietly(ASKED, pass_time(1), touch(AOKI), capture(), Recorded("u1"))
    assert book >> verdict(AOKI) << "arm n4"
    assert in_state(book, S.ACTIVE)


def test_an_answer_to_one_question_is_none_to_the_next() -> None:
    """The first has run out, the second is asked, and only then comes the verdict."""
    first = StepUpAsked("u1", "resident/print", Instant(START + 4 * SECOND))
    second = StepUpAsked("u2", "resident/export", ASKED.until)
    book = opened() >> quietly(first, leap(0.5), capture(), pass_time(1), second, verdict(AOKI))
    assert in_state(book, S.STEPPING_UP)
    assert "session.stepped_up" not in kinds(book.effects)


def test_a_question_that_is_given_up_leaves_no_answer_to_be_given() -> None:
    book = opened() >> quietly(ASKED, pass_time(3), StepUpDropped("u2"))
    assert in_state(book, S.STEPPING_UP)
    book >>= quietly(StepUpDropped("u1"))
    assert in_state(book, S.ACTIVE)
    assert "session.stepped_up" not in kinds((book >> quietly(touch(AOKI))).effects)


def test_a_touch_for_a_question_that_is_given_up_meanwhile_does_not_lock() -> None:
    book = opened() >> quietly(ASKED, pass_time(3), capture(), StepUpDropped("u1"), verdict(AOKI))
    assert in_state(book, S.ACTIVE)


def test_a_question_that_the_ledger_is_told_of_cannot_be_given_up() -> None:
    book = opened() >> quietly(ASKED, pass_time(1), touch(AOKI), StepUpDropped("u1"))
    assert in_state(book, S.STEPPING_UP)
    assert in_state(book >> quietly(Recorded("u1")), S.ACTIVE)


def test_a_touch_in_the_fade_keeps_the_session() -> None:
    assert (
        opened()
        >> pass_time(56)
        << "write session.fading aoki idle"
        << "show fading fading aoki"
        >> touch(AOKI)
        << "write session.kept aoki"
        << "show active kept aoki"
        << "arm n3"
    )


def test_a_touch_in_the_fade_does_not_lock_when_the_mouse_was_quicker() -> None:
    book = opened() >> quietly(pass_time(56), capture(), Activity())
    assert book >> verdict(AOKI) << "arm n3"
    assert in_state(book, S.ACTIVE)


def test_a_touch_before_the_fade_locks_though_the_fade_has_begun() -> None:
    book = opened() >> quietly(pass_time(51), capture(), pass_time(5))
    assert book >> verdict(AOKI) << "write session.ended aoki lock" << "show locked locked" << "arm n3"


# Presence.


def test_somebody_takes_no_absence_back_once_it_fades() -> None:
    book = opened() >> quietly(Sensed(present=False), pass_time(6)) >> Sensed(present=True) >> Activity()
    assert book >> pass_time(4) << "write session.ended aoki absence" << "show locked locked" << "arm n3"


def test_an_absence_that_begins_and_ends_in_an_idle_fade_is_over() -> None:
    book = opened() >> quietly(pass_time(54), Sensed(present=False), pass_time(1), Sensed(present=True), Activity())
    assert book >> pass_time(30)
    assert in_state(book, S.ACTIVE)


# The ledger.


def test_no_session_opens_while_the_ledger_is_lost() -> None:
    assert (
        Playbook()
        >> quietly(LedgerHealth(healthy=False), touch(AOKI))
        >> recorded()
        << "write void aoki"
        << "show locked ledger_down"
        << "arm n2"
    )


def test_an_open_session_outlives_the_ledger_by_the_grace() -> None:
    assert (
        opened()
        >> LedgerHealth(healthy=False)
        >> pass_time(4.9)
        >> LedgerHealth(healthy=False)
        >> pass_time(0.1)
        << "write session.ended aoki fault"
        << "show locked ledger_down"
        << "arm n3"
    )


def test_an_open_session_survives_a_ledger_that_heals_in_the_grace() -> None:
    book = opened() >> LedgerHealth(healthy=False) >> pass_time(4) >> LedgerHealth(healthy=True) >> pass_time(30)
    assert in_state(book, S.ACTIVE)


def test_a_grant_that_is_not_recorded_is_void() -> None:
    book = Playbook() >> quietly(touch(AOKI)) >> NotRecorded("s1") << "write void aoki" << "show locked ledger_down"
    assert book << "arm n2" >> Recorded("s1")


def test_a_grant_that_comes_when_the_touch_is_stale_is_void() -> None:
    book = Playbook() >> quietly(touch(AOKI)) >> leap(10) >> recorded() << "write void aoki" << "show locked locked"
    assert book << "arm n2"


# Misses.


def test_a_verdict_that_does_not_come_says_so() -> None:
    book = Playbook() >> quietly(capture()) >> pass_time(10) << "show locked fault" << "arm n2"
    assert book >> pass_time(4) << "show locked waiting"


def test_two_misses_show_the_other_ways() -> None:
    assert (
        Playbook()
        >> quietly(capture())
        >> verdict(Miss.NOBODY)
        << "write attempt.not_recognised"
        << "show locked once_more"
        << "arm n2"
        >> quietly(capture())
        >> verdict(Miss.NOBODY)
        << "write attempt.not_recognised"
        << "show locked other_way"
        << "arm n3"
    )


@pytest.mark.parametrize("found", [Miss.REPLAYED, Miss.ATTACK])
def test_a_recording_and_an_attack_are_refused(found: Miss) -> None:
    book = Playbook() >> quietly(capture()) >> verdict(found) << "write attempt.refused"
    assert book << "show locked other_way" << "arm n2"


def test_a_device_fault_is_nobodys() -> None:
    book = Playbook() >> quietly(capture()) >> verdict(Miss.UNAVAILABLE) << "show locked fault" << "arm n2"
    assert book.seat.misses == 0


def test_a_visitors_touch_does_not_disturb_the_owner() -> None:
    assert opened() >> touch(Miss.NOBODY) << "write attempt.not_recognised" << "arm n3"


def test_a_refused_person_is_told_why_and_recorded() -> None:
    book = Playbook() >> quietly(capture()) >> verdict(AOKI, REFUSE) << "write attempt.refused aoki"
    assert book << "show locked refused_hours" << "arm n2"


# Hand-over, one person one seat, and what the world does.


def test_a_hand_over_ends_the_first_session_before_it_asks_for_the_second() -> None:
    assert (
        opened()
        >> touch(BABA)
        << "write session.ended aoki handover"
        << "append grant baba"
        << "show granting reading"
        >> recorded()
        << "end elsewhere baba"
        << "begin shift baba"
        << "write session.started baba"
        << "show active start baba"
        << "arm n3"
    )


def test_a_refused_person_takes_nothing_over() -> None:
    assert opened() >> touch(BABA, REFUSE) << "write attempt.refused baba" << "arm n3"


def test_a_bounce_does_nothing() -> None:
    assert opened(after=1.9) >> touch(AOKI) << "arm n3" >> pass_time(0.2) >> quietly(touch(AOKI))
    book = opened(after=2) >> quietly(touch(AOKI))
    assert in_state(book, S.LOCKED)


def test_a_lock_by_touch_needs_nobodys_permission() -> None:
    assert in_state(opened() >> quietly(touch(AOKI, REFUSE)), S.LOCKED)


@pytest.mark.parametrize(
    ("event", "ended", "shown"),
    [
        (Elsewhere(AOKI), "elsewhere", "moved_away"),
        (PolicyChanged(), "policy", "refused"),
        (Failed(), "fault", "fault"),
        (Pressed(), "lock", "locked"),
        (Suspending(), "lock", "locked"),
    ],
    ids=lambda each: type(each).__name__ if not isinstance(each, str) else each,
)
def test_what_ends_a_session(event: Event, ended: str, shown: str) -> None:
    book = opened() >> event << f"write session.ended aoki {ended}" << f"show locked {shown}"
    book.forget()
    assert in_state(book, S.LOCKED)


def test_nobody_sits_where_nothing_would_cover_the_desktop() -> None:
    book = opened() >> Unattended() << "write session.ended aoki fault" << "show locked unattended"
    assert book >> Captured(Nonce("n2")) >> pass_time(60) << "nothing"
    assert book >> Unattended() >> ReaderUp(SECOND_VEIN) << "write reader.available"
    assert in_state(book, S.LOCKED)


def test_the_seat_waits_for_a_touch_again_once_its_desktop_is_attended() -> None:
    book = Playbook() >> quietly(Unattended()) >> Attended() << "show locked waiting" << "arm n2"
    assert book >> Attended() << "nothing"
    assert in_state(book >> quietly(touch(AOKI), recorded()), S.ACTIVE)


def test_a_grant_under_way_is_void_where_the_agent_falls_silent() -> None:
    book = Playbook() >> quietly(touch(AOKI)) >> Unattended() << "write void aoki" << "show locked unattended"
    assert book >> quietly(recorded())
    assert in_state(book, S.LOCKED)


def test_a_fault_and_a_sleep_do_not_open_a_desktop_that_is_left() -> None:
    book = Playbook() >> quietly(Unattended(), Failed(), Suspending(), Resumed(), Lent(), Returned(), pass_time(5))
    assert book >> Captured(Nonce("n2")) << "nothing"
    assert not book.seat.verification
    assert book.seat.message is Message.UNATTENDED


def test_a_revoked_person_loses_session_and_shift() -> None:
    book = opened() >> Revoked(BABA) >> Revoked(AOKI) << "write session.ended aoki revoked" << "end shift aoki"
    assert book << "write shift.ended aoki" << "show locked locked" << "arm n3"


def test_a_shutdown_ends_the_session_and_nothing_opens_after_it() -> None:
    book = opened() >> Shutdown() << "write session.ended aoki shutdown" << "show out_of_service fault"
    assert book >> ReaderUp(VEIN) >> Captured(Nonce("n2")) >> Resumed() << "show out_of_service locked"


# Every verdict that is early, late, repeated or another's.


def verdict_under(nonce: str) -> Verdict:
    return Verdict(Nonce(nonce), candidate(AOKI, Nonce(nonce)), PERMIT, SessionId("forged"))


@pytest.mark.parametrize(
    "before",
    [
        quietly(),
        quietly(touch(Miss.NOBODY)),
        quietly(capture(), pass_time(10)),
        quietly(capture(), ReaderDown(VEIN, "removed"), ReaderUp(VEIN)),
        quietly(touch(AOKI), recorded(), Pressed()),
        quietly(touch(BABA), recorded()),
        quietly(capture(), Suspending()),
        quietly(capture(), Failed()),
        quietly(capture(), Shutdown()),
    ],
    ids=["early", "answered", "late", "replugged", "repeated", "other's", "asleep", "failed", "shut"],
)
def test_a_verdict_out_of_its_time_opens_nothing(before: Line) -> None:
    book = Playbook() >> before
    granted = kinds(book.effects).count("grant")
    assert book >> verdict_under("n1") >> verdict_under("") >> verdict_under("n99")
    assert kinds(book.effects).count("grant") == granted


events = st.sampled_from(
    [
        *(Activity(), FingerDown(), Pressed(), Pressed(logout=True), Failed(), Suspending(), Resumed(), Tick()),
        *(Unattended(), Attended()),
        *(Sensed(present=True), Sensed(present=False), LedgerHealth(healthy=True), LedgerHealth(healthy=False)),
        *(ReaderUp(VEIN), ReaderUp(SECOND_VEIN), ReaderDown(VEIN, "removed"), ReaderDown(SECOND_VEIN, "hot")),
        *(Revoked(AOKI), Elsewhere(AOKI), PolicyChanged(), Lent(), Returned(), verdict_under("n1"), Held(Nonce("n2"))),
        *(capture(), touch(AOKI), touch(BABA), touch(BABA, REFUSE), touch(Miss.NOBODY), recorded(), ASKED),
        *(verdict(AOKI), Recorded("u1"), NotRecorded("s1"), pass_time(1), pass_time(5), pass_time(40), leap(11)),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(events, max_size=40))
def test_whatever_happens_the_seat_is_whole(lines: list[Line]) -> None:
    """Owner and pending session fit the state, one session is open at a time, each start follows its grant."""
    book, open_, granted = Playbook(), None, set[str]()
    for line in lines:
        seen = len(book.effects)
        book = book >> quietly(line)
        assert in_state(book, book.seat.state)
        for effect in book.effects[seen:]:
            entry = getattr(effect, "entry", None)
            if entry is None:
                continue
            if entry.kind is Kind.GRANT:
                granted.add(entry.session)
            elif entry.kind is Kind.SESSION_STARTED:
                assert open_ is None
                assert entry.session in granted
                open_ = entry.session
            elif entry.kind is Kind.SESSION_ENDED:
                assert open_ == entry.session
                open_ = None
        assert open_ == (book.seat.owner.id if book.seat.owner else None)


def test_a_session_that_ends_by_age_ends_the_shift() -> None:
    old = together(capture(), verdict(AOKI, began=Instant(START - 3_590 * SECOND)))
    assert (
        Playbook()
        >> quietly(old, recorded())
        >> pass_time(10)
        << "write session.ended aoki expired"
        << "end shift aoki"
        << "write shift.ended aoki"
        << "show locked locked"
        << "arm n3"
    )


@pytest.mark.parametrize("policy", list(Handover))
def test_an_end_says_what_becomes_of_unfinished_work(policy: Handover) -> None:
    book = opened(decision=with_limits(Limits(handover=policy)))
    _, effects = machine.step(book.seat, Pressed(), book.now)
    (ended,) = [effect.entry for effect in effects if isinstance(effect, machine.Write)]
    assert ended.kind is Kind.SESSION_ENDED
    assert ended.data == {"work": policy.value}
