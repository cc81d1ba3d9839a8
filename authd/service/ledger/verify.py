"""Every row of a ledger against what was signed: finds edits, deletions, reorderings, insertions, and a cut tail.

Read-only and streaming. It trusts the public key, its own code and, for the tail, a checkpoint that was kept outside
the host (`anchor`): rows behind the last signed checkpoint are checked for order and form alone, and counted.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import apsw

from authd.core.ports import PortError
from authd.service.ledger.file import MILESTONE
from authd.service.ledger.head import published
from authd.service.ledger.narrow import pairs, placed
from authd.service.ledger.query import Reader
from authd.service.ledger.record import Recorded, places
from authd.service.ledger.segment import checkpoints, segment_number
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
    walk, reader = Walk(name, public_key), Reader(folder)
    walk.vouch(Flaw.ANCHOR, anchor)
    walk.vouch(Flaw.TAIL, published(folder))
    walk.meet()
    try:
        for path in reader.segments():
            _segment(walk, reader, path, progress)
            walk.verdict.segments += 1
    except LedgerDamaged as error:
        walk.verdict.add(Flaw.SEGMENT, 0, 0, detail=error.detail)
    finally:
        reader.close()
    verdict = walk.end()
    if verdict.unsigned > UNSIGNED_LIMIT:
        verdict.add(Flaw.SIGNATURE, walk.good + 1, verdict.seq, detail=f"{verdict.unsigned} rows without a signature")
    against = {Flaw.ANCHOR, Flaw.TAIL}
    verdict.anchored = anchor is not None and not any(found.flaw in against for found in verdict.findings)
    return verdict


def _segment(walk: Walk, reader: Reader, path: Path, progress: Progress) -> None:
    """Check one file; damage in it becomes a finding, and the next file is looked at all the same."""
    verdict, expected = walk.verdict, walk.head.seq + 1
    try:
        db = reader.db(path)
        with db.snapshot():
            found = str(db.value("PRAGMA integrity_check(1)"))
            if found != "ok":
                verdict.add(Flaw.FILE, expected, expected, path.name, found)
            if _rows(walk, reader, path, progress) != _narrow_index(reader, path):
                verdict.add(Flaw.INDEX, expected, max(expected, walk.head.seq), path.name, "narrow index")
    except (apsw.Error, PortError, TypeError, ValueError) as error:
        verdict.add(Flaw.FILE, walk.head.seq + 1, walk.head.seq + 1, path.name, str(error))


def _rows(walk: Walk, reader: Reader, path: Path, progress: Progress) -> int:
    """Walk over a segment; return what its narrow index must be."""
    db, index = reader.db(path), 0
    notes = checkpoints(db, path.parent)
    first = next(notes, None)
    if first is None:
        walk.verdict.add(Flaw.SIGNATURE, walk.head.seq, walk.head.seq, path.name, "no checkpoint")
        return 0
    passed_over = walk.start(path.name, *first, first=segment_number(path) == 1)
    last = placed(db)
    rows = db.execute("SELECT seq, bytes FROM entry ORDER BY seq")
    for row in walk.rows(path.name, ((int(seq), raw) for seq, raw in rows), notes, passed_over):
        index += _hashed(row) if row.seq <= last else 0
        if walk.head.tree.size % STEP == 0:
            progress(walk.head.tree.size)
    return index


def _narrow_index(reader: Reader, path: Path) -> int:
    """Sum up the narrow index, in hashes that nobody can foresee."""
    return sum(hash((_SALT, *pair)) for pair in pairs(reader.db(path)))


def _hashed(row: Recorded) -> int:
    return sum(hash((_SALT, of, row.seq, row.wall_ms)) for of in places(row.entry))
