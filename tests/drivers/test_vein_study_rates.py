"""Rates are counts: checked by hand on small sets, and their bounds against the binomial distribution itself."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd_drivers.vein.study.rates import Comparisons, Rate, worst

GENUINE = [0.1, 0.5, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9]
IMPOSTOR = [0.0, 0.1, 0.1, 0.2, 0.2, 0.2, 0.3, 0.3, 0.4, 0.6]


def comparisons(genuine: list[float], impostor: list[float]) -> Comparisons:
    fingers = np.arange(len(genuine)) % 3
    return Comparisons(np.array(genuine, np.float32), fingers, np.array(impostor, np.float32))


@pytest.mark.parametrize(("errors", "trials"), [(0, 50), (1, 50), (7, 30), (20, 21)])
def test_the_bound_is_the_rate_at_which_so_few_errors_have_a_chance_of_one_in_twenty(errors: int, trials: int) -> None:
    bound = Rate(errors, trials).bound
    chance = sum(comb(trials, k) * bound**k * (1 - bound) ** (trials - k) for k in range(errors + 1))
    assert chance == pytest.approx(0.05, rel=1e-6)


def test_nothing_tried_says_nothing() -> None:
    assert (Rate(0, 0).value, Rate(0, 0).bound) == (0.0, 1.0)
    assert not comparisons([], IMPOSTOR)
    assert not comparisons(GENUINE, [])


def test_a_score_at_the_threshold_matches() -> None:
    point = comparisons(GENUINE, IMPOSTOR).at(0.6)
    assert (point.fnmr, point.fmr) == (Rate(2, 10), Rate(1, 10))


def test_the_equal_error_rate_is_where_the_two_meet() -> None:
    found = comparisons(GENUINE, IMPOSTOR)
    assert found.eer == pytest.approx(0.1)
    assert (found.equal.fnmr, found.equal.fmr) == (Rate(1, 10), Rate(1, 10))
    assert comparisons([0.5, 0.6], [0.1, 0.2]).eer == 0
    assert comparisons([0.4, 0.8, 0.9], [0.1, 0.1, 0.1, 0.5]).eer == pytest.approx((1 / 3 + 1 / 4) / 2)
    assert comparisons([0.1, 0.2], [0.5, 0.6]).eer == 1


def test_a_false_match_rate_is_held_and_no_more_than_needed_is_refused() -> None:
    found = comparisons(GENUINE, IMPOSTOR)
    strict, lax = found.at_fmr(0.0), found.at_fmr(0.1)
    assert (strict.fmr, strict.fnmr) == (Rate(0, 10), Rate(3, 10))
    assert (lax.fmr, lax.fnmr) == (Rate(1, 10), Rate(1, 10))
    assert found.at_fmr(0.19).fmr == Rate(1, 10)


@pytest.mark.parametrize(("count", "fmr", "enough"), [(30_000, 1e-4, True), (29_999, 1e-4, False), (300, 1e-2, True)])
def test_a_rate_that_the_comparisons_cannot_show_is_not_spoken_of(count: int, fmr: float, enough: bool) -> None:
    assert comparisons(GENUINE, [0.1] * count).supports(fmr) is enough


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40),
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40),
)
def test_whatever_the_scores_rates_are_rates_and_curves_fall(genuine: list[float], impostor: list[float]) -> None:
    found = comparisons(genuine, impostor)
    false, missed = found.det()
    assert (np.diff(false) >= 0).all()
    assert (np.diff(missed) <= 0).all()
    assert 0 <= found.eer <= 1
    for fmr in (0.0, 0.1, 0.5):
        assert found.at_fmr(fmr).fmr.value <= fmr
    gap = abs(found.equal.fmr.value - found.equal.fnmr.value)
    assert all(gap <= abs(found.at(at).fmr.value - found.at(at).fnmr.value) + 1e-9 for at in genuine)


def test_the_worst_fingers_are_those_most_often_missed() -> None:
    found = Comparisons(
        np.array([0.1, 0.2, 0.9, 0.1, 0.9, 0.8, 0.9], np.float32),
        np.array([5, 5, 5, 3, 3, 7, 7]),
        np.array([0.3], np.float32),
    )
    first, second = worst(found, 0.5, 10)
    assert (first.finger, first.misses, round(first.typical, 3)) == (5, Rate(2, 3), 0.2)
    assert (second.finger, second.misses) == (3, Rate(1, 2))
    assert [each.finger for each in worst(found, 0.5, 1)] == [5]
