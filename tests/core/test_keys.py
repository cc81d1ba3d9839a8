"""Keys and cards at a seat: denials, names, what is typed, what is put in and taken out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from authd.core import ports as port
from authd.core.model import (
    MILLISECOND,
    Candidate,
    Denial,
    EndReason,
    Evidence,
    Factor,
    Fault,
    Grade,
    Hint,
    Instant,
    Kind,
    Limits,
    Message,
    Miss,
    Nonce,
    Prompt,
    PromptId,
    SeatState,
    SubjectId,
)
from authd.core.seat import Activity, Pressed
from tests.core.fakes import HANG, ONE, READERS, TWO, House
from tests.core.playbook import AOKI, BABA, with_limits
from tests.core.rules import factors

S = SeatState
KEY, CARD = f"{AOKI}+key", f"{AOKI}+card"
GRACE = with_limits(Limits(removal=800 * MILLISECOND))
READER = READERS[ONE]


def bound(house: House, who: str = KEY, insertion: str = "i1") -> None:
    """Somebody works here with a key that must stay."""
    house.put_in(insertion)
    house.show(who, insertion=insertion)
    assert house.owner() is not None
    house.wait(3)


def arming(house: House) -> tuple[SubjectId | None, bool]:
    """Whom the readers wait for, and whether they are left in peace."""
    _, claim, calm = house.armings[-1]
    return claim, calm


def refusals(house: House) -> list[dict[str, object]]:
    return [dict(row.data) for row in house.rows if row.kind is Kind.ATTEMPT_REFUSED]


# Denials.


@pytest.mark.parametrize(
    ("why", "message"),
    [
        (Denial.UNKNOWN, Message.KEY_UNKNOWN),
        (Denial.BLOCKED, Message.KEY_BLOCKED),
        *((why, Message.KEY_REFUSED) for why in Denial if why not in (Denial.UNKNOWN, Denial.BLOCKED)),
    ],
)
def test_a_denial_is_recorded_with_its_reason_and_said_plainly(why: Denial, message: Message) -> None:
    with House() as house:
        house.show(why.value)
        assert (house.owner(), house.faces[ONE].message) == (None, message)
        assert refusals(house) == [{"why": why.value, "reader": READER, "reference": "crd_aoki@1"}]
        assert house.rows[-1].subject == AOKI
        assert house.pipeline.seats[ONE].misses == 0


def test_what_the_device_itself_turns_down_is_recorded_and_the_seat_goes_on_waiting() -> None:
    with House() as house:
        nonce = house.armed[ONE]
        house.hear(ONE, port.TurnedDown(READER, Nonce("old"), Denial.BLOCKED))
        assert refusals(house) == []
        house.hear(ONE, port.TurnedDown(READER, nonce, Denial.BLOCKED))
        assert refusals(house) == [{"why": "blocked", "reader": READER}]
        assert house.faces[ONE].message is Message.KEY_BLOCKED
        house.touch()
        assert house.owner() == AOKI


def test_a_denial_does_not_disturb_whoever_works_here() -> None:
    with House() as house:
        house.touch()
        house.wait(3)
        house.show("cloned")
        assert (house.owner(), house.faces[ONE].message) == (AOKI, Message.START)
        assert len(refusals(house)) == 1


# What the verifier may say of which sample.


@pytest.mark.parametrize(
    "change",
    [
        {"grade": Grade.MATCHED},
        {"factor": Factor.VEIN},
        {"more": frozenset({Factor.VOUCH})},
        {"bound": ()},
        {"bound": ((READER, "i1"), (READER, "i2"))},
        {"held": ("crd",)},
        {"reader": READERS[TWO]},
    ],
)
def test_evidence_that_does_not_fit_a_proof_is_not_believed(change: dict[str, Any]) -> None:
    with House() as house:
        house.put_in("i1")
        seen = Evidence(READER, Factor.KEY, Grade.SIGNED, house.armed[ONE], Instant(0), "crd_aoki@1")
        seen = replace(seen, bound=((READER, "i1"),))
        house.faults["identify"] = Candidate(AOKI, replace(seen, **change))
        house.show(KEY, insertion="i1")
        assert (house.owner(), house.faces[ONE].message) == (None, Message.FAULT)


def test_a_finger_is_never_grade_a_nor_bound() -> None:
    with House() as house:
        changes: tuple[dict[str, Any], ...] = (
            {"grade": Grade.SIGNED},
            {"bound": ((READER, "i1"),)},
            {"more": frozenset({Factor.PIN})},
        )
        for change in changes:
            seen = Evidence(READER, Factor.VEIN, Grade.MATCHED, house.armed[ONE], Instant(0), "tpl@1")
            house.faults["identify"] = Candidate(AOKI, replace(seen, **change))
            house.touch()
            assert house.owner() is None


def test_a_proof_is_looked_for_among_everybody_of_the_seat() -> None:
    with House() as house:
        house.faults["scope"] = []
        house.show(KEY)
        assert "members" in house.calls
        assert "scope" not in house.calls
        assert house.owner() == AOKI


def test_a_silent_sample_opens_nothing() -> None:
    with House() as house:
        house.put_in("i1")
        house.came_back(KEY, "i1", nonce=house.armed[ONE])
        assert house.state() is S.LOCKED
        assert "identify" not in house.calls


def test_a_key_that_is_not_in_its_reader_says_nothing() -> None:
    with House() as house:
        house.show(KEY, insertion="i1")
        house.put_in("i2")
        house.take_out("i2")
        house.show(KEY, insertion="i2")
        assert "identify" not in house.calls
        assert house.owner() is None


# A card that nobody touches.


def test_a_card_opens_a_seat_as_it_is_put_in_and_not_by_lying_there() -> None:
    with House() as house:
        house.put_in("i1")
        house.show(CARD, insertion="i1")
        assert house.owner() == AOKI
        house.pipeline.feed(ONE, Pressed())
        house.show(CARD, insertion="i1")
        assert house.owner() is None
        assert refusals(house)[-1]["why"] == "absent"


def test_a_card_that_was_put_in_while_somebody_worked_is_nobodys_act_later() -> None:
    with House() as house:
        house.touch()
        house.wait(3)
        house.put_in("i1")
        house.pipeline.feed(ONE, Pressed())
        house.show(f"{BABA}+card", insertion="i1")
        assert house.owner() is None
        house.show(f"{BABA}+card+pin", insertion="i1")  # typing is an act
        assert house.owner() == BABA


def test_a_card_that_was_put_in_before_a_step_up_was_asked_does_not_answer_it() -> None:
    with House() as house:
        house.touch()
        house.wait(3)
        house.put_in("1-a")
        house.wait(1)
        owner = house.pipeline.seats[ONE].owner
        assert owner is not None
        asked = house.loop.start(house.pipeline.step_up(ONE, owner.id, "tax"))
        house.loop.run()
        house.wait(0.5)
        house.show(f"{AOKI}+card", insertion="1-a")
        assert (asked.done(), house.rows[-1].data["why"]) == (False, "absent")
        house.put_in("1-b")
        house.show(f"{AOKI}+card", insertion="1-b")
        assert asked.result().granted


def test_a_card_that_was_put_in_before_help_was_asked_for_is_nobodys_act() -> None:
    with House() as house:
        house.put_in("1-a")
        house.wait(1)
        assert house.pipeline.break_glass(ONE)
        house.show(f"{AOKI}+card", insertion="1-a")
        assert house.rows[-1].data["why"] == "absent"


def test_a_card_that_was_put_in_long_ago_is_nobodys_act() -> None:
    with House() as house:
        house.put_in("i1")
        house.wait(10.1)
        house.show(CARD, insertion="i1")
        assert house.owner() is None


# Names.


def test_a_cards_number_proves_nothing_and_says_whose_finger_to_wait_for() -> None:
    house = House()
    house.rules = factors
    house.vouching = True
    with house:
        house.show(AOKI, given=port.Given.IDENTIFIER)
        assert (house.owner(), house.faces[ONE].message, house.faces[ONE].claim) == (None, Message.CARD_ALONE, AOKI)
        assert arming(house) == (AOKI, False)
        assert refusals(house)[-1]["why"] == "identifier"
        house.service(BABA, BABA)
        assert house.owner() is None
        house.service(AOKI, AOKI)
        assert house.owner() == AOKI
        assert house.faces[ONE].claim is None


def test_a_name_is_forgotten_after_twenty_seconds_and_at_a_lock() -> None:
    with House() as house:
        assert house.pipeline.claim(ONE, AOKI)
        assert arming(house)[0] == AOKI
        house.wait(20.1)
        assert (arming(house)[0], house.faces[ONE].claim) == (None, None)
        house.service(AOKI, AOKI)
        assert house.owner() is None
        assert house.pipeline.claim(ONE, AOKI)
        house.pipeline.feed(ONE, Pressed())
        assert house.faces[ONE].claim is None


def test_nobody_is_named_who_is_not_of_the_seat_nor_while_somebody_sits_there() -> None:
    with House() as house:
        house.people = [AOKI]
        assert not house.pipeline.claim(ONE, BABA)
        house.touch()
        assert not house.pipeline.claim(ONE, AOKI)


def test_who_sits_there_is_waited_for_while_the_seat_fades_and_left_in_peace_before() -> None:
    with House() as house:
        house.touch()
        assert arming(house) == (None, True)
        nonce = house.armings[-1][0]
        house.wait(56)
        assert house.state() is S.FADING
        assert house.armings[-1][0] == nonce
        assert arming(house) == (AOKI, False)
        house.service(AOKI, AOKI)
        assert house.state() is S.ACTIVE
        assert arming(house) == (None, True)


# A key that blinks.


def test_a_key_that_waits_to_be_touched_takes_no_message_away_and_is_not_once_more() -> None:
    with House() as house:
        bound(house)
        house.pipeline.feed(ONE, Pressed())
        house.hear(ONE, port.Hinted(Hint.TOUCH_THE_KEY))
        assert (house.faces[ONE].message, house.faces[ONE].hint) == (Message.LOCKED, Hint.TOUCH_THE_KEY)
        house.take_out("i1")
        assert (house.faces[ONE].message, house.faces[ONE].hint) == (Message.LOCKED, None)


# What is typed.

PIN = Prompt(PromptId.PIN, left=8)


def test_what_is_typed_goes_to_the_reader_that_asks_and_to_nobody_else() -> None:
    with House() as house:
        assert not house.pipeline.answer(ONE, "1234")
        house.hear(ONE, port.Asking(READER, PIN))
        assert (house.faces[ONE].prompt, house.faces[ONE].message) == (PIN, Message.PIN)
        assert house.pipeline.answer(ONE, "1234")
        assert house.typed == [(READER, "1234")]
        assert house.faces[ONE].prompt is None
        assert not house.pipeline.answer(ONE, "1234")
        assert all("1234" not in str(row) for row in house.rows)


@pytest.mark.parametrize("typed", ["", "x" * 257])
def test_what_cannot_be_a_pin_is_not_handed_on(typed: str) -> None:
    with House() as house:
        house.hear(ONE, port.Asking(READER, PIN))
        assert not house.pipeline.answer(ONE, typed)
        assert house.typed == []


def test_nobody_is_asked_over_somebody_elses_work() -> None:
    with House() as house:
        house.touch()
        house.hear(ONE, port.Asking(READER, PIN))
        assert house.faces[ONE].prompt is None
        house.wait(56)
        house.hear(ONE, port.Asking(READER, PIN))
        assert (house.state(), house.faces[ONE].prompt) == (S.FADING, PIN)
        house.pipeline.feed(ONE, Activity())
        assert house.faces[ONE].prompt is None


def test_a_prompt_ends_with_whatever_it_was_for() -> None:
    with House() as house:
        house.hear(ONE, port.Asking(READER, PIN))
        house.hear(ONE, port.Asking(READER, None))
        assert (house.faces[ONE].prompt, house.faces[ONE].message) == (None, Message.WAITING)
        house.hear(ONE, port.Asking(READER, PIN))
        house.touch()
        assert house.faces[ONE].prompt is None
        house.pipeline.feed(ONE, Pressed())
        house.hear(ONE, port.Asking(READER, PIN))
        house.hear(ONE, port.ReaderDown(READER, Fault.REMOVED))
        assert house.faces[ONE].prompt is None


# Taken out.


def test_whoever_takes_the_key_out_is_out_at_once() -> None:
    with House() as house:
        bound(house)
        house.take_out("i1")
        assert (house.owner(), house.faces[ONE].message) == (None, Message.REMOVED)
        assert house.rows[-1].reason is EndReason.REMOVAL


def test_another_key_that_is_taken_out_ends_nothing() -> None:
    with House() as house:
        bound(house)
        house.put_in("i2")
        house.take_out("i2")
        assert house.owner() == AOKI


def test_the_reader_that_holds_the_key_ends_the_session_with_it() -> None:
    with House() as house:
        bound(house)
        house.hear(ONE, port.ReaderDown(READER, Fault.CRASHED))
        assert (house.owner(), house.state()) == (None, S.OUT_OF_SERVICE)
        assert house.rows[-1].reason is EndReason.REMOVAL


def test_a_finger_and_a_card_are_bound_to_the_card() -> None:
    house = House()
    house.rules = factors
    with house:
        house.put_in("i1")
        house.show(CARD, insertion="i1")
        house.touch()
        assert house.owner() == AOKI
        house.take_out("i1")
        assert house.owner() is None


def test_taken_out_before_the_ledger_has_answered_it_opens_nothing() -> None:
    with House() as house:
        house.put_in("i1")
        house.faults["append"] = 0.5
        house.show(KEY, insertion="i1")
        assert house.state() is S.GRANTING
        house.take_out("i1")
        assert house.state() is S.LOCKED
        house.wait(2)
        assert house.owner() is None
        assert house.kinds(Kind.VOID) == [Kind.VOID]


def test_taken_out_before_the_verdict_it_opens_nothing() -> None:
    with House() as house:
        house.put_in("i1")
        house.faults["identify"] = 0.5
        house.show(KEY, insertion="i1")
        assert house.state() is S.VERIFYING
        house.take_out("i1")
        house.wait(2)
        assert house.owner() is None
        assert house.kinds(Kind.GRANT) == []


def test_a_key_that_stays_is_not_presence() -> None:
    with House() as house:
        bound(house)
        house.wait(60)
        assert house.owner() is None


def test_the_grace_keeps_the_same_key_and_nothing_else() -> None:
    house = House()
    house.decision = GRACE
    with house:
        bound(house)
        house.take_out("i1")
        assert (house.owner(), house.state()) == (AOKI, S.FADING)
        house.pipeline.feed(ONE, Activity())
        assert house.state() is S.FADING
        house.wait(0.3)
        house.put_in("i2")
        assert house.confirms[-1][1:] == (READER, f"crd_{AOKI}@1")
        house.came_back(KEY, "i2")
        assert (house.owner(), house.state()) == (AOKI, S.ACTIVE)
        house.take_out("i2")
        house.wait(0.7)
        assert house.owner() == AOKI
        house.wait(0.2)
        assert house.owner() is None
        assert house.rows[-1].reason is EndReason.REMOVAL


@pytest.mark.parametrize("who", [f"{BABA}+key", "cloned", "unknown_credential"])
def test_another_key_in_the_grace_ends_it_at_once(who: str) -> None:
    house = House()
    house.decision = GRACE
    with house:
        bound(house)
        house.take_out("i1")
        house.put_in("i2")
        house.came_back(who, "i2")
        assert house.owner() is None


@pytest.mark.parametrize("how", ["late", "answer late", "device", "reader", "touch"])
def test_nothing_else_takes_a_removal_back(how: str) -> None:
    house = House()
    house.decision = GRACE
    with house:
        bound(house)
        house.take_out("i1")
        if how == "late":
            house.wait(0.81)
            house.put_in("i2")
        elif how == "answer late":
            house.faults["identify"] = HANG
            house.put_in("i2")
            house.came_back(KEY, "i2")
            house.wait(0.81)
        elif how == "device":
            house.put_in("i2")
            house.hear(ONE, port.TurnedDown(READER, house.confirms[-1][0], Denial.UNKNOWN))
        elif how == "reader":
            house.hear(ONE, port.ReaderDown(READER, Fault.REMOVED))
        else:
            house.touch()
            house.wait(0.81)
        assert house.owner() is None


def test_a_card_that_comes_back_while_the_seat_fades_by_idle_leaves_it_fading() -> None:
    house = House()
    house.decision = GRACE
    with house:
        bound(house)
        house.wait(53)
        assert house.state() is S.FADING
        house.take_out("i1")
        house.put_in("i2")
        house.came_back(KEY, "i2")
        assert (house.owner(), house.state()) == (AOKI, S.FADING)
        house.wait(5)
        assert house.owner() is None


# Counting.


def test_keys_wait_for_no_finger_and_fingers_for_no_key() -> None:
    with House() as house:
        for _ in range(9):
            house.touch(who="nobody")
            house.wait(0.1)
        assert house.faces[ONE].message is Message.WAIT
        house.show(KEY)
        assert house.owner() == AOKI
        house.pipeline.feed(ONE, Pressed())
        for _ in range(9):
            house.show("unknown_credential")
            house.wait(0.1)
        assert house.counters[f"key:{ONE}"].failures > 5
        assert house.faces[ONE].message is Message.WAIT
        house.wait(40)
        house.touch()
        assert house.owner() == AOKI


def test_whoever_tries_anothers_name_shuts_out_neither_their_finger_nor_their_key() -> None:
    with House() as house:
        for _ in range(55):
            assert house.pipeline.claim(ONE, AOKI)
            house.service("", AOKI)
            house.wait(31)
        assert house.counters[f"named:{AOKI}"].failures == 50
        assert house.pipeline.claim(ONE, AOKI)
        house.service(AOKI, AOKI)
        assert (house.owner(), house.faces[ONE].message) == (None, Message.OTHER_WAY)
        house.touch(claim=AOKI)
        assert house.owner() == AOKI
        house.pipeline.feed(ONE, Pressed())
        house.show(KEY)
        assert house.owner() == AOKI


def test_what_the_devices_fault_is_nobodys() -> None:
    with House() as house:
        house.faults["identify"] = Miss.UNAVAILABLE
        for _ in range(9):
            house.show(KEY)
        house.hear(ONE, port.TurnedDown(READER, house.armed[ONE], Denial.BLOCKED))
        assert house.counters.get(f"key:{ONE}") is None
