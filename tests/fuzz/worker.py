"""One target under libFuzzer: `python -m tests.fuzz.worker NAME SECONDS`, a process of its own.

libFuzzer would stop at the first error; here each is kept beside its input, and the run goes on to its end. The last
line of standard output is the result. A process that ends without that line has crashed.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.pure import from_sources
from tests.fuzz.target import SLOW_MS, TARGETS, Target, judge

MOST_KEPT = 20


@dataclass(slots=True)
class Tally:
    """What a run saw."""

    target: Target
    module: Any
    runs: int = 0
    slowest_ms: float = 0.0
    errors: dict[str, str] = field(default_factory=dict[str, str])
    """Where it was raised -> the file of the first input that did it."""

    def run(self, data: bytes) -> None:
        """Run one input."""
        self.runs += 1
        taken, error = _timed(self.module, data)
        if taken > self.slowest_ms:
            self._slow(data, taken)
        if error is not None:
            self._keep(f"{type(error).__name__} at {_where(error)}: {str(error)[:100]}", data)

    def _slow(self, data: bytes, taken: float) -> None:
        """Believe a long run only if it is so again: the collector and the tracer have their own moments."""
        taken = min(taken, *(_timed(self.module, data)[0] for _ in range(3)))
        self.slowest_ms = max(self.slowest_ms, taken)
        if taken > SLOW_MS:
            self._save("slow", data)

    def _keep(self, what: str, data: bytes) -> None:
        if what not in self.errors and len(self.errors) < MOST_KEPT:
            self.errors[what] = str(self._save("error", data))

    def _save(self, kind: str, data: bytes) -> Path:
        folder = self.target.finds / "wrong"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{kind}-{hashlib.sha256(data).hexdigest()[:16]}"
        path.write_bytes(data)
        return path

    def end(self) -> None:
        """Say what was seen and leave: libFuzzer itself never returns."""
        sys.stdout.write(
            json.dumps({"runs": self.runs, "slowest_ms": self.slowest_ms, "errors": self.errors}, ensure_ascii=False)
        )
        sys.stdout.write("\n")
        sys.stdout.flush()
        os._exit(0)


def _timed(module: Any, data: bytes) -> tuple[float, Exception | None]:
    begun = time.thread_time_ns()
    error = judge(module, data)
    return (time.thread_time_ns() - begun) / 1e6, error


def _where(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


def fuzz(target: Target, seconds: float) -> None:
    """Fuzz until the time is over. Does not return."""
    from_sources()
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=list(target.instrumented)):
        module = target.module()
    tally = Tally(target, module)
    found, seeds = target.finds / "found", target.finds / "seeds"
    for folder in (found, seeds):
        folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.begin()):
        (seeds / f"{number:04}").write_bytes(data)
    ends = time.monotonic() + seconds

    def one(data: bytes) -> None:
        tally.run(data)
        if time.monotonic() > ends:
            tally.end()

    options = [f"-max_len={target.longest}", "-timeout=20", "-rss_limit_mb=2048", "-len_control=50"]
    options.append(f"-artifact_prefix={target.finds}/")
    atheris.Setup([sys.argv[0], str(found), str(seeds), *options], one, enable_python_coverage=True)
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz(TARGETS[sys.argv[1]], float(sys.argv[2]))
