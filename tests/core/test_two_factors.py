"""Two factors at the first login of a shift, one after it; and step-ups in the words of RFC 9470."""

from __future__ import annotations

import asyncio

import pytest

from authd.core import ports as port
from authd.core.model import HOUR, SECOND, Acr, Factor, Kind, Message, SeatState, SteppedUp
from authd.core.seat import Pressed
from tests.core.fakes import ONE, TWO, House
from tests.core.playbook import AOKI, BABA
from tests.core.rules import factors

S = SeatState
KEY, KEY_PIN = f"{AOKI}+key", f"{AOKI}+key+pin"


@pytest.fixture
def strict() -> House:
    house = House()
    house.rules = factors
    return house


def opened(house: House) -> dict[str, object]:
    (grant,) = [row for row in house.rows if row.kind is Kind.GRANT]
    return dict(grant.data)


def test_a_finger_and_a_key_begin_a_shift(strict: House) -> None:
    with strict as house:
        house.touch()
        assert (house.owner(), house.faces[ONE].message) == (None, Message.ANOTHER_FACTOR)
        house.wait(3)
        house.show(KEY)
        assert house.owner() == AOKI
        data = opened(house)
        assert (data["factor"], data["more"]) == ("key", "vein")
        assert data["first"] not in ("", data["nonce"])
        assert data["reference"] == f"tpl_{AOKI}@1+crd_{AOKI}@1"
        assert data["captured_at"] == 1_000 * SECOND
        assert house.kinds(Kind.ATTEMPT_REFUSED) == []


def test_the_order_does_not_matter_and_the_grade_is_the_stronger(strict: House) -> None:
    with strict as house:
        house.show(KEY)
        house.touch()
        assert house.owner() == AOKI
        assert house.rows[-1].grade == "A"


def test_a_key_with_its_pin_is_two(strict: House) -> None:
    with strict as house:
        house.show(KEY_PIN)
        assert house.owner() == AOKI
        assert "first" not in opened(house)


def test_the_seats_own_key_is_one_of_two(strict: House) -> None:
    with strict as house:
        house.vouching = True
        house.touch()
        assert house.owner() == AOKI
        assert opened(house)["more"] == "seat_key"


def test_a_verifier_cannot_speak_for_the_seat(strict: House) -> None:
    with strict as house:
        house.show(f"{AOKI}+key+seat_key")
        assert (house.owner(), house.faces[ONE].message) == (None, Message.FAULT)


def test_one_finger_is_enough_after_that_until_a_logout_or_twelve_hours(strict: House) -> None:
    with strict as house:
        house.show(KEY_PIN)
        house.pipeline.feed(ONE, Pressed())
        house.touch()
        assert house.owner() == AOKI
        house.pipeline.feed(ONE, Pressed(logout=True))
        house.touch()
        assert house.owner() is None
        house.show(KEY)
        house.pipeline.feed(ONE, Pressed())
        house.wait(12 * HOUR / SECOND)
        house.touch()
        assert house.owner() is None


def test_the_same_factor_twice_is_one(strict: House) -> None:
    with strict as house:
        house.touch()
        house.touch()
        assert (house.owner(), house.faces[ONE].message) == (None, Message.ANOTHER_FACTOR)
        house.show(KEY)
        assert house.owner() == AOKI


def test_another_persons_key_joins_nothing(strict: House) -> None:
    with strict as house:
        house.touch()
        house.show(f"{BABA}+key")
        assert (house.owner(), house.faces[ONE].message) == (None, Message.ANOTHER_FACTOR)
        house.touch()
        assert house.owner() is None


def test_the_first_factor_waits_ten_seconds(strict: House) -> None:
    with strict as house:
        house.touch()
        house.wait(10.1)
        assert house.faces[ONE].message is Message.WAITING
        house.show(KEY)
        assert house.owner() is None


def test_a_lock_or_another_seat_forgets_the_first_factor(strict: House) -> None:
    with strict as house:
        house.touch()
        house.pipeline.feed(ONE, Pressed())
        house.show(KEY)
        assert house.owner() is None
        house.pipeline.feed(ONE, Pressed())
        house.show(KEY, TWO)
        house.touch(ONE)
        assert (house.owner(ONE), house.owner(TWO)) == (None, None)


def test_two_fingers_and_a_key_come_together(strict: House) -> None:
    with strict as house:
        house.wanted = 2
        house.show(KEY)
        house.touch(who=f"{AOKI}/left")
        assert house.faces[ONE].message is Message.ANOTHER_FINGER
        house.touch(who=f"{AOKI}/right")
        assert house.owner() == AOKI
        assert opened(house)["fingers"] == "left,right"


def test_somebody_working_is_not_disturbed_by_half_a_login(strict: House) -> None:
    with strict as house:
        house.show(KEY_PIN)
        house.wait(3)
        house.touch(who=BABA)
        assert house.owner() == AOKI
        house.show(f"{BABA}+key")
        assert house.owner() == BABA


def test_a_service_that_matched_another_reader_is_not_believed(strict: House) -> None:
    with strict as house:
        house.service(AOKI, AOKI)  # nobody was named
        assert house.pipeline.seats[ONE].verification is not None
        assert "identify" not in house.calls


# Step-ups.


def step_up(house: House, acr: Acr = Acr.ONE, max_age: int | None = None) -> asyncio.Task[SteppedUp]:
    owner = house.pipeline.seats[ONE].owner
    assert owner is not None
    asked = house.loop.start(house.pipeline.step_up(ONE, owner.id, "system/pay", acr, max_age))
    house.loop.run()
    return asked


def test_a_step_up_of_two_factors_takes_two(strict: House) -> None:
    with strict as house:
        house.show(KEY_PIN)
        house.wait(3)
        asked = step_up(house, Acr.TWO)
        house.wait(1)
        house.touch()
        assert house.faces[ONE].message is Message.ANOTHER_FACTOR
        house.show(KEY)
        result = asked.result()
        assert (result.granted, result.acr, result.auth_time) == (True, Acr.TWO, 1_004 * SECOND)
        (row,) = [row for row in house.rows if row.kind is Kind.SESSION_STEPPED_UP]
        assert (row.data["acr"], row.data["factors"]) == ("authd:two", "key,vein")


def test_a_young_touch_answers_at_once_and_an_old_one_does_not(strict: House) -> None:
    with strict as house:
        house.show(KEY_PIN)
        house.wait(20)
        young = step_up(house, Acr.TWO, max_age=30).result()
        assert (young.granted, young.auth_time) == (True, 1_000 * SECOND)
        assert house.state() is S.ACTIVE
        assert len(house.kinds(Kind.SESSION_STEPPED_UP)) == 1
        step_up(house, Acr.TWO, max_age=20)
        assert house.state() is S.STEPPING_UP


def test_a_young_touch_of_one_factor_does_not_answer_for_two(strict: House) -> None:
    with strict as house:
        house.show(KEY_PIN)
        house.pipeline.feed(ONE, Pressed())
        house.touch()
        step_up(house, Acr.TWO, max_age=60)
        assert house.state() is S.STEPPING_UP


def test_an_answer_that_the_ledger_does_not_keep_is_none(strict: House) -> None:
    with strict as house:
        house.show(KEY_PIN)
        house.faults["append"] = port.LedgerDown("full")
        assert not step_up(house, max_age=60).result().granted


def test_the_seat_is_asked_only_where_it_may_be_missed(strict: House) -> None:
    with strict as house:
        house.show(KEY_PIN)
        house.pipeline.feed(ONE, Pressed())
        house.calls.clear()
        house.touch()
        assert "vouch" not in house.calls
        assert Factor.SEAT_KEY not in house.asked[-1].factors
