"""Run pytest; where a test or two failed beside all the others, run their files once more, alone, and never hide it.

    python -m tests.tools.again -- -m real -n auto --dist loadfile --ignore=tests/e2e
    python -m tests.tools.again --told

A machine of two cores that runs hundreds of daemons, browsers and databases at once makes things late that no test
thought of. A file that fails again by itself is red, and so is a third failing file. What passed only alone stays
printed with its failure, and `--told` names it at the very end: it is a fault to be traced, of the test or of authd
(docs/decisions/0020; CPython's own tests are run again in the same way by `regrtest --rerun`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

MOST_FILES = 2
CACHE = Path(".pytest_cache/v/cache/lastfailed")
FOUND = Path("build/passed-only-alone.txt")
TESTS_FAILED = 1


def failed(cache: Path = CACHE) -> list[str]:
    """Return the files whose tests failed in the last run, as pytest itself remembers them."""
    if not cache.exists():
        return []
    return sorted({name.partition("::")[0] for name in json.loads(cache.read_text("utf-8"))})


def alone(arguments: Sequence[str], files: Sequence[str]) -> list[str]:
    """Return the arguments of the second run: the same choice of tests, these files only, in one process."""
    return [*(each for each in arguments if not Path(each).exists()), "-n", "0", *files]


def run(arguments: Sequence[str]) -> int:
    """Run pytest up to twice; returns its exit code."""
    code = _pytest(["--cache-clear", *arguments])
    files = failed()
    if code != TESTS_FAILED or not 0 < len(files) <= MOST_FILES:
        return code
    print(f"again: {', '.join(files)} failed beside the others; once more, alone", flush=True)
    code = _pytest(alone(arguments, files))
    if code == 0:
        FOUND.parent.mkdir(exist_ok=True)
        with FOUND.open("a", encoding="utf-8") as found:
            found.writelines(f"{file}\n" for file in files)
    return code


def told() -> str:
    """Return what is to be said of all runs since `make test` began."""
    if not FOUND.exists():
        return "no test had to be run again"
    return f"PASSED ONLY WHEN RUN AGAIN, ALONE (to be traced): {', '.join(FOUND.read_text('utf-8').split())}"


def _pytest(arguments: Sequence[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


def main(argv: Sequence[str] | None = None) -> int:
    """Run, or tell; returns the exit code of the last run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--told", action="store_true", help="say what passed only alone since `make test` began")
    parser.add_argument("pytest", nargs="*", help="pytest's arguments, after --")
    args = parser.parse_args(argv)
    if args.told:
        print(told())
        return 0
    return run(args.pytest)


if __name__ == "__main__":
    sys.exit(main())
