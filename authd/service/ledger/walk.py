"""Going over rows in order and comparing with what was signed: the judgement of `verify`, without any file.

A walk holds the tree. It starts anywhere that a signed checkpoint vouches for, so that a stretch can be judged alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from authd.core.model import Kind
from authd.core.tlog import BadNote, Checkpoint
from authd.service.ledger.head import Head, open_checkpoint
from authd.service.ledger.record import Recorded, decode

LOSSES = {"lost", "dropped"}
"""What the data of a `ledger.gap` row has that admits a loss; others tell of times without authd (`gaps.py`)."""
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


class Walk:
    """One pass over a ledger, or over a stretch of it."""

    def __init__(self, name: str, key: bytes, head: Head | None = None) -> None:
        self.verdict = Verdict()
        self.head = head or Head.new()
        self.name, self.key = name, key
        self.good = self.head.seq
        """Number of the last row that a good checkpoint covers."""
        self.signed = self.head.tree.size
        self.vouched: list[tuple[Flaw, Checkpoint]] = []

    def vouch(self, flaw: Flaw, note: str | None) -> None:
        """Take a checkpoint that was kept elsewhere, to compare with. `flaw`: what it is called where they differ."""
        try:
            if note is not None:
                self.vouched.append((flaw, open_checkpoint(note, self.name, self.key)))
        except BadNote as error:
            self.verdict.add(flaw if flaw is Flaw.ANCHOR else Flaw.SIGNATURE, 0, 0, detail=str(error))

    def start(self, where: str, stored: Head, note: str, *, first: bool) -> int | None:
        """Take up a segment at its first checkpoint; return the number behind which its first row must admit a gap."""
        before = self.head.seq
        passed_over = stored.seq > before and not first
        if passed_over:
            self.head.seq = stored.seq
        self.checkpoint(where, stored, note)
        return before if passed_over else None

    def rows(
        self,
        where: str,
        rows: Iterable[tuple[int, bytes]],
        notes: Iterator[tuple[Head, str]],
        passed_over: int | None = None,
    ) -> Iterator[Recorded]:
        """Go over rows in order, meeting the segment's later checkpoints on the way; yields each row when judged."""
        waiting = next(notes, None)
        for seq, raw in rows:
            row = self.row(where, seq, raw)
            self.gap(where, row, passed_over)
            passed_over = None
            self.head.take(row.seq, raw, row.entry)
            self.meet()
            while waiting is not None and waiting[0].tree.size <= self.head.tree.size:
                self.checkpoint(where, *waiting)
                waiting = next(notes, None)
            yield row
        if waiting is not None:
            self.verdict.add(Flaw.ROW, self.good + 1, waiting[0].seq, where, "rows under a signature are missing")

    def row(self, where: str, seq: int, raw: bytes) -> Recorded:
        """Decode a row and check its place."""
        row = decode(raw)
        expected = self.head.seq + 1
        if seq != expected or row.seq != seq:
            self.verdict.add(Flaw.ROW, expected, max(seq, expected), where, f"number {row.seq} stands at {seq}")
        return row

    def gap(self, where: str, row: Recorded, passed_over: int | None) -> None:
        """Numbers may be passed over only where the row behind them says so."""
        if row.entry.kind is Kind.LEDGER_GAP and LOSSES & set(row.entry.data):
            self.verdict.gaps.append(row.seq)
        elif passed_over is not None:
            self.verdict.add(Flaw.ROW, passed_over + 1, row.seq - 1, where, "numbers are missing")

    def checkpoint(self, where: str, stored: Head, note: str) -> None:
        """Compare a signed checkpoint with the rows so far."""
        first = self.good + 1
        try:
            signed = open_checkpoint(note, self.name, self.key)
        except BadNote as error:
            self.verdict.add(Flaw.SIGNATURE, first, stored.seq, where, str(error))
            return
        tree = self.head.tree
        if (signed.size, signed.root) != (tree.size, tree.root()):
            self.verdict.add(Flaw.CHANGED, first, stored.seq, where, f"signed for {signed.size} rows")
        elif (stored.tree.peaks, stored.seq) != (tree.peaks, self.head.seq) or stored.open != self.head.open:
            self.verdict.add(Flaw.INDEX, first, stored.seq, where, "what stands beside a signature")
        else:
            self.good, self.signed = stored.seq, tree.size
            self.verdict.checkpoints += 1

    def meet(self) -> None:
        """Compare with a kept checkpoint when the tree has reached its size."""
        for flaw, vouched in self.vouched:
            if vouched.size == self.head.tree.size and vouched.root != self.head.tree.root():
                self.verdict.add(flaw, self.good + 1, self.head.seq, detail=f"signed for {vouched.size} rows")

    def end(self) -> Verdict:
        """Conclude."""
        verdict, head = self.verdict, self.head
        verdict.size, verdict.seq, verdict.root = head.tree.size, head.seq, head.tree.root().hex()
        verdict.unsigned = head.tree.size - self.signed
        for flaw, vouched in self.vouched:
            lost = vouched.size - head.tree.size
            if lost > 0:
                verdict.add(Flaw.TAIL, head.seq + 1, head.seq + lost, detail=f"{lost} rows ({flaw})")
        return verdict
