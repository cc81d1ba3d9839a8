"""Finger vein: speed on generated fingers; with AUTHD_SDUMLA set, accuracy on living ones (vein_accuracy.py).

`python -m tests.bench.vein`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import cycle
from statistics import median

import numpy as np

from authd.driver import Reference
from authd_drivers.vein.comparator import VeinComparator
from authd_drivers.vein.engine.extract import extract
from authd_drivers.vein.engine.profile import load_profile
from authd_drivers.vein.engine.template import TEMPLATE_BYTES, WIRE_BYTES, Template, pack
from authd_drivers.vein.study.measure import ungated
from authd_simulators.vein_image import anatomy, capture
from tests.bench import vein_accuracy
from tests.bench.report import Report

ENROLLED = 3
ROSTER = 40


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


def main() -> None:
    report = Report()
    speed(report)
    vein_accuracy.run(report)
    report.exit()


if __name__ == "__main__":
    main()
