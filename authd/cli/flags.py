"""`authd flags`: who is protected by a support measure, by two persons' touches, and which system holds it."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from authd.cli._common import add_config, language, misuse, with_daemon
from authd.cli.codes import OK, WRONG
from authd.cli.files import plain
from authd.locale import text

if TYPE_CHECKING:
    from authd.client import SyncClient
    from authd.client.flags import Covered, FlagListed

EXAMPLES = """\
examples:
  authd flags set 20481 --seat counter-1 --case 2026-17    the first person asks, with a touch at their seat
  authd flags set 20481 --seat counter-1 --also tax=778123 the same person, by another system's own number
  authd flags approve req_0123456789abcdef --seat counter-2   another person, with a touch at any seat
  authd flags approve req_0123456789abcdef --seat counter-2 --refuse
  authd flags renew 20481 --seat counter-1                 for another year; --until 2027-03-31 for less
  authd flags release 20481 --seat counter-1               a release never beats a set that came after it
  authd flags list                                         what waits and what is due, by pseudonym
  authd flags list 20481 --seat counter-1 --purpose renewal   one record, with a touch: recorded as a view
  authd flags coverage                                     who holds which version

A protection does not lapse: it is renewed, or two persons release it.
保護は自動では切れません。更新するか、二人の職員が解除します。

exit codes: 0 done, 1 not everybody holds the version in force (coverage), 2 wrong input, 3 no daemon there, 4 refused
"""
CHANGES = {
    "set": "protect a resident / 支援措置を設定する",
    "renew": "for another year / 更新する",
    "release": "protect no more / 解除する",
}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add the verb and what it does."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = subparsers.add_parser(
        "flags", help="records protected by a support measure / 支援措置", epilog=EXAMPLES, formatter_class=raw
    )
    what = parser.add_subparsers(metavar="WHAT", required=True)
    for change, words in CHANGES.items():
        each = what.add_parser(change, help=words, epilog=EXAMPLES, formatter_class=raw)
        add_config(each)
        each.add_argument("number", metavar="NUMBER", help="the record's number; authd keeps a pseudonym of it")
        each.add_argument("--namespace", default="resident", help="whose number it is (resident: the city's own)")
        each.add_argument("--seat", required=True, help="where the person is logged in who asks")
        each.add_argument("--case", default="", help="number of the paper: letters and digits, never a name")
        if change != "release":
            each.add_argument("--until", metavar="DAY", help="day by which it is to be renewed (a year from now)")
        if change == "set":
            each.add_argument("--also", action="append", default=[], metavar="SYSTEM=NUMBER", help="repeat, at most 7")
        each.set_defaults(run=with_daemon(_change), change=change, until=None, also=[])
    _register_others(what)


def _register_others(what: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    raw = argparse.RawDescriptionHelpFormatter
    approve = what.add_parser(
        "approve", help="the second person / もう一人の職員が承認する", epilog=EXAMPLES, formatter_class=raw
    )
    add_config(approve)
    approve.add_argument("request", metavar="REQUEST")
    approve.add_argument("--seat", required=True, help="where the second person is logged in")
    approve.add_argument("--refuse", action="store_true", help="the request comes to nothing")
    approve.set_defaults(run=with_daemon(_approve))
    listed = what.add_parser(
        "list", help="what waits, what is due, or one record / 一覧", epilog=EXAMPLES, formatter_class=raw
    )
    add_config(listed)
    listed.add_argument("number", nargs="?", metavar="NUMBER", help="one record; needs --seat and --purpose")
    listed.add_argument("--namespace", default="resident")
    listed.add_argument("--seat", help="where the person is logged in who looks it up")
    listed.add_argument("--purpose", help="what for; stands in the ledger with the view")
    listed.add_argument("--json", action="store_true", help="one JSON object a line")
    listed.set_defaults(run=with_daemon(_list))
    coverage = what.add_parser(
        "coverage", help="which system holds which version / 各システムの版", epilog=EXAMPLES, formatter_class=raw
    )
    add_config(coverage)
    coverage.add_argument("--json", action="store_true", help="one JSON object a line")
    coverage.set_defaults(run=with_daemon(_coverage))


def _door(args: argparse.Namespace) -> SyncClient:
    from authd.client import connect_sync
    from authd.service.config import load

    return connect_sync(f"unix:{load(args.config).socket}")


def _change(args: argparse.Namespace) -> int:
    also = [each.partition("=")[::2] for each in args.also]
    if any(not (system and number) for system, number in also):
        return misuse("also")
    with _door(args) as door:
        print(text("flags.first_touch", language()), file=sys.stderr, flush=True)
        asked = door.flag_request(
            args.seat,
            args.change,
            args.number,
            namespace=args.namespace,
            also=also,
            until=args.until,
            case=args.case,
        )
    print(asked.request)
    print(text("flags.requested", language(), request=asked.request), file=sys.stderr)
    return OK


def _approve(args: argparse.Namespace) -> int:
    with _door(args) as door:
        print(text("flags.second_touch", language()), file=sys.stderr, flush=True)
        done = door.flag_approve(args.request, args.seat, refuse=args.refuse)
    if args.refuse:
        print(text("flags.refused", language(), request=args.request))
    else:
        change = text(f"flags.{done.change}", language())
        print(text("flags.approved", language(), change=change, version=done.version))
    return OK


def _list(args: argparse.Namespace) -> int:
    if args.number:
        return _one(args)
    with _door(args) as door:
        found = door.flags()
    if not found and not args.json:
        print(text("flags.nothing", language()), file=sys.stderr)
    for each in found:
        print(_json(each) if args.json else line(each, _today()))
    return OK


def _one(args: argparse.Namespace) -> int:
    if not (args.seat and args.purpose):
        return misuse("one_record")
    with _door(args) as door:
        print(text("views.touch", language(), seat=plain(args.seat)), file=sys.stderr, flush=True)
        found = door.flag_ask(args.seat, args.number, args.purpose, args.namespace)
    if args.json:
        print(_json(found))
    elif found.protected:
        print(text("flags.protected", language(), until=found.until, version=found.version))
    else:
        print(text("flags.not_protected", language()))
    return OK


def _coverage(args: argparse.Namespace) -> int:
    with _door(args) as door:
        _, systems = door.flag_coverage()
    for each in systems:
        print(_json(each) if args.json else covered_line(each))
    return OK if all(each.covered for each in systems if each.linked) else WRONG


def line(each: FlagListed, today: str) -> str:
    """One line for a person, by pseudonym and case number: what waits, or until when."""
    said = text(f"flags.{each.change}", language())
    if each.waits:
        return "\t".join([each.request, said, each.record, each.case, each.asked, text("flags.waiting", language())])
    due = f"{text('flags.due', language())} {each.until}"
    late = [text("flags.late", language())] if each.until and each.until < today else []
    return "\t".join([each.record, each.case, due, *late])


def covered_line(each: Covered) -> str:
    """One line for a person: the state first, in words."""
    if not each.linked:
        return "\t".join([each.system, text("flags.not_linked", language()), text("flags.not_linked_hint", language())])
    state = "covered" if each.covered else "silent" if each.silent else "behind"
    holds = text("flags.holds", language(), version=each.version, wanted=each.wanted)
    never = text("flags.never", language())
    heard = never if each.silent_s is None else text("flags.ago", language(), seconds=each.silent_s)
    return "\t".join([each.system, text(f"flags.{state}", language()), holds, heard])


def _today() -> str:
    return datetime.now(UTC).astimezone().date().isoformat()  # noqa: TID251 - for people: which line is marked as late


def _json(each: object) -> str:
    import msgspec

    return json.dumps(msgspec.to_builtins(each), ensure_ascii=False)
