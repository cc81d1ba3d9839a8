"""`authd sim vein`: pictures of what the generator makes, and of how hard it is beside real fingers."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec

from authd_simulators.people import population
from authd_simulators.vein_image import Finger, Presentation, contact_sheet
from authd_simulators.vein_image.attacks import Species
from authd_simulators.vein_image.sheet import write_png

OK, USAGE = 0, 2
MOST_PEOPLE, MOST_FINGERS, MOST_CAPTURES = 50, len(Finger), 12
STUDIED = 40
"""People of `--histograms` by default: some 110,000 impostor comparisons."""


def run(args: argparse.Namespace) -> int:
    """Draw what was asked for."""
    people = args.people if args.people is not None else STUDIED if args.histograms else 6
    if not (2 <= people <= MOST_PEOPLE and 1 <= args.fingers <= MOST_FINGERS and 1 <= args.captures <= MOST_CAPTURES):
        return _refuse(
            f"expected 2 to {MOST_PEOPLE} people, 1 to {MOST_FINGERS} fingers and 1 to {MOST_CAPTURES} captures"
        )
    if not 0 <= args.seed < 1 << 32:
        return _refuse(f"expected a seed of 0 to {(1 << 32) - 1}")
    wrong = set(args.attack) - {"all", *Species}
    if wrong:
        return _refuse(f"unknown species {min(wrong)[:40]!r}: expected all, {', '.join(Species)}")
    try:
        return _histograms(args, people) if args.histograms else _sheet(args, people)
    except OSError as error:
        return _refuse(str(error))


def _sheet(args: argparse.Namespace, people: int) -> int:
    chosen = list(Finger)[: args.fingers]
    rows = [
        (f"{each.staff_number}/{finger.value}", each.finger(finger)) for each in population(people) for finger in chosen
    ]
    columns = _columns(args)
    write_png(args.out, contact_sheet([seed for _, seed in rows], columns, args.seed, [label for label, _ in rows]))
    print(f"{args.out}: {people} people x {args.fingers} fingers x {len(columns)} touches")
    return OK


def _columns(args: argparse.Namespace) -> list[Presentation | Species]:
    if args.attack:
        return [Presentation.GOOD, *(each for each in Species if "all" in args.attack or each in args.attack)]
    return list(Presentation) if args.faults else [Presentation.GOOD] * args.captures


def _histograms(args: argparse.Namespace, people: int) -> int:
    if find_spec("matplotlib") is None:
        return _refuse("matplotlib is needed: pip install 'authd-seat[plots]'")
    from authd_simulators.vein_study import generate, recorded, scored
    from authd_simulators.vein_study.picture import draw

    found = scored(generate(people, args.fingers, args.seed, progress=_show), progress=_show)
    draw(found, recorded(), args.out)
    print(f"{args.out}: {people} generated people x {args.fingers} fingers beside recorded scores")
    return OK


def _show(what: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{what} {done}/{total}" + "\r\033[K" * (done == total))
        sys.stderr.flush()


def _refuse(why: str) -> int:
    print(why, file=sys.stderr)
    return USAGE
