"""How well one set of settings tells the fingers of a folder apart: a fixed plan of comparisons, carried out quickly.

The plan is drawn once (seeded), so that two sets of settings are judged by the very same pairs of pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.profile import SearchSettings, SensorProfile
from authd_drivers.vein.study.dataset import Dataset

Floats = npt.NDArray[np.float32]
Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.intp]

FINGERS = 120
SAMPLES = 4
"""Of a finger, spread over those there are: the later ones are the more different."""
STRANGERS = 60
"""Other fingers that each picture is compared with."""
IMAGES_KEPT = 600
"""Decoded pictures that a process keeps from trial to trial."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Which pictures, and which pairs of them. paths: n pictures; genuine, impostor: shape (pairs, 2), sorted."""

    paths: tuple[Path, ...]
    genuine: Rows
    impostor: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What came of a plan. Scores are -1 where one of the two pictures gave no template."""

    genuine: Floats
    impostor: Floats


def draw_plan(dataset: Dataset, seed: int = 1) -> Plan:
    """Choose fingers, samples and pairs. A finger with a single picture is compared with others only."""
    rng = np.random.default_rng(seed)
    fingers = rng.permutation(len(dataset.fingers))[:FINGERS]
    chosen: list[int] = []
    owner: list[int] = []
    for finger in sorted(fingers.tolist()):
        takes = np.flatnonzero(dataset.finger == finger)
        spread = np.unique(np.linspace(0, len(takes) - 1, min(SAMPLES, len(takes))).round().astype(int))
        chosen += takes[spread].tolist()
        owner += [finger] * len(spread)
    owners = np.array(owner, np.intp)
    pairs = [pair for pair in combinations(range(len(owners)), 2) if owners[pair[0]] == owners[pair[1]]]
    paths = tuple(dataset.pictures[number].path for number in chosen)
    return Plan(paths, np.array(pairs, np.intp).reshape(-1, 2), _strangers(owners, rng))


def _strangers(owners: Rows, rng: np.random.Generator) -> Rows:
    pairs: set[tuple[int, int]] = set()
    for one in range(len(owners)):
        others = np.flatnonzero(owners != owners[one])
        for other in rng.permutation(others)[: STRANGERS // 2].tolist():
            pairs.add((min(one, other), max(one, other)))
    return np.array(sorted(pairs), np.intp).reshape(-1, 2)


def carry_out(plan: Plan, profile: SensorProfile, pool: ProcessPoolExecutor, jobs: int) -> Trial:
    """Extract and compare as planned. `profile` has no gate."""
    size = max(1, -(-len(plan.paths) // (4 * jobs)))
    parts = [plan.paths[at : at + size] for at in range(0, len(plan.paths), size)]
    templates = np.concatenate(list(pool.map(_extract, parts, [profile] * len(parts))))
    pairs = np.concatenate([plan.genuine, plan.impostor])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    cuts = np.array_split(order, 4 * jobs)
    scores = np.full(len(pairs), -1, np.float32)
    done = pool.map(_score, [templates] * len(cuts), [pairs[cut] for cut in cuts], [profile.search] * len(cuts))
    for cut, part in zip(cuts, done, strict=True):
        scores[cut] = part
    split = len(plan.genuine)
    return Trial(scores[:split], scores[split:])


@lru_cache(maxsize=IMAGES_KEPT)
def _picture(path: Path) -> npt.NDArray[np.uint8] | None:
    from authd_drivers.vein.study.images import Unread, read_image

    frame = read_image(path)
    return None if isinstance(frame, Unread) else frame


def _extract(paths: Sequence[Path], profile: SensorProfile) -> Words:
    """Templates of pictures, shape (n, 32), 0 where there is none."""
    from authd_drivers.vein.engine.compare import words
    from authd_drivers.vein.engine.extract import extract
    from authd_drivers.vein.engine.template import parse

    templates = np.zeros((len(paths), 32), np.uint64)
    for row, path in zip(templates, paths, strict=True):
        frame = _picture(path)
        if frame is not None and frame.shape == (profile.height, profile.width):
            record = extract(frame, profile).template
            if record is not None:
                row[:] = words(parse(record).bits)
    return templates


def _score(templates: Words, pairs: Rows, search: SearchSettings) -> Floats:
    """Scores of pairs that are sorted by their first, -1 where one of the two has no template."""
    from authd_drivers.vein.engine.compare import lattices

    fine, _ = lattices(search)
    scores = np.full(len(pairs), -1, np.float32)
    whole = np.asarray(templates.any(axis=1), np.bool_)
    for probe in np.unique(pairs[:, 0]).tolist():
        rows = np.flatnonzero((pairs[:, 0] == probe) & whole[pairs[:, 1]] & whole[probe])
        if rows.size:
            scores[rows] = fine.scores(templates[probe], templates[pairs[rows, 1]])
    return scores
