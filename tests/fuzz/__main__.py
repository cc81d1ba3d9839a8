"""`python -m tests.fuzz`: see the package."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import tests.fuzz
from tests.bench.report import Report
from tests.fuzz import corpus
from tests.fuzz.pure import from_sources
from tests.fuzz.target import ROOT, SLOW_MS, TARGETS, Target, check, judge

GRACE_S = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one target's run came to."""

    target: Target
    result: dict[str, Any] = field(default_factory=dict[str, Any])
    """Empty: it crashed."""
    log: str = ""


def run(target: Target, seconds: float) -> Outcome:
    """Fuzz one target in a process of its own."""
    shutil.rmtree(target.finds / "seeds", ignore_errors=True)
    command = [sys.executable, "-m", "tests.fuzz.worker", target.name, str(seconds)]
    with tempfile.TemporaryFile() as log:
        try:
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, timeout=seconds + GRACE_S, check=False
            )
            lines = done.stdout.decode().splitlines()
        except subprocess.TimeoutExpired:
            lines = []
        log.seek(0)
        said = log.read().decode("utf-8", "replace")
    last = lines[-1] if lines else ""
    return Outcome(target, json.loads(last) if last.startswith("{") else {}, said)


def show(report: Report, outcome: Outcome) -> None:
    """Print the figures of one target, and how to have its errors again."""
    name, result = outcome.target.name, outcome.result
    report.at_most(f"fuzz.{name}.crashes", 0 if result else 1, "crashes", 0)
    if not result:
        print(outcome.log[-4_000:], file=sys.stderr)
        return
    report.at_least(f"fuzz.{name}.runs", result["runs"], "runs", 1_000)
    report.at_most(f"fuzz.{name}.undeclared", len(result["errors"]), "errors", 0)
    report.at_most(f"fuzz.{name}.slowest", result["slowest_ms"], "ms", SLOW_MS)
    for what, path in result["errors"].items():
        print(f"{name}: {what}\n  python -m tests.fuzz {name} --repeat {Path(path).relative_to(ROOT)}", file=sys.stderr)


def repeat(target: Target, path: Path) -> int:
    """Run one input and let its error be seen."""
    error = judge(target.module(), path.read_bytes())
    if error is not None:
        raise error
    print(f"{path}: accepted, or refused with the declared error")
    return 0


def main() -> int:
    """Fuzz, list, repeat or keep."""
    parser = argparse.ArgumentParser(
        prog="tests.fuzz", description=tests.fuzz.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", default="all", choices=["all", *TARGETS])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--repeat", type=Path, metavar="FILE")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--check", action="store_true", help="run what is kept, once")
    args = parser.parse_args()
    chosen = list(TARGETS.values()) if args.name == "all" else [TARGETS[args.name]]
    from_sources()
    if args.check:
        wrong = [error for target in chosen for error in check(target)]
        print("\n".join(f"{type(error).__name__}: {error}" for error in wrong))
        return 1 if wrong else 0
    if args.list:
        print("\n".join(TARGETS))
        return 0
    if args.repeat:
        return repeat(chosen[0], args.repeat)
    if args.keep:
        for target in chosen:
            print(f"{target.name}: {corpus.keep(target)}")
        return 0
    report = Report()
    seconds: float = args.seconds
    with ThreadPoolExecutor(args.jobs) as pool:
        for outcome in pool.map(partial(run, seconds=seconds), chosen):
            show(report, outcome)
    return 0 if report.all_ok else 1


if __name__ == "__main__":
    sys.exit(main())
