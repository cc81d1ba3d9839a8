"""Part `views`: who was where, who opened what, how fast a receipt comes, and whether one ever lies.

`--full` asks the ledgers that `python -m tests.bench.evidence_ledgers` has built before, in the folders `20m` and
`50m` of AUTHD_BENCH_LEDGERS; a ledger of 1 M rows is built on the way. Such a ledger alone:

    AUTHD_BENCH_LEDGERS=DIR python -m tests.bench.evidence_views 20m
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from authd.service.evidence.records import Pseudonyms
from authd.service.evidence.views.look import viewed
from authd.service.ledger import Reader, presence
from authd.service.ledger.query import ALWAYS
from tests.bench.evidence_ledgers import DAY_MS, RECORD_KEY, City, build
from tests.bench.evidence_receipts import kills, receipts
from tests.bench.report import Report

ASKED = 400
"""Questions of each sort."""
QUARTER_MS = 15 * 60_000
LEDGERS = "AUTHD_BENCH_LEDGERS"
BUILT = {"5m": (5_000_000, 1, 20), "20m": (20_000_000, 1, 20), "50m": (50_000_000, 10, 1_000)}
"""Folder -> rows, months, bar in ms, of the ledgers that a command has built."""


def run(report: Report, *, full: bool) -> None:
    """Print every figure of the part."""
    with tempfile.TemporaryDirectory(prefix="authd-bench-") as name:
        city = City.of(1_000_000)
        ask(report, build(Path(name), city, report), city, "1m", 20)
    if full:
        asked_before(report, "20m")
        asked_before(report, "50m")
    receipts(report, seconds=60 if full else 10)
    kills(report, rounds=200 if full else 20)


def asked_before(report: Report, size: str) -> None:
    """Ask a ledger that a command has built (`BUILT`)."""
    rows, months, bar = BUILT[size]
    city = City.of(rows, months)
    folder = Path(os.environ.get(LEDGERS, "/var/tmp/authd-bench")) / size
    if not (folder / "city.json").exists():
        command = f"python -m tests.bench.evidence_ledgers --folder {folder} --rows {city.rows} --months {city.months}"
        report.figure(f"who_ms.{size}.p99", f"build it first: {command}", "ms", f"<= {bar:g}", ok=False)
        return
    ask(report, folder / "ledger", city, size, bar)


def ask(report: Report, folder: Path, city: City, size: str, bar: float) -> None:
    """Print how long answers take on an open ledger, each question about another seat, record or person."""
    rng, names, reader = random.Random(7), Pseudonyms(RECORD_KEY), Reader(folder)

    def at() -> int:
        return city.wall_ms(rng.randrange(city.rows))

    def who() -> int:
        begin = at()
        return len(presence(reader, city.seat(rng.randrange(city.seats)), begin, begin + QUARTER_MS))

    def of_seat() -> int:
        begin = at()
        return len(viewed(reader, f"seat:{city.seat(rng.randrange(city.seats))}", begin, begin + QUARTER_MS))

    def of_record() -> int:
        return len(viewed(reader, f"record:{names.record(str(city.some_record(rng)))}", *ALWAYS))

    def of_subject() -> int:
        begin = at() // DAY_MS * DAY_MS
        return len(viewed(reader, f"subject:{city.subject(rng.randrange(city.staff))}", begin, begin + DAY_MS))

    try:
        taken = {each.__name__: _asked(each) for each in (who, of_record, of_seat, of_subject)}
    finally:
        reader.close()
    for name, (times, found, spent) in taken.items():
        report.figure(f"evidence.{size}.{name}.cpu_ms", spent, "ms")
        if name != "who":
            report.figure(f"views_ms.{size}.{name}.p99", _p99(times), "ms")
        report.figure(f"evidence.{size}.{name}.rows", found, "rows")
    report.at_most(f"who_ms.{size}.p99", _p99(taken["who"][0]), "ms", bar)
    together = [each for name, (times, _, _) in taken.items() if name != "who" for each in times]
    report.at_most(f"views_ms.{size}.p99", _p99(together), "ms", bar)


def _asked(question: Callable[[], int]) -> tuple[list[float], float, float]:
    """Return how long each answer took, ms; and of one on average, its rows and its processor time, ms."""
    times, found, spent = list[float](), 0, time.process_time()
    for _ in range(ASKED):
        began = time.perf_counter()
        found += question()
        times.append(1e3 * (time.perf_counter() - began))
    return times, found / ASKED, 1e3 * (time.process_time() - spent) / ASKED


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


def main() -> None:
    """Ask the ledgers of these sizes."""
    report = Report()
    for size in sys.argv[1:]:
        asked_before(report, size)
    report.exit()


if __name__ == "__main__":
    main()
