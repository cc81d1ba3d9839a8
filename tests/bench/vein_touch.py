"""One touch, from the frame to the name: extraction and the search among a roster's templates, on generated fingers.

`python -m tests.bench.vein_touch`. Processor time of this thread, so that other work on the machine counts little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import cycle

import numpy as np

from authd.driver import Reference
from authd_drivers.vein.comparator import VeinComparator
from authd_drivers.vein.engine.enrol import FEWEST
from authd_drivers.vein.engine.extract import extract
from authd_drivers.vein.engine.profile import load_profile
from authd_drivers.vein.engine.template import TEMPLATE_BYTES, WIRE_BYTES, Template, pack, parse
from authd_drivers.vein.study.measure import ungated
from authd_simulators.vein_image import anatomy, capture
from tests.bench.report import Report

PEOPLE, FINGERS_EACH, PICTURES, TOUCHES = 120, 2, 40, 300


def milliseconds(work: Callable[[], object], times: int) -> list[float]:
    """Processor time of each of `times` runs."""
    spans: list[float] = []
    for _ in range(times):
        begun = time.thread_time_ns()
        work()
        spans.append((time.thread_time_ns() - begun) / 1e6)
    return spans


def run(report: Report) -> None:
    """Figures `template_bytes`, `extract_ms` and `roster_ms.120.p50` and `.p99`."""
    profile = ungated(load_profile("sim"))
    rng = np.random.default_rng(1)
    frames = [capture(anatomy(f"finger {number}"), rng) for number in range(PICTURES)]
    found = [template for frame in frames if (template := extract(frame, profile).template)]
    report.at_most("template_bytes", float(WIRE_BYTES), "B", 320)
    report.figure("template_bits_bytes", float(TEMPLATE_BYTES), "B")
    each = cycle(frames)
    report.figure("extract_ms", float(np.median(milliseconds(lambda: extract(next(each), profile), 100))), "ms")
    comparator, scope = roster(cycle(found), rng)
    report.figure("roster_templates", len(comparator), "templates")

    def touch() -> None:
        record = extract(next(each), profile).template
        assert record is not None
        comparator.search(unknown(record, rng), scope)

    spans = milliseconds(touch, TOUCHES)
    report.figure("roster_ms.120.p50", float(np.quantile(spans, 0.5)), "ms")
    report.at_most("roster_ms.120.p99", float(np.quantile(spans, 0.99)), "ms", 40)


def roster(stock: Iterator[bytes], rng: np.random.Generator) -> tuple[VeinComparator, list[str]]:
    """120 people with two fingers of three templates each, as dense as real ones, and nobody's."""
    scope = [f"sub_{person}" for person in range(PEOPLE)]
    slots = [(subject, slot) for subject in scope for slot in range(FINGERS_EACH * FEWEST)]
    comparator = VeinComparator()
    comparator.load([Reference(who, f"tpl_{who}_{slot}@1", unknown(next(stock), rng)) for who, slot in slots])
    return comparator, scope


def unknown(record: bytes, rng: np.random.Generator) -> bytes:
    """A template as dense as this one that is nobody's, so that a small set of fingers makes a large roster."""
    template = parse(record)
    rows = np.frombuffer(template.bits, "<u8")
    return pack(Template(template.profile, template.quality, rng.permutation(rows).tobytes()))


def main() -> None:
    report = Report()
    run(report)
    report.exit()


if __name__ == "__main__":
    main()
