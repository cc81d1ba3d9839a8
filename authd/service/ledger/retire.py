"""Retention: segments older than they are kept go; the tree and every signature still verify from there on.

What went is a row of the ledger (`ledger.retired`) and a file beside it (`retired-NNNNNN.json`, whose digest stands in
the row): the tree's root where the ledger now begins, the headers of the sealed spans that went with it, and the few
rows that still matter (who is enrolled, what is protected, what was carried out), each with its proof of inclusion.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec

from authd.core.model import Entry, Instant, Kind, Value
from authd.core.tiles import roots, width_of
from authd.core.tlog import inclusion_proof
from authd.service.ledger.file import LedgerFile
from authd.service.ledger.head import sync_folder
from authd.service.ledger.proofs import tile_of
from authd.service.ledger.query import Reader
from authd.service.ledger.record import decode
from authd.service.ledger.retired import Kept, Retired, path_of, read, retired_segments
from authd.service.ledger.sealing import seal_file
from authd.service.ledger.segment import checkpoints, month_in, month_of, segment_number, segments
from authd.service.ledger.spans import path_of as span_of

STILL = ("enrolment.", "seat.", "flag.", "carryout.", "ledger.retired")
"""Kinds whose rows are kept for ever: what is so until another row ends it."""
DAY_MS = 86_400_000


def retire(file: LedgerFile, before_ms: int, now: Instant, wall: Callable[[], int]) -> Retired | None:
    """Let go of the months before a time, of a ledger that no daemon has open; None: there is none to let go of.

    The last segment always stays. Raises `LedgerDown`, OSError; until the file beside the ledger has its name, nothing
    is gone, and what is left behind by a crash afterwards goes the next time.
    """
    folder, last = file.folder, month_of(before_ms - DAY_MS)
    going = [path for path in segments(folder)[:-1] if month_in(path) < last]
    if not going or going != segments(folder)[: len(going)]:
        return None
    seal_file(file, now, wall)
    file.settle()
    reader = Reader(folder)
    try:
        retired = _retired(reader, going)
    finally:
        reader.close()
    raw = msgspec.json.encode(retired)
    said: dict[str, Value] = {
        "segments": retired.segments,
        "size": retired.size,
        "last": retired.seq,
        "root": retired.root,
    }
    data: dict[str, Value] = {**said, "kept": len(retired.kept), "digest": sha256(raw).hexdigest()}
    file.commit(file.encode([(Entry(Kind.LEDGER_RETIRED, at=now, data=data), wall())]), sign=True)
    file.settle()
    _put(path_of(folder, retired.segments), raw)
    sweep(folder)
    return retired


def _retired(reader: Reader, going: list[Path]) -> Retired:
    """Put together what stays of segments that go, and of those that went before."""
    before, paths = read(reader.folder), reader.segments()
    size, seq = reader.base(paths[len(going)])
    head = roots(lambda level, number: tile_of(reader, level, number, width_of(level, number, size)))
    root = _root(reader, paths[len(going)])
    seals = [seal for seal in reader.seals.all() if seal.leaf < size]
    spans = [
        (span.first, span.stop, span.entries, span.earliest, span.latest, span.root.hex())
        for span in (seal.span for seal in seals)
    ]
    kept = [
        Kept(leaf, raw.decode(), size, [b64encode(one).decode() for one in inclusion_proof(leaf, size, head)])
        for leaf, raw in reader.leaves(before.size, size)
        if decode(raw).entry.kind.startswith(STILL)
    ]
    return Retired(
        segment_number(going[-1]),
        size,
        seq,
        root,
        [*before.closings, (size, root)],
        before.spans + spans,
        before.kept + kept,
    )


def _root(reader: Reader, path: Path) -> str:
    """Return the root (hex) of the tree that a segment goes on from."""
    head, _ = next(checkpoints(reader.db(path), reader.folder))
    return head.tree.root().hex()


def _put(path: Path, raw: bytes) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def sweep(folder: Path) -> None:
    """Remove what was let go of: segments, older files beside the ledger, files of spans."""
    count = retired_segments(folder)
    if count:
        retired = read(folder)
        for path in sorted(folder.glob("[0-9]*.sqlite*")):
            if segment_number(path) <= count:
                path.unlink()
        for path in folder.glob("retired-*.json"):
            if path != path_of(folder, count):
                path.unlink()
        for first, stop, *_ in retired.spans:
            if stop <= retired.size:
                span_of(folder, first).unlink(missing_ok=True)
        sync_folder(folder)
