"""`authd drill`: replay an incident on real processes, then ask what the city could not answer. Exit 0: answered."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from authd.client import ClientError
from authd_simulators import ending
from authd_simulators.drills.scenario import NAMES, BadScenario
from authd_simulators.ground import NoGround
from authd_simulators.stage import StageError

EPILOG = """\
examples:
  authd drill zushi        a terminal that was left, a caller who pretends: who opened the record, and saw the warning?
  authd drill hirakata     the tax system did not know of the protection that the resident register knew of
  authd drill meguro       a protection was released that should have held
  authd drill kyoto        two systems, and the protection was entered in one
  authd drill funabashi    somebody looked people up for a detective: whom?
  authd drill sakai        voters' data on a rented server: which files, from which export, through whom?
  authd drill zushi --story zushi.html

exit codes: 0 every question is answered, 1 one is not, 2 wrong input
"""


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
    parser.add_argument("incident", choices=NAMES)
    parser.add_argument("--story", type=Path, metavar="FILE", help="one page with times, as HTML / 1枚の記録")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Replay the incident; prints what happens on standard error and the figures on standard output."""
    try:
        return ending.run(_play(args.incident, args.story), ended=130)
    except NoGround as error:
        print(f"authd drill: {error}", file=sys.stderr)
        return 1
    except (StageError, BadScenario, ClientError, TimeoutError) as error:
        print(f"{args.incident}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{args.story}: {error.strerror}", file=sys.stderr)
        return 2


async def _play(incident: str, story: Path | None) -> int:
    from authd_simulators.drills import load, play
    from authd_simulators.drills import story as pages
    from authd_simulators.report import Report

    scenario, report = load(incident), Report()
    played = await play.play(scenario, report, _tell)
    if story is not None:
        pages.write(story, scenario, played, report.all_ok)
        _tell(f"the story: {story}")
    return 0 if report.all_ok else 1


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
