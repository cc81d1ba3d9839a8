"""`authd views`: who opened a record, what was opened at a seat, what a person opened; as text, JSON or on paper."""

from __future__ import annotations

import argparse
import getpass
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from authd.cli import failures, printed, rests
from authd.cli._common import fail, staff_number
from authd.cli.files import (
    DEFAULT_CONFIG,
    OK,
    BadInput,
    add_files,
    answering,
    check_seat,
    label,
    ledger_folder,
    local,
    moment,
    open_reader,
    people,
    person_json,
    plain,
)
from authd.cli.printed import Both, Column, Sheet
from authd.cli.rests import People, both, moment_text
from authd.core.model import Kind, Value
from authd.core.tlog import BadNote, read_checkpoint
from authd.locale import text
from authd.service.evidence.records import RESIDENT, BadNumber, Pseudonyms
from authd.service.evidence.views.look import unshown, viewed
from authd.service.ledger import Recorded, published
from authd.service.ledger.query import ALWAYS

MOST: Final = 100_000
"""Lines of one answer."""
LISTED_FROM: Final = 8
MOST_LISTED: Final = 12
"""People who are named above a long answer on paper."""
_PSEUDONYM: Final = re.compile(r"rec_[a-z2-7]{32}")
EXAMPLES = """\
examples:
  authd views --record 20481                                        who opened this resident's record
  authd views --record 20481 --pdf answer.pdf --at-seat counter-1 --purpose case-17
  authd views --seat counter-1 --from 13:05 --to 13:20              which records were opened there, by whom
  authd views --subject 1001 --from 2026-11-01 --to 2026-12-01 --json
  authd views --record 20481 --ledger /mnt/copy/ledger --lang en    from a copy, without a daemon

Each line states its grade (A to D) and what it rests on. The grade is the person's; that a record was opened is always
what the system reported. 等級は人についての証拠の強さであり、記録を開いたことは業務システムの申告です。
Asking stands in the ledger itself, before the answer: who asked is known with --at-seat and a touch there only.

exit codes: 0 answered (also: nobody), 1 the ledger is damaged, 2 wrong input, 3 no daemon there, 4 refused
"""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked. `of`: its place in the narrow index; `title`: id of what it is called."""

    of: str
    title: str
    shown: str


@dataclass(frozen=True, slots=True)
class Found:
    """What answers it. `unshown`: numbers of the views that came to nothing."""

    rows: Sequence[Recorded]
    unshown: frozenset[int]

    def rests(self, row: Recorded, known: People, language: str) -> str:
        """Return what a line rests on."""
        return rests.of_view(row, known, language, shown=row.seq not in self.unshown)

    @property
    def shown(self) -> Sequence[Recorded]:
        """Rows that say of somebody that they saw, or were to see, something."""
        return [row for row in self.rows if row.seq not in self.unshown and "view" not in row.entry.data]


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add `authd views`."""
    parser = subparsers.add_parser(
        "views",
        help="who opened which record, with what evidence / いつ誰がどの記録を開いたか",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    of = parser.add_mutually_exclusive_group(required=True)
    of.add_argument("--record", metavar="NUMBER", help="a record's number, or its pseudonym rec_... / 記録の番号")
    of.add_argument("--subject", type=staff_number, metavar="WHO", help="staff number or sub_... / 職員番号")
    of.add_argument("--seat", help="such as counter-1 / 席の名前")
    parser.add_argument("--namespace", default=RESIDENT, help=f"whose numbers these are ({RESIDENT}) / 番号の種類")
    parser.add_argument("--from", type=moment, dest="since", metavar="TIME", help="13:05 / 何時から")
    parser.add_argument("--to", type=moment, dest="until", metavar="TIME", help="13:20 / 何時まで")
    add_paper(parser)
    add_asker(parser)
    add_files(parser)
    parser.set_defaults(run=answering(asking(run)))


def add_paper(parser: argparse.ArgumentParser) -> None:
    """Add the options that put the answer on paper."""
    parser.add_argument("--html", type=Path, metavar="FILE", help="one page to print / 印刷用のページ")
    parser.add_argument("--pdf", type=Path, metavar="FILE", help="the same as a PDF / 同じものを PDF で")


def add_asker(parser: argparse.ArgumentParser) -> None:
    """Add the options that say who asks."""
    parser.add_argument("--at-seat", metavar="SEAT", help="where you are, and touch / 照会する人がいる席")
    parser.add_argument("--purpose", default="", metavar="WORD", help="what for, such as case-17 / 照会の目的")


def run(args: argparse.Namespace) -> int:
    """Say that it is asked, then answer from the ledger's files."""
    known = people(args)
    question = _question(args, known)
    since, until = _interval(args)
    written = look_up(args, question.of)
    reader = open_reader(args)
    try:
        rows = viewed(reader, question.of, since, until)
        found = Found(rows, unshown(reader, question.of, since, until))
    finally:
        reader.close()
    if len(rows) > MOST:
        raise BadInput(text("views.too_many", args.lang, count=len(rows), most=MOST))
    if args.html or args.pdf:
        put_on_paper(args, _sheet(args, question, found, known, written))
    else:
        for line in _json(found, known) if args.json else _lines(args, question, found, known):
            print(line)
    return OK


def look_up(args: argparse.Namespace, about: str) -> int | None:
    """Tell the daemon, and return the row's number; None where a copy is read, or no daemon is there to be told."""
    if args.ledger is not None:
        return None
    from authd.client import connect_sync
    from authd.client.link import Gone
    from authd.service.config import load

    config = load(args.config or DEFAULT_CONFIG)
    try:
        if not config.socket.exists():
            raise Gone("no door")
        with connect_sync(f"unix:{config.socket}") as door:
            if args.at_seat:
                print(text("views.touch", args.lang, seat=plain(args.at_seat)), file=sys.stderr, flush=True)
            account = re.sub(r"[^A-Za-z0-9_.:-]", "_", getpass.getuser())[:64]
            return door.look_up(about, purpose=args.purpose, account=account, at_seat=args.at_seat)
    except Gone:
        if args.at_seat:
            raise
        print(f"authd: {text('views.written', args.lang)}: {text('views.not_written', args.lang)}", file=sys.stderr)
        return None


def asking(work: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Turn what the door says into one line and an exit code."""

    def ask(args: argparse.Namespace) -> int:
        from authd.cli.codes import REFUSED, UNREACHABLE
        from authd.client import ClientError, DoorError
        from authd.service.config import ConfigError

        try:
            return work(args)
        except ConfigError as error:
            raise BadInput(failures.words(error, args.lang)) from error
        except ClientError as error:
            return fail(error, REFUSED if isinstance(error, DoorError) else UNREACHABLE, lang=args.lang)

    return ask


def put_on_paper(args: argparse.Namespace, sheet: Sheet) -> None:
    """Write the page to where it was asked for."""
    document = printed.page(sheet)
    if args.html:
        printed.write(args.html, document)
    if args.pdf:
        printed.write_pdf(args.pdf, document)


def facts(
    args: argparse.Namespace, asked: Both, between: Both, lines: Both, written: int | None
) -> list[tuple[Both, Both]]:
    """Return what stands above an answer: what was asked, of which ledger, and whether the question is in it."""
    row = Both.of("views.not_written") if written is None else Both.of("views.written_is", seq=written)
    return [
        (Both.of("views.asked"), asked),
        (Both.of("views.interval"), between),
        (Both.of("views.lines"), lines),
        (Both.of("views.ledger"), _head(ledger_folder(args))),
        (Both.of("views.written"), row),
    ]


NOTES: Final = ("views.note_grade", "views.note_report", "views.note_clock", "views.note_absence")


def _question(args: argparse.Namespace, known: People) -> Question:
    if args.seat is not None:
        if args.since is None or args.until is None:
            raise BadInput(text("views.seat_needs", args.lang))
        check_seat(args, args.seat)
        return Question(f"seat:{args.seat}", "views.title_seat", args.seat)
    if args.subject is not None:
        subject = next((each.subject for each in known.values() if each.staff_number == args.subject), args.subject)
        if subject not in known and not subject.startswith("sub_"):
            raise BadInput(text("views.nobody", args.lang, who=plain(args.subject)))
        return Question(f"subject:{subject}", "views.title_subject", label(subject, known))
    record = args.record if _PSEUDONYM.fullmatch(args.record) else _pseudonym(args)
    shown = record if record == args.record else f"{args.record} ({args.namespace}), {record}"
    return Question(f"record:{record}", "views.title_record", plain(shown))


def _pseudonym(args: argparse.Namespace) -> str:
    from authd.service.keys import KeyFault, Keys

    try:
        keys = Keys(ledger_folder(args).absolute().parent)
        return Pseudonyms(keys.record_key()).record(args.record, args.namespace)
    except (KeyFault, BadNumber) as error:
        raise BadInput(text("views.no_key", args.lang, detail=error)) from error


def _interval(args: argparse.Namespace) -> tuple[int, int]:
    since = ALWAYS[0] if args.since is None else args.since
    until = ALWAYS[1] if args.until is None else args.until
    if since > until:
        raise BadInput(text("views.backwards", args.lang))
    return since, until


def _json(found: Found, known: People) -> Iterator[str]:
    for row in found.rows:
        entry, data = row.entry, row.entry.data
        answer: dict[str, object] = {
            "row": row.seq,
            "kind": entry.kind,
            "time": local(row.wall_ms).isoformat(),
            "seat": entry.seat,
            "subject": entry.subject,
            "person": person_json(known.get(entry.subject or "")),
            "session": entry.session,
            "grade": entry.grade,
            "rests_on": {"ja": found.rests(row, known, "ja"), "en": found.rests(row, known, "en")},
            **({"shown": False} if row.seq in found.unshown else {}),
            **{name: data.get(name) for name in ("record", "system", "screen", "purpose", "call", "why")},
        }
        yield json.dumps(answer, ensure_ascii=False)


def _lines(args: argparse.Namespace, question: Question, found: Found, known: People) -> Iterator[str]:
    language = args.lang
    yield plain(f"{text(question.title, language)}: {question.shown}")
    if not found.rows:
        yield f"  {text('views.empty', language)}"
    for row in found.rows:
        entry = row.entry
        words = [moment_text(row.wall_ms), entry.seat or "-", label(entry.subject, known) or "-"]
        words += [str(entry.data.get("record", "-")), _where(entry.data), _what_for(entry.data)]
        yield plain(f"  {'  '.join(word for word in words if word)}")
        yield plain(f"      {entry.grade or '-'}  {found.rests(row, known, language)}")
        yield plain(f"      #{row.seq} {entry.session or ''}")


def _sheet(args: argparse.Namespace, question: Question, found: Found, known: People, written: int | None) -> Sheet:
    refused = sum(row.entry.kind is Kind.VIEW_REFUSED for row in found.rows)
    opened = sum(row.entry.kind is not Kind.VIEW_REFUSED for row in found.shown)
    count = Both.of("views.lines_are", opened=opened, refused=refused)
    whole = question.of.startswith("record:")
    heads = ["when", "seat", "person", *([] if whole else ["record"]), "system", "grade", "rests_on"]
    kinds = {"when": "short", "seat": "short", "grade": "grade", "rests_on": "words", "record": "code"}
    return Sheet(
        title=Both.of(question.title),
        facts=[
            *facts(args, Both(question.shown), interval(args.since, args.until), count, written),
            *_people(found.shown, known),
        ],
        columns=[Column(Both.of(f"views.{head}"), kinds.get(head, "")) for head in heads],
        rows=[_cells(row, found, known, whole=whole) for row in found.rows],
        empty=Both.of("views.empty"),
        notes=[Both.of(id_) for id_ in NOTES],
    )


def _people(rows: Sequence[Recorded], known: People) -> list[tuple[Both, Both]]:
    """Name each person once, with how often: on a long answer the first page says it all."""
    counts = Counter(row.entry.subject for row in rows if row.entry.subject is not None)
    if len(counts) < LISTED_FROM and len(rows) < LISTED_FROM:
        return []
    most = [f"{label(subject, known)}: {_grades(rows, subject)}" for subject, _ in counts.most_common(MOST_LISTED)]
    more = [Both.of("views.more_people", count=len(counts) - MOST_LISTED)] if len(counts) > MOST_LISTED else []
    line = [Both(" / ".join(most)), *more]
    return [(Both.of("views.person"), Both(" ".join(each.ja for each in line), more[0].en if more else ""))]


def _grades(rows: Sequence[Recorded], subject: str) -> str:
    """Count a person's lines by their grade: `B 2, C 1`."""
    grades = Counter(row.entry.grade or "-" for row in rows if row.entry.subject == subject)
    return ", ".join(f"{grade} {count}" for grade, count in sorted(grades.items()))


def _cells(row: Recorded, found: Found, known: People, *, whole: bool) -> list[Both]:
    entry = row.entry
    record = [] if whole else [Both(plain(str(entry.data.get("record", "-"))))]
    return [
        Both(moment_text(row.wall_ms), f"#{row.seq}"),
        Both(plain(entry.seat or "-")),
        Both(label(entry.subject, known) or "-"),
        *record,
        Both(plain(" ".join([_where(entry.data), _what_for(entry.data)]).strip())),
        Both(entry.grade or "-"),
        both(lambda language: found.rests(row, known, language)),
    ]


def interval(since: int | None, until: int | None) -> Both:
    """Write an interval as it was asked for."""
    if since is None and until is None:
        return Both.of("views.whole")
    ends = ["" if each is None else moment_text(each) for each in (since, until)]
    return Both(f"{ends[0]} - {ends[1]} ({time.strftime('%Z')})")


def _where(data: Mapping[str, Value]) -> str:
    return "/".join(str(data[name]) for name in ("system", "screen") if data.get(name)) or "-"


def _what_for(data: Mapping[str, Value]) -> str:
    return " ".join(str(data[name]) for name in ("purpose", "call") if data.get(name))


def _head(folder: Path) -> Both:
    try:
        head = read_checkpoint((published(folder) or "").split("\n\n")[0] + "\n")
    except BadNote:
        return Both.of("views.ledger_unsigned")
    return Both.of("views.ledger_is", origin=head.origin, size=head.size, root=head.root.hex())
