"""Run a command that prints figures, again if only the machine's business was against it.

    python -m tests.tools.steady [--tries 3] -- python -m tests.bench.host

A figure that counts what went wrong (a person, an event, a bug) must be good every time. One that measures (ms, s, MB,
a rate or a ratio) must meet its bar, unchanged, in one of the tries: these machines are shared, and a run beside
somebody else's says nothing. Every line of every try is printed, so that nothing is hidden.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from typing import Any

MEASURED = frozenset({"ms", "us", "s", "MB", "x", "1/s"})
"""Units of figures that a busy machine makes worse."""
ABSOLUTE = frozenset({"unattributed_active_s"})
"""Measured in seconds, and never to be excused."""


def misses(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the names of figures that missed: those that may be tried again, and those that may not."""
    again, never = list[str](), list[str]()
    for line in lines:
        figure: dict[str, Any] = json.loads(line)
        if figure.get("ok") is False:
            excused = figure["unit"] in MEASURED and figure["name"] not in ABSOLUTE
            (again if excused else never).append(figure["name"])
    return again, never


def attempt(command: Sequence[str]) -> tuple[int, list[str]]:
    """Run once, pass its output on; returns its exit code and its figures' lines."""
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith("{"):
                lines.append(line)
    return process.returncode, lines


def main(argv: Sequence[str] | None = None) -> int:
    """Try up to `--tries` times; returns the exit code of the last one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("command", nargs="+")
    args = parser.parse_args(argv)
    for left in reversed(range(args.tries)):
        code, lines = attempt(args.command)
        again, never = misses(lines)
        if code == 0 or never or not again or not left:
            return code
        print(f"steady: {', '.join(again)} missed on a busy machine; trying again", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
