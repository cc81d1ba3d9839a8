"""Every row of a ledger against what was signed: finds edits, deletions, reorderings, insertions, and a cut tail.

Read-only and streaming. It trusts the public key, its own code and, for the tail, a checkpoint that was kept outside
the host (`anchor`): rows behind the last signed checkpoint are checked for order and form alone, and counted.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import apsw

from authd.core.model import Kind
from authd.core.ports import PortError
from authd.core.tlog import BadNote, Checkpoint
from authd.service.ledger.head import Head, open_checkpoint, published
from authd.service.ledger.query import Reader
from authd.service.ledger.record import Recorded, decode, places
from authd.service.ledger.segment import checkpoints, segment_number
from authd.service.ledger.trouble import LedgerDamaged

STEP = 4_096
"""Rows between two calls of `progress`."""
MOST_FLAWS = 100
"""Flaws that are listed; one is enough."""


class Flaw(StrEnum):
    """What is wrong; ids of sentences in `authd/locale`."""

    FILE = "file"
    """A segment cannot be read as one: damaged pages, foreign tables, a newer format."""
    SEGMENT = "segment"
    """A segment is missing, or does not go on where the one before it ended."""
    ROW = "row"
    """A row is missing, out of place, doubled, or not a row."""
    CHANGED = "changed"
    """Rows differ from what was signed."""
    INDEX = "index"
    """The narrow index, or a list of unfinished sessions, does not say what the rows say: answers could lack rows."""
    SIGNATURE = "signature"
    """A checkpoint is not signed by this key."""
    TAIL = "tail"
    """Rows that a kept checkpoint vouches for are gone from the end."""
    ANCHOR = "anchor"
    """The rows are not those that the outside checkpoint vouches for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One flaw, and the rows it lies among: numbers from `first` to `last`."""

    flaw: Flaw
    first: int
    last: int
    segment: str = ""
    detail: str = ""


@dataclass(slots=True)
class Verdict:
    """What verification found. `ok`: everything is as it was signed."""

    size: int = 0
    """Rows."""
    seq: int = 0
    """Number of the last row."""
    root: str = ""
    """Of the whole tree, hex."""
    segments: int = 0
    checkpoints: int = 0
    """Signed checkpoints that were checked."""
    unsigned: int = 0
    """Rows at the end that no signature covers yet."""
    anchored: bool = False
    """An outside checkpoint was given and agrees."""
    gaps: list[int] = field(default_factory=list[int])
    """Numbers of `ledger.gap` rows: losses that the ledger itself admits."""
    findings: list[Finding] = field(default_factory=list[Finding])

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def add(self, flaw: Flaw, first: int, last: int, segment: str = "", detail: str = "") -> None:
        """Note a finding, unless there are very many already."""
        if len(self.findings) < MOST_FLAWS:
            self.findings.append(Finding(flaw, first, last, segment, detail))


_SALT = secrets.randbits(60)

Progress = Callable[[int], None]
"""`progress(rows done)`."""


def verify(
    folder: Path, name: str, public_key: bytes, anchor: str | None = None, progress: Progress = lambda done: None
) -> Verdict:
    """Check every row in `folder` against the checkpoints that the key (Ed25519, 32 bytes) of this name signed.

    `anchor`: a signed checkpoint note from outside the host. Raises `LedgerDown` or OSError only when the
    folder cannot be read at all; whatever is wrong inside becomes a finding.
    """
    check = _Check(folder, name, public_key, progress)
    try:
        check.vouch(Flaw.ANCHOR, anchor)
        check.vouch(Flaw.TAIL, published(folder))
        check.run()
    finally:
        check.reader.close()
    against = {Flaw.ANCHOR, Flaw.TAIL}
    check.verdict.anchored = anchor is not None and not any(found.flaw in against for found in check.verdict.findings)
    return check.verdict


class _Check:
    """One verification: goes over the rows once, holding the tree, and compares wherever something was signed."""

    def __init__(self, folder: Path, name: str, public_key: bytes, progress: Progress) -> None:
        self.folder, self.name, self.key, self.progress = folder, name, public_key, progress
        self.reader = Reader(folder)
        self.verdict = Verdict()
        self.head = Head.new()
        self.good = 0
        """Number of the last row that a good checkpoint covers."""
        self.signed = 0
        self.vouched: list[tuple[Flaw, Checkpoint]] = []

    def vouch(self, flaw: Flaw, note: str | None) -> None:
        """Take a kept checkpoint to compare with."""
        try:
            if note is not None:
                self.vouched.append((flaw, open_checkpoint(note, self.name, self.key)))
        except BadNote as error:
            self.verdict.add(flaw if flaw is Flaw.ANCHOR else Flaw.SIGNATURE, 0, 0, detail=str(error))

    def run(self) -> None:
        """Check all segments, then what was vouched for beyond their end."""
        try:
            paths = self.reader.segments()
        except LedgerDamaged as error:
            self.verdict.add(Flaw.SEGMENT, 0, 0, detail=error.detail)
            return
        self.meet()
        for path in paths:
            self.segment(path)
        verdict, head = self.verdict, self.head
        verdict.size, verdict.seq, verdict.root = head.tree.size, head.seq, head.tree.root().hex()
        verdict.segments, verdict.unsigned = len(paths), head.tree.size - self.signed
        for flaw, checkpoint in self.vouched:
            if checkpoint.size > head.tree.size:
                lost = checkpoint.size - head.tree.size
                verdict.add(Flaw.TAIL, head.seq + 1, head.seq + lost, detail=f"{lost} rows ({flaw})")

    def segment(self, path: Path) -> None:
        """Check one file; damage in it becomes a finding, and the next file is looked at all the same."""
        try:
            db = self.reader.db(path)
            with db.snapshot():
                for (line,) in db.execute("PRAGMA integrity_check(1)"):
                    if line != "ok":
                        self.verdict.add(Flaw.FILE, self.head.seq + 1, self.head.seq + 1, path.name, str(line))
                self.narrow_index(path, self.rows(path))
        except (apsw.Error, PortError, TypeError, ValueError) as error:
            self.verdict.add(Flaw.FILE, self.head.seq + 1, self.head.seq + 1, path.name, str(error))

    def rows(self, path: Path) -> int:
        """Go over a segment's rows in order, meeting its checkpoints on the way; return what its index must be."""
        db = self.reader.db(path)
        notes, index = checkpoints(db, self.folder), 0
        placed = int(db.value("SELECT value FROM meta WHERE name = 'placed'"))
        due = self.start(path, next(notes, None))
        waiting = next(notes, None)
        for seq, raw in db.execute("SELECT seq, bytes FROM entry ORDER BY seq"):
            row = self.row(path, int(seq), raw)
            index += _hashed(row) if seq <= placed else 0
            self.gap(row, due)
            due = None
            self.head.take(row.seq, raw, row.entry)
            self.meet()
            if waiting is not None and waiting[0].tree.size <= self.head.tree.size:
                self.checkpoint(path, *waiting)
                waiting = next(notes, None)
            if self.head.tree.size % STEP == 0:
                self.progress(self.head.tree.size)
        if waiting is not None:
            self.verdict.add(Flaw.ROW, self.good + 1, waiting[0].seq, path.name, "rows under a signature are missing")
        return index

    def start(self, path: Path, first: tuple[Head, str] | None) -> int | None:
        """Check that the segment goes on where the last one ended; return the number before a gap that must follow."""
        if first is None:
            self.verdict.add(Flaw.SIGNATURE, self.head.seq, self.head.seq, path.name, "no checkpoint")
            return None
        before = self.head.seq
        passed_over = first[0].seq > before and segment_number(path) > 1
        if passed_over:
            self.head.seq = first[0].seq
        self.checkpoint(path, *first)
        return before if passed_over else None

    def row(self, path: Path, seq: int, raw: bytes) -> Recorded:
        """Decode a row and check its place."""
        row = decode(raw)
        if seq != self.head.seq + 1 or row.seq != seq:
            self.verdict.add(Flaw.ROW, self.head.seq + 1, max(seq, self.head.seq + 1), path.name, f"{row.seq} at {seq}")
        return row

    def gap(self, row: Recorded, passed_over: int | None) -> None:
        """Numbers may be passed over only where the row behind them says so."""
        if row.entry.kind is Kind.LEDGER_GAP:
            self.verdict.gaps.append(row.seq)
        elif passed_over is not None:
            self.verdict.add(Flaw.ROW, passed_over + 1, row.seq - 1, detail="numbers are missing")

    def checkpoint(self, path: Path, stored: Head, note: str) -> None:
        """Compare a signed checkpoint with the rows so far."""
        where = (self.good + 1, stored.seq, path.name)
        try:
            signed = open_checkpoint(note, self.name, self.key)
        except BadNote as error:
            self.verdict.add(Flaw.SIGNATURE, *where, str(error))
            return
        tree = self.head.tree
        if (signed.size, signed.root) != (tree.size, tree.root()):
            self.verdict.add(Flaw.CHANGED, *where, f"size {signed.size}")
        elif (stored.tree.peaks, stored.seq) != (tree.peaks, self.head.seq) or stored.open != self.head.open:
            self.verdict.add(Flaw.INDEX, *where, "what stands beside the signature")
        else:
            self.good, self.signed = stored.seq, tree.size
            self.verdict.checkpoints += 1

    def meet(self) -> None:
        """Compare with a kept checkpoint when the tree has reached its size."""
        for flaw, vouched in self.vouched:
            if vouched.size == self.head.tree.size and vouched.root != self.head.tree.root():
                self.verdict.add(flaw, self.good + 1, self.head.seq, detail=f"size {vouched.size}")

    def narrow_index(self, path: Path, expected: int) -> None:
        """Compare the narrow index with the rows, as sums of hashes that nobody can foresee."""
        db = self.reader.db(path)
        found = sum(hash((_SALT, *place)) for place in db.execute("SELECT of, wall, seq FROM place"))
        if found != expected:
            first = self.reader.before(path) + 1
            self.verdict.add(Flaw.INDEX, first, max(first, self.head.seq), path.name, "narrow index")


def _hashed(row: Recorded) -> int:
    return sum(hash((_SALT, of, row.wall_ms, row.seq)) for of in places(row.entry))
