"""The core under the seeded storm: so many steps without a violation, and every bug sown on purpose found."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from tests.bench.report import Report
from tests.simulation.mutations import MUTATIONS
from tests.simulation.run import Broken, Count, say, search, shortest

FIND_WITHIN_S = 60.0
CHUNK = 100_000
"""Steps that a process plays before it says so; each chunk has a million seeds of its own."""
SEEDS = 1_000_000


def play(seed: int, steps: int) -> tuple[int, float, str]:
    """Play so many steps; returns how many, in which time, and what broke."""
    start = time.perf_counter()
    played, broken = search(seed, steps=steps)
    return played, time.perf_counter() - start, told(broken) if broken is not None else ""


def hunt(name: str, at: int, seed: int) -> tuple[str, float, str]:
    """Sow one bug and look for it; returns the seconds it took, and what it broke (nothing: it was not found)."""
    start = time.perf_counter()
    with MUTATIONS[at].sow():
        _, broken = search(seed, steps=sys.maxsize, seconds=FIND_WITHIN_S)
    return name, time.perf_counter() - start, str(broken.violation) if broken is not None else ""


def told(broken: Broken) -> str:
    with Count().counting():
        return say(shortest(broken))


def chunks(seed: int, steps: int) -> Iterator[tuple[int, int]]:
    """Seeds and steps of each chunk."""
    for at in range(0, steps, CHUNK):
        yield seed + at // CHUNK * SEEDS, min(CHUNK, steps - at)


def progress(line: str, *, last: bool = False) -> None:
    """One line that changes where somebody looks on, and its last state where nobody does."""
    if last or sys.stderr.isatty():
        sys.stderr.write(f"\r{line:<78}" + ("\n" if last else ""))
        sys.stderr.flush()


def simulate(pool: ProcessPoolExecutor, seed: int, steps: int, jobs: int, report: Report) -> None:
    done, busy, broken = 0, 0.0, list[str]()
    asked = [pool.submit(play, *chunk) for chunk in chunks(seed, steps)]
    for answer in as_completed(asked):
        played, took, what = answer.result()
        done, busy = done + played, busy + took
        broken += [what] if what else []
        progress(f"{done:,} of {steps:,} steps, {len(broken)} violations")
    progress(f"{done:,} steps, {len(broken)} violations", last=True)
    sys.stderr.write("".join(f"{what}\n" for what in broken))
    report.figure("simulation.steps", done, "steps", f">= {steps}", done >= steps)
    report.figure("simulation.steps_per_s", done / busy, "steps/s", f"per process, {jobs} at once")
    report.figure("simulation.violations", len(broken), "violations", "0", not broken)


def find(pool: ProcessPoolExecutor, seed: int, report: Report) -> None:
    found, slowest, missed = 0, 0.0, list[str]()
    asked = [pool.submit(hunt, mutation.name, at, seed) for at, mutation in enumerate(MUTATIONS)]
    for answer in as_completed(asked):
        name, took, what = answer.result()
        slowest = max(slowest, took)
        found += bool(what)
        missed += [] if what else [name]
        progress(f"{found} of {len(MUTATIONS)} bugs found")
    progress(f"{found} of {len(MUTATIONS)} bugs found", last=True)
    sys.stderr.write("".join(f"not found: {name}\n" for name in missed))
    report.at_least("simulation.bugs_seeded", len(MUTATIONS), "bugs", 20)
    report.figure("simulation.bugs_found", found, "bugs", f"= {len(MUTATIONS)}", found == len(MUTATIONS))
    report.at_most("simulation.slowest_bug_s", slowest, "s", FIND_WITHIN_S)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.simulation", description=__doc__)
    parser.add_argument("--steps", type=int, default=2_000_000)
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--seed", type=int, default=1, help="first seed")
    asked = parser.parse_args()
    report = Report()
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        simulate(pool, asked.seed, asked.steps, asked.jobs, report)
        find(pool, asked.seed, report)
    report.exit()


if __name__ == "__main__":
    main()
