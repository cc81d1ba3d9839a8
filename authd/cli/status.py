"""`authd status`, `authd people` and `authd stop`: what the running daemon knows, and its end."""

from __future__ import annotations

import argparse
import json
from typing import Any

from authd.cli._common import add_config, language, with_daemon
from authd.cli.codes import OK

EXAMPLES = """\
examples:
  authd status                 every seat, child, and refused message; the identification bound of each seat
  authd status --json | jq .identification
  authd people
  authd stop                   every seat locks first

exit codes: 0 done, 2 wrong input, 3 no daemon there, 4 refused
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add the three verbs."""
    for name, words, verb in (
        ("status", "how the daemon is / 稼働状況", _status),
        ("people", "everybody who is enrolled / 登録者の一覧", _people),
        ("stop", "end the daemon: every seat locks / 終了する(全席をロック)", _stop),
    ):
        parser = subparsers.add_parser(
            name, help=words, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        add_config(parser)
        parser.add_argument("--json", action="store_true", help="one JSON object a line")
        parser.set_defaults(run=with_daemon(verb))


def _status(args: argparse.Namespace) -> int:
    from authd.client import connect_sync
    from authd.service.config import load

    with connect_sync(f"unix:{load(args.config).socket}") as door:
        status = door.status()
        reviews = [each for each in door.breakglass() if each.reviewed is None]
    status["reviews_due"] = {each.session: f"{each.due}{' (late)' if each.late else ''}" for each in reviews}
    if args.json:
        print(json.dumps(status, ensure_ascii=False))
    else:
        for line in _lines(status):
            print(line)
    return OK


def _lines(value: Any, indent: str = "") -> list[str]:
    """Lay nested answers out as indented lines."""
    lines: list[str] = []
    for name, inner in value.items():
        if isinstance(inner, dict):
            lines += [f"{indent}{name}:", *_lines(inner, indent + "  ")]
        else:
            lines.append(f"{indent}{name}: {inner}")
    return lines


def _people(args: argparse.Namespace) -> int:
    from authd.client import connect_sync
    from authd.service.config import load

    marks = {"ja": ("登録担当", "停止"), "en": ("officer", "disabled")}[language()]
    with connect_sync(f"unix:{load(args.config).socket}") as door:
        for person in door.people():
            if args.json:
                print(
                    json.dumps({name: getattr(person, name) for name in person.__struct_fields__}, ensure_ascii=False)
                )
                continue
            notes = [word for word, so in zip(marks, (person.officer, person.disabled), strict=True) if so]
            print("\t".join([person.staff_number, person.name, person.kana, person.section, person.subject, *notes]))
    return OK


def _stop(args: argparse.Namespace) -> int:
    from authd.client import connect_sync
    from authd.service.config import load

    with connect_sync(f"unix:{load(args.config).socket}") as door:
        door.stop()
    return OK
