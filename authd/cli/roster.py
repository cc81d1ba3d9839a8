"""`authd roster`: who works where and when. A file is only looked at, unless an officer takes it in with a touch."""

from __future__ import annotations

import argparse
import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from authd.cli import failures
from authd.cli._common import add_config, fail, language, with_daemon
from authd.cli.codes import OK, USAGE, WRONG
from authd.locale import text

if TYPE_CHECKING:
    from authd.client import SyncClient
    from authd.client.supervision import RosterChange, RosterFault, RosterTerm
    from authd.service.config import Config
    from authd.service.evidence.supervision.rows import Fault

EXAMPLES = """\
examples:
  authd roster import 2027-04.csv                           every fault with its line, and what would change
  authd roster import 2027-04.csv --apply --seat counter-1  the officer who is logged in there confirms with a touch
  authd roster show --on 2027-04-01                         who works where on that day

columns, in any order: 職員番号 氏名 所属 発令日, and if there are: ふりがな 退職日 勤務開始 勤務終了 勤務日 監督者 上司
or: staff_number name section from, kana until start end days supervisor reports_to
CP932 or UTF-8. Nothing is taken in while one line has a fault.

exit codes: 0 done, 1 there are faults, 2 wrong input, 3 no daemon there, 4 refused
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add the verb."""
    parser = subparsers.add_parser(
        "roster",
        help="who works where and when / 名簿",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(metavar="WHAT", required=True)
    take = verbs.add_parser("import", help="look at a CSV file, or take it in / 名簿の確認・取り込み")
    take.add_argument("file", type=Path, metavar="FILE.csv")
    take.add_argument("--apply", action="store_true", help="take it in, with an officer's touch")
    take.add_argument("--seat", help="where the officer is logged in")
    take.add_argument("--new-section", action="append", default=[], metavar="NAME", help="a section that is new")
    take.set_defaults(run=with_daemon(_import))
    show = verbs.add_parser("show", help="the roster in force / いまの名簿")
    show.add_argument("--on", type=date.fromisoformat, metavar="DATE", help="of this day only, YYYY-MM-DD")
    show.set_defaults(run=with_daemon(_show))
    for each in (take, show):
        add_config(each)
        each.add_argument("--json", action="store_true", help="one JSON object a line")


def _import(args: argparse.Namespace) -> int:
    from authd.client import connect_sync
    from authd.service.config import load
    from authd.service.evidence.supervision.rows import MOST_BYTES, parse

    said = language()
    if args.apply and not args.seat:
        return fail(text("roster.apply_needs_seat", said), USAGE)
    try:
        with args.file.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        return fail(text("roster.unreadable", said, file=args.file, why=failures.why_of(error, said)), USAGE)
    config = load(args.config)
    with connect_sync(f"unix:{config.socket}") as door:
        parsed = parse(raw, _sections(config, door, args.new_section))
        rows = [{"line": line, **_row(asdict(term))} for line, term in parsed.rows]
        report = door.import_roster(sha256(raw).hexdigest(), rows)
        faults: list[Fault | RosterFault] = [*parsed.faults, *report.faults]
        faults.sort(key=lambda fault: (fault.line, fault.column))
        _print(args, faults, report.changes)
        if faults or not args.apply:
            print(text("roster.faulty" if faults else "roster.dry", said), file=sys.stderr)
            return WRONG if faults else OK
        print(text("roster.touch", said), file=sys.stderr, flush=True)
        door.import_roster(sha256(raw).hexdigest(), rows, args.seat)
    print(text("roster.applied", said), file=sys.stderr)
    return OK


def _row(term: dict[str, Any]) -> dict[str, Any]:
    days = {name: term[name].isoformat() if term[name] else None for name in ("since", "until")}
    return term | days | {"reports_to": term["reports_to"] or None}


def _sections(config: Config, door: SyncClient, new: Sequence[str]) -> Callable[[str], str | None]:
    """Every name that a section has, in either language, and every section that anybody was ever in."""
    known = {_plain(name): id_ for id_, names in config.sections.items() for name in (id_, *names)}
    plain = [seat.section for seat in config.seats.values()] + [
        each for s in config.seats.values() for each in s.roster
    ]
    plain += [person.section for person in door.people()] + [term.section for term in door.roster_terms()]
    for name in [*plain, *new]:
        if name:
            known.setdefault(_plain(name), name)
    return lambda name: known.get(_plain(name))


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _print(args: argparse.Namespace, faults: Sequence[Fault | RosterFault], changes: Sequence[RosterChange]) -> None:
    if args.json:
        for fault in faults:
            words = {"line": fault.line, "column": fault.column, "why": fault.why, "text": _why(fault)}
            print(json.dumps({"fault": words}, ensure_ascii=False))
        for change in changes:
            told = {name: getattr(change, name) for name in change.__struct_fields__}
            print(json.dumps({"change": told}, ensure_ascii=False))
        return
    said = language()
    for fault in faults:
        print(fault_line(fault))
    for change in changes:
        if change.what != "same":
            print(change_line(change))
    counts = {what: sum(change.what == what for change in changes) for what in ("new", "changed", "same")}
    print(text("roster.summary", said, rows=len(changes), faults=len(faults), **counts))


def fault_line(fault: Fault | RosterFault) -> str:
    """One line for a person: where, and what to do."""
    where = text("roster.column" if fault.column else "roster.line", language(), line=fault.line, column=fault.column)
    return f"{where}: {_why(fault)}"


def _why(fault: Fault | RosterFault) -> str:
    return text(f"roster_fault.{fault.why}", language(), value=fault.value)


def change_line(change: RosterChange) -> str:
    """One line for a person: whose, from when, and what becomes what."""
    said = language()
    words = [text(f"roster.{change.what}", said), change.since, change.staff_number, change.name]
    if change.what == "new":
        words.append(f"{text('roster.section', said)}: {change.section}")
    names = {"name": "person"}
    for name, (before, after) in change.fields.items():
        words.append(f"{text(f'roster.{names.get(name, name)}', said)}: {_value(before)} → {_value(after)}")
    if not change.enrolled:
        words.append(f"({text('roster.not_enrolled', said)})")
    return "\t".join(words)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "○" if value else "×"
    if isinstance(value, int):
        return f"{value // 60}:{value % 60:02d}"
    if isinstance(value, (list, tuple)):
        return days(cast("Sequence[int]", value))
    return str(value) if value not in (None, "") else "-"


def days(numbers: Iterable[int]) -> str:
    """Return days of the week for a person: `月火水木金`."""
    words = {"ja": "月火水木金土日", "en": ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")}[language()]
    return "".join(words[number - 1] for number in numbers)


def _show(args: argparse.Namespace) -> int:
    from authd.client import connect_sync
    from authd.service.config import load

    with connect_sync(f"unix:{load(args.config).socket}") as door:
        terms = door.roster_terms()
    if not terms:
        print(text("roster.none", language()), file=sys.stderr)
    for term in holding(terms, args.on) if args.on else terms:
        if args.json:
            print(json.dumps({name: getattr(term, name) for name in term.__struct_fields__}, ensure_ascii=False))
        else:
            print(term_line(term))
    return OK


def holding(terms: Sequence[RosterTerm], on: date) -> list[RosterTerm]:
    """Return what holds of everybody on a day."""
    last = {term.staff_number: term for term in terms if term.since <= on.isoformat()}
    return [term for term in last.values() if term.until is None or term.until >= on.isoformat()]


def term_line(term: RosterTerm) -> str:
    """One line for a person."""
    shift = f"{_value(term.start)}-{_value(term.end)}" if term.start is not None else "-"
    words = [term.since, term.staff_number, term.name, term.section, shift, days(term.days)]
    words += [text("roster.supervisor", language())] if term.supervisor else []
    words += [f"{text('roster.reports_to', language())}: {term.reports_to}"] if term.reports_to else []
    words += [f"{text('roster.until', language())}: {term.until}"] if term.until else []
    return "\t".join(words)
