"""A colleague's word, and two people who break the glass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from authd.core.model import MINUTE, SECOND, EndReason, Kind, Message, SeatState, SubjectId
from authd.core.seat import Pressed
from tests.core.fakes import ONE, TWO, House
from tests.core.playbook import AOKI, BABA, LIMITS, PERMIT
from tests.core.rules import factors

S = SeatState
CHIBA = SubjectId("chiba")
UNCLEAR = f"{AOKI}/?"


@pytest.fixture
def strict() -> House:
    house = House()
    house.people = [AOKI, BABA, CHIBA]
    house.rules = factors
    return house


def last(house: House, kind: Kind) -> dict[str, object]:
    return dict(next(row for row in reversed(house.rows) if row.kind is kind).data)


# A colleague's word.


def test_a_colleague_vouches_and_the_claimants_own_finger_opens(strict: House) -> None:
    with strict as house:
        assert house.pipeline.vouch(ONE)
        assert house.faces[ONE].message is Message.COLLEAGUE
        house.touch(who=BABA)
        assert (house.owner(), house.state(), house.faces[ONE].message) == (None, S.LOCKED, Message.VOUCHED)
        assert house.kinds(Kind.GRANT) == []
        house.wait(20)
        house.touch()
        assert house.owner() == AOKI
        data = last(house, Kind.GRANT)
        assert (data["ladder"], data["helper"], data["helper_factors"]) == ("vouch", BABA, "vein")
        assert (data["factor"], data["more"], house.rows[-1].grade) == ("vein", "vouch", "B")
        assert data["captured_at"] == 1_020 * SECOND
        assert not house.faces[ONE].break_glass


def test_a_word_is_good_for_thirty_seconds_and_for_one_login(strict: House) -> None:
    with strict as house:
        house.pipeline.vouch(ONE)
        house.touch(who=BABA)
        house.wait(30.1)
        assert house.faces[ONE].message is Message.WAITING
        house.touch()
        assert house.owner() is None
        house.wait(11)
        house.pipeline.vouch(ONE)
        house.touch(who=BABA)
        house.touch()
        assert house.owner() == AOKI
        house.pipeline.feed(ONE, Pressed(logout=True))
        house.touch(who=CHIBA)
        assert house.owner() is None


def test_a_finger_that_is_unclear_makes_a_word_last_no_longer(strict: House) -> None:
    with strict as house:
        house.pipeline.vouch(ONE)
        house.touch(who=BABA)
        house.wait(29)
        house.touch(who=UNCLEAR)
        assert house.faces[ONE].message is Message.ANOTHER_FINGER
        house.wait(2)
        house.touch(who=f"{AOKI}/right")
        assert house.owner() is None


def test_nobody_vouches_for_themselves(strict: House) -> None:
    with strict as house:
        house.pipeline.vouch(ONE)
        house.touch()
        house.touch()
        assert house.owner() is None
        assert last(house, Kind.ATTEMPT_REFUSED)["rules"] == "no"


def test_three_a_month(strict: House) -> None:
    with strict as house:
        house.vouched = 3
        house.pipeline.vouch(ONE)
        house.touch(who=BABA)
        house.touch()
        assert house.owner() is None
        assert house.asked[-1].vouches == 3


def test_a_word_is_not_used_where_it_is_not_needed(strict: House) -> None:
    with strict as house:
        house.pipeline.vouch(ONE)
        house.touch(who=BABA)
        house.show(f"{AOKI}+key+pin")
        assert house.owner() == AOKI
        assert "helper" not in last(house, Kind.GRANT)


def test_somebody_who_was_disabled_meanwhile_vouches_for_nobody(strict: House) -> None:
    with strict as house:
        house.pipeline.vouch(ONE)
        house.touch(who=BABA)
        house.gone.add(BABA)
        house.touch()
        assert house.owner() is None


def test_whoever_may_not_vouch_does_not(strict: House) -> None:
    with strict as house:
        house.pipeline.vouch(ONE)
        house.rules = None
        house.decision = replace(PERMIT, permitted=False)
        house.touch(who=BABA)
        house.rules = factors
        assert house.faces[ONE].message is Message.REFUSED
        house.touch()  # the colleague, still: a word that comes from the claimant
        assert house.owner() is None


def test_a_word_stays_at_its_seat_and_a_lock_takes_it_back(strict: House) -> None:
    with strict as house:
        house.pipeline.vouch(ONE)
        house.touch(who=BABA)
        house.touch(TWO)
        assert house.owner(TWO) is None
        house.pipeline.feed(ONE, Pressed())
        house.touch()
        assert house.owner() is None


def test_the_buttons_are_of_the_locked_screen(strict: House) -> None:
    with strict as house:
        house.show(f"{AOKI}+key+pin")
        assert not house.pipeline.vouch(ONE)
        assert not house.pipeline.break_glass(ONE)


def test_nobody_comes(strict: House) -> None:
    with strict as house:
        for press, message in (
            (house.pipeline.vouch, Message.COLLEAGUE),
            (house.pipeline.break_glass, Message.BREAK_GLASS),
        ):
            assert press(ONE)
            assert house.faces[ONE].message is message
            house.wait(30.1)
            assert house.faces[ONE].message is Message.WAITING
        house.touch()
        assert house.faces[ONE].message is Message.ANOTHER_FACTOR


# Two people.


def test_two_people_break_the_glass_and_the_session_is_the_first_ones(strict: House) -> None:
    with strict as house:
        assert house.pipeline.break_glass(ONE)
        house.touch()
        assert (house.owner(), house.faces[ONE].message) == (None, Message.SECOND_PERSON)
        house.wait(4)
        house.touch(who=BABA)
        assert house.owner() == AOKI
        data = last(house, Kind.GRANT)
        assert (data["ladder"], data["helper"], data["captured_at"]) == ("break_glass", BABA, 1_000 * SECOND)
        assert data["nonce"] != data["helper_nonce"]
        assert last(house, Kind.BREAKGLASS_OPENED)["helper"] == BABA
        assert house.faces[ONE].break_glass
        owner = house.pipeline.seats[ONE].owner
        assert owner is not None
        assert (owner.break_glass, owner.limits.overall) == (True, LIMITS.overall)


def test_it_lasts_an_hour_at_most_and_begins_no_shift(strict: House) -> None:
    with strict as house:
        asked = replace(PERMIT, limits=replace(LIMITS, idle=90 * MINUTE, overall=700 * MINUTE, absence=None))
        house.rules = lambda request: replace(factors(request), limits=asked.limits)
        house.pipeline.break_glass(ONE)
        house.touch()
        house.touch(who=BABA)
        house.wait(60 * 60 - 6)
        assert house.state() is S.ACTIVE
        house.wait(7)
        assert house.owner() is None
        assert next(row for row in reversed(house.rows) if row.kind is Kind.SESSION_ENDED).reason is EndReason.EXPIRED
        assert house.kinds(Kind.SHIFT_ENDED) == []
        house.touch()
        assert house.owner() is None
        assert house.faces[ONE].message is Message.ANOTHER_FACTOR


def test_one_person_twice_is_one(strict: House) -> None:
    with strict as house:
        house.pipeline.break_glass(ONE)
        house.touch()
        house.touch()
        assert (house.owner(), house.faces[ONE].message) == (None, Message.SECOND_PERSON)


def test_the_second_person_is_there_within_ten_seconds(strict: House) -> None:
    with strict as house:
        house.pipeline.break_glass(ONE)
        house.touch()
        house.wait(10.1)
        house.touch(who=BABA)
        assert (house.owner(), house.faces[ONE].message) == (None, Message.SECOND_PERSON)
        house.touch()  # and now it is the other's session
        assert house.owner() == BABA


def test_a_second_person_who_may_nothing_opens_nothing(strict: House) -> None:
    with strict as house:
        house.pipeline.break_glass(ONE)
        house.touch()
        house.gone.add(BABA)
        house.touch(who=BABA)
        assert house.owner() is None


def test_a_first_person_who_was_disabled_meanwhile_gets_nothing(strict: House) -> None:
    with strict as house:
        house.pipeline.break_glass(ONE)
        house.touch()
        house.gone.add(AOKI)
        house.touch(who=BABA)
        assert house.owner() is None


def test_the_glass_is_broken_without_an_open_shift_being_used(strict: House) -> None:
    with strict as house:
        house.show(f"{AOKI}+key+pin")
        house.pipeline.feed(ONE, Pressed())
        house.wait(100)
        house.pipeline.break_glass(ONE)
        house.touch()
        house.touch(who=BABA)
        owner = house.pipeline.seats[ONE].owner
        assert owner is not None
        assert owner.shift_began == 1_100 * SECOND
        house.pipeline.feed(ONE, Pressed())
        house.touch()  # their shift is as it was
        assert house.owner() == AOKI
