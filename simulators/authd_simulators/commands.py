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
  authd sim vein --out fingers.png --people 4 --fingers 2
  authd sim vein --out attacks.png --attack all
  authd sim people

exit codes: 0 done, 1 the bench said no, 2 wrong input, 3 no bench there
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
    parser.add_argument(
        "--remote", action="append", default=[], metavar="NAME=SOCKET", help="a device with a control socket of its own"
    )
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
    summary = "draw the fingers that are generated / 生成した指の画像を描く"
    parser = kinds.add_parser("vein", help=summary, description=summary)
    parser.add_argument("--out", "--sheet", type=Path, required=True, metavar="PNG", help="where the picture goes")
    parser.add_argument("--people", type=int, default=None, help="how many, at most 50 (6; 40 with --histograms)")
    parser.add_argument("--fingers", type=int, default=1, help="of each, at most 6 (1)")
    parser.add_argument("--captures", type=int, default=4, help="columns, at most 12 (4)")
    parser.add_argument("--seed", type=int, default=1, help="other touches of the same people (1)")
    parser.add_argument("--faults", action="store_true", help="one column for each way to lay a finger down instead")
    parser.add_argument(
        "--attack", action="append", default=[], metavar="SPECIES", help="a kind of attack (repeat), or all"
    )
    parser.add_argument("--histograms", action="store_true", help="scores beside recorded real ones instead: a minute")
    parser.set_defaults(run=_run_vein)


def _run_vein(args: argparse.Namespace) -> int:
    from authd_simulators.vein_study.commands import run

    return run(args)


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
