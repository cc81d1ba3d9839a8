"""The counters between the path and their store: charged before, settled after, one try of a credential at a time."""

from __future__ import annotations

import pytest

from authd.core import ports as port
from authd.core.charges import Charges
from authd.core.model import Counter, Miss, SeatId
from tests.core.fakes import HANG, ONE, TWO, House
from tests.core.playbook import AOKI, BABA

KEY = "subject:aoki"


def failures(house: House, key: str = KEY) -> int:
    return house.counters.get(key, Counter()).failures


def test_a_claimed_credential_pays_before_it_is_verified() -> None:
    with House() as house:
        house.faults["identify"] = HANG
        house.touch(claim=AOKI)
        assert failures(house) == 1
        assert house.calls.index("save") < house.calls.index("identify")


def test_a_success_clears() -> None:
    with House() as house:
        house.touch(who=BABA, claim=AOKI)
        house.touch(who=AOKI, claim=AOKI)
        assert failures(house) == 0
        assert house.owner() == AOKI


def test_another_persons_success_clears_nothing() -> None:
    with House() as house:
        house.touch(who=BABA, claim=AOKI)
        house.touch(TWO, who=BABA, claim=BABA)
        assert failures(house) == 1


def test_a_device_fault_gives_back_what_it_took_and_no_more() -> None:
    with House() as house:
        house.touch(who=BABA, claim=AOKI)
        house.faults["identify"] = port.Unavailable("restarting")
        house.touch(claim=AOKI)
        assert failures(house) == 1


def test_a_credential_is_tried_at_one_seat_at_a_time() -> None:
    """Else a device fault here would give back the try that failed there meanwhile."""
    with House() as house:
        house.faults["identify"] = HANG
        house.touch(ONE, claim=AOKI)
        house.touch(TWO, who=BABA, claim=AOKI)
        assert house.calls.count("identify") == 1
        assert house.faces[TWO].message == "wait"
        house.faults.clear()
        house.wait(11)
        house.touch(TWO, who=BABA, claim=AOKI)
        assert failures(house) == 1


def test_a_credential_is_free_again_when_its_verification_broke() -> None:
    with House() as house:
        house.faults["identify"] = ValueError("a bug")
        house.touch(claim=AOKI)
        house.faults.clear()
        house.touch(claim=AOKI)
        assert house.owner() == AOKI


@pytest.mark.parametrize("seats", [(ONE,), (ONE, TWO)], ids=["at one seat", "at two"])
def test_after_five_tries_the_next_one_waits(seats: tuple[SeatId, ...]) -> None:
    with House() as house:
        for n in range(7):
            house.touch(seats[n % len(seats)], who=BABA, claim=AOKI)
        assert house.calls.count("identify") == 5
        assert house.faces[seats[0]].message == "wait"
        house.wait(30)
        house.touch(who=BABA, claim=AOKI)
        assert house.calls.count("identify") == 6


def test_after_fifty_tries_there_are_no_more() -> None:
    with House() as house:
        for _ in range(60):
            house.touch(who=BABA, claim=AOKI)
            house.wait(30)
        assert house.calls.count("identify") == 50
        house.touch(claim=AOKI)
        assert house.faces[ONE].message == "other_way"


def test_an_unnamed_miss_delays_the_seat_alone() -> None:
    with House() as house:
        for _ in range(8):
            house.touch(ONE, "stranger")
        assert house.calls.count("identify") == 6
        house.touch(TWO)
        assert house.owner(TWO) == AOKI


def test_counters_of_an_earlier_life_count_on() -> None:
    with House() as house:
        for _ in range(5):
            house.touch(who=BABA, claim=AOKI)
        house.pipeline.charges = Charges(house, house)
        house.loop.start(house.pipeline.charges.load())
        house.loop.run()
        house.touch(claim=AOKI)
        assert house.calls.count("identify") == 5


@pytest.mark.parametrize("found", [Miss.NOBODY, Miss.REPLAYED, Miss.ATTACK])
def test_every_unnamed_miss_counts(found: Miss) -> None:
    with House() as house:
        house.faults["identify"] = found
        house.touch()
        assert failures(house, "seat:counter-1") == 1


@pytest.mark.parametrize("who", [AOKI, BABA])
def test_what_cannot_be_counted_is_refused_and_disturbs_nobody(who: str) -> None:
    with House() as house:
        house.touch()
        house.faults["save"] = port.PortError("read-only")
        house.touch(who=who, claim=BABA)
        assert house.owner() == AOKI
        house.touch(TWO, claim=BABA, who=who)
        assert house.owner(TWO) is None
        assert house.faces[TWO].message == "fault"
