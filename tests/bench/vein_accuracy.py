"""Finger vein: accuracy on living fingers (SDUMLA-HMT), and what identification costs at a seat.

`AUTHD_SDUMLA=folder python -m tests.bench.vein_accuracy`. Terms of ISO/IEC 19795-1; docs/decisions/0011. Two folds by
subject; scores are pooled, each fold's own figures stand beside under `fold1.` (001-053) and `fold2.` (054-106).

single: each take against each other one. enrol3: the first three takes of a finger are enrolled and the others tried,
by the best of the three scores. enrol3_gate: the worst 5 % of presentations are asked for again, by a limit that the
other fold fixed; enrolled are the first three that pass, tried the others that pass; a finger with fewer than four is a
failure to enrol. two_fingers: two different fingers of one person, each pair of them, no gate: three takes of each
enrolled, the others tried, the fourth of one with the fourth of the other and so on, by the sum of the two scores, laid
on the person's two fingers in the better way.

Bounds are exact one-sided 95 % (Clopper and Pearson), as if comparisons were independent, which those of one finger are
not. An FNMR is given at the lowest threshold that no more than the stated part of the impostors of the same fold (or of
both) is above.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.profile import load_profile, upper_bound
from tests.bench.report import Report
from tests.bench.vein_data import FINGERS, FOLDS, TAKES, Data, measure, twins
from tests.bench.vein_rosters import rosters, shipped, threshold_after

ENROLLED = 3
ASKED_AGAIN = 0.05
SAME_PICTURE = 0.9999
NAMES = ("fold1", "fold2")

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Genuine and impostor scores of one protocol."""

    genuine: Floats
    impostor: Floats

    def eer(self) -> tuple[float, float]:
        """Equal error rate and its threshold."""
        genuine, impostor = np.sort(self.genuine), np.sort(self.impostor)
        at = np.unique(np.concatenate([genuine, impostor[-len(impostor) // 10 :]]))
        misses = np.searchsorted(genuine, at) / len(genuine)
        false = 1 - np.searchsorted(impostor, at) / len(impostor)
        best = int(np.abs(misses - false).argmin())
        return float(misses[best] + false[best]) / 2, float(at[best])

    def misses(self, fmr: float) -> int:
        """Genuine scores that are not above the threshold that at most `fmr` of the impostors are above."""
        place = len(self.impostor) - 1 - int(fmr * len(self.impostor))
        threshold = np.partition(self.impostor, place)[place]
        return int((self.genuine <= threshold).sum())


def single(fold: Data, first: int) -> Scores:
    """Each take against each other one. first: subject of the first capture."""
    upper = np.triu(np.ones_like(fold.scores, np.bool_), 1)
    same = fold.finger[:, np.newaxis] == fold.finger
    one = twins(first, len(fold.quality) // TAKES)[np.ix_(fold.finger, fold.finger)]
    return Scores(_new(fold.scores[upper & same]), fold.scores[upper & ~same & ~one])


def enrol3(fold: Data, first: int, passed: Mask) -> tuple[Scores, int]:
    """Three takes enrolled, the others tried, among those that passed; and how many fingers failed to enrol."""
    fingers = fold.finger
    takes: list[Numbers] = [np.flatnonzero(passed & (fingers == number)) for number in range(len(passed) // TAKES)]
    enough = [number for number, each in enumerate(takes) if len(each) > ENROLLED]
    enrolled = np.array(enough, np.intp)
    references = np.stack([takes[number][:ENROLLED] for number in enough])
    probes = np.concatenate([takes[number][ENROLLED:] for number in enough])
    best = fold.scores[probes[:, np.newaxis, np.newaxis], references].max(axis=2)
    own = fingers[probes][:, np.newaxis] == enrolled
    one = twins(first, len(takes))[np.ix_(fingers[probes], enrolled)]
    return Scores(_new(best[own]), best[~own & ~one]), len(takes) - len(enrolled)


def two_fingers(fold: Data, first: int) -> Scores:
    """Sums of two fingers' scores, each pair of a person's fingers."""
    count = len(fold.quality) // TAKES
    takes = np.arange(count * TAKES).reshape(count, TAKES)
    best = fold.scores[np.ix_(takes[:, ENROLLED:].ravel(), takes[:, :ENROLLED].ravel())]
    people = count // len(FINGERS)
    best = best.reshape(people, len(FINGERS), -1, people, len(FINGERS), ENROLLED).max(axis=5)
    own = np.broadcast_to(np.eye(people, dtype=np.bool_)[:, np.newaxis], (people, TAKES - ENROLLED, people))
    genuine: list[Floats] = []
    impostor: list[Floats] = []
    for a, b in combinations(range(len(FINGERS)), 2):
        straight = best[:, a, :, :, a] + best[:, b, :, :, b]
        both = np.maximum(straight, best[:, a, :, :, b] + best[:, b, :, :, a])
        one = twins(first, count).reshape(people, len(FINGERS), people, len(FINGERS))[:, a, :, b].diagonal()
        genuine.append(both[own & ~one[:, np.newaxis, np.newaxis]])
        impostor.append(both[~own])
    return Scores(np.concatenate(genuine), np.concatenate(impostor))


def _new(genuine: Floats) -> Floats:
    """Leave out pairs of the very same picture."""
    return genuine[genuine < SAME_PICTURE]


def report_all(report: Report, data: Data) -> None:
    """Print the figures of all protocols."""
    halves = [data.fold(*each) for each in FOLDS]
    firsts = [first for first, _ in FOLDS]
    error_rates(report, "single", [single(*each) for each in zip(halves, firsts, strict=True)], 1.6, None)
    everything = [np.ones(len(fold.quality), np.bool_) for fold in halves]
    whole = [enrol3(*each)[0] for each in zip(halves, firsts, everything, strict=True)]
    error_rates(report, "enrol3", whole, None, None)
    limits = [float(np.quantile(fold.quality, ASKED_AGAIN)) for fold in reversed(halves)]
    passed = [fold.quality >= limit for fold, limit in zip(halves, limits, strict=True)]
    gated = [enrol3(*each) for each in zip(halves, firsts, passed, strict=True)]
    asked = [100 * float(1 - each.mean()) for each in passed]
    report.at_most("retries_percent", sum(asked) / len(asked), "%", 6)
    for name, percent, (_, failed) in zip(NAMES, asked, gated, strict=True):
        report.figure(f"{name}.retries_percent", percent, "%")
        report.figure(f"{name}.failures_to_enrol.enrol3_gate", failed, "fingers")
    error_rates(report, "enrol3_gate", [scores for scores, _ in gated], 0.5, 1.0)
    error_rates(report, "two_fingers", [two_fingers(*each) for each in zip(halves, firsts, strict=True)], None, 0.3)


def error_rates(
    report: Report, name: str, folds: Sequence[Scores], eer_bar: float | None, fnmr_bar: float | None
) -> None:
    """Print EER and FNMR of the pooled scores, with their bars, and of each fold."""
    pooled = Scores(np.concatenate([each.genuine for each in folds]), np.concatenate([each.impostor for each in folds]))
    _rates(report, "", name, pooled, eer_bar, fnmr_bar)
    for fold, scores in zip(NAMES, folds, strict=True):
        _rates(report, f"{fold}.", name, scores, None, None)


def _rates(
    report: Report, prefix: str, name: str, scores: Scores, eer_bar: float | None, fnmr_bar: float | None
) -> None:
    genuine = len(scores.genuine)
    eer, threshold = scores.eer()
    missed = int((scores.genuine < threshold).sum())
    _percent(report, f"{prefix}eer_percent.{name}", eer, upper_bound(missed, genuine), eer_bar)
    for fmr, bar in ((1e-3, None), (1e-4, fnmr_bar), (1e-5, None)):
        missed = scores.misses(fmr)
        label = f"{prefix}fnmr_percent_{fmr:.0e}.{name}".replace("e-0", "e-")
        _percent(report, label, missed / genuine, upper_bound(missed, genuine), bar)
    report.figure(f"{prefix}comparisons.{name}.genuine", genuine, "comparisons")
    report.figure(f"{prefix}comparisons.{name}.impostor", len(scores.impostor), "comparisons")


def _percent(report: Report, name: str, rate: float, bound: float, bar: float | None) -> None:
    if bar is None:
        report.figure(name, 100 * rate, "%")
    else:
        report.at_most(name, 100 * rate, "%", bar)
    report.figure(f"{name}.bound95", 100 * bound, "%")


def decision(report: Report, data: Data) -> None:
    """What the shipped threshold does between different people: fixed on fold 2, counted on all other comparisons."""
    stated = load_profile("sdumla").decision
    first, last = FOLDS[1]
    strangers = np.triu(data.person[:, np.newaxis] != data.person)
    inside = (data.person >= first - 1) & (data.person < last)
    fixing = inside[:, np.newaxis] & inside
    least = threshold_after(data.scores[strangers & fixing])
    report.figure("shipped.threshold", stated.threshold, "phi", f">= {least:.4f}", stated.threshold >= least)
    counted = data.scores[strangers & ~fixing]
    false = int((counted >= np.float32(stated.threshold)).sum())
    report.figure("shipped.highest_stranger", float(counted.max()), "phi")
    as_stated = (len(counted), false) == (stated.comparisons, stated.false_matches)
    report.figure("shipped.comparisons", len(counted), "comparisons", f"= {stated.comparisons} as stated", as_stated)
    report.figure("shipped.false_matches", false, "comparisons", f"= {stated.false_matches} as stated", as_stated)
    report.figure("shipped.fmr_bound95", upper_bound(false, len(counted)), "")


def run(report: Report) -> None:
    """Measure all, if the pictures are there."""
    folder = os.environ.get("AUTHD_SDUMLA")
    if not folder:
        return
    data = measure(Path(folder))
    report_all(report, data)
    decision(report, data)
    rosters(report, data)
    shipped(report, data)


def main() -> None:
    report = Report()
    run(report)
    report.exit()


if __name__ == "__main__":
    main()
