"""`authd breakglass`: sessions that two people opened outside the rules, and that somebody has looked at them."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from authd.cli._common import add_config, language, misuse, with_daemon
from authd.cli.codes import OK, WRONG
from authd.locale import text

if TYPE_CHECKING:
    from authd.client import BreakGlass

EXAMPLES = """\
examples:
  authd breakglass                                     each with the day by which it is to be reviewed
  authd breakglass review SESSION --seat counter-1     by an officer who is logged in there, with a touch
A review is due on the next working day, by the settings' hours and holidays.

exit codes: 0 nothing is late, 1 a review is late, 2 wrong input, 3 no daemon there, 4 refused
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add the verb."""
    parser = subparsers.add_parser(
        "breakglass",
        help="sessions opened by two people outside the rules / 非常時の利用と確認",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("what", nargs="?", choices=["review"])
    parser.add_argument("session", nargs="?", metavar="SESSION")
    parser.add_argument("--seat", help="where the officer is logged in")
    parser.set_defaults(run=with_daemon(_run))


def _run(args: argparse.Namespace) -> int:
    from authd.client import connect_sync
    from authd.service.config import load

    if args.what and not (args.session and args.seat):
        return misuse("review")
    with connect_sync(f"unix:{load(args.config).socket}") as door:
        if args.what:
            print(text("enrol.officer_touch", language()), file=sys.stderr, flush=True)
            door.review(args.session, args.seat)
            return OK
        found = door.breakglass()
    for each in found:
        print(_json(each) if args.json else line(each))
    return WRONG if any(each.late for each in found) else OK


def _json(each: BreakGlass) -> str:
    return json.dumps({name: getattr(each, name) for name in each.__struct_fields__}, ensure_ascii=False)


def line(each: BreakGlass) -> str:
    """One line for a person: when, where, who, and what is still to be done."""
    words = {"ja": ("確認済み", "確認期限", "期限切れ"), "en": ("reviewed", "review due", "late")}[language()]
    state = f"{words[0]} {each.reviewed}" if each.reviewed else f"{words[1]} {each.due}"
    late = [words[2]] if each.late else []
    return "\t".join([each.opened, each.seat, each.session, each.subject, each.helper or "", state, *late])
