"""How generated scores are measured and compared with the recorded real ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from authd_simulators.vein_image.anatomy import Finger
from authd_simulators.vein_image.recipe import CALIBRATED
from authd_simulators.vein_study import ALGORITHMS, Scores, distance, equal_error, generate, recorded, scored, spread_of
from authd_simulators.vein_study.population import TAKES, takes
from authd_simulators.vein_study.spread import BINS, LOWEST, STEP, Record, scores_of, write_record

TAME = replace(CALIBRATED, wilful=0.01, mood=0.01, roll=0.5, dx=0.5, dy=0.5, warp=0.05, veil=0.0, contrast_touches=0.01)
"""People who lay a finger down the same way each time."""


def normal(middle: float, count: int = 20_000) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.random.default_rng(1).normal(middle, 0.05, count).astype(np.float32)


def test_a_spread_has_the_quantiles_of_its_scores() -> None:
    scores = normal(0.2)
    for share in (0.01, 0.5, 0.9, 0.9999):
        assert spread_of(scores).quantile(share) == pytest.approx(float(np.quantile(scores, share)), abs=STEP)


def test_what_is_beyond_the_bins_is_in_the_last_ones() -> None:
    spread = spread_of(np.array([-0.9, 1.0, 1.5], np.float32))
    assert (spread.counts[0], spread.counts[-1], spread.total) == (1, 2, 3)


def test_the_distance_of_two_spreads_is_that_of_kolmogorov_and_smirnov() -> None:
    one, other = normal(0.2), normal(0.23)
    at = LOWEST + STEP * np.arange(1, BINS + 1)
    shares = (np.searchsorted(np.sort(each), at) / len(each) for each in (one, other))
    expected = float(np.abs(np.subtract(*shares)).max())
    assert distance(spread_of(one), spread_of(other)) == pytest.approx(expected, abs=1e-3)
    assert distance(spread_of(one), spread_of(one)) == 0


def test_scores_are_parted_by_finger_and_take() -> None:
    fingers = 3
    matrix = np.full((fingers * TAKES,) * 2, 0.1, np.float32)
    for finger in range(fingers):
        own = slice(finger * TAKES, (finger + 1) * TAKES)
        matrix[own, own] = 0.6
    matrix[0, 1] = matrix[1, 0] = 1.0  # one picture under two names
    comparable = np.ones((fingers, fingers), np.bool_)
    comparable[0, 2] = comparable[2, 0] = False
    found = scores_of(matrix, TAKES, comparable)
    assert found.genuine.total == fingers * 15 - 1
    assert found.apart.total == fingers * 6
    assert found.impostor.total == 2 * TAKES * TAKES
    assert found.genuine.quantile(0.5) > 0.5 > found.impostor.quantile(0.5)


def test_the_equal_error_rate_is_where_two_spreads_cross() -> None:
    scores = Scores(spread_of(normal(0.3)), spread_of(normal(0.3)), spread_of(normal(0.2)))
    assert equal_error(scores) == pytest.approx(0.1587, abs=0.01)  # one standard deviation from either


def test_the_record_is_of_the_whole_set_and_of_the_present_profile() -> None:
    record = recorded()
    assert set(record.spreads) == set(ALGORITHMS)
    assert f"{ALGORITHMS['unrolled'].id:08x}" in record.source, "run python -m tests.tools.vein_histograms again"
    for scores in record.spreads.values():
        assert scores.genuine.total >= 9_500
        assert scores.impostor.total == 1908 * 1907 // 2 - 636 * 3 - 9
    assert equal_error(record.spreads["unrolled"]) < equal_error(record.spreads["flat"])


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = recorded()
    write_record(tmp_path / "scores.json", Record("somewhere", record.spreads))
    text = (tmp_path / "scores.json").read_text()
    assert "somewhere" in text
    assert text.replace("somewhere", record.source) == (
        Path(__file__).parents[2] / "simulators/authd_simulators/vein_study/sdumla_scores.json"
    ).read_text("utf-8")


def test_the_same_seed_takes_the_same_pictures_and_another_one_others() -> None:
    one, again, other = (takes(seed, 0, Finger.LEFT_INDEX) for seed in (1, 1, 2))
    assert len(one) == TAKES
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one[0], other[0])


def test_a_population_has_a_template_for_each_take_by_each_algorithm() -> None:
    taken = generate(2, fingers=2, jobs=1)
    assert {name: each.shape for name, each in taken.templates.items()} == dict.fromkeys(ALGORITHMS, (24, 32))


def test_a_small_population_is_about_as_hard_as_real_people() -> None:
    found, real = scored(generate(24, fingers=1, jobs=1), jobs=1)["unrolled"], recorded().spreads["unrolled"]
    assert distance(found.impostor, real.impostor) < 0.15
    assert distance(found.genuine, real.genuine) < 0.30


def test_people_without_habits_are_seen_to_be_too_easy() -> None:
    found, real = (
        scored(generate(12, fingers=1, recipe=TAME, jobs=1), jobs=1)["unrolled"],
        recorded().spreads["unrolled"],
    )
    assert distance(found.genuine, real.genuine) > 0.30
