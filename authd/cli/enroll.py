"""`authd enroll` and `authd disable`: an officer at the seat confirms by touch, then the person's fingers are taken."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from authd.cli._common import add_config, fail, language, misuse, staff_number, step_line, with_daemon
from authd.cli.codes import OK, REFUSED
from authd.core.model import FINGERS, Denial
from authd.locale import text

_TYPED = ("pin", "new_pin")

if TYPE_CHECKING:
    from authd.client import DoorError, EnrolStep, SyncClient

EXAMPLES = """\
examples:
  authd enroll --seat counter-1 --number 1007 --name 佐藤花子 --kana さとうはなこ --section resident
  authd enroll ... --finger right_index --finger left_middle     two fingers, for seats that ask for two
  authd enroll --seat counter-1 --number 1007 --add --finger left_index
  authd enroll --seat counter-1 --number 1007 --add --key             a security key, besides the fingers
  authd enroll ... --card | --fingerprint --finger right_index        a card; a finger that the reader itself keeps
  authd disable --seat counter-1 --number 1007
  authd disable --seat counter-1 --number 1007 --erase      a leaver: templates and key are destroyed, attribution stays
An officer must be logged in at the seat; both begin with that officer's touch, and are in the ledger first.

exit codes: 0 done, 2 wrong input, 3 no daemon there, 4 refused
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
    means = enroll.add_mutually_exclusive_group()
    for name, words in (
        ("key", "a security key (FIDO2)"),
        ("card", "a card"),
        ("fingerprint", "a finger that the reader keeps"),
    ):
        means.add_argument(f"--{name}", dest="means", action="store_const", const=name, default="finger", help=words)
    enroll.add_argument("--add", action="store_true", help="something more of somebody who is enrolled")
    enroll.add_argument("--officer", action="store_true", help="their touch will allow enrolments")
    enroll.set_defaults(run=with_daemon(_enroll))
    disable = subparsers.add_parser(
        "disable", help="let a person log in no more / 利用を止める", epilog=EXAMPLES, formatter_class=raw
    )
    disable.add_argument(
        "--erase", action="store_true", help="destroy templates and key, of the disabled too / 消去する"
    )
    disable.set_defaults(run=with_daemon(_disable))
    for parser in (enroll, disable):
        add_config(parser)
        parser.add_argument("--seat", required=True, help="where the officer is logged in")
        parser.add_argument("--number", required=True, type=staff_number, metavar="STAFF_NUMBER")


def _enroll(args: argparse.Namespace) -> int:
    from authd.client import DoorError, connect_sync
    from authd.service.config import load

    person = {name: getattr(args, name) for name in ("name", "kana", "section")}
    missing = [name for name, value in person.items() if value is None]
    if missing and not args.add:
        return misuse("enrol_new", option=missing[0])
    if args.add and (args.officer or len(missing) < len(person)):
        return misuse("enrol_add")
    finger, *more = args.finger or ["right_index"]
    if args.means in ("key", "card") and args.finger:
        return misuse("enrol_means", means=args.means)
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
            means=args.means,
        )
        try:
            _follow(door, args.seat, steps, many=bool(more))
        except DoorError as error:
            return _refusal(error)
    return OK


def _follow(door: SyncClient, seat: str, steps: Iterable[EnrolStep], *, many: bool) -> None:
    """Say each step once, and hand on what the person types."""
    last = ""
    for step in steps:
        if step.step in _TYPED:
            door.answer(seat, _typed(step))
            continue
        line = step_line(step, many=many)
        if line != last:
            print(line, file=sys.stderr, flush=True)
        last = line
        if step.subject:
            print(step.subject)


def _typed(step: EnrolStep) -> str:
    """A PIN, typed unseen; a new one twice, until both are the same."""
    lang = language()
    notes = [text("enrol.again", lang)] if step.again else []
    notes += [text("enrol.left", lang, left=step.left)] if step.left is not None else []
    words = text(f"enrol.{step.step}", lang) + (f" ({', '.join(notes)})" if notes else "")
    while True:
        typed = getpass.getpass(f"{words}: ")
        if typed and (step.step == "pin" or typed == getpass.getpass(f"{text('enrol.repeat_pin', lang)}: ")):
            return typed


def _refusal(error: DoorError) -> int:
    """Say in the officer's language why a key or card is not taken."""
    why = error.message.partition(":")[0]
    if why not in set(Denial):
        raise error
    return fail(text(Denial(why), language()), REFUSED)


def _disable(args: argparse.Namespace) -> int:
    from authd.client import connect_sync
    from authd.service.config import load

    with connect_sync(f"unix:{load(args.config).socket}") as door:
        subjects: Sequence[str] = [
            person.subject
            for person in door.people()
            if args.number in (person.staff_number, person.subject) and (args.erase or not person.disabled)
        ]
        if len(subjects) > 1:
            return misuse("several", number=args.number, subjects=" / ".join(subjects))
        if not subjects:
            return misuse("nobody_known" if args.erase else "nobody_active", number=args.number)
        print(text("enrol.officer_touch", language()), file=sys.stderr, flush=True)
        door.disable(subjects[0], args.seat, erase=args.erase)
        print(subjects[0])
    return OK
