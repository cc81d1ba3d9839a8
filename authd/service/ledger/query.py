"""Reading a ledger: by number, by seat, subject or kind and time. Plain functions over files, read-only.

Used by the daemon (on its one reading thread) and by the command line (on a ledger that a daemon may be writing).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import apsw

from authd.core.model import Kind, SubjectId
from authd.service.ledger.narrow import numbers, placed
from authd.service.ledger.record import BadRow, Recorded, decode, place, places
from authd.service.ledger.segment import check_schema, segments
from authd.service.ledger.trouble import LedgerDamaged
from authd.service.sqlite import Database, connect

BATCH = 256
"""Rows read at a time."""
ALWAYS = (-(1 << 62), 1 << 62)
"""An interval that every time falls into, ms."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """What an enrolment vouches for: this version of this template, sealed, has this SHA-256 (hex)."""

    template: str
    version: int
    digest: str
    subject: SubjectId | None
    seq: int
    before: Anchor | None = None
    """What it is to follow, which is good too until the ledger says that this one is stored."""

    def holds(self, version: int, digest: str, subject: str) -> bool:
        """Whether this is the template that is vouched for: no other one, and no older one."""
        if (self.version, self.digest, self.subject) == (version, digest, subject):
            return True
        return self.before is not None and self.before.holds(version, digest, subject)


class Reader:
    """Read-only connections to the segments of one folder. Not to be used from two threads at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[Path, Database] = {}
        self._copies: list[tempfile.TemporaryDirectory[str]] = []
        self._before: dict[Path, int] = {}

    def segments(self) -> list[Path]:
        """Return the segments' paths, oldest first."""
        return segments(self.folder)

    def db(self, path: Path) -> Database:
        """Return a read-only connection to a segment. Raises `LedgerDamaged`."""
        db = self._open.get(path)
        if db is None:
            db = self._connect(path)
            check_schema(db, path)
            self._open[path] = db
        return db

    def before(self, path: Path) -> int:
        """Return the number that the segment's first row follows."""
        if path not in self._before:
            self._before[path] = int(self.db(path).value("SELECT min(seq) FROM checkpoint"))
        return self._before[path]

    def after(self, seq: int, limit: int = BATCH) -> list[Recorded]:
        """Return up to so many rows behind number `seq`, in order."""
        found: list[Recorded] = []
        paths = self.segments()
        for path, later in zip(paths, [*paths[1:], None], strict=True):
            if later is None or self.before(later) > seq:
                found += self._rows(path, "seq > ? ORDER BY seq LIMIT ?", (seq, limit - len(found)))
            if len(found) >= limit:
                break
        return found

    def rows(self, numbers: Iterable[int]) -> list[Recorded]:
        """Return the rows of these numbers, as far as they exist."""
        found: list[Recorded] = []
        for number in sorted(numbers):
            for path in reversed(self.segments()):
                if self.before(path) < number:
                    found += self._rows(path, "seq = ?", (number,))
                    break
        return found

    def last(self) -> int:
        """Return the number of the last row, 0 without any."""
        paths = self.segments()
        if not paths:
            return 0
        return int(self.db(paths[-1]).value("SELECT max(seq) FROM entry") or self.before(paths[-1]))

    def find(self, of: str, since_ms: int = ALWAYS[0], until_ms: int = ALWAYS[1]) -> list[Recorded]:
        """Return the rows of a seat, subject or rare kind (`seat:counter-1`) in an interval, in the ledger's order."""
        found: list[Recorded] = []
        for path in self.segments():
            found += self._find(path, place(of), since_ms, until_ms)
        return [row for row in found if _is_of(row, of)]

    def _find(self, path: Path, of: int, since_ms: int, until_ms: int) -> list[Recorded]:
        """One snapshot holds both halves: what the narrow index has, and the newest rows, which it has not yet."""
        db = self.db(path)
        with db.snapshot():
            last = placed(db)
            found = self._numbered(path, numbers(db, of, since_ms, until_ms))
            tail = self._rows(path, "seq > ? ORDER BY seq", (last,))
        return found + [row for row in tail if of in places(row.entry) and since_ms <= row.wall_ms <= until_ms]

    def _numbered(self, path: Path, wanted: list[int]) -> list[Recorded]:
        found: list[Recorded] = []
        for start in range(0, len(wanted), BATCH):
            chunk = wanted[start : start + BATCH]
            found += self._rows(path, f"seq IN ({','.join('?' * len(chunk))}) ORDER BY seq", tuple(chunk))
        return found

    def anchors(self) -> dict[str, Anchor]:
        """Return the newest anchor of each template, by template id; those of disabled people are left out."""
        found: dict[str, Anchor] = {}
        for row in self._enrolments():
            if row.entry.kind is Kind.ENROLMENT_DISABLED:
                found = {key: anchor for key, anchor in found.items() if anchor.subject != row.entry.subject}
            else:
                found.update(_anchored(row, found))
        return found

    def _enrolments(self) -> list[Recorded]:
        kinds = (Kind.ENROLMENT_FOUNDED, Kind.ENROLMENT_CREATED, Kind.ENROLMENT_UPDATED, Kind.ENROLMENT_DISABLED)
        return sorted((row for kind in kinds for row in self.find(f"kind:{kind}")), key=lambda row: row.seq)

    def close(self) -> None:
        """Close every connection and remove what was copied."""
        for db in self._open.values():
            db.close()
        for copy in self._copies:
            copy.cleanup()
        self._open.clear()

    def _rows(self, path: Path, where: str, bindings: tuple[int, ...]) -> list[Recorded]:
        return list(self.select(path, where, bindings))

    def select(self, path: Path, where: str, bindings: tuple[int, ...]) -> Iterator[Recorded]:
        """Yield a segment's rows by a condition of ours. Raises `LedgerDamaged`."""
        try:
            for _, raw in self.db(path).execute(f"SELECT seq, bytes FROM entry WHERE {where}", bindings):  # noqa: S608 (`where` is a constant of this module)
                yield decode(raw)
        except (BadRow, apsw.CorruptError, apsw.NotADBError) as error:
            raise LedgerDamaged(f"{path.name} is damaged: {error}", self.folder) from error

    def _connect(self, path: Path) -> Database:
        """On a medium that cannot be written (an evidence disc) SQLite cannot read a WAL: then read a copy."""
        try:
            db = connect(path, True)
            db.value("SELECT 1 FROM sqlite_schema LIMIT 1")
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            copy = tempfile.TemporaryDirectory(prefix="authd-ledger-")
            self._copies.append(copy)
            for suffix in ("", "-wal"):
                with suppress(FileNotFoundError):
                    shutil.copyfile(f"{path}{suffix}", Path(copy.name) / f"{path.name}{suffix}")
            return connect(Path(copy.name) / path.name, True)
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise LedgerDamaged(f"{path.name} is damaged: {error}", path.parent) from error
        return db


def _is_of(row: Recorded, of: str) -> bool:
    name, value = of.split(":", 1)
    entry = row.entry
    return value == {"seat": entry.seat, "subject": entry.subject, "kind": entry.kind}.get(name)


def _anchored(row: Recorded, known: Mapping[str, Anchor]) -> Mapping[str, Anchor]:
    """What one row says: a first version, a next one, or whether a next one was stored."""
    template, kept = str(row.entry.data.get("template")), row.entry.data.get("kept")
    held = known.get(template.partition("@")[0])
    if isinstance(kept, bool):
        if held is None or held.before is None or template != f"{held.template}@{held.version}":
            return {}
        return {held.template: replace(held, before=None) if kept else held.before}
    anchor = _anchor(row)
    if anchor is None or row.entry.kind is not Kind.ENROLMENT_UPDATED:
        return {anchor.template: anchor} if anchor else {}
    follows = held is not None and (held.version + 1, held.subject) == (anchor.version, anchor.subject)
    return {anchor.template: replace(anchor, before=held)} if follows else {}


def _anchor(row: Recorded) -> Anchor | None:
    template, digest = row.entry.data.get("template"), row.entry.data.get("digest")
    if not isinstance(template, str) or not isinstance(digest, str):
        return None
    name, _, version = template.partition("@")
    return Anchor(name, int(version) if version.isdigit() else 0, digest, row.entry.subject, row.seq)
