"""`authd vein evaluate`: everything that is measured on one folder with one profile. Nothing is fitted on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.profile import SensorProfile
from authd_drivers.vein.study.dataset import Dataset, DatasetError
from authd_drivers.vein.study.identify import Identification, identify
from authd_drivers.vein.study.measure import MAX_TEMPLATES, Extracted, extract_all, score_all
from authd_drivers.vein.study.pool import Progress, silent
from authd_drivers.vein.study.protocol import Enrolled, enrol, single, take_out, take_out_twins, two_fingers
from authd_drivers.vein.study.rates import Comparisons, Rate, Worst, worst

FMRS = (1e-2, 1e-3, 1e-4)
"""False match rates at which the false non-match rate is reported."""

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked. gates: without the profile's quality gate, with it, or both.

    enrolled: pictures a finger is enrolled with; rosters: numbers of fingers that are searched; exclude: fingers that
    are one, by name; people_only: two fingers of one person are not compared; jobs: 0 for all cores; left: the share of
    the fingers that is not among those measured.
    """

    gates: tuple[bool, ...] = (False, True)
    enrolled: int = 3
    rosters: tuple[int, ...] = (20, 40, 120)
    exclude: tuple[tuple[str, str], ...] = ()
    people_only: bool = False
    worst: int = 10
    jobs: int = 0
    left: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One protocol. kind: `single`, `enrol`, `two_fingers`, `single_sessions` or `enrol_sessions`.

    threshold: the profile's own, None where it has none for this.
    """

    kind: str
    gate: bool
    comparisons: Comparisons
    threshold: float | None
    enrolled: Enrolled | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """1:N among so many fingers; None where there are too few. of: enrolled fingers that could be searched."""

    size: int
    gate: bool
    found: Identification | None
    of: int


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """All that was measured. twins: numbers of pictures that are one; reference: where `worst` counts its misses."""

    data: Dataset
    profile: SensorProfile
    plan: Plan
    extracted: Extracted
    excluded: tuple[tuple[str, str], ...]
    twins: tuple[tuple[int, int], ...]
    parts: tuple[Part, ...]
    searches: tuple[Search, ...]
    reference: float
    worst: tuple[Worst, ...]

    def usable(self, gate: bool) -> Mask:
        """Which pictures count, with the gate or without."""
        return self.extracted.passed if gate else self.extracted.found

    def fta(self, gate: bool) -> Rate:
        """Failures to acquire, among all pictures."""
        usable = self.usable(gate)
        return Rate(int((~usable).sum()), len(usable))


def evaluate(data: Dataset, profile: SensorProfile, plan: Plan, progress: Progress = silent) -> Evaluation:
    """Measure. Raises `DatasetError` where the folder and the profile give nothing to count."""
    if len(data.pictures) > MAX_TEMPLATES:
        raise DatasetError("too_many_pictures", count=len(data.pictures), limit=MAX_TEMPLATES)
    pairs = [pair for pair in plan.exclude if {*pair} <= {*data.fingers}]
    extracted = extract_all(data.paths, profile, plan.jobs, progress)
    _check(data, profile, extracted)
    scores = score_all(extracted.templates, plan.jobs, progress, profile.search)
    take_out(scores, data, _numbers(data, pairs), people_only=plan.people_only)
    twins = take_out_twins(scores, [each.digest for each in extracted.taken])
    parts = tuple(_parts(scores, data, extracted, profile, plan))
    reference, missed = _worst(parts[0], profile, plan.worst)
    return Evaluation(
        data,
        profile,
        plan,
        extracted,
        tuple(pairs),
        tuple(twins),
        parts,
        tuple(_searches(parts, profile, plan)),
        reference,
        tuple(missed),
    )


def _numbers(data: Dataset, pairs: Sequence[tuple[str, str]]) -> list[tuple[int, int]]:
    """Return the numbers of pairs of fingers, each pair in both orders."""
    places = {label: number for number, label in enumerate(data.fingers)}
    there = [(places[one], places[other]) for one, other in pairs]
    return there + [(other, one) for one, other in there]


def _check(data: Dataset, profile: SensorProfile, extracted: Extracted) -> None:
    """A camera that the profile is not for, or a folder of nothing that can be used, is said once."""
    if extracted.found.any():
        return
    sizes = Counter(each.size for each in extracted.taken if each.fault == "size")
    if sizes:
        seen = ", ".join(f"{width}x{height}" for (width, height), _ in sizes.most_common(3))
        raise DatasetError(
            "no_fit", seen=seen, profile=profile.name, width=profile.width, height=profile.height, folder=data.folder
        )
    faults = Counter(each.fault for each in extracted.taken)
    raise DatasetError("no_template", count=len(data.pictures), faults=", ".join(faults))


def _parts(
    scores: npt.NDArray[np.float32], data: Dataset, extracted: Extracted, profile: SensorProfile, plan: Plan
) -> Iterator[Part]:
    session, threshold = _sessions(data), profile.decision.threshold
    for gate in plan.gates:
        usable = extracted.passed if gate else extracted.found
        yield Part("single", gate, single(scores, data, usable), threshold)
        enrolled = enrol(scores, data, usable, plan.enrolled)
        yield Part("enrol", gate, enrolled.comparisons(), threshold, enrolled)
        if len(data.fingers) > len(data.subjects):
            both = max((row.threshold for row in profile.roster if row.fingers == 2), default=None)
            yield Part("two_fingers", gate, two_fingers(enrolled, data), both)
        if session is not None:
            yield Part("single_sessions", gate, single(scores, data, usable, session), threshold)
            enrolled = enrol(scores, data, usable, plan.enrolled, session)
            yield Part("enrol_sessions", gate, enrolled.comparisons(), threshold, enrolled)


def _sessions(data: Dataset) -> Numbers | None:
    """Number of the session of each picture, None where all are of one."""
    names = {name: number for number, name in enumerate(dict.fromkeys(each.session for each in data.pictures))}
    if len(names) < 2:
        return None
    return np.array([names[each.session] for each in data.pictures], np.intp)


def _searches(parts: Sequence[Part], profile: SensorProfile, plan: Plan) -> Iterator[Search]:
    for part in parts:
        if part.enrolled is None or part.kind != "enrol":
            continue
        of = len(np.intersect1d(part.enrolled.fingers, part.enrolled.probe))
        for size in plan.rosters:
            yield Search(size, part.gate, identify(part.enrolled, size, profile.decision), of)


def _worst(part: Part, profile: SensorProfile, most: int) -> tuple[float, list[Worst]]:
    """Worst fingers at the strictest false match rate that can be spoken of, else at the profile's threshold."""
    comparisons = part.comparisons
    supported = [fmr for fmr in FMRS if comparisons.supports(fmr)]
    threshold = comparisons.at_fmr(supported[-1]).threshold if supported else profile.decision.threshold
    return threshold, worst(comparisons, threshold, most)
