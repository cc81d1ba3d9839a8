"""A profile for a new sensor, from a folder of its pictures: `authd vein profile`.

First the ways to look at its frames (framing.py), then one setting after another, as long as the fingers of the folder
are told apart better by it. What counts is not an error rate, which a small folder hardly has, but the mean order of
magnitude of the false match rate at the scores of genuine pairs (`separation`). A setting is moved only if that gains
clearly more than chance. Then the quality gate from the pictures' own looks (gate.py), and the threshold: fixed on one
half of the people, counted on the comparisons in which the other half takes part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.profile import (
    DecisionSettings,
    QualitySettings,
    RidgeSettings,
    SearchSettings,
    SensorProfile,
    UnwrapSettings,
)
from authd_drivers.vein.study.dataset import Dataset, DatasetError
from authd_drivers.vein.study.framing import Framing, framings
from authd_drivers.vein.study.gate import COLUMNS, gate, look_at
from authd_drivers.vein.study.images import Unread, read_image
from authd_drivers.vein.study.measure import extract_all, score_all
from authd_drivers.vein.study.pool import Progress, cores, in_order, silent, workers
from authd_drivers.vein.study.trial import Plan, carry_out, draw_plan

Floats = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

SURVEYED = 48
"""Pictures in which the finger is looked for."""
FEWEST_FINGERS = 10
FLOOR = -5.0
"""Order of magnitude below which a genuine score is good enough: easy pairs shall not outweigh hard ones."""
CHANCE = 2.0
"""Standard errors that a change must gain."""
JUDGED = 3000
"""Pictures, at most, whose comparisons fix the threshold."""
GUARD = 0.02
"""Above the highest score between two people of the half that fixes the threshold."""
SCALE: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("ridges.sigma", (1.5, 2.0, 2.5, 3.0, 3.5, 4.2, 5.0, 6.0, 7.2)),
    ("unwrap.columns", (64, 128, 192, 256, 320)),
    ("ridges.keep", (0.5, 0.6, 0.75, 0.9, 1.0)),
    ("search.rows", (3, 5, 8, 12, 16)),
    ("search.columns", (6, 12, 18, 25, 32)),
    ("unwrap.degrees", (38.0, 46.0, 54.0, 62.0, 70.0)),
    ("unwrap.degree", (2, 3, 4, 6)),
    ("edges.stiffness", (0.005, 0.02, 0.08)),
)
"""Settings in the order in which they are tried, up and down their steps from where they stand."""
OF_TRACED = ("unwrap.degree", "edges.stiffness")
FINGER_MM = 16.0
"""Width of an adult's finger, about: from it the pitch, unless it is given."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A profile, and how it came about. tried: settings tried; separation: mean log10 of the false match rate.

    left_out: pictures of another size than most.
    """

    profile: SensorProfile
    tried: int
    separation: float
    pictures: int
    fingers: int
    people: int
    left_out: int


def fit(dataset: Dataset, name: str, jobs: int = 0, progress: Progress = silent, pitch: float = 0.0) -> Fitted:
    """Fit a profile to the pictures of a folder. Minutes. Raises `DatasetError` where they are too few."""
    dataset, size, left_out = _of_one_size(dataset)
    plan = draw_plan(dataset)
    if len(dataset.fingers) < FEWEST_FINGERS or not len(plan.genuine):
        raise DatasetError("too_few_to_fit", fingers=len(dataset.fingers), needed=FEWEST_FINGERS)
    jobs = jobs or cores()
    with workers(jobs) as pool:
        climb = _Climb(plan, pool, jobs, progress)
        profile = climb.best_framing(name, size, framings(_survey(plan)))
        profile = climb.climbed(profile)
    looks = _looks(profile, plan, jobs)
    try:
        profile = replace(profile, quality=gate(looks, profile), pitch=pitch or _pitch(profile, looks))
    except ValueError as error:  # too many of the pictures show nothing
        raise DatasetError("too_few_to_fit", fingers=len(dataset.fingers), needed=FEWEST_FINGERS) from error
    profile = _decided(profile, dataset, jobs, progress)
    counts = len(dataset.pictures), len(dataset.fingers), len(dataset.subjects)
    return Fitted(profile, climb.tried, float(climb.best.mean()), *counts, left_out)


def start(name: str, size: tuple[int, int], framing: Framing) -> SensorProfile:
    """Return a profile to begin with: what the first sensor taught, looked at by this framing, without a gate."""
    return SensorProfile(
        name=name,
        width=size[0],
        height=size[1],
        pitch=0.1,
        tries=3,
        region=framing.region,
        edges=framing.edges,
        unwrap=UnwrapSettings(192, 96, 54.0, 4, 3, 2.0),
        ridges=RidgeSettings(3.5, 0.9),
        search=SearchSettings(16, 12),
        quality=QualitySettings(-3.0, 0.2, 0.5, 0.1, 0.5, -1.0, 0.0, 0.0, 9.0, 9.0, -9.0, 99.0, 1e9, 0.0, 9.0),
        decision=DecisionSettings(1.0, 0.04, 1.0, 1, 0),
    )


def separation(genuine: Floats, impostor: Floats) -> Floats:
    """For each genuine score log10 of the false match rate there, `FLOOR` at the least.

    Beyond the scores that impostors reach, the rate goes on falling as it did from one in 100 to one in 1,000.
    """
    ordered = np.sort(impostor)
    rank = len(ordered) - np.searchsorted(ordered, genuine)
    found = np.log10(np.maximum(rank, 1) / len(ordered))
    near, far = np.quantile(ordered, [0.99, 0.999])
    beyond = -3.0 - (genuine - far) / max(1e-3, float(far - near))
    return np.maximum(np.where(genuine > far, np.minimum(found, beyond), found), FLOOR).astype(np.float32)


class _Climb:
    """Tries settings by one plan, and keeps the best so far."""

    def __init__(self, plan: Plan, pool: ProcessPoolExecutor, jobs: int, progress: Progress) -> None:
        self._plan, self._pool, self._jobs, self._progress = plan, pool, jobs, progress
        self.best: Floats = np.zeros(len(plan.genuine), np.float32)
        self.tried = self._foreseen = 0

    def best_framing(self, name: str, size: tuple[int, int], ways: list[Framing]) -> SensorProfile:
        """Return the profile to start from."""
        self._foreseen = len(ways) + 2 * 2 * len(SCALE)
        tried = [(self._try(profile), profile) for profile in (start(name, size, way) for way in ways)]
        self.best, profile = min(tried, key=lambda each: float(each[0].mean()))
        return profile

    def climbed(self, profile: SensorProfile) -> SensorProfile:
        """Move one setting after another until none gains; at most twice around."""
        for _ in range(2):
            before = profile
            for name, steps in SCALE:
                if profile.edges.traced or name not in OF_TRACED:
                    profile = self._moved(profile, name, steps)
            if profile == before:
                break
        return profile

    def _moved(self, profile: SensorProfile, name: str, steps: tuple[float, ...]) -> SensorProfile:
        part, key = name.split(".")
        here = steps.index(getattr(getattr(profile, part), key))
        for way in (1, -1):
            at = here
            while 0 <= at + way < len(steps):
                other = _changed(profile, part, key, steps[at + way])
                if not self._gains(other):
                    break
                profile, at = other, at + way
            if at != here:
                break
        return profile

    def _gains(self, profile: SensorProfile) -> bool:
        """Whether these settings are clearly better than the best; then they are the best."""
        found = self._try(profile)
        gain = self.best - found
        better = float(gain.mean()) > CHANCE * float(gain.std()) / len(gain) ** 0.5
        if better:
            self.best = found
        return bool(better)

    def _try(self, profile: SensorProfile) -> Floats:
        trial = carry_out(self._plan, profile, self._pool, self._jobs)
        self.tried += 1
        self._progress("fit", self.tried, max(self.tried, self._foreseen))
        return separation(trial.genuine, trial.impostor)


def _changed(profile: SensorProfile, part: str, key: str, value: float) -> SensorProfile:
    return replace(profile, **{part: replace(getattr(profile, part), **{key: value})})


def _of_one_size(dataset: Dataset) -> tuple[Dataset, tuple[int, int], int]:
    """The pictures of the size that most have, that size (width, height), and how many are left out."""
    sizes = [_size(path) for path in dataset.paths]
    known = Counter(size for size in sizes if size is not None)
    if not known:
        raise DatasetError("no_picture_read", folder=dataset.folder)
    size = known.most_common(1)[0][0]
    kept = tuple(picture for picture, found in zip(dataset.pictures, sizes, strict=True) if found == size)
    return Dataset(dataset.folder, kept, dataset.skipped), size, len(sizes) - len(kept)


def _size(path: Path) -> tuple[int, int] | None:
    frame = read_image(path)
    return None if isinstance(frame, Unread) else (frame.shape[1], frame.shape[0])


def _survey(plan: Plan) -> list[Image]:
    chosen = plan.paths[:: max(1, len(plan.paths) // SURVEYED)]
    return [frame for frame in map(read_image, chosen) if not isinstance(frame, Unread)]


def _looks(profile: SensorProfile, plan: Plan, jobs: int) -> list[tuple[float, ...]]:
    tasks = ((plan.paths[at : at + 24], profile) for at in range(0, len(plan.paths), 24))
    return [row for part in in_order(look_at, tasks, jobs) for row in part]


def _pitch(profile: SensorProfile, looks: Sequence[tuple[float, ...]]) -> float:
    """Millimetres a pixel of the frame, if the fingers are as wide as fingers are."""
    region = profile.region
    across = region.right - region.left if region.turn in (90, 270) else region.bottom - region.top
    share = float(np.median([row[COLUMNS.index("width")] for row in looks]))
    return round(FINGER_MM / (share * across), 4)


def _decided(profile: SensorProfile, dataset: Dataset, jobs: int, progress: Progress) -> SensorProfile:
    """Fix the threshold on every second person, and count on all comparisons that another one takes part in."""
    part = dataset.pictures[:: -(-len(dataset.pictures) // JUDGED)]
    judged = Dataset(dataset.folder, part)
    found = extract_all(judged.paths, profile, jobs, progress)
    passed = np.flatnonzero(found.passed)
    person = judged.subject[judged.finger[passed]]
    scores = score_all(found.templates[passed], jobs, progress, profile.search)
    strangers = np.triu(person[:, np.newaxis] != person)
    fixing = (person % 2 == 0)[:, np.newaxis] & (person % 2 == 0)
    fixed, counted = scores[strangers & fixing], scores[strangers & ~fixing]
    if not fixed.size or not counted.size:
        raise DatasetError("too_few_to_fit", fingers=len(dataset.fingers), needed=FEWEST_FINGERS)
    threshold = round(_threshold(fixed), 3)
    agree = round(float(np.quantile(fixed, 1 - 1e-4)), 3)
    false = int((counted >= threshold).sum())
    return replace(
        profile, decision=DecisionSettings(threshold, profile.decision.margin, agree, int(counted.size), false)
    )


def _threshold(scores: Floats) -> float:
    """Above all scores of strangers, and where one in a million would be if the tail goes on falling as it does.

    A small folder has not seen its highest score yet: those of 30 fingers end far below those of 300.
    """
    near, far = np.quantile(scores, [0.99, 0.999])
    return max(float(scores.max()) + GUARD, float(far + 3 * (far - near)))
