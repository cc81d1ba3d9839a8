"""Every row of a ledger against what was signed: finds edits, deletions, reorderings, insertions, and a cut tail.

Read-only and streaming. It trusts the public key, its own code and, for the tail, a checkpoint that was kept outside
the host (`anchor`): rows behind the last signed checkpoint are checked for order and form alone, and counted. What is
derived from the rows (narrow index, tiles, sealed spans) is made anew and compared, so that no answer can lack rows.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw

from authd.core.complete import NotComplete
from authd.core.model import Kind
from authd.core.ports import PortError
from authd.core.tiles import Edge, edge_of, peaks_of
from authd.core.tlog import Tree, leaf_hash
from authd.service.ledger.file import MILESTONE
from authd.service.ledger.head import WITNESSED_FILE, Head, published
from authd.service.ledger.narrow import pairs, placed, pruned, told
from authd.service.ledger.query import Reader
from authd.service.ledger.record import Recorded, lasting, passing
from authd.service.ledger.retired import digest, read
from authd.service.ledger.seals import seal_of
from authd.service.ledger.segment import GENERATION, checkpoints, segment_number, tile
from authd.service.ledger.spans import BadSpan, build, load, path_of
from authd.service.ledger.trouble import LedgerDamaged
from authd.service.ledger.walk import Finding, Flaw, Verdict, Walk

__all__ = ["Finding", "Flaw", "Progress", "Verdict", "verify"]

STEP = 4_096
"""Rows between two calls of `progress`."""
UNSIGNED_LIMIT = 2 * MILESTONE
"""More rows than authd ever leaves without a signature."""
_SALT = secrets.randbits(60)

Progress = Callable[[int], None]
"""`progress(rows done)`."""


def verify(
    folder: Path, name: str, public_key: bytes, anchor: str | None = None, progress: Progress = lambda done: None
) -> Verdict:
    """Check every row in `folder` against the checkpoints that the key (Ed25519, 32 bytes) of this name signed.

    `anchor`: a signed checkpoint note from outside the host. Raises OSError only when the folder cannot be read
    at all; whatever is wrong inside becomes a finding.
    """
    walk, reader, began = Walk(name, public_key), Reader(folder), 0
    walk.vouch(Flaw.ANCHOR, anchor)
    walk.vouch(Flaw.TAIL, published(folder))
    walk.vouch(Flaw.ANCHOR, published(folder, WITNESSED_FILE))
    walk.meet()
    try:
        check = _Check(walk, reader, progress)
        began = check.retired.size
        for path in reader.segments():
            check.segment(path)
            walk.verdict.segments += 1
        check.end()
    except LedgerDamaged as error:
        walk.verdict.add(Flaw.SEGMENT, 0, 0, detail=error.detail)
    finally:
        reader.close()
    verdict = walk.end()
    if verdict.unsigned > UNSIGNED_LIMIT:
        verdict.add(Flaw.SIGNATURE, walk.good + 1, verdict.seq, detail=f"{verdict.unsigned} rows without a signature")
    against = {Flaw.ANCHOR, Flaw.TAIL}
    before = any(vouched.size < began for flaw, vouched in walk.vouched if flaw is Flaw.ANCHOR)
    verdict.anchored = (
        anchor is not None and not before and not any(found.flaw in against for found in verdict.findings)
    )
    return verdict


class _Check:
    """One verification: the walk over the rows, and beside it what must have been derived from them."""

    def __init__(self, walk: Walk, reader: Reader, progress: Progress) -> None:
        self.walk, self.reader, self.progress = walk, reader, progress
        self.edge: Edge | None = Edge()
        """Of the tiles; None behind a segment of an older format."""
        self.retired = read(reader.folder)
        spans = self.retired.headers()
        self.covered = spans[-1].stop if spans else 0
        self.headers = Tree()
        self.headers.extend([span.hash() for span in spans])
        self.admitted = False
        """Whether a row says what the file beside the ledger says."""
        self._leaves: list[bytes] = []

    def segment(self, path: Path) -> None:
        """Check one file; damage in it becomes a finding, and the next file is looked at all the same."""
        walk, expected = self.walk, self.walk.head.seq + 1
        try:
            db = self.reader.db(path)
            with db.snapshot():
                found = str(db.value("PRAGMA integrity_check(1)"))
                if found != "ok":
                    walk.verdict.add(Flaw.FILE, expected, expected, path.name, found)
                for wrong in self._rows(path):
                    walk.verdict.add(Flaw.INDEX, expected, max(expected, walk.head.seq), path.name, wrong)
        except (apsw.Error, PortError, TypeError, ValueError) as error:
            walk.verdict.add(Flaw.FILE, walk.head.seq + 1, walk.head.seq + 1, path.name, str(error))

    def _rows(self, path: Path) -> Iterator[str]:
        """Walk over a segment; yield what is wrong with what is derived from its rows."""
        walk, db = self.walk, self.reader.db(path)
        notes = checkpoints(db, path.parent)
        first = next(notes, None)
        if first is None:
            walk.verdict.add(Flaw.SIGNATURE, walk.head.seq, walk.head.seq, path.name, "no checkpoint")
            return
        number = segment_number(path)
        if self.retired.segments and number == self.retired.segments + 1:
            yield from self._begin(path, first[0])
        passed_over = walk.start(path.name, *first, first=number == 1)
        older = self.reader.older(path)
        last, given_up, behind = (0, 0, 0) if older else (placed(db), pruned(db), told(db))
        index = 0
        rows = db.execute("SELECT seq, bytes FROM entry ORDER BY seq")
        for row in walk.rows(path.name, ((int(seq), raw) for seq, raw in rows), notes, passed_over):
            if not older and row.seq <= last:
                index += _hashed(row, given_up, behind)
                yield from self._tile(path, row)
            if row.entry.kind is Kind.LEDGER_SEALED:
                yield from self._seal(row)
            if row.entry.kind is Kind.LEDGER_RETIRED:
                self.admitted = row.entry.data.get("digest") == digest(self.reader.folder)
            if walk.head.tree.size % STEP == 0:
                self.progress(walk.head.tree.size)
        if not older:
            if index != _narrow_index(self.reader, path):
                yield "narrow index"
            yield from self._tiles(path)
            yield from self._given_up(path, given_up)

    def _begin(self, path: Path, head: Head) -> Iterator[str]:
        """Begin behind the months that went: at a signed checkpoint, which the file beside the ledger agrees with."""
        self.walk.head = head.copy()
        self.walk.head.seq, self.walk.good = head.seq, head.seq
        db = self.reader.db(path)
        self.edge = edge_of(head.tree.size, lambda level, number: tile(db, level, number))
        if (self.retired.size, self.retired.root) != (head.tree.size, head.tree.root().hex()):
            yield "months went that nobody let go of"
        if peaks_of(self.edge) != head.tree.peaks:
            yield "the tiles at the beginning"
        yield from self.retired.faults()

    def end(self) -> None:
        """Whoever takes months away must have said so in the ledger."""
        if self.retired.segments and not self.admitted:
            self.walk.verdict.add(Flaw.SEGMENT, 1, self.retired.seq, detail="months went that nobody let go of")

    def _seal(self, row: Recorded) -> Iterator[str]:
        """Make the span that a row seals anew, and compare: what was sealed, and what its file says."""
        leaf = self.walk.head.tree.size - 1
        try:
            seal = seal_of(row, leaf)
            if self.covered < self.retired.size:  # some of its rows went: the seal is taken at its word
                self.headers.append(seal.span.hash())
                self.covered = seal.span.stop
                if (seal.spans, seal.index) != (self.headers.size, self.headers.root()):
                    yield f"#{row.seq} seals what the rows do not say"
                return
            made, entries = build(self.reader.leaves(self.covered, seal.span.stop))
        except (NotComplete, LookupError, ValueError) as error:
            yield str(error)
            return
        self.headers.append(made.span.hash())
        self.covered = made.span.stop
        said = (seal.span, seal.spans, seal.index)
        if said != (made.span, self.headers.size, self.headers.root()) or seal.span.stop > leaf:
            yield f"#{row.seq} seals what the rows do not say"
        if not path_of(self.reader.folder, made.span.first).exists():
            return  # it is made anew where it is needed: nothing is lost
        try:
            kept = load(self.reader.folder, made.span)
            if kept.read(0, made.span.entries) != entries or kept.fence != made.fence:
                yield f"the file of the span that #{row.seq} seals"
        except BadSpan as error:
            yield f"the span that #{row.seq} seals: {error}"

    def _tile(self, path: Path, row: Recorded) -> Iterator[str]:
        self._leaves.append(leaf_hash(row.bytes))
        if len(self._leaves) == STEP:
            yield from self._tiles(path)

    def _tiles(self, path: Path) -> Iterator[str]:
        """Compare the tiles that are full since the last time, and at the end those that are not."""
        if self.edge is None:
            return
        db = self.reader.db(path)
        self.edge, tiles = self.edge.grown(self._leaves)
        self._leaves.clear()
        for level, number, hashes in tiles:
            if not tile(db, level, number).startswith(hashes):
                yield f"tile {level}/{number}"

    def _given_up(self, path: Path, generation: int) -> Iterator[str]:
        """Only rows that are in sealed spans may be missing from the narrow index."""
        size, seq = self.reader.base(path)
        last = (generation << GENERATION) - 1
        if last > seq and size + last - seq > self.covered:
            yield "rows that are in no index"


def _narrow_index(reader: Reader, path: Path) -> int:
    """Sum up the narrow index, in hashes that nobody can foresee."""
    return sum(hash((_SALT, *pair)) for pair in pairs(reader.db(path)))


def _hashed(row: Recorded, given_up: int, behind: int) -> int:
    of = lasting(row.entry, told=row.seq > behind) + (passing(row.entry) if row.seq >> GENERATION >= given_up else [])
    return sum(hash((_SALT, place, row.seq, row.wall_ms)) for place in of)
