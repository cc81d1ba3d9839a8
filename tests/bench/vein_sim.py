"""The simulated reader: whether it is as hard as a real one, and whether its profile says what it measures.

`python -m tests.bench.vein_sim [--full]`. Generated pictures are measured with the settings of the sensor that they
imitate, as the real ones were whose scores are recorded (tests/tools/vein_histograms.py): one picture against another,
no gate, without the closer look that a search takes (engine/deform.py). What the profile `sim` states of its threshold
is counted by the scores that searches decide by. `--full` has as many comparisons as it states: ten minutes and more.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from itertools import cycle
from statistics import median

import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.extract import extract, measures
from authd_drivers.vein.engine.profile import SensorProfile, load_profile, upper_bound
from authd_drivers.vein.study.measure import score_all
from authd_simulators.people import population
from authd_simulators.vein_image import Presentation, anatomy, capture
from authd_simulators.vein_study import Scores, Taken, distance, equal_error, generate, recorded
from authd_simulators.vein_study.algorithms import ALGORITHMS
from authd_simulators.vein_study.population import TAKES
from authd_simulators.vein_study.spread import scores_of
from tests.bench.report import Report

FINGERS = 2
FEW, MANY = 60, 240
"""People whose scores are compared with the real ones: 257,040 impostor comparisons, with `--full` 4,138,560."""
IMPOSTOR_KS, GENUINE_KS, TAIL = 0.10, 0.20, 0.02
HINTED = {Presentation.WET: 0.5, Presentation.DRY: 0.5, Presentation.SHORT: 0.95, Presentation.OFF_CENTRE: 0.95}
"""Share of these presentations that must be asked for again."""
ASKED_AGAIN = 0.05
SLACK = 0.5
"""How far a stated usual value may be from the measured one, in the stated spread; and a spread, as a factor of it."""

Floats = npt.NDArray[np.float32]


def run(report: Report, *, full: bool = False) -> None:
    """Print the figures and check them."""
    speed(report)
    taken, profile = generate(MANY if full else FEW, FINGERS), load_profile("sim")
    templates = taken.templates["unrolled"]
    likeness(report, {"unrolled": scores_of(score_all(templates), TAKES), "flat": flat(taken)})
    gate(report, profile)
    decision(report, profile, score_all(templates, search=profile.search), full=full)


def speed(report: Report) -> None:
    """Time of one picture of a finger that is known."""
    rng = np.random.default_rng(1)
    grown = [anatomy(f"speed {number}/left_ring") for number in range(20)]
    spans: list[float] = []
    for each, _ in zip(cycle(grown), range(120), strict=False):
        begun = time.thread_time_ns()
        capture(each, rng)
        spans.append((time.thread_time_ns() - begun) / 1e6)
    report.at_most("capture_ms", median(spans), "ms of processor time", 12)


def flat(taken: Taken) -> Scores:
    """Scores of the second algorithm, for its place in the order only: fewer people."""
    return scores_of(score_all(taken.templates["flat"][: FEW * FINGERS * TAKES]), TAKES)


def likeness(report: Report, found: dict[str, Scores]) -> None:
    """Bars of VEIN.md: how far generated scores are spread from real ones, and the order of two algorithms."""
    real = recorded()
    stale = f"{ALGORITHMS['unrolled'].id:08x}" not in real.source
    report.figure("recorded", real.source, "", "with the present profile", not stale)
    ours, theirs = found["unrolled"], real.spreads["unrolled"]
    report.figure("impostor_comparisons", ours.impostor.total, "comparisons")
    report.figure("genuine_comparisons", ours.genuine.total, "comparisons")
    report.at_most("impostor_ks", distance(ours.impostor, theirs.impostor), "", IMPOSTOR_KS)
    report.at_most("genuine_ks", distance(ours.genuine, theirs.genuine), "", GENUINE_KS)
    report.at_most("genuine_apart_ks", distance(ours.apart, theirs.apart), "", GENUINE_KS)
    tail = theirs.impostor.quantile(0.9999)
    mine = ours.impostor.quantile(0.9999)
    report.figure("impostor_9999", mine, "phi", f"{tail:.4f} +- {TAIL}", abs(mine - tail) <= TAIL)
    for name in found:
        report.figure(f"eer_percent.{name}", 100 * equal_error(found[name]), "%")
        report.figure(f"eer_percent.{name}.real", 100 * equal_error(real.spreads[name]), "%")
    order, real_order = (sorted(each, key=lambda name: equal_error(each[name])) for each in (found, real.spreads))
    report.figure("order", " < ".join(order), "", f"as on real ones: {' < '.join(real_order)}", order == real_order)


def gate(report: Report, profile: SensorProfile) -> None:
    """What the profile states about quality, and what is asked for again, on people that nothing was fitted to."""
    seeds = [each.finger() for each in population(60)]
    good = [
        measures(capture(anatomy(seed), np.random.default_rng([2, row])), profile) for row, seed in enumerate(seeds)
    ]
    clarity = np.array([each.clarity for each in good if each.clarity is not None])
    stated = profile.quality
    usual(report, "clarity", clarity, stated.clarity, stated.clarity_spread)
    usual(report, "residual", np.array([each.residual for each in good]), stated.residual, stated.residual_spread)
    for presentation in Presentation:
        again = asked_again(seeds, presentation, profile)
        name = f"asked_again.{presentation.value}"
        if presentation is Presentation.GOOD:
            report.at_most(name, again, "share", ASKED_AGAIN)
        elif presentation in HINTED:
            report.at_least(name, again, "share", HINTED[presentation])
        else:
            report.figure(name, again, "share")


def usual(report: Report, name: str, values: npt.NDArray[np.float64], middle: float, spread: float) -> None:
    """Compare the middle of some values and their spread (half the distance of the 16th and 84th percentile)."""
    low, found, high = np.percentile(values, (16, 50, 84))
    near = abs(found - middle) <= SLACK * spread
    report.figure(f"{name}", float(found), "", f"{middle} as stated, +- {SLACK * spread:.2g}", bool(near))
    wide = (high - low) / 2
    fits = spread * SLACK <= wide <= spread / SLACK
    report.figure(
        f"{name}_spread", float(wide), "", f"{spread} as stated, within a factor of {1 / SLACK:g}", bool(fits)
    )


def asked_again(seeds: list[str], presentation: Presentation, profile: SensorProfile) -> float:
    """Share of presentations that give no template."""
    counted = Counter(
        extract(capture(anatomy(seed), np.random.default_rng([3, row]), presentation), profile).template is None
        for row, seed in enumerate(seeds)
    )
    return counted[True] / counted.total()


def decision(report: Report, profile: SensorProfile, matrix: Floats, *, full: bool) -> None:
    """What the threshold does between people: it is the imitated sensor's, so that no score here has fixed it."""
    sensor = ALGORITHMS["unrolled"]
    same = (profile.region, profile.edges, profile.unwrap, profile.ridges, profile.search)
    as_sensor = same == (sensor.region, sensor.edges, sensor.unwrap, sensor.ridges, sensor.search)
    report.figure("settings_of_the_sensor", as_sensor, "", "true", as_sensor)
    person = np.arange(len(matrix)) // (FINGERS * TAKES)
    strangers = matrix[np.triu(person[:, np.newaxis] != person)]
    false = int((strangers >= profile.decision.threshold).sum())
    report.figure("highest_stranger", float(strangers.max()), "phi")
    report.figure("fmr_bound95", upper_bound(false, len(strangers)), "")
    stated = profile.decision
    if full:
        as_stated = (len(strangers), false) == (stated.comparisons, stated.false_matches)
        report.figure("comparisons", len(strangers), "", f"= {stated.comparisons} as stated", as_stated)
        report.figure("false_matches", false, "", f"= {stated.false_matches} as stated", as_stated)
    else:
        report.at_most("false_matches", float(false), f"in {len(strangers)}", max(0, stated.false_matches))


def main() -> None:
    report = Report()
    run(report, full="--full" in sys.argv[1:])
    report.exit()


if __name__ == "__main__":
    main()
