"""The ledger's tree: appends beside pymerkle, verification, proofs out of a ledger's files, and tampering.

Processor time of this process (`time.process_time`), the two competitors in turns in one run, so that a busy machine
weighs on both. Part of `python -m tests.bench.evidence`.
"""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from authd.core.complete import check
from authd.core.model import Entry, Instant, Kind
from authd.core.tlog import Tree, leaf_hash, verify_inclusion
from authd.service.ledger import KeySigner, Reader, open_checkpoint, prove, prove_complete, published, seal_file, verify
from authd.service.ledger.file import LedgerFile
from authd.service.ledger.record import decode
from authd.service.ledger.seals import read_seal
from authd.service.ledger.segment import checkpoints
from authd.service.ledger.source import Folder
from authd.service.ledger.spans import SPAN
from authd.service.ledger.witness import Doubted, witness
from authd.service.sqlite import connect
from tests.bench.evidence_ledgers import SIGNER, City, build
from tests.bench.report import Report
from tests.service.test_ledger_tampering import CHANGES, ROWS, found, make_large, only

BATCH = 512
"""Rows that the ledger's writer takes at a time."""
TURNS = 5
PEER: Any = import_module("pymerkle")
WITNESS = KeySigner("bench.example/witness", bytes(range(32)))


def run(report: Report, *, full: bool) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(prefix="authd-tree-") as folder:
        rows = [raw for _, raw in _rows(Path(folder), 2_000_000 if full else 100_000, report)]
        appends(report, rows[:50_000])
        verification(report, rows)
        reader = Reader(Path(folder) / "city" / "ledger")
        proofs(report, reader, rows)
        reader.close()
        tail(report, Path(folder))
        tampering(report, Path(folder) / "large")


def _rows(folder: Path, many: int, report: Report) -> list[tuple[int, bytes]]:
    city = build(folder / "city", City.of(many, 1), report)
    reader = Reader(city)
    try:
        return list(reader.leaves(0, many))
    finally:
        reader.close()


def rate(many: int, work: Callable[[], object]) -> float:
    """So many a second of processor time."""
    began = time.process_time()
    work()
    return many / (time.process_time() - began)


def appends(report: Report, rows: Sequence[bytes]) -> None:
    """Append by append, and in the writer's batches; pymerkle by whichever of its two ways is the faster."""
    ours, ours_batched, theirs = list[float](), list[float](), list[float]()
    for _ in range(TURNS):
        theirs.append(max(rate(len(rows), lambda: _peer_one_by_one(rows)), rate(len(rows), lambda: _peer_all(rows))))
        ours.append(rate(len(rows), lambda: one_by_one(rows)))
        ours_batched.append(rate(len(rows), lambda: in_batches(rows)))
    assert _peer_all(rows) == one_by_one(rows) == in_batches(rows), "not the same tree"
    report.figure("tree.pymerkle_append_per_s", statistics.median(theirs), "1/s")
    report.figure("tree.append_per_s", statistics.median(ours), "1/s")
    ratio = statistics.median(mine / peer for mine, peer in zip(ours, theirs, strict=True))
    report.at_least("tree.append_vs_pymerkle", ratio, "x", 5)
    batched = statistics.median(mine / peer for mine, peer in zip(ours_batched, theirs, strict=True))
    report.at_least("tree.append_batched_vs_pymerkle", batched, "x", 5)


def one_by_one(rows: Sequence[bytes]) -> bytes:
    """Root, row by row."""
    tree = Tree()
    for row in rows:
        tree.append(leaf_hash(row))
    return tree.root()


def in_batches(rows: Sequence[bytes]) -> bytes:
    """Root, as the ledger's writer does it."""
    tree = Tree()
    for start in range(0, len(rows), BATCH):
        tree.extend([leaf_hash(row) for row in rows[start : start + BATCH]])
    return tree.root()


def _peer_one_by_one(rows: Sequence[bytes]) -> bytes:
    tree = PEER.InmemoryTree(algorithm="sha256")
    for row in rows:
        tree.append_entry(row)
    return bytes(tree.get_root())


def _peer_all(rows: Sequence[bytes]) -> bytes:
    tree = PEER.InmemoryTree(algorithm="sha256")
    tree.append_entries(list(rows))
    return bytes(tree.get_root())


def verification(report: Report, rows: Sequence[bytes]) -> None:
    """Every entry hashed again up to the root."""
    report.at_least(
        "tree.verify_per_s", max(rate(len(rows), lambda: in_batches(rows)) for _ in range(3)), "1/s", 400_000
    )


def proofs(report: Report, reader: Reader, rows: Sequence[bytes]) -> None:
    """Inclusion of any row, absence of a record over the whole time, and all that `authd ledger verify` does."""
    head = open_checkpoint(published(reader.folder) or "", SIGNER.name, SIGNER.public_key)
    dice, took = random.Random(1), list[float]()
    for _ in range(1_000):
        leaf = dice.randrange(head.size)
        began = time.process_time()
        proof = prove(reader, leaf, head.size)
        took.append(1000 * (time.process_time() - began))
        ((_, raw),) = reader.leaves(leaf, leaf + 1)
        assert verify_inclusion(leaf_hash(raw), leaf, head.size, proof.path, head.root)
    report.at_most("tree.inclusion_ms.p50", statistics.median(took), "ms", 1)
    report.figure("tree.inclusion_ms.p99", statistics.quantiles(took, n=100)[98], "ms")
    absence(report, reader, head.size)
    began = time.process_time()
    verdict = verify(reader.folder, SIGNER.name, SIGNER.public_key, published(reader.folder))
    report.figure("tree.ledger_verify_rows_per_s", head.size / (time.process_time() - began), "1/s")
    report.figure("tree.ledger_verified", verdict.ok, "", "true", verdict.ok)
    assert decode(rows[0]).seq == 1


def absence(report: Report, reader: Reader, size: int) -> None:
    """Prove for records that nobody ever opened that nobody did."""
    took, checked = list[float](), list[float]()
    for number in range(20):
        began = time.process_time()
        complete = prove_complete(reader, f"record:rec_none{number}", 0, 1 << 60, size)
        took.append(1000 * (time.process_time() - began))
        index = read_seal(complete.row, complete.seal.leaf).index
        began = time.process_time()
        assert check(complete.proof, index) == []
        checked.append(1000 * (time.process_time() - began))
    report.figure("tree.absence_ms.p50", statistics.median(took), "ms")
    report.figure("tree.absence_check_ms.p50", statistics.median(checked), "ms")


def tail(report: Report, folder: Path) -> None:
    """A tail that is cut off, and a snapshot that is put back, against a checkpoint outside and a witness."""
    ledger, copy, state = folder / "grown", folder / "copy", folder / "state"
    grow(ledger, 2 * SPAN // 100)
    shutil.copytree(ledger, copy)
    grow(ledger, 500)
    anchor = published(ledger)
    witness(Folder(ledger), SIGNER.name, SIGNER.public_key, state, WITNESS, 1)
    caught = not verify(copy, SIGNER.name, SIGNER.public_key, anchor).ok
    try:
        witness(Folder(copy), SIGNER.name, SIGNER.public_key, state, WITNESS, 2)
        doubted = False
    except Doubted:
        doubted = True
    report.figure("tree.rollback_found", caught and doubted, "", "true", caught and doubted)
    db = connect(only(ledger), False)
    db.execute("DELETE FROM entry WHERE seq > 1400")
    db.execute("DELETE FROM checkpoint WHERE size > 1400")
    db.close()
    cut = not verify(ledger, SIGNER.name, SIGNER.public_key, anchor).ok
    report.figure("tree.cut_tail_found", cut, "", "true", cut)


def grow(folder: Path, rows: int) -> None:
    """Append views, and seal them."""
    file = LedgerFile(folder, SIGNER, "boot", connect)
    file.open(Instant(0), 0)
    entries = [Entry(Kind.VIEW_OPENED, data={"record": f"rec_{number}"}) for number in range(rows)]
    file.commit(file.encode([(entry, 0) for entry in entries]), sign=True)
    seal_file(file, Instant(0), lambda: 0)
    file.close()


def tampering(report: Report, folder: Path) -> None:
    """Each of the changes of the tampering test at each of 10,000 rows; see there."""
    make_large(folder)
    db = connect(only(folder), True)
    stored = list(checkpoints(db, folder))
    rows = [(int(seq), bytes(raw)) for seq, raw in db.execute("SELECT seq, bytes FROM entry ORDER BY seq")]
    db.close()
    missed = tried = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("authd.service.ledger.walk.open_checkpoint", cache(open_checkpoint))
        for (start, _), end in pairwise(stored):
            stretch = rows[start.tree.size : end[0].tree.size]
            for at in range(len(stretch)):
                outcomes = [found(start, change(stretch, at), end) for change in CHANGES.values()]
                missed, tried = missed + outcomes.count(False), tried + len(outcomes)
    assert tried == ROWS * len(CHANGES)
    report.figure("tree.changes_tried", tried, "changes")
    report.at_most("tree.changes_missed", missed, "changes", 0)
