"""Reading a ledger: by number, by seat, subject or kind and time. Plain functions over files, read-only.

Used by the daemon (on its one reading thread) and by the command line (on a ledger that a daemon may be writing).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import apsw

from authd.core.model import Kind, SubjectId
from authd.service.ledger.ahead import Pages, descriptors
from authd.service.ledger.narrow import numbers, numbers_behind, numbers_from, placed, recent, told
from authd.service.ledger.record import BadRow, Recorded, decode, place, record_of
from authd.service.ledger.retired import rows
from authd.service.ledger.seals import Found, Seals
from authd.service.ledger.segment import INDEXED, base, check_schema, segments
from authd.service.ledger.trouble import LedgerDamaged
from authd.service.sqlite import Database, connect

BATCH, FIRST, FEW = 256, 4, 32
"""Rows read at a time; where the first few are likely to do, and the most then."""
SESSION = b'"kind":"session.'
"""In the bytes of every row of a session but its grant."""
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
    revoked: bool = False
    """Known, so that whoever still holds it is told so; nothing opens with it."""

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
        self._pages: dict[Path, Pages] = {}
        self._copies: list[tempfile.TemporaryDirectory[str]] = []
        self._base: dict[Path, tuple[int, int]] = {}
        self._older: set[Path] = set()
        self.seals = Seals(self)
        self.whole: dict[tuple[int, int], bytes] = {}
        """Roots of large subtrees that proofs have asked for: they never change."""

    def segments(self) -> list[Path]:
        """Return the segments' paths, oldest first."""
        return segments(self.folder)

    def db(self, path: Path) -> Database:
        """Return a read-only connection to a segment. Raises `LedgerDamaged`."""
        db = self._open.get(path)
        if db is None:
            before = descriptors(path)
            db = self._connect(path)
            fresh = descriptors(path) - before
            self._pages[path] = Pages(db, fresh.pop() if fresh else -1)
            if check_schema(db, path) < INDEXED:
                self._older.add(path)
            self._open[path] = db
        return db

    def older(self, path: Path) -> bool:
        """Whether the segment is of an older format: then its rows are all that is read of it."""
        self.db(path)
        return path in self._older

    def base(self, path: Path) -> tuple[int, int]:
        """Return the tree's size and the number that the segment's first row follows."""
        if path not in self._base:
            self._base[path] = base(self.db(path))
        return self._base[path]

    def before(self, path: Path) -> int:
        """Return the number that the segment's first row follows."""
        return self.base(path)[1]

    def of_leaf(self, leaf: int) -> tuple[Path, int]:
        """Return the segment and the number of the row at a leaf. Raises LookupError if its segment is gone."""
        for path in reversed(self.segments()):
            size, seq = self.base(path)
            if size <= leaf:
                return path, seq + leaf - size + 1
        raise LookupError(f"leaf {leaf} is not in this ledger any more")

    def leaves(self, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Yield leaf and bytes of the rows `[start, stop)`, as far as they exist."""
        while start < stop:
            path, seq = self.of_leaf(start)
            where = "SELECT bytes FROM entry WHERE seq >= ? ORDER BY seq LIMIT ?"
            rows = [raw for (raw,) in self.db(path).execute(where, (seq, min(stop - start, BATCH)))]
            if not all(isinstance(raw, bytes) for raw in rows):
                raise LedgerDamaged(f"{path.name} holds what is no row", self.folder)
            if not rows:
                return
            yield from enumerate(rows, start)
            start += len(rows)

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

    def find(
        self, of: str, since_ms: int = ALWAYS[0], until_ms: int = ALWAYS[1], holding: bytes = b""
    ) -> list[Recorded]:
        """Return the rows of a seat, subject, record or rare kind (`seat:counter-1`) in an interval, in order.

        holding: only rows with these bytes in them, such as `"kind":"session.`; the others are not even decoded.
        """
        found = list(rows(self.folder))
        paths = self.segments()
        with self.db(paths[-1]).snapshot() if paths else nullcontext():
            sealed = self.seals.find(of, since_ms, until_ms) if of.startswith(("subject:", "record:")) else None
            for path in paths:
                found += self._find(path, of, since_ms, until_ms, sealed, holding)
        return [row for row in found if _is_of(row, of) and since_ms <= row.wall_ms <= until_ms]

    def sessions_behind(self, seat: str, seq: int, wall_ms: int | None = None) -> Iterator[Recorded]:
        """Yield the `session.` rows of a seat behind number `seq`, in order, as few as are wanted.

        wall_ms: when the row of that number was; then it is quick, and rows are left out where the clock went back.
        """
        paths = self.segments()
        for path, later in zip(paths, [*paths[1:], None], strict=True):
            if later is not None and self.before(later) <= seq:
                continue
            last = self.before(path) if self.older(path) else placed(self.db(path))
            for wanted in () if self.older(path) else self._wanted(path, seat, seq, wall_ms):
                for some in growing(wanted):
                    yield from self.numbered(path, some, SESSION)
            rest = self.select(path, "seq > ? ORDER BY seq", (max(seq, last),), SESSION)
            yield from (row for row in rest if row.entry.seat == seat)

    def _wanted(self, path: Path, seat: str, seq: int, wall_ms: int | None) -> Iterator[list[int]]:
        db, behind = self.db(path), max(seq, self.before(path))
        of = place(f"sitting:{seat}" if behind >= told(db) else f"seat:{seat}")
        return numbers_behind(db, of, seq) if wall_ms is None else numbers_from(db, of, seq, wall_ms)

    def _find(
        self, path: Path, of: str, since_ms: int, until_ms: int, sealed: Found | None, holding: bytes
    ) -> list[Recorded]:
        """What sealed spans have (`sealed`: for places that they have), what the narrow index has, and the rest."""
        db, (size, before) = self.db(path), self.base(path)
        if self.older(path):
            return self._rows(path, "seq > ? ORDER BY seq", (before,), holding)
        last = placed(db)
        if sealed is None:
            wanted = numbers(db, place(of), since_ms, until_ms)
        else:
            end = size + last - before
            wanted = [before + leaf - size + 1 for leaf in sealed.leaves if size <= leaf < end]
            after = max(before, before + sealed.covered - size)
            wanted += recent(db, place(of), since_ms, until_ms, after, last)
        rest = self._rows(path, "seq > ? ORDER BY seq", (last,), holding)
        return self.numbered(path, wanted, holding) + rest

    def numbered(self, path: Path, wanted: list[int], holding: bytes = b"") -> list[Recorded]:
        """Return the rows of these numbers of a segment, in order, as far as they exist and hold `holding`."""
        found: list[Recorded] = []
        for start in range(0, len(wanted), BATCH):
            chunk = wanted[start : start + BATCH]
            self._soon(path, chunk)
            found += self._rows(path, f"seq IN ({','.join('?' * len(chunk))}) ORDER BY seq", tuple(chunk), holding)
        return found

    def _soon(self, path: Path, wanted: list[int]) -> None:
        self.db(path)
        self._pages[path].soon(wanted)

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
        kinds = (
            Kind.ENROLMENT_FOUNDED,
            Kind.ENROLMENT_CREATED,
            Kind.ENROLMENT_UPDATED,
            Kind.ENROLMENT_DISABLED,
            Kind.ENROLMENT_REVOKED,
        )
        return sorted((row for kind in kinds for row in self.find(f"kind:{kind}")), key=lambda row: row.seq)

    def close(self) -> None:
        """Close every connection and remove what was copied."""
        for db in self._open.values():
            db.close()
        for copy in self._copies:
            copy.cleanup()
        self._open.clear()
        self._pages.clear()

    def _rows(self, path: Path, where: str, bindings: tuple[int, ...], holding: bytes = b"") -> list[Recorded]:
        return list(self.select(path, where, bindings, holding))

    def select(self, path: Path, where: str, bindings: tuple[int, ...], holding: bytes = b"") -> Iterator[Recorded]:
        """Yield a segment's rows by a condition of ours; those with `holding` in them. Raises `LedgerDamaged`."""
        try:
            for _, raw in self.db(path).execute(f"SELECT seq, bytes FROM entry WHERE {where}", bindings):  # noqa: S608 (`where` is a constant of this module)
                if holding in raw:
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


def growing(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Yield the numbers in parts that double, from `FIRST` to `FEW`."""
    start, many = 0, FIRST
    while start < len(numbers):
        yield list(numbers[start : start + many])
        start, many = start + many, min(2 * many, FEW)


def _is_of(row: Recorded, of: str) -> bool:
    name, value = of.split(":", 1)
    entry = row.entry
    known = {"seat": entry.seat, "subject": entry.subject, "record": record_of(entry), "kind": entry.kind}
    return value == known.get(name)


def _anchored(row: Recorded, known: Mapping[str, Anchor]) -> Mapping[str, Anchor]:
    """What one row says: a first version, a next one, whether a next one was stored, or that it counts no more."""
    template, kept = str(row.entry.data.get("template")), row.entry.data.get("kept")
    held = known.get(template.partition("@")[0])
    if row.entry.kind is Kind.ENROLMENT_REVOKED:
        return {held.template: replace(held, revoked=True)} if held and held.subject == row.entry.subject else {}
    if isinstance(kept, bool):
        if held is None or held.before is None or template != f"{held.template}@{held.version}":
            return {}
        return {held.template: replace(held, before=None) if kept else held.before}
    anchor = _anchor(row)
    if anchor is None or row.entry.kind is not Kind.ENROLMENT_UPDATED:
        return {anchor.template: anchor} if anchor else {}
    follows = held is not None and (held.version + 1, held.subject) == (anchor.version, anchor.subject)
    return {anchor.template: replace(anchor, before=held)} if follows and held and not held.revoked else {}


def _anchor(row: Recorded) -> Anchor | None:
    template, digest = row.entry.data.get("template"), row.entry.data.get("digest")
    if not isinstance(template, str) or not isinstance(digest, str):
        return None
    name, _, version = template.partition("@")
    return Anchor(name, int(version) if version.isdigit() else 0, digest, row.entry.subject, row.seq)
