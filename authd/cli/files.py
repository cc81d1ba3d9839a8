"""What `authd who`, `authd events` and `authd ledger` share: where the files are, whose names are in them, times."""

from __future__ import annotations

import argparse
import errno
import sys
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from authd.cli import failures
from authd.cli._common import language
from authd.core.ports import PortError
from authd.locale import LANGUAGES, text
from authd.service.ledger import LedgerDamaged, Reader, Recorded
from authd.service.staff import PersonRecord
from authd.service.store_file import StoreDamaged, read_people

if TYPE_CHECKING:
    from authd.service.config import Config

OK, BAD_NEWS, USAGE = 0, 1, 2
DEFAULT_CONFIG = Path("/etc/authd-seat/authd.toml")


class BadInput(Exception):
    """What was asked cannot be understood, or is not there: one line for the person, exit code 2."""


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Nothing was wrong with what was asked: the disk is full, exit code 1."""
_BAR = 30
"""Characters of a progress bar."""


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where to look and how to answer."""
    parser.add_argument("--ledger", type=Path, metavar="DIR", help="the ledger's folder / 台帳のフォルダ")
    parser.add_argument("--store", type=Path, metavar="FILE", help="the store, for names / 氏名のための store.sqlite")
    parser.add_argument("--config", type=Path, metavar="FILE", help="authd.toml, which says where both are")
    parser.add_argument("--json", action="store_true", help="one JSON object a line / 1行に1つのJSON")
    parser.add_argument("--lang", choices=LANGUAGES, default=language())


def answering(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Turn what may go wrong with the files into one line and an exit code."""

    def answer(args: argparse.Namespace) -> int:
        try:
            return run(args)
        except BadInput as error:
            print(error, file=sys.stderr)
            return USAGE
        except LedgerDamaged as error:
            print(text("ledger.damaged", args.lang, detail=error.detail, folder=error.folder), file=sys.stderr)
            return BAD_NEWS
        except (StoreDamaged, apsw.CorruptError, apsw.NotADBError) as error:
            print(plain(failures.words(error, args.lang)), file=sys.stderr)
            return BAD_NEWS
        except BrokenPipeError:
            raise  # whoever reads has gone: no word to them
        except (PortError, OSError, apsw.Error) as error:
            print(plain(failures.words(error, args.lang)), file=sys.stderr)
            return BAD_NEWS if getattr(error, "errno", None) in _NO_ROOM else USAGE

    return answer


def ledger_folder(args: argparse.Namespace) -> Path:
    """Return the ledger's folder, from the option or the configuration. Raises `BadInput`."""
    folder: Path = args.ledger or _state(args) / "ledger"
    if not folder.is_dir():
        raise BadInput(text("ledger.nothing", args.lang, folder=folder))
    return folder


def store_path(args: argparse.Namespace) -> Path | None:
    """Return the store's file if it is there."""
    path: Path = args.store or (args.ledger.absolute().parent if args.ledger else _state(args)) / "store.sqlite"
    if args.store and not path.is_file():
        raise BadInput(text("ledger.nothing", args.lang, folder=path))
    return path if path.is_file() else None


def _state(args: argparse.Namespace) -> Path:
    return _config(args).state


def _config(args: argparse.Namespace) -> Config:
    from authd.service.config import ConfigError, load  # with all of its parsers, which nobody needs beside --ledger

    try:
        return load(args.config or DEFAULT_CONFIG)
    except ConfigError as error:
        raise BadInput(failures.words(error, args.lang)) from error


def check_seat(args: argparse.Namespace, seat: str) -> None:
    """Raise `BadInput` where neither the configuration nor the ledger knows the seat: "nobody" would be false."""
    known = [] if args.ledger else sorted(_config(args).seats)
    if seat in known:
        return
    reader = open_reader(args)
    try:
        if next(reader.sessions_behind(seat, 0), None) is None:
            raise BadInput(text("who.no_seat", args.lang, seat=plain(seat), known=", ".join(known) or "-"))
    finally:
        reader.close()


def open_reader(args: argparse.Namespace) -> Reader:
    """Return a reader of the ledger that was asked for."""
    return Reader(ledger_folder(args))


def people(args: argparse.Namespace) -> Mapping[str, PersonRecord]:
    """Return everybody whom the store knows, by subject; nobody where there is no store to read."""
    path = store_path(args)
    return {} if path is None else {person.subject: person for person in read_people(path)}


def person_json(person: PersonRecord | None) -> dict[str, str] | None:
    """Return a person's attributes for `--json`."""
    if person is None:
        return None
    return {
        "staff_number": person.staff_number,
        "name": person.name,
        "kana": person.kana,
        "section": person.section,
    }


def label(subject: str | None, known: Mapping[str, PersonRecord]) -> str:
    """Name a subject for a person's eyes, on one line."""
    if subject is None:
        return ""
    person = known.get(subject)
    return plain(subject if person is None else f"{person.name} ({person.staff_number}, {person.section})")


def plain(line: str) -> str:
    """Return the text without anything that could begin a new line or steer a terminal."""
    return "".join(
        character
        if unicodedata.category(character) not in {"Cc", "Cf", "Zl", "Zp", "Cs"}
        else f"\\u{ord(character):04x}"
        for character in line
    )


def bar(share: float) -> str:
    """Draw how much of something is done, 0 to 1."""
    share = min(1.0, max(0.0, share))
    done = int(_BAR * share)
    return f"[{'#' * done}{'.' * (_BAR - done)}] {share:4.0%}"


def local(wall_ms: int) -> datetime:
    """Return a row's time in the terminal's time zone."""
    return datetime.fromtimestamp(min(max(wall_ms, 0), 250_000_000_000_000) / 1000, UTC).astimezone()


def moment(value: str) -> int:
    """Return ms since 1970 of `13:05` (today), `2026-11-24T13:05` or with an offset. Raises argparse's error."""
    try:
        if len(value) <= 8 and ":" in value:
            value = f"{date.today().isoformat()}T{value}"  # noqa: DTZ011 (the person's own today)
        return int(datetime.fromisoformat(value).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(text("misuse.moment", language(), given=repr(value))) from error


def event_line(row: Recorded, known: Mapping[str, PersonRecord], language: str) -> str:
    """Return one row as one line for a person."""
    entry = row.entry
    words = [f"#{row.seq}", local(row.wall_ms).isoformat(" ", "seconds"), entry.seat or "-", entry.kind.value]
    words += [label(entry.subject, known)] if entry.subject else []
    words += [text(entry.reason, language)] if entry.reason else []
    words += [entry.grade.value] if entry.grade else []
    return plain("  ".join(words))
