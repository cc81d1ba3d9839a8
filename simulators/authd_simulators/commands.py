"""Verbs that this distribution adds to the `authd` command: `demo`, `drill` and `sim`.

What they need is imported when they run, not when the command line is read.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
from pathlib import Path

Verbs = argparse._SubParsersAction  # pyright: ignore[reportPrivateUsage] - argparse has no public name for it
OK, WRONG, USAGE, UNREACHABLE = 0, 1, 2, 3
EPILOG = """\
examples:
  authd sim send run/control.sock "vein-1 TOUCH 1003"
  authd sim send run/control.sock HELP
  authd sim bench --dir run --vein vein-1 --presence presence-1
  authd sim vein --sheet fingers.png
  authd sim people
"""


def demo(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """Add `authd demo`."""
    _delegate("demo", verbs)


def drill(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """Add `authd drill`."""
    _delegate("drill", verbs)


def sim(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """Add `authd sim`."""
    summary = "talk to simulated devices / 模擬装置を操作する"
    parser = verbs.add_parser(
        "sim",
        help=summary,
        description=summary,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(metavar="WHAT", required=True)
    _send(kinds)
    _bench(kinds)
    _vein(kinds)
    _people(kinds)


def _delegate(name: str, verbs: Verbs[argparse.ArgumentParser]) -> None:
    """Let `authd_simulators.<name>` add its verb, once that module is there."""
    try:
        register = importlib.import_module(f"authd_simulators.{name}").register
    except ModuleNotFoundError as error:
        if error.name != f"authd_simulators.{name}":
            raise
        return
    register(verbs)


def _send(kinds: Verbs[argparse.ArgumentParser]) -> None:
    parser = kinds.add_parser("send", help="send one command to a bench and print its answer / 指示を送る")
    parser.add_argument("control", type=Path, help="the bench's control.sock")
    parser.add_argument("line", nargs="+", help='for instance: "vein-1 TOUCH 1003"')
    parser.set_defaults(run=_run_send)


def _run_send(args: argparse.Namespace) -> int:
    from authd_simulators.control import command

    try:
        answer = asyncio.run(command(args.control, " ".join(args.line)))
    except (OSError, TimeoutError) as error:
        print(f"no bench at {args.control}: {error}\n模擬装置が動いていません: {args.control}", file=sys.stderr)
        return UNREACHABLE
    print(answer)
    return OK if answer.startswith("ok") else WRONG


def _bench(kinds: Verbs[argparse.ArgumentParser]) -> None:
    parser = kinds.add_parser("bench", help="hold simulated devices until stopped / 模擬装置を動かす")
    bench_arguments(parser)
    parser.set_defaults(run=_run_bench)


def bench_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a bench needs to know."""
    parser.add_argument("--dir", type=Path, required=True, help="where the cables and control.sock go")
    parser.add_argument("--vein", action="append", default=[], metavar="NAME", help="a vein reader (repeat)")
    parser.add_argument("--presence", action="append", default=[], metavar="NAME", help="a presence sensor (repeat)")
    parser.add_argument("--people", type=int, default=12, help="how many members of staff there are")
    parser.add_argument("--seed", type=int, default=None, help="the same touches every time (they count as replays)")


def _run_bench(args: argparse.Namespace) -> int:
    from authd_simulators import bench

    try:
        return bench.run(args)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return USAGE


def _vein(kinds: Verbs[argparse.ArgumentParser]) -> None:
    parser = kinds.add_parser("vein", help="draw a contact sheet of fingers / 指の画像の一覧を作る")
    parser.add_argument("--sheet", required=True, metavar="PNG", help="where the picture goes")
    parser.add_argument("--people", type=int, default=6, help="a row each, at most 50")
    parser.add_argument("--captures", type=int, default=4, help="columns, at most 12")
    parser.add_argument("--faults", action="store_true", help="one column for each bad presentation instead")
    parser.set_defaults(run=_run_vein)


def _run_vein(args: argparse.Namespace) -> int:
    from authd_simulators.people import population
    from authd_simulators.vein_image import Presentation, contact_sheet
    from authd_simulators.vein_image.sheet import write_png

    if not 2 <= args.people <= 50 or not 1 <= args.captures <= 12:
        print("expected 2 to 50 people and 1 to 12 captures", file=sys.stderr)
        return USAGE
    columns = list(Presentation) if args.faults else [Presentation.GOOD] * args.captures
    try:
        write_png(args.sheet, contact_sheet([each.finger() for each in population(args.people)], columns))
    except OSError as error:
        print(error, file=sys.stderr)
        return USAGE
    print(f"{args.sheet}: {args.people} x {len(columns)}")
    return OK


def _people(kinds: Verbs[argparse.ArgumentParser]) -> None:
    parser = kinds.add_parser("people", help="list the invented staff / 架空の職員の一覧")
    parser.add_argument("--people", type=int, default=12)
    parser.set_defaults(run=_run_people)


def _run_people(args: argparse.Namespace) -> int:
    from authd_simulators.people import population

    try:
        staff = population(args.people)
    except ValueError as error:
        print(error, file=sys.stderr)
        return USAGE
    for each in staff:
        print("\t".join((each.staff_number, each.name, each.kana, each.section_name, "登録係" * each.officer)))
    return OK
