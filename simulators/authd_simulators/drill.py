"""`authd drill`: replay an incident on real processes, then ask what the city could not answer. Exit 0: answered."""

from __future__ import annotations

import argparse
import sys

from authd_simulators import ending
from authd_simulators.stage import StageError

EPILOG = """\
examples:
  authd drill zushi        two clerks share a counter, a caller pretends, and afterwards somebody asks who it was
"""
DRILLS = ("zushi",)


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] - argparse has no public name for it
    """Add `authd drill`."""
    summary = "replay an incident and answer for it / 過去の事件を再現し、問いに答える"
    parser = verbs.add_parser(
        "drill",
        help=summary,
        description=summary,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("incident", choices=DRILLS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Replay the incident; prints what happens on standard error and the figures on standard output."""
    from authd_simulators import zushi

    try:
        return ending.run({"zushi": zushi.play}[args.incident](), ended=130)
    except StageError as error:
        print(error, file=sys.stderr)
        return 1
