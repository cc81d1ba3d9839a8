"""The look at a ledger before it is opened for writing: read-only, bounded, and it believes only what is signed.

Re-hashes the last rows from an older signed checkpoint to the end, and compares each later checkpoint, and the one in
the file beside the segments, on the way. All older rows are `verify`'s business, which takes as long as it takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw

from authd.core.tlog import BadNote, Checkpoint, Signer
from authd.service.ledger.head import CHECKPOINT_FILE, Head, open_checkpoint, published
from authd.service.ledger.record import BadRow, Recorded, decode
from authd.service.ledger.segment import Connect, check_schema, checkpoints, segments
from authd.service.ledger.trouble import LedgerDamaged
from authd.service.sqlite import Database

LOOK_BACK = 16_384
"""Rows that are re-hashed at every start."""
QUICK_CHECK_LIMIT = 32 << 20
"""Largest segment, bytes, whose pages are all checked at every start."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found: where the ledger stands, and what it has lost."""

    head: Head
    last: Path | None
    """The segment to write to; None: there is no ledger yet."""
    signed: int
    """Tree size up to which a signed checkpoint is stored."""
    lost: int
    """Rows that the checkpoint file vouches for and the segments no longer have; 0: none."""
    vouched: str = ""
    """Root, hex, that the checkpoint file vouches for."""
    unvouched: bool = False
    """The checkpoint file is gone, so that nobody knows whether rows are lost."""


def survey(folder: Path, signer: Signer, connect: Connect) -> Survey:
    """Look at the ledger in `folder`. Raises `LedgerDamaged` or `LedgerFormat`."""
    vouched = _vouched(folder, signer)
    paths = segments(folder)
    if not paths:
        if vouched is not None and vouched.size:
            raise LedgerDamaged(f"all segments are gone; {CHECKPOINT_FILE} vouches for {vouched.size} rows", folder)
        return Survey(Head.new(), None, 0, 0)
    try:
        db = connect(paths[-1], True)
        try:
            return _look(db, paths[-1], signer, vouched)
        finally:
            db.close()
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise LedgerDamaged(f"{paths[-1].name} is damaged: {error}", folder) from error


def _vouched(folder: Path, signer: Signer) -> Checkpoint | None:
    note = published(folder)
    if note is None:
        return None
    try:
        return open_checkpoint(note, signer.name, signer.public_key)
    except BadNote as error:
        raise LedgerDamaged(f"the file {CHECKPOINT_FILE}: {error}", folder) from error


def _look(db: Database, path: Path, signer: Signer, vouched: Checkpoint | None) -> Survey:
    folder = path.parent
    check_schema(db, path)
    if path.stat().st_size <= QUICK_CHECK_LIMIT and db.pragma("quick_check") != "ok":
        raise LedgerDamaged(f"{path.name} is damaged", folder)
    signed = _signed(db, folder, signer)
    head = next(signed)
    roots = {signed_head.tree.size: signed_head for signed_head in signed}
    if vouched is not None and vouched.size == head.tree.size and vouched.root != head.tree.root():
        raise LedgerDamaged("the rows are not those the checkpoint file vouches for", folder)
    for recorded in rows_after(db, head.seq, folder):
        head.take(recorded.seq, recorded.bytes, recorded.entry)
        _compare(head, roots.pop(head.tree.size, None), vouched, folder)
    if roots:
        raise LedgerDamaged(f"rows under the signed checkpoint at {max(roots)} are missing", folder)
    lost = 0 if vouched is None else max(0, vouched.size - head.tree.size)
    last_signed = int(db.value("SELECT max(size) FROM checkpoint"))
    return Survey(head, path, last_signed, lost, "" if vouched is None else vouched.root.hex(), vouched is None)


def _signed(db: Database, folder: Path, signer: Signer) -> Iterator[Head]:
    last = db.value("SELECT max(size) FROM checkpoint")
    if last is None:
        raise LedgerDamaged("the last segment has no signed checkpoint", folder)
    least = db.value("SELECT max(size) FROM checkpoint WHERE size <= ?", (last - LOOK_BACK,)) or 0
    for head, note in checkpoints(db, folder, least):
        try:
            checkpoint = open_checkpoint(note, signer.name, signer.public_key)
        except BadNote as error:
            raise LedgerDamaged(f"the checkpoint at {head.tree.size}: {error}", folder) from error
        if (checkpoint.size, checkpoint.root) != (head.tree.size, head.tree.root()):
            raise LedgerDamaged(f"the checkpoint at {head.tree.size} was changed", folder)
        yield head


def _compare(head: Head, signed: Head | None, vouched: Checkpoint | None, folder: Path) -> None:
    if (
        signed is not None
        and signed != head
        and (signed.tree.root(), signed.seq, signed.open)
        != (
            head.tree.root(),
            head.seq,
            head.open,
        )
    ):
        raise LedgerDamaged(f"rows before number {head.seq} were changed", folder)
    if vouched is not None and vouched.size == head.tree.size and vouched.root != head.tree.root():
        raise LedgerDamaged("the rows are not those the checkpoint file vouches for", folder)


def same(one: Head, other: Head) -> bool:
    """Whether two heads of one size stand for the same rows."""
    return (one.tree.root(), one.seq, one.open) == (other.tree.root(), other.seq, other.open)


def rows_after(db: Database, after: int, folder: Path) -> Iterator[Recorded]:
    """Yield the rows behind number `after`, of one segment. Raises `LedgerDamaged` at a hole or a foreign row."""
    for seq, raw in db.execute("SELECT seq, bytes FROM entry WHERE seq > ? ORDER BY seq", (after,)):
        try:
            recorded = decode(raw)
        except (BadRow, TypeError) as error:
            raise LedgerDamaged(f"row {seq} is not a row: {error}", folder) from error
        if seq != after + 1 or recorded.seq != seq:
            raise LedgerDamaged(f"row {after + 1} is missing, or stands at {seq}", folder)
        after = seq
        yield recorded
