"""`authd evidence --case N`: a bundle for police or court, and statements on paper; all verified without authd."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

from authd.cli import failures
from authd.cli._common import staff_number
from authd.cli.files import (
    BAD_NEWS,
    DEFAULT_CONFIG,
    OK,
    BadInput,
    add_files,
    answering,
    ledger_folder,
    local,
    moment,
    people,
    plain,
)
from authd.cli.views import add_asker, asking, look_up
from authd.core.tlog import BadNote, read_key
from authd.locale import text
from authd.service.config import Config, ConfigError, load
from authd.service.evidence.bundle import Ask, Bundle, Naming, NotShown, Question, TooMany, build, labels, save
from authd.service.evidence.bundle import verify_evidence as face
from authd.service.evidence.bundle.build import Head
from authd.service.evidence.bundle.gather import ends, sealed_until
from authd.service.evidence.bundle.names import ORDER
from authd.service.evidence.records import BadNumber, Pseudonyms
from authd.service.keys import KeyFault, Keys
from authd.service.ledger import KeySigner, Reader, open_checkpoint, published
from authd.service.ledger.head import WITNESSED_FILE
from authd.service.staff import PersonRecord

EXAMPLES = """\
examples:
  authd evidence --case 2026-17 --seat counter-1 --from 13:05 --to 13:20 --out case.zip
  authd evidence --case 2026-17 --record 20481 --from 2026-11-01 --to 2026-12-01 --out case.zip
  authd evidence --case 2026-17 --subject 1001 --from 09:00 --to 17:00 --out case.zip --anchor head.txt
  authd evidence --case 2026-18 --statement resident --record 20481 --pdf views.pdf
  authd evidence --case 2026-19 --statement clear --subject 1001 --record 20481 --seat counter-1 \\
      --from 2026-11-24T13:00 --to 2026-11-24T14:00 --out clear.zip --pdf clear.pdf

The bundle holds the rows, the proofs, the signed checkpoints, the printed answer and its own verifier, which runs on
Python 3.8 without authd and without a network. It is never overwritten. 証拠ファイルは authd なしで検証できます。

exit codes: 0 made, 1 it would not show what was asked (or the ledger is damaged), 2 wrong input
"""
_PSEUDONYM = re.compile(r"rec_[a-z2-7]{32}")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add `authd evidence`."""
    parser = subparsers.add_parser(
        "evidence",
        help="make a bundle that a court can verify / 裁判所が検証できる証拠ファイルを作る",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--case", required=True, metavar="N", help="the city's or the court's number / 事件・照会番号")
    parser.add_argument(
        "--statement", choices=("resident", "clear"), help="for a resident; that clears a person / 証明"
    )
    parser.add_argument("--seat", default="", help="such as counter-1 / 席")
    parser.add_argument("--record", default="", metavar="NUMBER", help="a resident's record, or rec_... / 住民の記録")
    parser.add_argument(
        "--subject", type=staff_number, default="", metavar="WHO", help="staff number, or sub_... / 職員"
    )
    parser.add_argument("--from", type=moment, dest="since", metavar="TIME", help="13:05 / 何時から")
    parser.add_argument("--to", type=moment, dest="until", metavar="TIME", help="13:20 / 何時まで")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the bundle, case.zip / 証拠ファイル")
    parser.add_argument("--html", type=Path, metavar="FILE", help="the answer, to print / 印刷用の答え")
    parser.add_argument("--pdf", type=Path, metavar="FILE", help="the answer, printed by Chromium / 印刷した答え")
    parser.add_argument("--names", choices=[each.value for each in ORDER], help="of staff / 職員の表示")
    parser.add_argument("--made", default="", metavar="DATE", help="date on the paper (today) / 作成日")
    parser.add_argument("--rows-only", action="store_true", help="without proof of completeness / 該当する行だけ")
    parser.add_argument("--key", metavar="KEY", help="verifier key of the ledger, or a file with it / 検証鍵")
    parser.add_argument("--witness", action="append", default=[], metavar="KEY", help="of a witness / 立会人の鍵")
    parser.add_argument("--anchor", action="append", default=[], type=Path, metavar="FILE", help="an older head / 控え")
    add_asker(parser)
    add_files(parser)
    parser.set_defaults(run=answering(asking(run)))


def run(args: argparse.Namespace) -> int:
    """Make what was asked for."""
    if not (args.out or args.html or args.pdf):
        raise BadInput(text("evidence.nothing_to_write", args.lang))
    folder, known, config = ledger_folder(args), people(args), _config(args)
    _seal(args, config)
    try:
        naming, head = _naming(args, config), _head(args, folder)
    except BadNote as error:
        raise BadInput(text("evidence.bad_checkpoint", args.lang, detail=plain(str(error)))) from error
    reader = Reader(folder)
    try:
        question = _question(args, reader, head, known)
        args.purpose = args.purpose or plain(args.case)[:80]
        look_up(args, _about(question))  # that it was asked stands in the ledger before the answer is made
        bundle = build(reader, question, head, labels(naming, known.values(), config), whole=not args.rows_only)
    except NotShown as error:
        print(text("evidence.not_shown", args.lang, detail=plain(str(error))), file=sys.stderr)
        return BAD_NEWS
    except (TooMany, BadNote) as error:
        id_ = "evidence.too_many" if isinstance(error, TooMany) else "evidence.bad_checkpoint"
        raise BadInput(text(id_, args.lang, detail=plain(str(error)))) from error
    finally:
        reader.close()
    return _refused(args, bundle) or _written(args, bundle)


def _seal(args: argparse.Namespace, config: Config | None) -> None:
    """Have a daemon that is there seal its newest rows, so that the answer reaches to now; a copy stays as it is."""
    if args.ledger is None and config is not None and config.socket.exists():
        from authd.client import connect_sync
        from authd.client.link import Gone

        with suppress(Gone), connect_sync(f"unix:{config.socket}") as door:
            door.seal()


def _about(question: Question) -> str:
    named = (("record", question.record), ("subject", question.subject), ("seat", question.seat))
    return next(f"{name}:{value}" for name, value in named if value)


def _refused(args: argparse.Namespace, bundle: Bundle) -> int:
    """A statement of absence is not made where there is none, or where it is not shown."""
    if args.statement != "clear":
        return OK
    said = face.conclusions(bundle.found)
    if all(what.startswith("clear_") for what, _ in said):
        return OK
    detail = "; ".join(face.say(what, args.lang, *values) for what, values in said)
    print(text("evidence.not_clear", args.lang, detail=detail), file=sys.stderr)
    return BAD_NEWS


def _written(args: argparse.Namespace, bundle: Bundle) -> int:
    """Write each file that was asked for, and none over another."""
    for path in (args.out, args.html, args.pdf):
        if path is not None and path.exists():
            raise BadInput(text("evidence.exists", args.lang, path=path))
    page = bundle.pages[args.lang]
    try:
        if args.html:
            save(args.html, page)
        if args.pdf:
            from authd.cli.printed import write_pdf

            write_pdf(args.pdf, page.decode())
        if args.out:
            save(args.out, bundle.data)
    except FileExistsError as error:
        raise BadInput(text("evidence.exists", args.lang, path=error.filename)) from error
    if args.out:
        print(text("evidence.written", args.lang, path=args.out, rows=len(bundle.found.rows), bytes=len(bundle.data)))
        print(text("evidence.fingerprint", args.lang, fingerprint=bundle.fingerprint))
        print(text("evidence.verify", args.lang, path=args.out, fingerprint=bundle.fingerprint))
    for what, values in face.conclusions(bundle.found):
        print(face.say(what, args.lang, *values))
    return OK


def _config(args: argparse.Namespace) -> Config | None:
    """Return the configuration, for the names of seats, systems and sections, where there is one."""
    path = args.config or (None if args.ledger else DEFAULT_CONFIG)
    try:
        return None if path is None else load(path)
    except ConfigError as error:
        raise BadInput(failures.words(error, args.lang)) from error


def _naming(args: argparse.Namespace, config: Config | None) -> Naming:
    """Return how people are named: to a court by name, to a resident as far as the city has set it."""
    if args.statement != "resident":
        return Naming(args.names or Naming.NAME)
    most = Naming(config.names if config else Naming.SECTION)
    wanted = Naming(args.names or most)
    if ORDER.index(wanted) > ORDER.index(most):
        raise BadInput(text("evidence.names_not_allowed", args.lang, most=most.value))
    return wanted


def _head(args: argparse.Namespace, folder: Path) -> Head:
    """Return the signed head of the ledger, with the keys of whoever signed it."""
    note = published(folder)
    if note is None:
        raise BadInput(text("evidence.no_checkpoint", args.lang, folder=folder))
    origin = note.split("\n", 1)[0]
    try:
        if args.key:
            name, key = read_key(_line(args.key))
        else:
            seed = (folder.absolute().parent / "keys" / "ledger.key").read_bytes()
            name, key = origin, KeySigner(origin, seed).public_key
        open_checkpoint(note, name, key)
        witnesses = tuple(_line(each) for each in args.witness)
        for each in witnesses:
            face.read_key(each)
    except BadNote as error:
        raise BadInput(text("evidence.bad_checkpoint", args.lang, detail=plain(str(error)))) from error
    except (ValueError, OSError, face.Broken) as error:
        raise BadInput(text("evidence.no_key", args.lang, detail=plain(str(error)))) from error
    anchors = [path.read_text(encoding="utf-8", errors="replace") for path in args.anchor]
    return _witnessed(folder, Head(note, name, key, witnesses, tuple(anchors)))


def _witnessed(folder: Path, head: Head) -> Head:
    """Bring along the newest checkpoint that came back cosigned; as the head itself where it is of the same rows."""
    seen = folder / WITNESSED_FILE
    if not seen.is_file():
        return head
    note = seen.read_text(encoding="utf-8", errors="replace")
    same = open_checkpoint(note, head.name, head.key) == open_checkpoint(head.note, head.name, head.key)
    return replace(head, note=note) if same else replace(head, anchors=(*head.anchors, note))


def _line(key: str) -> str:
    path = Path(key)
    return (path.read_text(encoding="ascii") if len(key) < 4096 and path.is_file() else key).strip()


def _question(args: argparse.Namespace, reader: Reader, head: Head, known: Mapping[str, PersonRecord]) -> Question:
    """Return the question, with its interval cut to what the signed ledger can speak about."""
    _check(args)
    size = open_checkpoint(head.note, head.name, head.key).size
    first, last = ends(reader, size)
    sealed = sealed_until(reader, size) if args.statement == "resident" else None
    last = last - 1 if sealed is None else min(last - 1, sealed)
    since = first if args.since is None else args.since
    until = last if args.until is None else min(args.until, last)
    if since > until:
        raise BadInput(text("evidence.backwards", args.lang))
    if args.until is not None and until < args.until:
        said = local(until).isoformat(" ", "seconds")
        print(text("evidence.clamped", args.lang, time=said), file=sys.stderr)
    offset = local(since).utcoffset()
    return Question(
        Ask(args.statement or Ask.EVENTS),
        since,
        until,
        seat=args.seat,
        subject=_subject(args, known),
        record=_record(args, reader.folder),
        case=args.case,
        made=args.made or date.today().isoformat(),  # noqa: DTZ011 (the city's own today)
        offset_min=0 if offset is None else int(offset.total_seconds()) // 60,
    )


def _check(args: argparse.Namespace) -> None:
    """Every statement needs its own words."""
    wrong = ""
    if not (args.seat or args.record or args.subject):
        wrong = "one_of"
    elif args.statement == "clear" and not (args.subject and (args.record or args.seat)):
        wrong = "clear_needs"
    elif args.statement == "resident" and (not args.record or args.seat or args.subject):
        wrong = "resident_needs"
    elif args.statement == "resident" and args.out:  # its rows would tell of a protection, and of who set it
        wrong = "resident_paper"
    elif (args.seat or args.subject) and (args.since is None or args.until is None):
        wrong = "interval"
    elif args.since is not None and args.until is not None and args.since > args.until:
        wrong = "backwards"
    if wrong:
        raise BadInput(text(f"evidence.{wrong}", args.lang))


def _subject(args: argparse.Namespace, known: Mapping[str, PersonRecord]) -> str:
    if not args.subject or args.subject.startswith("sub_"):
        return str(args.subject)
    for person in known.values():
        if person.staff_number == args.subject:
            return person.subject
    raise BadInput(text("evidence.nobody", args.lang, who=plain(args.subject)))


def _record(args: argparse.Namespace, folder: Path) -> str:
    """Return the pseudonym of a record's number; the number itself goes no further."""
    if not args.record or _PSEUDONYM.fullmatch(args.record):
        return str(args.record)
    keys = Keys(folder.absolute().parent)
    try:
        if not (keys.folder / "record.key").is_file():
            raise KeyFault(f"{keys.folder / 'record.key'}")
        return Pseudonyms(keys.record_key()).record(args.record)
    except (KeyFault, BadNumber) as error:
        raise BadInput(text("evidence.no_record_key", args.lang, detail=plain(str(error)))) from error
