"""How failed tries slow the next one down, as arithmetic, and a working day at a busy counter."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.core import throttle
from authd.core.model import HOUR, MINUTE, SECOND, Counter, Instant

T = Instant(1_000 * SECOND)
CLAIM, SEAT = throttle.claim_key("sub_a"), throttle.seat_key("counter-1")


def tried(times: int, at: Instant = T) -> Counter:
    counter = Counter(boot="b")
    for _ in range(times):
        counter = throttle.charge_claim(counter, at)
    return counter


def missed(times: int, at: Instant = T) -> Counter:
    counter = Counter(boot="b")
    for _ in range(times):
        counter = throttle.charge_seat(counter, at)
    return counter


# Of a claimed credential.


@pytest.mark.parametrize(("tries", "wait"), [(0, 0), (4, 0), (5, 30), (6, 30), (49, 30)])
def test_five_tries_are_free_and_then_each_waits(tries: int, wait: int) -> None:
    counter = tried(tries)
    assert throttle.may_try(counter, Instant(T + wait * SECOND), claimed=True).allowed
    assert wait == 0 or not throttle.may_try(counter, Instant(T + wait * SECOND - 1), claimed=True).allowed


def test_fifty_tries_disable_until_another_factor() -> None:
    verdict = throttle.may_try(tried(50), Instant(T + 365 * 24 * HOUR), claimed=True)
    assert (verdict.allowed, verdict.disabled) == (False, True)


@given(st.integers(min_value=1, max_value=49))
def test_a_refund_gives_back_exactly_one_try(tries: int) -> None:
    before = tried(tries)
    charged = throttle.charge_claim(before, Instant(T + SECOND))
    assert throttle.refund(charged, before) == before


def test_a_success_clears_and_nothing_else_does() -> None:
    assert throttle.succeed(tried(49), T) == Counter(0, Instant(0), T, "b")


@given(tries=st.integers(min_value=5, max_value=60), later=st.integers(min_value=0, max_value=HOUR))
def test_time_alone_forgives_a_claimed_credential_nothing(tries: int, later: int) -> None:
    counter = throttle.charge_claim(tried(tries), Instant(T + later))
    assert counter.failures == tries + 1


# Across a restart and a reboot.


@given(st.integers(min_value=0, max_value=60))
def test_a_restart_changes_nothing(tries: int) -> None:
    assert throttle.adopt(CLAIM, tried(tries), Instant(T + SECOND), "b") == tried(tries)


@given(st.integers(min_value=5, max_value=49))
def test_a_reboot_restarts_the_whole_delay(tries: int) -> None:
    counter = throttle.adopt(CLAIM, tried(tries), Instant(SECOND), "another boot")
    assert counter.failures == tries
    assert not throttle.may_try(counter, Instant(31 * SECOND - 1), claimed=True).allowed
    assert throttle.may_try(counter, Instant(31 * SECOND), claimed=True).allowed


def test_a_reboot_restarts_a_seats_delay() -> None:
    counter = throttle.adopt(SEAT, missed(8), Instant(SECOND), "another boot")
    assert counter.not_before == SECOND + throttle.seat_delay(8)


# Of a seat whose touches name nobody.


@pytest.mark.parametrize(("misses", "wait"), [(5, 0), (6, 1), (7, 2), (8, 4), (9, 8), (10, 16), (11, 30), (500, 30)])
def test_a_seat_only_waits_longer_and_at_most_thirty_seconds(misses: int, wait: int) -> None:
    assert throttle.seat_delay(misses) == wait * SECOND


@given(st.integers(min_value=1, max_value=10_000))
def test_a_seat_is_never_disabled(misses: int) -> None:
    counter = replace(Counter(boot="b"), failures=misses, not_before=Instant(T + throttle.seat_delay(misses)))
    verdict = throttle.may_try(counter, Instant(T + 30 * SECOND), claimed=False)
    assert verdict.allowed
    assert not verdict.disabled


def test_a_seat_forgets_a_miss_in_half_a_minute() -> None:
    counter = throttle.charge_seat(missed(5), Instant(T + 2 * MINUTE))
    assert counter.failures == 2


@pytest.mark.parametrize("seed", range(5))
def test_a_busy_counter_waits_less_than_five_seconds_a_day(seed: int) -> None:
    """Ten staff, fifty touches each in eight hours, one in a hundred of them misses (I5, feature 8)."""
    random, counter, waited = Random(seed), Counter(boot="b"), 0
    touches = sorted(random.randrange(8 * HOUR) for _ in range(500))
    for at in touches:
        now = Instant(max(at, counter.not_before))
        waited += now - at if at < counter.not_before else 0
        if random.random() < 0.01:
            counter = throttle.charge_seat(counter, now)
    assert waited <= 5 * SECOND
