"""`authd keys` and `authd revoke`: what a person has enrolled, and the end of one key or card."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from authd.cli._common import add_config, language, misuse, staff_number, with_daemon
from authd.cli.codes import OK
from authd.locale import text

if TYPE_CHECKING:
    from authd.client import SyncClient

EXAMPLES = """\
examples:
  authd keys 1007
  authd revoke --seat counter-1 --number 1007 --key key-1
  authd revoke --seat counter-1 --credential tpl_0123456789abcdef0123456789abcdef@1
An officer must be logged in at the seat and confirms with a touch; sessions that rest on it end at once.

exit codes: 0 done, 2 wrong input, 3 no daemon there, 4 refused
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add both verbs."""
    raw = argparse.RawDescriptionHelpFormatter
    keys = subparsers.add_parser(
        "keys", help="what a person has enrolled / 登録内容の一覧", epilog=EXAMPLES, formatter_class=raw
    )
    add_config(keys)
    keys.add_argument("person", type=staff_number, metavar="STAFF_NUMBER|SUBJECT")
    keys.add_argument("--json", action="store_true", help="one JSON object a line")
    keys.set_defaults(run=with_daemon(_keys))
    revoke = subparsers.add_parser(
        "revoke", help="let a key or card open nothing / キー・カードを失効させる", epilog=EXAMPLES, formatter_class=raw
    )
    add_config(revoke)
    revoke.add_argument("--seat", required=True, help="where the officer is logged in")
    which = revoke.add_mutually_exclusive_group(required=True)
    which.add_argument("--credential", metavar="REF", help="as `authd keys` and the ledger name it")
    which.add_argument("--key", metavar="LABEL", help="as `authd keys` names it, of the person with --number")
    revoke.add_argument("--number", type=staff_number, metavar="STAFF_NUMBER")
    revoke.set_defaults(run=with_daemon(_revoke))


def _keys(args: argparse.Namespace) -> int:
    from authd.client import connect_sync
    from authd.service.config import load

    mark = {"ja": "失効", "en": "revoked"}[language()]
    with connect_sync(f"unix:{load(args.config).socket}") as door:
        subject = _subject(door, args.person)
        if subject is None:
            return misuse("nobody_enrolled", person=args.person)
        for each in door.keys(subject):
            if args.json:
                print(json.dumps({name: getattr(each, name) for name in each.__struct_fields__}, ensure_ascii=False))
            else:
                print("\t".join([each.label, each.modality, each.reference, *([mark] if each.revoked else [])]))
    return OK


def _revoke(args: argparse.Namespace) -> int:
    from authd.client import connect_sync
    from authd.service.config import load

    if (args.key is None) != (args.number is None):
        return misuse("key_and_number")
    with connect_sync(f"unix:{load(args.config).socket}") as door:
        reference = args.credential or _reference(door, args.number, args.key)
        if reference is None:
            return misuse("no_such_key", number=args.number, key=args.key)
        print(text("enrol.officer_touch", language()), file=sys.stderr, flush=True)
        door.revoke(reference, args.seat)
        print(reference)
    return OK


def _subject(door: SyncClient, person: str) -> str | None:
    """By staff number (of who is not disabled), or by subject."""
    people = door.people()
    found = [each.subject for each in people if each.staff_number == person and not each.disabled]
    found += [each.subject for each in people if each.subject == person]
    return found[0] if found else None


def _reference(door: SyncClient, number: str, label: str) -> str | None:
    subject = _subject(door, number)
    held = door.keys(subject) if subject is not None else []
    return next((each.reference for each in held if each.label == label and not each.revoked), None)
