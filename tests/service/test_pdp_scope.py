"""`pdp.scope`: identification within its bound (FEATURES.md 7)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.service.pdp import check_scope, scope_bound


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
