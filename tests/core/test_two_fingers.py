"""A touch that takes two fingers: the second is compared together with the first, and with no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from authd.core import ports as port
from authd.core.model import SECOND, Candidate, Kind, Message, Miss, Nonce, SeatState
from authd.core.seat import Pressed, Resumed
from tests.core.fakes import ONE, TWO, House
from tests.core.playbook import AOKI, BABA, candidate

S = SeatState
LEFT, RIGHT, UNCLEAR = f"{AOKI}/left", f"{AOKI}/right", f"{AOKI}/?"
BABAS = f"{BABA}/left"


@pytest.fixture
def strict() -> House:
    """Two fingers are asked of every touch."""
    house = House()
    house.wanted = 2
    return house


def test_two_fingers_of_one_person_open_a_session(strict: House) -> None:
    with strict as house:
        house.touch(who=LEFT)
        assert (house.owner(), house.faces[ONE].message) == (None, Message.ANOTHER_FINGER)
        first = house.pipeline.seats[ONE].verification
        assert first is not None
        assert first.first is not None
        house.touch(who=RIGHT)
        assert house.owner() == AOKI
        (grant,) = [row for row in house.rows if row.kind is Kind.GRANT]
        assert (grant.data["fingers"], grant.data["first"]) == ("left,right", first.first.nonce)
        assert grant.data["nonce"] == first.nonce
        assert house.asked[-1].fingers == 2


def test_an_unclear_finger_asks_for_another_where_one_would_do() -> None:
    with House() as house:
        house.touch(who=UNCLEAR)
        assert house.faces[ONE].message is Message.ANOTHER_FINGER
        house.touch(who=RIGHT)
        assert house.owner() == AOKI


def test_the_same_finger_twice_is_one(strict: House) -> None:
    with strict as house:
        house.touch(who=LEFT)
        house.touch(who=LEFT)
        assert house.owner() is None
        assert house.kinds(Kind.ATTEMPT_NOT_RECOGNISED) == [Kind.ATTEMPT_NOT_RECOGNISED]


def test_a_verifier_that_counts_one_finger_twice_is_not_believed(strict: House) -> None:
    with strict as house:
        house.touch(who=LEFT)
        sample = house.sample(ONE, LEFT)
        kept = house.pipeline._firsts[ONE]  # pyright: ignore[reportPrivateUsage] - what it waits with
        seen = replace(candidate(AOKI).evidence, reader=sample.reader, nonce=sample.nonce, first=kept.nonce)
        house.faults["identify"] = Candidate(AOKI, replace(seen, fingers=("left", "left")))
        house.hear(ONE, sample)
        assert house.owner() is None


def test_an_answer_to_another_pair_is_not_believed(strict: House) -> None:
    with strict as house:
        house.touch(who=LEFT)
        sample = house.sample(ONE, RIGHT)
        seen = replace(candidate(AOKI).evidence, reader=sample.reader, nonce=sample.nonce, first=Nonce("another"))
        house.faults["identify"] = Candidate(AOKI, replace(seen, fingers=("left", "right")))
        house.hear(ONE, sample)
        assert house.owner() is None


def test_one_finger_where_two_are_asked_is_not_believed(strict: House) -> None:
    with strict as house:
        sample = house.sample(ONE, LEFT)
        seen = replace(candidate(AOKI).evidence, reader=sample.reader, nonce=sample.nonce)
        house.faults["identify"] = Candidate(AOKI, seen)
        house.hear(ONE, sample)
        assert (house.owner(), house.faces[ONE].message) == (None, Message.FAULT)


def test_the_second_finger_of_another_opens_nobodys_session(strict: House) -> None:
    with strict as house:
        house.touch(who=LEFT)
        house.touch(who=BABAS)
        assert house.owner() is None
        house.touch(who=RIGHT)  # and what waited is gone with it
        assert house.owner() is None


def test_a_third_finger_is_not_asked_for(strict: House) -> None:
    with strict as house:
        house.touch(who=LEFT)
        house.faults["identify"] = Miss.ANOTHER_FINGER
        house.touch(who=RIGHT)
        assert house.faces[ONE].message is Message.ONCE_MORE
        assert ONE not in house.pipeline._firsts  # pyright: ignore[reportPrivateUsage]


def test_the_second_finger_that_never_comes_leaves_nothing(strict: House) -> None:
    with strict as house:
        house.touch(who=LEFT)
        rows = len(house.rows)
        house.wait(10.1)
        assert (house.state(), house.faces[ONE].message, len(house.rows)) == (S.LOCKED, Message.WAITING, rows)
        assert not house.pipeline._firsts  # pyright: ignore[reportPrivateUsage]
        house.touch(who=RIGHT)
        assert (house.owner(), house.terms[-1].first) == (None, None)


def test_a_grant_is_as_old_as_its_older_finger(strict: House) -> None:
    """Both fingers are at most ten seconds old when the session starts."""
    with strict as house:
        house.touch(who=LEFT)
        house.wait(9)
        house.faults["append"] = 1.5
        house.touch(who=RIGHT)
        house.wait(2)
        assert house.owner() is None
        assert house.kinds(Kind.VOID) == [Kind.VOID]


@pytest.mark.parametrize("event", [Pressed(), Resumed()])
def test_what_cancels_a_nonce_forgets_the_finger_that_waits(strict: House, event: Pressed | Resumed) -> None:
    with strict as house:
        house.touch(who=LEFT)
        house.pipeline.feed(ONE, event)
        assert not house.pipeline._firsts  # pyright: ignore[reportPrivateUsage]
        house.touch(who=RIGHT)
        assert (house.owner(), house.terms[-1].first) == (None, None)


def test_a_reader_that_comes_back_begins_anew(strict: House) -> None:
    """It does not know the nonce that the other finger was armed with."""
    with strict as house:
        house.touch(who=LEFT)
        house.hear(ONE, port.ReaderUp(house.sample(ONE).reader))
        assert house.faces[ONE].message is Message.WAITING
        house.touch(who=RIGHT)
        assert (house.owner(), house.terms[-1].first) == (None, None)


def test_a_finger_of_another_seat_is_not_the_first_one_here(strict: House) -> None:
    with strict as house:
        house.touch(ONE, who=LEFT)
        house.touch(TWO, who=RIGHT)
        assert (house.owner(TWO), house.terms[-1].first) == (None, None)


def test_whoever_sits_there_locks_and_stays_with_one_finger(strict: House) -> None:
    with strict as house:
        house.touch(who=LEFT)
        house.touch(who=RIGHT)
        house.wait(56)
        assert house.state() is S.FADING
        house.touch(who=LEFT)
        assert house.state() is S.ACTIVE
        house.wait(3)
        house.touch(who=LEFT)
        assert house.owner() is None


def test_another_person_takes_over_with_two(strict: House) -> None:
    with strict as house:
        house.touch(who=LEFT)
        house.touch(who=RIGHT)
        house.touch(who=BABAS)
        assert (house.owner(), house.faces[ONE].message) == (AOKI, Message.ANOTHER_FINGER)
        house.touch(who=f"{BABA}/right")
        assert house.owner() == BABA


def test_a_step_up_is_as_strict_as_a_login(strict: House) -> None:
    with strict as house:
        house.touch(who=LEFT)
        house.touch(who=RIGHT)
        owner = house.pipeline.seats[ONE].owner
        assert owner is not None
        asked = house.loop.start(house.pipeline.step_up(ONE, owner.id, "system/pay"))
        house.wait(1)
        house.touch(who=LEFT)
        assert not asked.done()
        assert house.faces[ONE].message is Message.ANOTHER_FINGER
        house.wait(11)
        assert house.faces[ONE].message is Message.CONFIRM
        house.touch(who=LEFT)
        house.touch(who=RIGHT)
        assert asked.done()
        assert asked.result().granted is True


# What it costs.


def test_a_try_of_two_fingers_is_counted_once(strict: House) -> None:
    with strict as house:
        house.touch(who=LEFT)
        assert house.counters[f"seat:{ONE}"].failures == 1
        house.touch(who=BABAS)
        assert house.counters[f"seat:{ONE}"].failures == 1


def test_a_good_second_finger_gives_back_what_the_first_cost(strict: House) -> None:
    with strict as house:
        house.touch(who=LEFT)
        house.touch(who=RIGHT)
        assert house.counters[f"seat:{ONE}"].failures == 0


def test_who_never_shows_the_other_finger_has_tried(strict: House) -> None:
    with strict as house:
        for _ in range(6):
            house.touch(who=LEFT)
            house.wait(10.1)
        assert house.counters[f"seat:{ONE}"].failures > 3


def test_the_second_finger_is_not_delayed_by_what_the_first_cost(strict: House) -> None:
    with strict as house:
        for _ in range(7):
            house.touch(who=LEFT)
            house.touch(who=BABAS)
            house.wait(4)
        assert house.counters[f"seat:{ONE}"].not_before > house.now() - 4 * SECOND
        house.wait(10)
        house.touch(who=LEFT)
        house.touch(who=RIGHT)
        assert house.owner() == AOKI


def test_a_claim_pays_once_and_its_owners_second_finger_clears_it(strict: House) -> None:
    with strict as house:
        house.touch(who=LEFT, claim=AOKI)
        assert house.counters[f"subject:{AOKI}"].failures == 1
        house.touch(who=LEFT, claim=AOKI)
        assert house.counters[f"subject:{AOKI}"].failures == 1
        house.touch(who=LEFT, claim=AOKI)
        house.touch(who=RIGHT, claim=AOKI)
        assert house.owner() == AOKI
        assert house.counters[f"subject:{AOKI}"].failures == 0


def test_a_first_finger_under_another_claim_is_not_this_ones(strict: House) -> None:
    with strict as house:
        house.touch(who=LEFT, claim=AOKI)
        house.touch(who=RIGHT)
        assert (house.owner(), house.terms[-1].first) == (None, None)


def test_a_device_fault_at_the_second_finger_gives_back(strict: House) -> None:
    with strict as house:
        house.touch(who=LEFT)
        house.faults["identify"] = port.Unavailable("gone")
        house.touch(who=RIGHT)
        assert house.counters[f"seat:{ONE}"].failures == 0
        assert house.owner() is None
