"""`authd carryout`: asking for a carry-out, allowing it, what is out, and that it came back or was erased."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from authd.cli import failures
from authd.cli._common import add_config, fail, language, with_daemon
from authd.cli.codes import OK, REFUSED, USAGE, WRONG
from authd.locale import catalogue, text

if TYPE_CHECKING:
    from authd.client import Carryout, DoorError, SyncClient
    from authd.service.config import Config

    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)

EXAMPLES = """\
examples:
  authd carryout request --kind export --system resident --rows 200 --purpose "statistics 2026" \\
      --destination /media/disk/list.csv --seat counter-1     whoever sits there touches; prints a capability
  authd carryout approve co_1a2b3c4d5e6f --seat counter-2     another person, who sits there, touches
  authd export --capability cap_... --in rows.csv --out /media/disk/list.csv
  authd carryout list                                         what waits, is allowed, or is out
  authd carryout return co_1a2b3c4d5e6f --seat counter-2      it is back
  authd carryout erase co_1a2b3c4d5e6f --seat counter-2       it was erased there
  authd carryout baseline voters-2026.csv --title "voters, September 2026"

A print:  --kind print --destination QUEUE --title "title of the document"
A drive:  --kind usb --destination "usb 0781:5581:4C530001"   (plugging it in says how it is called)
udev and the printer's queue ask by themselves:
  authd carryout check-usb
  authd carryout check-print --queue QUEUE --title "title of the document"

exit codes: 0 done, 1 something is overdue, 2 wrong input, 3 no daemon there, 4 refused, with the reason
"""
KINDS = ("export", "print", "file", "usb")
CAPABILITY = "AUTHD_CAPABILITY"
"""Environment variable: what stands on a command line, everybody on the machine can read."""
MOST_NAME = 120


def register(subparsers: Parsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "carryout",
        help="let data leave, by two people / 持ち出しの申請・許可・返却",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(metavar="WHAT", required=True)
    _request(_verb(verbs, "request", "ask for one / 申請する", _ask))
    for name, help_, work in (
        ("approve", "allow one / 許可する", _approve),
        ("return", "it is back / 返却を記録する", _close("returned")),
        ("erase", "it was erased / 消去を記録する", _close("erased")),
    ):
        added = _verb(verbs, name, help_, work)
        added.add_argument("carryout", metavar="CARRYOUT", help="its name, co_...")
        added.add_argument("--seat", required=True, help="where the person who touches is logged in")
    _verb(verbs, "list", "what waits or is out / 一覧", _list).add_argument("--json", action="store_true")
    base = _verb(verbs, "baseline", "know an older data set again / 既存データの登録", _baseline)
    base.add_argument("file", type=Path, metavar="FILE", help="CSV in UTF-8, CP932 or UTF-16")
    base.add_argument("--title", required=True, help="what people call it")
    base.add_argument("--number", metavar="COLUMN", help="the column with the residents' numbers")
    _verb(verbs, "check-usb", "for udev: may this drive be used? / USB機器の確認", _check_usb)
    page = _verb(verbs, "check-print", "for the printer's queue: may this be printed? / 印刷の確認", _check_print)
    page.add_argument("--queue", required=True)
    page.add_argument("--title", default="")
    page.add_argument("--copies", type=int, default=1)
    page.add_argument("--user", default="", help="who printed, as the print server says")


def _verb(verbs: Parsers, name: str, help_: str, work: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=help_)
    add_config(parser)
    parser.set_defaults(run=with_daemon(said(work)))
    return parser


def _request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", required=True, choices=KINDS)
    parser.add_argument("--system", required=True, help="the application whose data it is")
    parser.add_argument("--rows", required=True, type=int, help="how many, at most")
    parser.add_argument("--purpose", required=True)
    parser.add_argument("--destination", required=True, help="file, queue or drive: it goes nowhere else")
    parser.add_argument("--seat", required=True, help="where the person who asks is logged in")
    parser.add_argument("--hours", type=float, help="usable for so long (default: as the settings allow)")
    parser.add_argument("--days", type=int, help="back or erased within so many (default: as the settings allow)")
    parser.add_argument("--title", default="", help="of the document, for a print without the capability")
    parser.add_argument("--json", action="store_true")


def said(work: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Say a refusal of carry-out in the caller's language."""

    def run(args: argparse.Namespace) -> int:
        from authd.client import DoorError

        try:
            return work(args)
        except DoorError as error:
            return fail(words(error), REFUSED)

    return run


def words(error: DoorError) -> str:
    """Return what the door said, in the caller's language where it is one of carry-out's reasons."""
    id_ = f"carryout_why.{error.message.partition(':')[0]}"
    return text(id_, language()) if id_ in catalogue(language()) else failures.words(error, language())


def door(config: Config) -> SyncClient:
    """Return a client of the daemon's own door."""
    from authd.client import connect_sync

    return connect_sync(f"unix:{config.socket}")


def _ask(args: argparse.Namespace) -> int:
    from authd.client import CarryoutOrder
    from authd.service.config import load

    place = str(Path(args.destination).absolute()) if args.kind == "export" else args.destination
    order = CarryoutOrder(args.kind, args.rows, args.purpose, place, args.hours, args.days, args.title)
    with door(load(args.config)) as client:
        _say("own_touch", seat=args.seat)
        asked = client.request_carryout(order, seat=args.seat, system=args.system)
    if args.json:
        print(_json(asked))
        return OK
    _say("capability")
    _say("next", carryout=asked.carryout)
    print(f"{asked.carryout}\t{asked.capability}")
    return OK


def _approve(args: argparse.Namespace) -> int:
    from authd.service.config import load

    with door(load(args.config)) as client:
        for each in client.carryouts():
            if each.carryout == args.carryout:
                print(line(each, _names(client)), file=sys.stderr)
        _say("second_touch", seat=args.seat)
        granted = client.approve_carryout(args.carryout, seat=args.seat)
    print(text("carryout.approved", language(), expires=granted.expires, due=granted.due))
    return OK


def _close(how: str) -> Callable[[argparse.Namespace], int]:
    def run(args: argparse.Namespace) -> int:
        from authd.service.config import load

        with door(load(args.config)) as client:
            _say("close_touch", seat=args.seat)
            client.close_carryout(args.carryout, "returned" if how == "returned" else "erased", seat=args.seat)
        print(text("carryout.closed", language()))
        return OK

    return run


def _list(args: argparse.Namespace) -> int:
    from authd.service.config import load

    with door(load(args.config)) as client:
        found = client.carryouts()
        names = _names(client)
    for each in found:
        print(_json(each) if args.json else line(each, names))
    if not found and not args.json:
        _say("none")
    return WRONG if any(each.overdue for each in found) else OK


def _baseline(args: argparse.Namespace) -> int:
    from authd.service.config import load
    from authd.service.evidence.carryout import export
    from authd.service.evidence.carryout.table import BadTable, look
    from authd.service.evidence.trace import About, BadPrints
    from authd.service.keys import Keys

    config, id_ = load(args.config), f"base_{secrets.token_hex(6)}"
    try:
        table = look(args.file)
        about = About(id=id_, kind="baseline", title=args.title[:MOST_NAME], made=now())
        with door(config) as client:
            key = Keys(config.state).record_key()
            made = export.baseline(key, table, config.state, about, table.number(args.number))
            client.carryout_baseline(id_, name=about.title, rows=made.rows, file=made.file, prints=made.prints)
    except (BadTable, BadPrints, OSError) as error:
        return fail(error, USAGE)
    print(text("carryout.baseline", language(), title=about.title, rows=made.rows, carryout=id_))
    return OK


def _check_usb(args: argparse.Namespace) -> int:
    """As udev runs it: the drive's numbers are in the environment (systemd's usb_id has put them there)."""
    from authd.client import ClientError

    names = ("ID_VENDOR_ID", "ID_MODEL_ID", "ID_SERIAL_SHORT")
    vendor, model, serial = (_numbered(os.environ.get(name, "")) for name in names)
    if not (vendor and model and serial):
        return fail(text("carryout.drive_unnamed", language()), REFUSED)
    destination = f"usb {vendor}:{model}:{serial}"[:200]
    try:
        _use(args, "usb", destination)
    except ClientError:
        _say("drive", destination=destination)
        _say("drive_ask", destination=destination)
        raise
    return OK


def _check_print(args: argparse.Namespace) -> int:
    """As the printer's queue runs it; the capability, if the job brought one, is in the environment."""
    title, user = _said(args.title)[:200], _said(args.user)[:200]
    _use(args, "print", args.queue, title=title, copies=args.copies, user=user)
    return OK


def _said(word: str) -> str:
    """Return what another program said as text; an old machine says its titles in Shift_JIS."""
    raw = os.fsencode(word)
    for codec in ("utf-8", "cp932"):
        with suppress(UnicodeDecodeError):
            return raw.decode(codec)
    return _numbered(word)


def _numbered(word: str) -> str:
    """Return a word with the number of each byte that is no UTF-8: two drives stay two."""
    return os.fsencode(word).decode("utf-8", "backslashreplace")


def _use(
    args: argparse.Namespace, kind: str, destination: str, title: str = "", copies: int = 1, user: str = ""
) -> None:
    from authd.service.config import load

    with door(load(args.config)) as client:
        client.use_carryout(
            "usb" if kind == "usb" else "print",
            destination,
            capability=_numbered(os.environ.get(CAPABILITY, "")) if kind == "print" else "",
            title=title,
            copies=copies,
            user=user,
        )


def now() -> str:
    """Return the wall's time, for people."""
    from authd.service.clock import BootClock

    return datetime.fromtimestamp(BootClock().wall_ms() / 1000, UTC).isoformat(timespec="seconds")


def _names(client: SyncClient) -> Mapping[str, str]:
    return {person.subject: person.name for person in client.people()}


def line(each: Carryout, names: Mapping[str, str]) -> str:
    """One line for a person: what became of it, who, what, where to, until when."""
    stage = text(f"carryout_stage.{'overdue' if each.overdue else each.stage}", language())
    kind = text(f"carryout_kind.{each.kind}", language())
    until = each.due if each.stage == "used" else each.expires
    second = each.approver or "-"
    people = f"{names.get(each.requester, each.requester)} + {names.get(second, second)}"
    return "\t".join(
        [each.carryout, stage, kind, each.system, str(each.rows), each.destination, each.purpose, people, until]
    )


def _json(each: Carryout) -> str:
    fields = {name: getattr(each, name) for name in each.__struct_fields__ if name != "capability" or each.capability}
    return json.dumps(fields, ensure_ascii=False)


def _say(id_: str, **values: object) -> None:
    print(text(f"carryout.{id_}", language(), **values), file=sys.stderr, flush=True)
