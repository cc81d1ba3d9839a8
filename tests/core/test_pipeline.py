"""The one path over ports that fail: whatever breaks, nobody sits there who should not, and all agree on who does."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from pytest_mock import MockerFixture

from authd.core import ports as port
from authd.core import seat as machine
from authd.core.model import (
    SECOND,
    Action,
    Candidate,
    Confirms,
    Entry,
    Epoch,
    Evidence,
    Factor,
    Grade,
    Instant,
    Kind,
    Nonce,
    SeatState,
    SessionId,
    SubjectId,
)
from authd.core.seat import Activity, Captured, Pressed, Verdict
from tests.core.fakes import HANG, ONE, READERS, TWO, House, elsewhere
from tests.core.playbook import AOKI, BABA, PERMIT, START, candidate

S = SeatState


# The path.


def test_a_touch_opens_a_session_after_a_durable_grant() -> None:
    with House() as house:
        house.touch()
        assert house.owner() == AOKI
        assert [row.kind for row in house.rows[-2:]] == ["grant", "session.started"]


def test_a_person_who_sits_down_elsewhere_has_left_here() -> None:
    with House() as house:
        house.touch(ONE)
        house.touch(TWO)
        assert (house.owner(ONE), house.owner(TWO)) == (None, AOKI)
        assert house.faces[TWO].message == "moved_here"


def test_another_person_takes_the_seat_over() -> None:
    with House() as house:
        house.touch()
        house.touch(who=BABA)
        assert house.owner() == BABA


def test_the_clock_locks_a_seat_that_is_left() -> None:
    with House() as house:
        house.touch()
        house.wait(54.9)
        assert house.state() is S.ACTIVE
        house.wait(0.2)
        assert house.state() is S.FADING
        house.wait(5)
        assert house.owner() is None


# Samples that are early, late, repeated or another seat's.


def test_a_sample_that_comes_twice_is_verified_once() -> None:
    with House() as house:
        sample = house.sample(ONE)
        house.faults["identify"] = 1.0
        house.hear(ONE, sample)
        house.hear(ONE, replace(sample, probe=BABA.encode()))
        house.wait(2)
        assert house.calls.count("identify") == 1
        assert house.owner() == AOKI


def test_a_sample_of_another_seat_or_time_is_not_verified() -> None:
    with House() as house:
        first = house.sample(ONE)
        house.hear(TWO, first)
        house.touch()
        for stale in (first, elsewhere(first, Nonce("")), elsewhere(first, Nonce("invented"))):
            house.hear(ONE, stale)
        assert house.calls.count("identify") == 1
        assert house.kinds(Kind.GRANT) == [Kind.GRANT]


def test_a_sample_of_another_seats_reader_is_nothing_here() -> None:
    """Under this seat's own nonce too: whose finger is on that reader sits at that seat."""
    with House() as house:
        foreign = replace(house.sample(ONE), reader=house.sample(TWO).reader)
        house.hear(ONE, foreign)
        assert house.calls.count("identify") == 0
        assert house.state() is S.LOCKED


def test_the_stamp_is_of_the_moment_the_sample_came_in() -> None:
    """Not of the moment a busy daemon got round to it: what waited eleven seconds in a queue is not fresh."""
    with House() as house:
        house.pipeline.hear(ONE, house.sample(ONE))
        house.slept += 11 * SECOND
        house.wait(1)
        assert house.owner() is None
        assert Kind.GRANT not in house.kinds(Kind.GRANT)


# Verdicts that are another's (fprintd 4775154, eb73e02).


@pytest.mark.parametrize(
    "crossed",
    [
        Candidate(AOKI, Evidence(READERS[ONE], Factor.VEIN, Grade.MATCHED, Nonce("other"), START, "tpl")),
        Candidate(AOKI, Evidence(READERS[TWO], Factor.VEIN, Grade.MATCHED, Nonce("nonce-1"), START, "tpl")),
        Candidate(
            SubjectId("unknown"), Evidence(READERS[ONE], Factor.VEIN, Grade.MATCHED, Nonce("nonce-1"), START, "")
        ),
    ],
    ids=["another nonce", "another reader", "outside the scope"],
)
def test_a_crossed_verdict_opens_nothing(crossed: Candidate) -> None:
    with House() as house:
        house.faults["identify"] = crossed
        house.touch()
        assert house.owner() is None
        assert house.kinds(Kind.GRANT) == []


def test_a_candidate_who_was_not_claimed_opens_nothing() -> None:
    with House() as house:
        seen = Evidence(READERS[ONE], Factor.VEIN, Grade.MATCHED, house.armed[ONE], START, "tpl")
        house.faults["identify"] = Candidate(BABA, seen)
        house.touch(claim=AOKI)
        assert house.kinds(Kind.GRANT) == []


# Doors that break.


def test_what_cannot_be_told_is_recorded() -> None:
    with House() as house:
        house.faults["event"] = RuntimeError("no followers")
        house.touch()
        assert house.state() is S.LOCKED
        assert [row.kind for row in house.rows[-3:]] == ["grant", "session.started", "session.ended"]
        assert house.rows[-1].reason == "fault"


# People who may not.


def test_nobody_opens_a_session_who_is_disabled() -> None:
    with House() as house:
        house.gone.add(AOKI)
        house.touch()
        assert house.kinds(Kind.GRANT) == []


def test_nobody_opens_a_session_who_is_disabled_while_the_ledger_writes() -> None:
    with House() as house:
        house.faults["append"] = 1.0
        house.touch()
        house.gone.add(AOKI)
        house.wait(1.5)
        assert house.owner() is None
        assert house.kinds(Kind.GRANT, Kind.VOID, Kind.SESSION_STARTED) == [Kind.GRANT, Kind.VOID]


def test_a_revoked_person_is_out_at_once_at_every_seat() -> None:
    with House() as house:
        house.touch(ONE)
        house.touch(TWO, BABA)
        house.gone.add(AOKI)
        house.pipeline.revoke(AOKI)
        assert (house.owner(ONE), house.owner(TWO)) == (None, BABA)


# A restart is a normal start.


def test_the_epochs_of_a_life_are_above_every_one_of_the_lives_before() -> None:
    with House() as house:
        for who in (AOKI, BABA, AOKI, BABA):
            house.touch(who=who)
        before = max(row.epoch for row in house.rows)
        after = house.born()
        running = house.loop.start(after.run())
        house.loop.run()
        assert all(seat.epoch > before for seat in after.seats.values())
        running.cancel()
        house.loop.run()


# What the policy is asked.


def test_a_login_is_not_asked_about_another_persons_purpose() -> None:
    with House() as house:
        house.touch()
        session = house.faces[ONE].session
        assert session is not None
        asked = house.loop.start(house.pipeline.step_up(ONE, session, "resident/print"))
        house.loop.run()
        house.wait(1)
        house.touch(who=BABA)
        assert (house.asked[-1].action, house.asked[-1].resource) == (Action.OPEN_SESSION, "")
        assert asked.result().granted is False


def test_a_step_up_is_asked_about_its_purpose_and_answered_by_the_owners_touch() -> None:
    with House() as house:
        house.touch()
        session = house.faces[ONE].session
        assert session is not None
        asked = house.loop.start(house.pipeline.step_up(ONE, session, "resident/print"))
        house.loop.run()
        house.wait(1)
        house.touch()
        assert (house.asked[-1].action, house.asked[-1].resource) == (Action.STEP_UP, "resident/print")
        assert asked.result().granted is True


@pytest.mark.parametrize("purpose", ["authd/carryout", "resident/carryout", "authd/nothing"])
def test_what_authd_itself_has_confirmed_is_shown_by_the_screen(purpose: str) -> None:
    with House() as house:
        house.touch()
        session = house.faces[ONE].session
        assert session is not None
        house.loop.start(house.pipeline.step_up(ONE, session, purpose))
        house.loop.run()
        shown = house.faces[ONE].confirms
        assert shown is (Confirms.CARRYOUT if purpose == "authd/carryout" else None)
        house.wait(30.1)
        assert house.faces[ONE].confirms is None


def test_a_step_up_that_nobody_answers_ends_after_30_s() -> None:
    with House() as house:
        house.touch()
        session = house.faces[ONE].session
        assert session is not None
        asked = house.loop.start(house.pipeline.step_up(ONE, session, "resident/print"))
        house.wait(30.1)
        assert asked.result().granted is False
        assert house.state() is S.ACTIVE


def test_a_step_up_whose_asker_has_gone_is_not_answered_by_the_next_touch() -> None:
    with House() as house:
        house.touch()
        session = house.faces[ONE].session
        assert session is not None
        asked = house.loop.start(house.pipeline.step_up(ONE, session, "resident/print"))
        house.loop.run()
        house.wait(3)
        asked.cancel()
        house.loop.run()
        assert house.state() is S.ACTIVE
        house.touch()
        assert house.state() is S.LOCKED  # a touch that nobody asked for locks, as ever
        assert asked.cancelled()


def test_nobody_else_is_asked_to_step_up() -> None:
    with House() as house:
        house.touch()
        asked = house.loop.start(house.pipeline.step_up(ONE, SessionId("another"), "resident/print"))
        house.loop.run()
        assert asked.result().granted is False
        assert house.state() is S.ACTIVE


# Shifts.


def test_within_a_shift_the_policy_is_told_so_and_a_logout_ends_it() -> None:
    with House() as house:
        house.touch()
        house.pipeline.feed(ONE, Pressed())
        house.touch()
        assert house.asked[-1].shift_open
        house.pipeline.feed(ONE, Pressed(logout=True))
        house.touch()
        assert not house.asked[-1].shift_open


def test_a_shift_that_expires_in_the_seat_is_over() -> None:
    with House() as house:
        house.touch()
        for _ in range(71):
            house.wait(50)
            house.pipeline.feed(ONE, Activity())
        house.wait(60)
        assert house.rows[-2].reason == "expired"
        house.touch()
        assert not house.asked[-1].shift_open
        assert house.owner() == AOKI


def test_a_shift_of_yesterday_is_over_though_nobody_logged_out() -> None:
    """Its sessions ended the moment they began, at every touch, for ever."""
    with House() as house:
        house.touch()
        house.pipeline.feed(ONE, Pressed())
        house.wait(3_601)
        house.touch()
        assert not house.asked[-1].shift_open
        house.wait(1)
        assert house.owner() == AOKI


# A fault at every call of the login path (pam-u2f CVE-2025-23013, polkit CVE-2021-3560), and the end of the daemon.

WAITED_FOR = ("save", "identify", "append")
PATH = (*WAITED_FOR, "scope", "decide", "disabled", "session", "event", "write", "nonce", "arm", "face")
FAULTS = {
    "the port says no": port.PortError("no"),
    "the port has a bug": ValueError("bug"),
    "nothing is found": KeyError("gone"),
    "the port was cancelled": asyncio.CancelledError(),
    "time runs out": TimeoutError(),
    "it never answers": HANG,
}


CASES = [
    (call, what, claim)
    for claim, unused in ((None, "save"), (AOKI, "scope"))
    for call in PATH
    for what in FAULTS
    if call != unused and (call in WAITED_FOR or what not in ("the port was cancelled", "it never answers"))
]


@pytest.mark.parametrize(("call", "what", "claim"), CASES)
def test_a_fault_at_any_call_of_the_path_opens_nothing(call: str, what: str, claim: SubjectId | None) -> None:
    with House() as house:
        before = len(house.calls)
        house.faults[call] = FAULTS[what]
        house.touch(claim=claim)
        house.wait(12)
        assert call in house.calls[before:]
        assert house.pipeline.seats[ONE].owner is None
        if call not in ("face", "write"):
            assert house.owner() is None


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("call", WAITED_FOR)
def test_after_a_fault_the_next_touch_opens(call: str, fault: object) -> None:
    with House() as house:
        house.faults[call] = fault
        house.touch(claim=AOKI)
        house.wait(12)
        house.faults.clear()
        house.touch(TWO, BABA)
        house.touch()
        assert (house.owner(ONE), house.owner(TWO)) == (AOKI, BABA)


@pytest.mark.parametrize("call", ["append", "identify"])
def test_an_answer_that_comes_too_late_opens_nothing(call: str) -> None:
    with House() as house:
        house.faults[call] = 10.5
        house.touch()
        house.wait(30)
        assert house.owner() is None
        assert Kind.SESSION_STARTED not in house.kinds(Kind.SESSION_STARTED)


@pytest.mark.parametrize("call", ["unfinished", "load", "claim"])
def test_a_start_that_fails_serves_nobody(call: str) -> None:
    house = House()
    house.faults[call] = port.LedgerDown("corrupt")
    with house.loop:
        run = house.loop.start(house.pipeline.run())
        house.loop.run()
    with pytest.raises(port.LedgerDown):
        run.result()
    assert house.armed == {}


def test_what_an_earlier_life_left_open_is_closed_before_a_reader_is_armed() -> None:
    house = House()
    open_ = Entry(Kind.SESSION_STARTED, ONE, Epoch(7), AOKI, SessionId("ses_old"), grade=Grade.MATCHED)
    house.left_open = [replace(open_, kind=Kind.GRANT, session=SessionId("ses_asked")), open_]
    with house:
        assert [(row.kind, row.session, row.reason) for row in house.rows[:2]] == [
            (Kind.VOID, "ses_asked", None),
            (Kind.SESSION_ENDED, "ses_old", "crash"),
        ]
        assert "arm" in house.calls
        assert "arm" not in house.calls[: house.calls.index("claim")]


def test_the_end_of_the_daemon_is_the_end_of_every_session() -> None:
    with House() as house:
        house.touch(ONE)
        house.touch(TWO, BABA)
        house.running.cancel()
        house.loop.run()
        assert (house.owner(ONE), house.owner(TWO)) == (None, None)
        assert {row.reason for row in house.rows[-2:]} == {"shutdown"}


def test_a_machine_that_contradicts_itself_ends_the_daemon_and_every_session(mocker: MockerFixture) -> None:
    with House() as house:
        house.touch(ONE)
        house.touch(TWO, BABA)
        step = machine.step

        def broken(seat: machine.Seat, event: machine.Event, now: Instant) -> object:
            assert seat.id != ONE, "a contradiction"
            return step(seat, event, now)

        mocker.patch("authd.core.pipeline.machine.step", broken)
        with pytest.raises(AssertionError):
            house.pipeline.feed(ONE, Pressed())
        house.loop.run()
        assert house.running.done()
        assert house.owner(TWO) is None


def test_a_bug_at_one_seat_leaves_the_others_alone() -> None:
    with House() as house:
        house.touch(ONE)
        house.faults["identify"] = ValueError("a bug")
        house.touch(TWO, BABA)
        assert (house.owner(ONE), house.state(TWO)) == (AOKI, S.LOCKED)


def test_a_grant_is_not_written_after_its_void() -> None:
    with House() as house:
        nonce = house.armed[ONE]
        for event in (Captured(nonce), Verdict(nonce, candidate(AOKI, nonce), PERMIT, SessionId("ses_x")), Pressed()):
            house.pipeline.feed(ONE, event)
        house.loop.run()
        assert house.kinds(Kind.GRANT, Kind.VOID) == [Kind.VOID]


# Borrowed readers.


def test_lent_readers_open_nothing_until_they_are_given_back() -> None:
    heard: list[object] = []
    with House() as house:
        sample = house.sample(ONE)
        assert house.pipeline.lend(ONE, heard.append)
        assert not house.pipeline.lend(ONE, heard.append)
        house.hear(ONE, sample)
        assert heard == [sample]
        assert house.faces[ONE].lent
        house.pipeline.take_back(ONE)
        assert not house.faces[ONE].lent
        house.hear(ONE, sample)
        assert house.owner() is None
        house.touch()
        assert house.owner() == AOKI
