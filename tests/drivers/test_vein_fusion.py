from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from authd_drivers.vein.engine.fusion import TOLERATED, fingers_needed, fused, roster_row
from authd_drivers.vein.engine.profile import PROFILES, ProfileError, load_profile, read_profile

SDUMLA = load_profile("sdumla")


def test_two_probes_are_laid_on_two_different_fingers_in_the_better_way() -> None:
    assert fused({2: 0.5, 7: 0.1}, {2: 0.2, 7: 0.4}) == pytest.approx(0.9)
    assert fused({2: 0.1, 7: 0.5}, {2: 0.4, 7: 0.2}) == pytest.approx(0.9)


def test_one_finger_touched_twice_is_not_two_fingers() -> None:
    assert fused({2: 0.6, 7: 0.05}, {2: 0.6, 7: 0.02}) == pytest.approx(0.65)


@pytest.mark.parametrize(("first", "second"), [({2: 0.9}, {2: 0.9}), ({0: 0.9}, {0: 0.9}), ({}, {2: 0.9}), ({}, {})])
def test_who_has_one_finger_or_none_never_matches(first: dict[int, float], second: dict[int, float]) -> None:
    assert fused(first, second) == -2.0


def test_the_smallest_roster_that_holds_the_people_speaks_for_them() -> None:
    row = roster_row(SDUMLA.roster, 21, 1)
    assert row is not None
    assert row.people == 30
    assert roster_row(SDUMLA.roster, 121, 1) is None


def test_one_finger_is_enough_only_where_its_bound_is() -> None:
    assert fingers_needed(SDUMLA, 20) == 1
    assert fingers_needed(SDUMLA, 120) == 2
    assert fingers_needed(SDUMLA, 100_000) == 2
    assert fingers_needed(replace(SDUMLA, roster=()), 1) == 2


def test_two_fingers_are_good_enough_for_each_roster_of_the_table() -> None:
    for row in SDUMLA.roster:
        two = roster_row(SDUMLA.roster, row.people, 2)
        assert two is not None
        assert two.bound <= TOLERATED
        assert two.fnir_percent < row.fnir_percent or row.fingers == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [("fingers = 2", "fingers = 3"), ("bound = ", "bound = -"), ("fnir_percent", "fnir"), ("[[roster]]", "[roster.a]")],
)
def test_a_wrong_row_is_refused(tmp_path: Path, old: str, new: str) -> None:
    text = (PROFILES / "sdumla.toml").read_text("utf-8")
    before, row, rest = text.partition("[[roster]]")
    file = tmp_path / "wrong.toml"
    file.write_text(
        before + (row + rest.split("[[roster]]")[1]).replace("fingers = 1", "fingers = 2").replace(old, new)
    )
    with pytest.raises(ProfileError, match=r"wrong\.toml"):
        read_profile(file)
