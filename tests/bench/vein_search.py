"""Finger vein: the cost of a comparison and of a search among up to 100,000 templates, on one core, in NumPy.

`python -m tests.bench.vein_search [--picture FILE]`: `run(report, picture)`. Times are the process's own CPU time, of
all its threads (the engine has one: no BLAS), the median of some runs: a shared machine's other work is not measured.
Templates are random maps as dense as those of fingers: what a search costs does not depend on what they show. With
AUTHD_SDUMLA set it also counts accepted probes that the coarse filter loses, of living fingers.
"""

# pyright: reportUnknownMemberType=false
# matplotlib passes keywords on to classes that it does not name

from __future__ import annotations

import argparse
import gc
import os
import time
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

from authd.driver import Reference
from authd_drivers.vein.engine.bank import SHARE
from authd_drivers.vein.engine.compare import coarse, lattices
from authd_drivers.vein.engine.gallery import Gallery
from authd_drivers.vein.engine.lattice import Lattice
from authd_drivers.vein.engine.profile import SensorProfile, load_profile
from authd_drivers.vein.engine.template import Template, pack
from authd_drivers.vein.study.measure import extract_all, ungated
from tests.bench.report import Report

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
TURNS = 5
ENOUGH = 20_000
"""Templates to look at in a turn, after the first search of it."""
BARS = {10_000: 100.0, 100_000: 1_000.0}
"""Milliseconds a search."""
MOST_BYTES = 320
MOST_EXPONENT = 1.1
"""Of the search time's growth with the templates: 1 is linear; the rest is for the scatter of five points."""
DENSITY = 0.41
"""Of the templates of living fingers."""
A_PERSON = 6
PEER_MS = 9.69
"""A comparison by bob.bio.vein's Miura match, measured once; `tests.bench.vein_peer` measures both in one run."""
FOLDER = "AUTHD_SDUMLA"
FINGERS = tuple((hand, finger) for hand in ("left", "right") for finger in ("index", "middle", "ring"))
TAKES, ENROLLED = 6, 3

Words = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]


def run(report: Report, picture: Path | None = None, templates: Words | None = None) -> None:
    """Report all figures; write the picture only where one is asked for.

    templates: of SDUMLA, shape (3816, 32), by subject, finger and take, where they are extracted already.
    """
    comparisons(report)
    times, held = searches(report)
    exponent = growth(times)
    report.at_most("search_growth", exponent, "exponent of N", MOST_EXPONENT)
    largest = max(times)
    a_template = 1e3 * times[largest] / largest
    report.figure("search_us_a_template", a_template, "us")
    report.figure("search_against_peer", 1e3 * PEER_MS / a_template, "times", "see tests.bench.vein_peer")
    report.at_most("search_bytes_a_template", held, "B", MOST_BYTES)
    report.figure("search_bytes_a_template.with_names", traced(load_profile("sdumla")), "B")
    if templates is None and (folder := os.environ.get(FOLDER)):
        templates = extracted(Path(folder))
    if templates is not None:
        survival(report, templates)
    if picture is not None:
        draw(times, picture)


def comparisons(report: Report) -> None:
    """Exact comparisons: one pair, one with many, and the coarse filter."""
    maps = random_maps(np.random.default_rng(1), 4_000)
    fine, rough = lattices(load_profile("sdumla").search)
    small = coarse(maps)
    report.figure("compare_us.pair", 1e3 * cpu_ms(lambda: fine.scores(maps[0], maps[1:2]), 50), "us")
    report.figure("compare_us.many", cpu_ms(lambda: fine.scores(maps[0], maps[:1_000]), 9), "us a template")
    report.figure("filter_us", cpu_ms(lambda: rough.scores(small[0], small), 9) / 4, "us a template")


def searches(report: Report) -> tuple[dict[int, float], float]:
    """Milliseconds a search by the number of templates, and bytes a template in the largest gallery.

    The sizes take turns, so that whatever slows the machine slows all of them.
    """
    profile = load_profile("sdumla")
    rng = np.random.default_rng(2)
    galleries = {size: Gallery({profile.id: profile.search}) for size in SIZES}
    people = {size: fill(gallery, size, profile.id, rng) for size, gallery in galleries.items()}
    spans: dict[int, list[float]] = {size: [] for size in SIZES}
    for row in random_maps(rng, TURNS):
        probe = record(row, profile.id)
        for size, gallery in galleries.items():
            find = partial(gallery.search, probe, people[size], profile.decision.threshold)
            spans[size].append(cpu_ms(find, max(1, ENOUGH // size)))
    times = {size: median(each) for size, each in spans.items()}
    for size, time_taken in times.items():
        name = f"search_ms.{size // 1_000}k"
        if size in BARS:
            report.at_most(name, time_taken, "ms", BARS[size])
        else:
            report.figure(name, time_taken, "ms")
    return times, galleries[max(SIZES)].nbytes / max(SIZES)


def fill(gallery: Gallery, size: int, profile: int, rng: np.random.Generator) -> list[str]:
    """Add people of six templates each, up to `size` templates; returns the people."""
    rows = enumerate(random_maps(rng, size))
    named = ((f"sub_{number // A_PERSON:06}", f"tpl_{number:06}@1", row) for number, row in rows)
    gallery.add([Reference(who, name, record(row, profile)) for who, name, row in named])
    return list(gallery.subjects)


def random_maps(rng: np.random.Generator, count: int) -> Words:
    return np.concatenate([_random_maps(rng, min(4_096, count - at)) for at in range(0, count, 4_096)])


def _random_maps(rng: np.random.Generator, count: int) -> Words:
    cells = rng.random((count, 2_048), np.float32) < DENSITY
    return np.packbits(cells, axis=1, bitorder="little").view(np.uint64)


def record(row: Words, profile: int) -> bytes:
    return pack(Template(profile, 0.5, row.tobytes()))


def growth(times: dict[int, float]) -> float:
    """Exponent of the number of templates with which the time of a search grows, above 3,000."""
    sizes = [size for size in times if size >= 3_000]
    slope, _ = np.polyfit(np.log(sizes), np.log([times[size] for size in sizes]), 1)
    return float(slope)


def cpu_ms(work: Callable[[], object], runs: int) -> float:
    """Median CPU time of a run, after one to warm up."""
    work()
    spans = list[float]()
    for _ in range(runs):
        begun = time.process_time_ns()
        work()
        spans.append((time.process_time_ns() - begun) / 1e6)
    return median(spans)


def traced(profile: SensorProfile) -> float:
    """Bytes a template of all that a gallery holds, names and index too."""
    gallery = Gallery({profile.id: profile.search})
    tracemalloc.start()
    fill(gallery, 5_000, profile.id, np.random.default_rng(3))
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / len(gallery)


# What the filter loses.


def extracted(folder: Path) -> Words:
    """Templates of all pictures of SDUMLA, gate or no gate."""
    files = [
        folder / f"{subject:03}" / hand / f"{finger}_{take}.bmp"
        for subject in range(1, 107)
        for hand, finger in FINGERS
        for take in range(1, TAKES + 1)
    ]
    done = extract_all(files, ungated(load_profile("sdumla")))
    if not done.found.any():
        raise SystemExit(f"{folder}: {FOLDER} must be the folder with 001/left/index_1.bmp")
    return done.templates


def survival(report: Report, templates: Words) -> None:
    """Enrol three takes of every finger of SDUMLA, and see where the coarse filter puts the others' own templates."""
    profile = load_profile("sdumla")
    shares, best = own_places(templates, *lattices(profile.search), profile.decision.threshold)
    report.figure("cascade_accepted", len(best), "probes")
    report.at_most("cascade_lost", float((best > SHARE).sum()), "probes", 0)
    report.figure("cascade_lost.pairs", float((shares > SHARE).sum()), f"of {len(shares)} accepted pairs")
    report.figure(
        "cascade_share_needed_percent", 100 * float(best.max()), "% of the templates", f"kept: {100 * SHARE:g}"
    )
    report.figure("cascade_share_needed_percent.pairs", 100 * float(shares.max()), "% of the templates")


def own_places(templates: Words, fine: Lattice, rough: Lattice, threshold: float) -> tuple[Floats, Floats]:
    """Share of the others' templates that the filter puts before an accepted probe's own.

    Of each own template that is accepted, and of the best own template of each accepted probe.
    """
    take = np.arange(len(templates)) % TAKES
    finger = np.arange(len(templates)) // TAKES
    enrolled = np.flatnonzero(take < ENROLLED)
    small = coarse(templates)
    shares, best = list[float](), list[float]()
    for probe in np.flatnonzero(take >= ENROLLED):
        own = enrolled[finger[enrolled] == finger[probe]]
        scores = fine.scores(templates[probe], templates[own])
        if scores.max() < threshold:
            continue
        others = np.sort(rough.scores(small[probe], small, enrolled[finger[enrolled] != finger[probe]]))
        before = len(others) - np.searchsorted(others, rough.scores(small[probe], small, own))
        places = before / len(others)
        shares += places[scores >= threshold].tolist()
        best.append(float(places[scores.argmax()]))
    return np.array(shares, np.float32), np.array(best, np.float32)


# The picture.


def draw(times: dict[int, float], file: Path) -> None:
    """Search time against the number of templates, both logarithmic, with the bars. Needs matplotlib."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "authd", "font.size": 10}):
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.add_subplot()
        sizes = list(times)
        axes.plot(sizes, list(times.values()), "o-", color="#0072b2", label="measured, one core, NumPy")
        axes.plot(sizes, [size / 100 for size in sizes], ":", color="#888888", label="10 us a template")
        axes.plot(list(BARS), list(BARS.values()), "v", color="#d55e00", label="at most")
        axes.set(xscale="log", yscale="log", xlabel="templates searched", ylabel="CPU time of a search, ms")
        axes.grid(which="major", color="#cccccc", linewidth=0.6)
        axes.legend(loc="upper left", fontsize=8)
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.vein_search")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write search time against templates")
    report = Report()
    run(report, parser.parse_args(arguments).picture)
    report.exit()


if __name__ == "__main__":
    main()
