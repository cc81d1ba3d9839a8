"""`authd vein`: what those who choose, mount and set up a vein reader ask of it.

What a verb needs (cv2, NumPy) is imported when it runs, not when the command line is read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from authd_drivers.vein.engine.profile import ProfileError, named, profile_names
from authd_drivers.vein.study.texts import LANGUAGES, language, text

if TYPE_CHECKING:
    from authd_drivers.vein.study.dataset import Dataset
    from authd_drivers.vein.study.evaluate import Evaluation, Plan

Verbs = argparse._SubParsersAction  # pyright: ignore[reportPrivateUsage] - argparse has no public name for it
OK, USAGE = 0, 2
MOST_ROSTER = 100_000
EPILOG = """\
examples:
  authd vein evaluate fvdir --pattern '(?P<subject>\\d+)/(?P<hand>left|right)/(?P<finger>\\w+)_(?P<sample>\\d)\\.bmp$'
  authd vein evaluate DIR --pattern '(?P<subject>\\d+)-(?P<finger>\\d)-(?P<session>\\d)-(?P<sample>\\d+)\\.png$' \\
                      --profile my.toml --out pictures
  authd vein evaluate DIR --pattern REGEX --limit 20            a quick look: the first 20 people
  authd vein evaluate DIR --pattern REGEX --json > figures.jsonl
  authd vein evaluate DIR --pattern REGEX --exclude '068/right/index=068/right/middle' --impostors people

  authd vein profile DIR --pattern REGEX --take 1/3 --out my.toml     fit a profile to a third of the people,
  authd vein evaluate DIR --pattern REGEX --leave 1/3 --profile my.toml   and measure it on the others

The pattern is searched in each picture's path below DIR (with forward slashes). It names the groups subject, finger and
sample, and may name hand and session. A file given to --exclude has one line a pair of fingers that are one: A = B
パターンは DIR からの相対パスの中で探す正規表現で、グループ subject、finger、sample(任意で hand、session)を持つ。

exit codes: 0 measured, 2 wrong input
"""


def vein(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """Add `authd vein`."""
    raw = argparse.RawDescriptionHelpFormatter
    summary = "measure finger vein readers on pictures / 静脈リーダーを画像で測る"
    group = verbs.add_parser("vein", help=summary, description=summary, epilog=EPILOG, formatter_class=raw)
    kinds = group.add_subparsers(metavar="VERB", required=True)
    for add in VERBS:
        add(kinds)


def _evaluate(kinds: Verbs[argparse.ArgumentParser]) -> None:
    summary = "error rates of a folder of pictures, with exact bounds / 画像フォルダーの誤り率を測る"
    parser = kinds.add_parser(
        "evaluate",
        help=summary,
        description=summary,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_folder(parser)
    names = ", ".join(profile_names())
    parser.add_argument("--profile", default="sdumla", metavar="NAME|FILE.toml", help=f"{names}, or a file (sdumla)")
    gate = parser.add_mutually_exclusive_group()
    both = "(both are reported if neither is given)"
    gate.add_argument("--gate", action="store_true", help=f"only with the profile's quality gate {both}")
    gate.add_argument("--no-gate", action="store_true", help="only without it")
    add_number(parser, "--enrol", 3, 1, 20, "pictures that a finger is enrolled with (3)")
    parser.add_argument(
        "--roster", type=_rosters, default=(20, 40, 120), metavar="N,N", help="fingers to search among (20,40,120)"
    )
    parser.add_argument(
        "--impostors", choices=("fingers", "people"), default="fingers", help="who counts as another (fingers)"
    )
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="A=B|FILE", help="fingers that are one / 同じ指の組"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="DET curve and histograms as PNG and SVG / 図の出力先")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    parser.add_argument("--leave", type=_share, metavar="K/N", help="leave out the people whom profile --take K/N took")
    add_number(parser, "--worst", 10, 0, 1000, "worst fingers to list (10)")
    parser.set_defaults(run=guarded(_run_evaluate))


def _profile(kinds: Verbs[argparse.ArgumentParser]) -> None:
    summary = "fit a profile for a sensor to a folder of its pictures / 新しいセンサーの設定を画像から作る"
    raw = argparse.RawDescriptionHelpFormatter
    parser = kinds.add_parser("profile", help=summary, description=summary, epilog=EPILOG, formatter_class=raw)
    add_folder(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.toml", help="the profile / 設定の出力先")
    parser.add_argument("--name", metavar="NAME", help="of the sensor (the file's name without .toml) / センサー名")
    parser.add_argument(
        "--pitch", type=_pitch, default=0.0, metavar="MM", help="millimetres of finger a pixel (guessed)"
    )
    parser.add_argument("--force", action="store_true", help="write over a file that is there / 上書きする")
    part = "fit to so many of every so many people, such as 1/3 / 一部の人だけで作る"
    parser.add_argument("--take", type=_share, metavar="K/N", help=part)
    parser.set_defaults(run=guarded(_run_profile))


def _pitch(said: str) -> float:
    try:
        value = float(said)
    except ValueError:
        value = 0.0
    if not 0.001 <= value <= 10:
        raise argparse.ArgumentTypeError(f"{said}: 0.001 to 10 millimetres are expected")
    return value


def _share(said: str) -> tuple[int, int]:
    taken, _, of = said.partition("/")
    if not all(each.isascii() and each.isdecimal() and len(each) < 4 for each in (taken, of)):
        raise argparse.ArgumentTypeError(f"{said}: K/N is expected, such as 1/3")
    if not 0 < int(taken) < int(of):
        raise argparse.ArgumentTypeError(f"{said}: K less than N is expected, such as 1/3")
    return int(taken), int(of)


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Declare what every verb that reads a folder of pictures takes."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="the pictures / 画像フォルダー")
    parser.add_argument(
        "--pattern", required=True, metavar="REGEX", help="whose finger each is / 誰のどの指かを読む正規表現"
    )
    add_number(parser, "--limit", 0, 0, 1_000_000, "only the first so many people / 最初の何人か", "PEOPLE")
    add_number(parser, "--jobs", 0, 0, 256, "processes (one a processor)")
    parser.add_argument("--lang", choices=LANGUAGES, default=language(), help="of what is printed / 表示の言語")


def add_number(
    parser: argparse.ArgumentParser, name: str, default: int, least: int, most: int, words: str, sign: str = "N"
) -> None:
    """Declare an option that is a number within limits."""

    def number(said: str) -> int:
        if not (said.isascii() and said.isdecimal() and len(said) < 10 and least <= int(said) <= most):
            raise argparse.ArgumentTypeError(f"{said}: {least} to {most} is expected")
        return int(said)

    parser.add_argument(name, type=number, default=default, metavar=sign, help=words)


def _rosters(said: str) -> tuple[int, ...]:
    sizes = said.split(",")
    if not all(size.isascii() and size.isdecimal() and 0 < int(size[:9]) <= MOST_ROSTER for size in sizes):
        raise argparse.ArgumentTypeError(f"{said}: numbers of fingers are expected, such as 20,40,120")
    return tuple(dict.fromkeys(int(size) for size in sizes))


def guarded(work: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Wrap a verb that measures: what is wrong with its input is one line and exit code 2."""

    def run(args: argparse.Namespace) -> int:
        for name in ("numpy", "cv2"):
            if find_spec(name) is None:
                return _fail(text("error.no_library", args.lang, name=name))
        from concurrent.futures.process import BrokenProcessPool

        from authd_drivers.vein.study.dataset import DatasetError

        try:
            return work(args)
        except DatasetError as error:
            return _fail(text(f"error.{error.id}", args.lang, **error.values))
        except ProfileError as error:
            return _fail(error)
        except BrokenProcessPool:
            return _fail(text("error.worker", args.lang))

    return run


def _run_evaluate(args: argparse.Namespace) -> int:
    from authd_drivers.vein.study.dataset import read_folder
    from authd_drivers.vein.study.evaluate import evaluate
    from authd_drivers.vein.study.progress import Bar
    from authd_drivers.vein.study.report import lines, table

    profile = named(args.profile)
    whole = read_folder(args.folder, args.pattern)
    plan = _plan(args, whole)
    data = whole.part(args.leave, left=True) if args.leave else whole
    if args.out:
        _make(args.out)
    bar = Bar(args.lang)
    try:
        found = evaluate(data.first(args.limit) if args.limit else data, profile, plan, bar)
    finally:
        bar.close()
    for line in lines(found) if args.json else table(found, args.lang):
        print(line)  # noqa: T201 - it is a command
    if args.out:
        _draw(found, args)
    return OK


def _run_profile(args: argparse.Namespace) -> int:
    from authd_drivers.vein.study.dataset import DatasetError, read_folder
    from authd_drivers.vein.study.fit import fit
    from authd_drivers.vein.study.progress import Bar
    from authd_drivers.vein.study.written import checked_name, described, save

    name = args.name or args.out.stem
    if not checked_name(name):
        raise DatasetError("bad_name", name=name)
    if args.out.exists() and not args.force:
        raise DatasetError("exists", file=args.out)
    data = read_folder(args.folder, args.pattern)
    data = data.part(args.take) if args.take else data
    bar = Bar(args.lang)
    try:
        fitted = fit(data.first(args.limit) if args.limit else data, name, args.jobs, bar, args.pitch)
    finally:
        bar.close()
    try:
        save(args.out, fitted, args.take)
    except OSError as error:
        raise DatasetError("bad_out", folder=args.out, detail=error) from None
    for line in described(fitted, args.out, args.lang):
        print(line)  # noqa: T201 - it is a command
    return OK


def _plan(args: argparse.Namespace, data: Dataset) -> Plan:
    from authd_drivers.vein.study.dataset import read_exclusions
    from authd_drivers.vein.study.evaluate import Plan

    gates = (True,) if args.gate else (False,) if args.no_gate else (False, True)
    people_only = args.impostors == "people"
    same = read_exclusions(args.exclude, data)
    return Plan(gates, args.enrol, args.roster, same, people_only, args.worst, args.jobs, args.leave)


def _make(folder: Path) -> None:
    from authd_drivers.vein.study.dataset import DatasetError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError("bad_out", folder=folder, detail=error) from None


def _draw(found: Evaluation, args: argparse.Namespace) -> None:
    """Draw the pictures, where that can be done."""
    from authd_drivers.vein.study.dataset import DatasetError

    if find_spec("matplotlib") is None:
        print(text("note.plots", args.lang), file=sys.stderr)  # noqa: T201 - it is a command
        return
    from authd_drivers.vein.study.pictures import draw

    try:
        written = draw(found, args.out)
    except OSError as error:
        raise DatasetError("bad_out", folder=args.out, detail=error) from None
    print(text("note.written", args.lang, files=", ".join(map(str, written))), file=sys.stderr)  # noqa: T201


def _fail(words: object) -> int:
    print(f"authd: {words}", file=sys.stderr)  # noqa: T201 - it is a command
    return USAGE


VERBS = (_evaluate, _profile)
"""What adds each verb of `authd vein`."""
