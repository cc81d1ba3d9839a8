"""`authd enroll` and `authd disable`: an officer at the seat confirms by touch, then the person's fingers are taken."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from authd.cli._common import add_config, fail, language, step_line, with_daemon
from authd.cli.codes import OK, USAGE
from authd.core.model import FINGERS
from authd.locale import text

EXAMPLES = """\
examples:
  authd enroll --seat counter-1 --number 1007 --name 佐藤花子 --kana さとうはなこ --section resident
  authd enroll ... --finger right_index --finger left_middle     two fingers, for seats that ask for two
  authd enroll --seat counter-1 --number 1007 --add --finger left_index
  authd disable --seat counter-1 --number 1007
An officer must be logged in at the seat; both begin with that officer's touch, and are in the ledger first.
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add `authd enroll` and `authd disable`."""
    raw = argparse.RawDescriptionHelpFormatter
    enroll = subparsers.add_parser(
        "enroll", help="enrol a person's fingers / 指を登録する", epilog=EXAMPLES, formatter_class=raw
    )
    for name, words in (("name", "in kanji"), ("kana", "its reading"), ("section", "section of the house")):
        enroll.add_argument(f"--{name}", help=f"{words}; needed without --add")
    enroll.add_argument(
        "--finger", action="append", choices=FINGERS, metavar="FINGER", help="may be repeated (right_index)"
    )
    enroll.add_argument("--add", action="store_true", help="another finger of somebody who is enrolled")
    enroll.add_argument("--officer", action="store_true", help="their touch will allow enrolments")
    enroll.set_defaults(run=with_daemon(_enroll))
    disable = subparsers.add_parser(
        "disable", help="let a person log in no more / 利用を止める", epilog=EXAMPLES, formatter_class=raw
    )
    disable.set_defaults(run=with_daemon(_disable))
    for parser in (enroll, disable):
        add_config(parser)
        parser.add_argument("--seat", required=True, help="where the officer is logged in")
        parser.add_argument("--number", required=True, metavar="STAFF_NUMBER")


def _enroll(args: argparse.Namespace) -> int:
    from authd.client import connect_sync
    from authd.service.config import load

    person = {name: getattr(args, name) for name in ("name", "kana", "section")}
    missing = [name for name, value in person.items() if value is None]
    if missing and not args.add:
        return fail(f"--{missing[0]} is needed for a new person (--add: for one who is enrolled)", USAGE)
    if args.add and (args.officer or len(missing) < len(person)):
        return fail("--add takes --number and --finger alone: who the person is stays as it is", USAGE)
    finger, *more = args.finger or ["right_index"]
    with connect_sync(f"unix:{load(args.config).socket}") as door:
        told: dict[str, Any] = {name: value or "" for name, value in person.items()}
        steps = door.enrol(
            args.seat,
            staff_number=args.number,
            finger=finger,
            **told,
            officer=args.officer,
            more=more,
            add=args.add,
        )
        for step in steps:
            print(step_line(step, many=bool(more)), file=sys.stderr, flush=True)
            if step.subject:
                print(step.subject)
    return OK


def _disable(args: argparse.Namespace) -> int:
    from authd.client import connect_sync
    from authd.service.config import load

    with connect_sync(f"unix:{load(args.config).socket}") as door:
        subjects: Sequence[str] = [
            person.subject for person in door.people() if person.staff_number == args.number and not person.disabled
        ]
        if len(subjects) != 1:
            return fail(f"nobody with staff number {args.number} can log in", USAGE)
        print(text("enrol.officer_touch", language()), file=sys.stderr, flush=True)
        door.disable(subjects[0], args.seat)
        print(subjects[0])
    return OK
