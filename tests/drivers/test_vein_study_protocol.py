"""Which comparisons count, on made-up scores: nobody's pictures are needed for that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.profile import load_profile
from authd_drivers.vein.study.dataset import Dataset, Picture
from authd_drivers.vein.study.identify import identify
from authd_drivers.vein.study.protocol import Enrolled, enrol, single, take_out, take_out_twins, two_fingers
from authd_drivers.vein.study.rates import Rate

DECISION = replace(load_profile("sim").decision, threshold=0.5, margin=0.1)


def dataset(*names: str) -> Dataset:
    """Pictures such as `1/i/a` (subject, finger, sample) or `1/i/2/a` with a session."""
    parts = [name.split("/") for name in names]
    return Dataset(Path(), tuple(Picture(Path(*p), p[0], p[1], p[2] if len(p) > 3 else "", p[-1]) for p in parts))


def matrix(count: int) -> npt.NDArray[np.float32]:
    """Symmetric, each pair with a score of its own: (row, column) is 0.01 * row + 0.0001 * column for row < column."""
    rows = np.arange(count, dtype=np.float32)
    upper = np.triu(rows[:, np.newaxis] * np.float32(0.01) + rows * np.float32(0.0001), 1)
    return (upper + upper.T).astype(np.float32)


def rounded(values: npt.NDArray[np.float32]) -> list[float]:
    return [round(float(value), 4) for value in values]


def everything(data: Dataset) -> npt.NDArray[np.bool_]:
    return np.ones(len(data.pictures), np.bool_)


def test_each_pair_is_compared_once() -> None:
    data = dataset("1/i/a", "1/i/b", "2/i/a", "2/i/b")
    found = single(matrix(4), data, everything(data))
    assert rounded(found.genuine) == [0.0001, 0.0203]
    assert found.finger.tolist() == [0, 1]
    assert rounded(found.impostor) == [0.0002, 0.0003, 0.0102, 0.0103]


def test_what_is_not_usable_is_not_compared() -> None:
    data = dataset("1/i/a", "1/i/b", "2/i/a", "2/i/b")
    found = single(matrix(4), data, np.array([True, False, True, True]))
    assert rounded(found.genuine) == [0.0203]
    assert rounded(found.impostor) == [0.0002, 0.0003]


def test_fingers_that_are_one_and_pictures_that_are_one_are_left_out() -> None:
    data, scores = dataset("1/i/a", "1/m/a", "2/i/a", "2/i/b"), matrix(4)
    take_out(scores, data, {(0, 1), (1, 0)}, people_only=False)
    assert take_out_twins(scores, [b"x", b"", b"x", b""]) == [(0, 2)]
    found = single(scores, data, everything(data))
    assert rounded(found.impostor) == [0.0003, 0.0102, 0.0103]
    assert rounded(found.genuine) == [0.0203]


def test_impostors_can_be_other_people_only() -> None:
    data, scores = dataset("1/i/a", "1/i/b", "1/m/a", "2/i/a"), matrix(4)
    take_out(scores, data, (), people_only=True)
    found = single(scores, data, everything(data))
    assert rounded(found.impostor) == [0.0003, 0.0103, 0.0203]
    assert rounded(found.genuine) == [0.0001]


def test_genuine_pairs_can_be_those_of_different_sessions_only() -> None:
    data = dataset("1/i/1/a", "1/i/1/b", "1/i/2/a", "2/i/1/a")
    found = single(matrix(4), data, everything(data), np.array([0, 0, 1, 0]))
    assert rounded(found.genuine) == [0.0002, 0.0102]
    assert len(found.impostor) == 3


def test_a_finger_is_enrolled_by_its_first_usable_pictures_and_tried_with_the_rest() -> None:
    data = dataset("1/i/a", "1/i/b", "1/i/c", "1/i/d", "2/i/a", "2/i/b", "2/i/c", "3/i/a", "3/i/b", "4/i/a")
    usable = everything(data)
    usable[[1, 8]] = False  # 1/i/b; and 3/i has one left
    found = enrol(matrix(10), data, usable, 2)
    assert found.fingers.tolist() == [0, 1]
    assert (found.failed, found.short) == (1, 1)
    assert found.probe.tolist() == [0, 1]
    assert rounded(found.best[0]) == [0.0203, 0.0305]  # 1/i/d with a, c of its own, and a, b of the other
    assert rounded(found.comparisons().genuine) == [0.0203, 0.0506]
    assert len(found.comparisons().impostor) == 2


def test_a_finger_can_be_enrolled_in_one_session_and_tried_in_others() -> None:
    data = dataset("1/i/1/a", "1/i/1/b", "1/i/1/c", "1/i/2/a", "2/i/1/a", "2/i/1/b")
    session = np.array([0, 0, 0, 1, 0, 0])
    found = enrol(matrix(6), data, everything(data), 2, session)
    assert (found.fingers.tolist(), found.probe.tolist()) == ([0, 1], [0])
    assert rounded(found.comparisons().genuine) == [0.0103]


def test_nobody_enrolled_is_no_error() -> None:
    data = dataset("1/i/a", "2/i/a")
    found = enrol(matrix(2), data, everything(data), 3)
    assert (len(found.fingers), found.short, bool(found.comparisons())) == (0, 2, False)
    assert identify(found, 1, DECISION) is None


def enrolled(best: list[list[float]], probe: list[int]) -> Enrolled:
    return Enrolled(np.array(best, np.float32), np.array(probe), np.arange(len(best[0])), 0, 0)


def test_a_search_names_who_is_good_enough_and_ahead() -> None:
    found = enrolled(
        [
            [0.9, 0.2, 0.1],  # named
            [0.2, 0.4, 0.1],  # below the threshold
            [0.1, 0.8, 0.85],  # the first and no one ahead
            [0.9, 0.1, 0.6],  # another one is named
        ],
        [0, 1, 2, 2],
    )
    result = identify(found, 3, DECISION)
    assert result is not None
    assert (result.rosters, result.fnir, result.wrong) == (1, Rate(3, 4), Rate(1, 4))
    assert result.first == Rate(1, 4)
    assert result.fpir == Rate(0, 0)


def test_each_finger_is_in_one_roster_and_a_stranger_to_the_others() -> None:
    best = np.full((6, 6), 0.1) + np.eye(6) * 0.8
    best[0, 1:] = 0.7  # whoever is searched among strangers, this one is found
    found = enrolled(best.tolist(), list(range(6)))
    result = identify(found, 1, DECISION)
    assert result is not None
    assert (result.rosters, result.fnir, result.fpir) == (6, Rate(0, 6), Rate(5, 30))
    assert identify(found, 7, DECISION) is None


def test_the_margin_counts_from_zero_upwards() -> None:
    alone = enrolled([[0.55, -2.0]], [0])
    result = identify(alone, 2, replace(DECISION, margin=0.6))
    assert result is not None
    assert result.fnir == Rate(1, 1)


def test_two_fingers_are_judged_by_their_sum_against_other_people() -> None:
    names = [f"{person}/{finger}/{take}" for person in "12" for finger in ("i", "m", "r") for take in "abc"]
    data = dataset(*names)
    found = enrol(matrix(18), data, everything(data), 2)
    both = two_fingers(found, data)
    best = {
        (int(finger), column): row[column]
        for finger, row in zip(found.probe, found.best, strict=True)
        for column in range(6)
    }
    assert len(both.genuine) == 2  # a person's third finger has no other one to go with
    assert rounded(both.genuine) == sorted(
        round(float(max(best[a, a] + best[b, b], best[a, b] + best[b, a])), 4) for a, b in ((0, 1), (3, 4))
    )
    assert len(both.impostor) == 2


def test_two_touches_of_which_one_is_not_compared_have_no_sum() -> None:
    data = dataset("1/i/a", "1/i/b", "1/m/a", "1/m/b", "2/i/a", "2/i/b", "2/m/a", "2/m/b")
    scores = matrix(8)
    take_out(scores, data, {(0, 2), (2, 0), (0, 3), (3, 0)}, people_only=False)
    found = two_fingers(enrol(scores, data, everything(data), 1), data)
    assert (len(found.genuine), len(found.impostor)) == (2, 0)
