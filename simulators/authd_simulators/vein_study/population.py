"""Generated fingers, taken as the real ones were, and their scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from authd_drivers.vein.study.measure import score_all
from authd_drivers.vein.study.pool import Progress, cores, in_order, silent
from authd_simulators.vein_image.anatomy import Finger, anatomy, finger_seed
from authd_simulators.vein_image.capture import Image, expose, look
from authd_simulators.vein_image.recipe import CALIBRATED, Recipe
from authd_simulators.vein_study.algorithms import ALGORITHMS, template
from authd_simulators.vein_study.spread import Scores, scores_of

LEFT_LYING = (0.89, 0.40, 0.47, 0.41, 0.71)
"""Chance that the finger was not lifted before the second, third, ... take.

SDUMLA-HMT does not say; its scores by take do: where takes follow each other, many are as alike as two frames of one
touch, by about these shares.
"""
TAKES = len(LEFT_LYING) + 1

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """Templates by algorithm, each of shape (n, 32): by person, finger and take; six takes a finger."""

    templates: Mapping[str, Words]


def generate(
    people: int,
    fingers: int = 2,
    seed: int = 1,
    recipe: Recipe = CALIBRATED,
    jobs: int = 0,
    progress: Progress = silent,
) -> Taken:
    """Grow a population and take six pictures of each finger; the same arguments give the same templates."""
    tasks = ((seed, person, fingers, recipe) for person in range(people))
    made: dict[str, list[Words]] = {name: [] for name in ALGORITHMS}
    for done, part in enumerate(in_order(person_templates, tasks, jobs or cores()), 1):
        for name, templates in part.items():
            made[name].append(templates)
        progress("draw", done, people)
    return Taken({name: np.concatenate(parts) for name, parts in made.items()})


def person_templates(seed: int, person: int, fingers: int, recipe: Recipe) -> dict[str, Words]:
    """One task of `generate`: one person's templates by algorithm, shape (fingers x 6, 32)."""
    chosen = list(Finger)[:: max(1, len(Finger) // fingers)][:fingers]
    frames = [frame for finger in chosen for frame in takes(seed, person, finger, recipe)]
    return {name: np.stack([template(frame, name) for frame in frames]) for name in ALGORITHMS}


def takes(seed: int, person: int, finger: Finger, recipe: Recipe = CALIBRATED) -> list[Image]:
    """Six pictures of one finger, lifted in between or not."""
    grown = anatomy(finger_seed(f"study-{seed}-{person}", finger), recipe)
    key = (seed, person, list(Finger).index(finger))
    lifted = np.random.default_rng((*key, 0)).random(TAKES - 1) >= LEFT_LYING
    touches = np.concatenate([[0], np.cumsum(lifted)])
    frames: list[Image] = []
    for take, touch in enumerate(touches.tolist()):
        again = np.random.default_rng((*key, 2, take))
        seen = look(grown, np.random.default_rng((*key, 1, touch)), again=again)
        frames.append(expose(seen.light, seen.pose.noise, again))
    return frames


def scored(taken: Taken, jobs: int = 0, progress: Progress = silent) -> dict[str, Scores]:
    """Compare all templates of each algorithm with each other."""
    return {name: scores_of(score_all(each, jobs, progress), TAKES) for name, each in taken.templates.items()}
