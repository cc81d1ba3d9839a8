"""Finger vein: speed on generated fingers; with AUTHD_SDUMLA set, accuracy on living ones.

`python -m tests.bench.vein`. Terms of ISO/IEC 19795-1. `enrol3` enrols the first three takes of a finger and tries the
others, by the best of the three scores. `gate` asks for the worst 5 % of presentations again, by a limit that the other
fold fixed: enrolled are the first three that pass, tried the others that pass; a finger with fewer than four is a
failure to enrol. Bounds are exact one-sided 95 % (Clopper and Pearson), as if comparisons were independent, which those
of one finger are not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

from authd.driver import Reference
from authd_drivers.vein.comparator import VeinComparator
from authd_drivers.vein.engine.compare import FINE
from authd_drivers.vein.engine.extract import extract
from authd_drivers.vein.engine.profile import load_profile, upper_bound
from authd_drivers.vein.engine.template import TEMPLATE_BYTES, WIRE_BYTES, Template, pack
from authd_simulators.vein_image import anatomy, capture
from tests.bench.report import Report
from tests.bench.vein_data import TAKES, Fold, measure, ungated

ENROLLED = 3
ASKED_AGAIN = 0.05
ROSTER = 40
GUARD = 0.02
"""Above the highest score between two people of the fold that fixes the threshold."""

Floats = npt.NDArray[np.float32]


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
        """Genuine scores that are not above the threshold at which at most `fmr` of the impostors are."""
        threshold = np.sort(self.impostor)[-1 - int(fmr * len(self.impostor))]
        return int((self.genuine <= threshold).sum())


def single(fold: Fold) -> Scores:
    """Each take against each other one."""
    upper = np.triu(np.ones_like(fold.scores, np.bool_), 1)
    same = fold.finger[:, np.newaxis] == fold.finger
    others = fold.comparable()[np.ix_(fold.finger, fold.finger)] & ~same
    genuine = fold.scores[upper & same]
    return Scores(genuine[genuine < 0.9999], fold.scores[upper & others])


def enrol3(fold: Fold, passed: npt.NDArray[np.bool_]) -> tuple[Scores, int]:
    """Three takes enrolled, the others tried, among those that passed; and how many fingers failed to enrol."""
    fingers = fold.finger
    takes = [np.flatnonzero(passed & (fingers == number)) for number in range(len(passed) // TAKES)]
    enrolled = np.array([number for number, each in enumerate(takes) if len(each) > ENROLLED], np.intp)
    references = np.stack([each[:ENROLLED] for each in takes if len(each) > ENROLLED])
    probes = np.concatenate([each[ENROLLED:] for each in takes if len(each) > ENROLLED])
    best = fold.scores[probes[:, np.newaxis, np.newaxis], references].max(axis=2)
    own = fold.finger[probes][:, np.newaxis] == enrolled
    others = fold.comparable()[np.ix_(fold.finger[probes], enrolled)] & ~own
    genuine = best[own]
    return Scores(genuine[genuine < 0.9999], best[others]), len(takes) - len(enrolled)


def pooled(parts: list[Scores]) -> Scores:
    return Scores(np.concatenate([each.genuine for each in parts]), np.concatenate([each.impostor for each in parts]))


# Speed.


def milliseconds(work: Callable[[], object], times: int) -> float:
    """Median of `times` runs."""
    spans: list[float] = []
    for _ in range(times):
        begun = time.perf_counter_ns()
        work()
        spans.append((time.perf_counter_ns() - begun) / 1e6)
    return median(spans)


def speed(report: Report) -> None:
    profile = ungated(load_profile("sim"))
    rng = np.random.default_rng(1)
    frames = [capture(anatomy(f"finger {number}"), rng) for number in range(60)]
    each = cycle(frames)
    report.figure("extract_ms", milliseconds(lambda: extract(next(each), profile), 200), "ms")
    found = [extract(frame, profile).template for frame in frames]
    templates = [template for template in found if template is not None]
    report.at_most("template_bytes", float(WIRE_BYTES), "B", 320)
    report.at_most("template_bits_bytes", float(TEMPLATE_BYTES), "B", 256)
    comparator, scope = VeinComparator(), [f"sub_{person}" for person in range(ROSTER)]
    stock = cycle(templates)
    slots = [(subject, slot) for subject in scope for slot in range(2 * ENROLLED)]
    comparator.load([Reference(who, f"tpl_{who}_{slot}@1", shuffled(next(stock), rng)) for who, slot in slots])
    probe = cycle([shuffled(template, rng) for template in templates])
    report.at_most("search_ms", milliseconds(lambda: comparator.search(next(probe), scope), 60), "ms", 15)
    report.figure("search_templates", len(comparator), "templates")


def shuffled(template: bytes, rng: np.random.Generator) -> bytes:
    """A template as dense as this one that is nobody's, so that a small set of fingers makes a large roster."""
    rows = np.frombuffer(template[-TEMPLATE_BYTES:], "<u8")
    return pack(Template(load_profile("sim").id, 0.5, rng.permutation(rows).tobytes()))


# Accuracy.


def accuracy(report: Report, halves: list[Fold]) -> None:
    error_rates(report, "single", pooled([single(fold) for fold in halves]), 1.6, None)
    everything = [enrol3(fold, np.ones(len(fold.templates), np.bool_))[0] for fold in halves]
    error_rates(report, "enrol3", pooled(everything), None, None)
    gated: list[Scores] = []
    failed = asked = 0
    for fold, other in (halves, halves[::-1]):
        passed = fold.quality >= np.quantile(other.quality, ASKED_AGAIN)
        scores, failures = enrol3(fold, passed)
        gated.append(scores)
        failed, asked = failed + failures, asked + int((~passed).sum())
    report.figure("gate_asked_again_pct", 100 * asked / sum(len(fold.templates) for fold in halves), "%")
    report.figure("gate_failures_to_enrol", failed, "fingers")
    error_rates(report, "enrol3_gate", pooled(gated), 0.5, 1.0)


def error_rates(report: Report, name: str, scores: Scores, eer_bar: float | None, fnmr_bar: float | None) -> None:
    """EER and FNMR at FMR 1e-4, with the numbers of comparisons and exact bounds."""
    genuine, impostor = len(scores.genuine), len(scores.impostor)
    eer, threshold = scores.eer()
    misses = int((scores.genuine < threshold).sum())
    _percent(report, f"{name}_eer_pct", eer, eer_bar)
    report.figure(f"{name}_eer_bound95_pct", 100 * upper_bound(misses, genuine), "%")
    for fmr, bar in ((1e-3, None), (1e-4, fnmr_bar)):
        missed = scores.misses(fmr)
        label = f"{name}_fnmr_at_{fmr:.0e}".replace("e-0", "e-")
        _percent(report, f"{label}_pct", missed / genuine, bar)
        report.figure(f"{label}_bound95_pct", 100 * upper_bound(missed, genuine), "%")
    report.figure(f"{name}_genuine", genuine, "comparisons")
    report.figure(f"{name}_impostor", impostor, "comparisons")


def _percent(report: Report, name: str, rate: float, bar: float | None) -> None:
    if bar is None:
        report.figure(name, 100 * rate, "%")
    else:
        report.at_most(name, 100 * rate, "%", bar)


def decision(report: Report, counted: Fold, fixed: Fold, across: Floats) -> None:
    """What the shipped threshold does between different people: fixed on one fold, counted on all other comparisons."""
    shipped = load_profile("sdumla").decision
    least = float(strangers(fixed).max()) + GUARD
    report.figure("shipped_threshold", shipped.threshold, "phi", f">= {least:.4f}", shipped.threshold >= least)
    others = np.concatenate([strangers(counted), across.ravel()])
    false = int((others >= shipped.threshold).sum())
    report.figure("shipped_highest_stranger", float(others.max()), "phi")
    as_stated = (len(others), false) == (shipped.comparisons, shipped.false_matches)
    report.figure("shipped_comparisons", len(others), "comparisons", f"= {shipped.comparisons} as stated", as_stated)
    report.figure("shipped_false_matches", false, "comparisons", f"= {shipped.false_matches} as stated", as_stated)
    report.figure("shipped_fmr_bound95", upper_bound(false, len(others)), "")


def strangers(fold: Fold) -> Floats:
    """Scores between captures of two people."""
    scores: Floats = fold.scores[np.triu(fold.person[:, np.newaxis] != fold.person)]
    return scores


def identification(report: Report, halves: list[Fold]) -> None:
    """The comparator as it is shipped, with a roster."""
    tally = Tally()
    for fold in halves:
        roster(fold, tally)
    report.figure(f"roster{ROSTER}_searches", tally.searches, "searches")
    report.figure(f"roster{ROSTER}_fnir_pct", 100 * tally.misses / tally.searches, "%")
    report.figure(f"roster{ROSTER}_fnir_bound95_pct", 100 * upper_bound(tally.misses, tally.searches), "%")
    report.at_most(f"roster{ROSTER}_wrong_person", float(tally.wrong), "searches", 0)
    report.at_most("cascade_lost", float(tally.lost), "searches", 0)


@dataclass(slots=True)
class Tally:
    """What came of searches; lost: by the coarse filter, though the whole search finds them."""

    searches: int = 0
    misses: int = 0
    wrong: int = 0
    lost: int = 0


def roster(fold: Fold, tally: Tally) -> None:
    """Enrol 40 people with two fingers of three templates each, and search with their other takes."""
    profile = load_profile("sdumla")
    rows = [p * 36 + f * TAKES + k for p in range(ROSTER) for f in (0, 1) for k in range(TAKES)]
    enrolled = [row for row in rows if row % TAKES < ENROLLED]
    comparator, scope = VeinComparator(profiles=[profile]), [f"sub_{person}" for person in range(ROSTER)]
    comparator.load([Reference(f"sub_{row // 36}", f"tpl_{row}@1", wire(fold, row)) for row in enrolled])
    for row in sorted(set(rows) - set(enrolled)):
        found = comparator.search(wire(fold, row), scope)
        if found.replayed:  # the very same picture under two names
            continue
        named = found.best.subject if found.best else None
        tally.searches += 1
        tally.misses += named != f"sub_{row // 36}"
        tally.wrong += named not in (None, f"sub_{row // 36}")
        exact = float(FINE.scores(fold.templates[row], fold.templates[enrolled]).max())
        seen = found.best.score if found.best else 0.0
        close = found.best is None and found.margin < profile.decision.margin
        tally.lost += exact >= profile.decision.threshold and seen < exact - 1e-6 and not close


def wire(fold: Fold, row: int) -> bytes:
    return pack(Template(load_profile("sdumla").id, float(fold.quality[row]), fold.templates[row].tobytes()))


def main() -> None:
    report = Report()
    speed(report)
    if folder := os.environ.get("AUTHD_SDUMLA"):
        one, other, across = measure(Path(folder))
        accuracy(report, [one, other])
        decision(report, one, other, across)
        identification(report, [one, other])
    report.exit()


if __name__ == "__main__":
    main()
