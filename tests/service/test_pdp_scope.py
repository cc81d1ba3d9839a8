"""`pdp.scope`: identification within its bound (FEATURES.md 7)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.driver import Roster, roster_size
from authd.service.pdp import AUTO, check_scope, choose, scope_bound


def test_a_roster_of_120_templates_asks_for_the_rate_in_the_vein_document() -> None:
    assert check_scope(8.3e-7, 120, 1e-4).permitted
    assert not check_scope(8.4e-7, 120, 1e-4).permitted
    assert check_scope(8.3e-7, 121, 1e-4).largest == 120


@pytest.mark.parametrize("fmr", [0.0, -1.0, 1.5, math.nan, math.inf])
def test_what_bounds_nothing_permits_nothing(fmr: float) -> None:
    found = check_scope(fmr, 1, 1e-4)
    assert (found.bound, found.permitted, found.largest) == (1.0, False, 0)


def test_an_empty_roster_identifies_nobody() -> None:
    assert scope_bound(1e-6, 0) == 0.0


@given(st.floats(1e-12, 1), st.integers(0, 10_000))
def test_the_bound_covers_the_exact_rate_and_the_largest_roster_is_permitted(fmr: float, templates: int) -> None:
    exact = 1 - math.exp(templates * math.log1p(-fmr)) if fmr < 1 else float(templates > 0)
    assert scope_bound(fmr, templates) >= exact - 1e-12
    largest = check_scope(fmr, templates, 1e-4).largest
    assert check_scope(fmr, largest, 1e-4).permitted
    assert not check_scope(fmr, largest + 1, 1e-4 * (1 - 1e-9)).permitted


# One finger or two.

TABLE = [
    Roster(20, 1, 6.6e-5, 2.5),
    Roster(20, 2, 5e-6, 0.04),
    Roster(40, 1, 1.3e-4, 2.7),
    Roster(120, 2, 3.2e-5, 0.07),
]
TWO = {"right_index": 3, "left_middle": 3}


def test_one_finger_is_asked_where_it_keeps_the_limit() -> None:
    found = choose(5e-7, [TWO] * 20, TABLE, 1e-4)
    assert (found.fingers, found.bound, found.fnir_percent, found.people) == (1, 6.6e-5, 2.5, 20)


def test_two_are_asked_where_one_would_name_somebody_else_too_often() -> None:
    found = choose(5e-7, [TWO] * 60, TABLE, 1e-4)
    assert (found.fingers, found.bound, found.fnir_percent, found.permitted) == (2, 3.2e-5, 0.07, True)


def test_where_two_are_too_few_nobody_is_looked_for() -> None:
    assert not choose(5e-7, [TWO] * 121, TABLE, 1e-4).permitted
    assert not choose(5e-7, [TWO] * 60, [], 1e-4).permitted
    assert not choose(5e-7, [TWO] * 20, [], 1e-4, 2).permitted


def test_the_settings_may_ask_for_two_and_may_not_ask_for_less_than_the_limit() -> None:
    assert choose(5e-7, [TWO] * 20, TABLE, 1e-4, 2).fingers == 2
    assert not choose(5e-7, [TWO] * 60, TABLE, 1e-4, 1).permitted
    assert choose(5e-7, [TWO] * 20, TABLE, 1e-4, 1).permitted


def test_whoever_has_one_finger_is_counted_where_two_are_asked() -> None:
    found = choose(5e-7, [TWO, {"right_index": 3}, {}], TABLE, 1e-4, 2)
    assert (found.short, found.templates) == (2, 9)


def test_a_row_that_bounds_nothing_is_no_row() -> None:
    assert not choose(1e-3, [TWO] * 20, [Roster(20, 1, 0.0, 0.0), Roster(20, 2, math.nan, 0.0)], 1e-4, AUTO).permitted


@given(st.lists(st.dictionaries(st.integers(1, 10), st.integers(1, 5)), max_size=20))
def test_a_roster_is_never_taken_for_a_smaller_one(people: list[dict[int, int]]) -> None:
    """More fingers or more references count as more people; the table is of two fingers of three."""
    templates = sum(sum(one.values()) for one in people)
    assert roster_size(people, 1) * 6 >= templates
    pairs = sum(len(one) * (len(one) - 1) // 2 for one in people)
    assert roster_size(people, 2) >= pairs
    assert roster_size([TWO] * 7, 1) == roster_size([TWO] * 7, 2) == 7
