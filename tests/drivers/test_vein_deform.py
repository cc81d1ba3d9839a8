from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from authd_drivers.vein.engine.deform import AT_ONCE, CLOSER, judged, refine
from authd_drivers.vein.engine.lattice import Lattice

Cells = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]

LATTICE = Lattice(32, 64, 16, 12)


def packed(*maps: Cells) -> Words:
    return np.stack([np.packbits(each, axis=1, bitorder="little").view(np.uint64)[:, 0] for each in maps])


def veins(seed: int) -> Cells:
    """Cells set in runs, as those of veins are."""
    rng = np.random.default_rng(seed)
    rough = rng.random((40, 80))
    smooth = sum(np.roll(rough, (down, right), (0, 1)) for down in range(3) for right in range(3))
    return np.asarray(smooth > np.quantile(smooth, 0.6))[4:36, 8:72]


def bent(cells: Cells) -> Cells:
    """Each quarter of the columns a row further down than the one before."""
    return np.concatenate([np.roll(cells[:, 16 * n : 16 * n + 16], n, axis=0) for n in range(4)], axis=1)


def refined(probe: Cells, *templates: Cells) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    probes, others = packed(probe), packed(*templates)
    rigid = LATTICE.scores(probes[0], others)
    return rigid, refine(LATTICE, probes[0], others, rigid)


def test_a_bent_finger_is_nearer_to_itself_than_its_rigid_score_says() -> None:
    rigid, score = refined(veins(1), bent(veins(1)))
    assert score[0] > rigid[0] + 0.1


def test_the_very_same_map_still_scores_one() -> None:
    _, score = refined(veins(2), veins(2))
    assert score[0] == pytest.approx(1.0, abs=1e-6)


def test_a_stranger_gains_less_than_a_bent_finger() -> None:
    strangers = [veins(seed) for seed in range(10, 40)]
    rigid, score = refined(veins(1), *strangers, bent(veins(1)))
    gain = score - rigid
    assert gain[:-1].max() < gain[-1] / 2
    assert score[-1] > score[:-1].max() + 0.2


@pytest.mark.parametrize(("down", "right"), [(0, 0), (7, -5), (-9, 3), (16, 0), (0, -12)])
def test_a_map_that_only_moved_keeps_its_score(down: int, right: int) -> None:
    wide = np.random.default_rng(3).random((96, 128)) < 0.4
    rigid, score = refined(wide[32:64, 32:96], wide[32 + down : 64 + down, 32 + right : 96 + right])
    assert score[0] == pytest.approx(rigid[0], abs=1e-6)


def test_a_score_does_not_depend_on_what_else_is_looked_at() -> None:
    others = [veins(seed) for seed in range(20)]
    _, together = refined(veins(50), *others)
    assert together.tolist() == [refined(veins(50), each)[1][0] for each in others]


@pytest.mark.parametrize("cells", [np.zeros((32, 64), np.bool_), np.ones((32, 64), np.bool_)])
def test_a_map_that_says_nothing_scores_next_to_nothing(cells: Cells) -> None:
    assert abs(refined(cells, veins(1))[1][0]) < 0.1
    assert abs(refined(veins(1), cells)[1][0]) < 0.1


def test_who_measures_sees_the_scores_that_a_search_decides_by() -> None:
    near = [veins(1) ^ (np.random.default_rng(seed).random((32, 64)) < 0.1) for seed in range(2 * AT_ONCE)]
    maps = packed(veins(1), *near, *(veins(seed) for seed in range(10, 40)))
    rigid = LATTICE.scores(maps[0], maps[1:])
    close = rigid >= CLOSER
    assert AT_ONCE < close.sum() < len(rigid)
    found = judged(LATTICE, maps[0], maps[1:])
    assert found[~close].tolist() == rigid[~close].tolist()
    assert found[close].tolist() == refine(LATTICE, maps[0], maps[1:][close], rigid[close]).tolist()
