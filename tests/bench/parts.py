"""The front of a bench that has parts: each a module with `run(report, *, full)`, measured in a process of its own."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module

from tests.bench.report import Report


def front(name: str, about: str, modules: Mapping[str, str]) -> None:
    """Print every figure of the parts that the command line names, or of all; exit 1 if one is not ok."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(modules)}; default: all")
    parser.add_argument("--full", action="store_true", help="the sizes of a city; takes long")
    args = parser.parse_args()
    unknown = [part for part in args.parts if part not in modules]
    if unknown:
        parser.error(f"{unknown[0]!r} is none of {', '.join(modules)}")
    parts = args.parts or list(modules)
    if len(parts) == 1:
        report = Report()
        import_module(modules[parts[0]]).run(report, full=args.full)
        report.exit()
    sys.exit(max(apart(name, part, full=args.full) for part in parts))


def apart(name: str, part: str, *, full: bool) -> int:
    """Run a part in a process of its own, so that none is measured with the memory of another; return its exit code."""
    words = [sys.executable, "-m", name, part, *(["--full"] if full else [])]
    return subprocess.run(words, check=False).returncode
