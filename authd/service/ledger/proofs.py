"""Proofs from the files of a ledger: that a row is there, that the tree only grew, and that nothing else is there."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from authd.core.complete import Completeness, Span, Stretch, bounds, key_of, shown
from authd.core.tiles import HEIGHT, WIDTH, roots, width_of
from authd.core.tlog import HASH_SIZE, Hashes, consistency_proof, inclusion_proof, leaf_hash, root_of
from authd.service.ledger.query import Reader
from authd.service.ledger.retired import read
from authd.service.ledger.seals import Seal
from authd.service.ledger.segment import tile

FORMAT = "authd-complete/1"
MOST_WHOLE = 16_384
"""Roots of large subtrees that are kept between proofs."""


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That a leaf stands at its index in the tree of `size` leaves (RFC 9162 section 2.1.3)."""

    leaf: int
    size: int
    path: tuple[bytes, ...]
    """Hashes, 32 bytes each, the leaf's end first."""

    def json(self) -> dict[str, Any]:
        """Return the form of docs/reference/ledger.md."""
        return {"leaf": self.leaf, "size": self.size, "path": _texts(self.path)}

    def file(self, note: str) -> str:
        """Return a C2SP tlog-proof, with the checkpoint (a signed note) of this size."""
        return "\n".join(["c2sp.org/tlog-proof@v1", f"index {self.leaf}", *_texts(self.path), "", note])


@dataclass(frozen=True, slots=True)
class Growth:
    """That the tree of `size` leaves begins with the tree of `old` leaves (RFC 9162 section 2.1.4)."""

    old: int
    size: int
    path: tuple[bytes, ...]

    def json(self) -> dict[str, Any]:
        """Return the form of docs/reference/ledger.md."""
        return {"old": self.old, "size": self.size, "path": _texts(self.path)}


@dataclass(frozen=True, slots=True)
class Complete:
    """All that the first rows hold of a place in an interval, and the row that commits to it."""

    proof: Completeness
    seal: Seal
    row: bytes
    inclusion: Inclusion

    def json(self) -> dict[str, Any]:
        """Return the form of docs/reference/ledger.md."""
        proof = self.proof
        return {
            "format": FORMAT,
            "place": proof.place,
            "since": proof.since_ms,
            "until": proof.until_ms,
            "seal": {"row": _text(self.row), **self.inclusion.json()},
            "spans": [
                [span.first, span.stop, span.entries, span.earliest, span.latest, _text(span.root)]
                for span in proof.spans
            ],
            "stretches": [
                {
                    "span": part.span,
                    "start": part.start,
                    "entries": _texts(part.entries),
                    "hashes": _texts(part.hashes),
                }
                for part in proof.stretches
            ],
        }


def prove(reader: Reader, leaf: int, size: int) -> Inclusion:
    """Return the audit path of a leaf. Raises ValueError if there is no such leaf, or no tree of that size yet."""
    _check_size(reader, size)
    return Inclusion(leaf, size, tuple(inclusion_proof(leaf, size, hashes_of(reader, size))))


def prove_growth(reader: Reader, old: int, size: int) -> Growth:
    """Return the proof that the tree of `size` begins with that of `old`. Raises ValueError as `prove`."""
    _check_size(reader, size)
    return Growth(old, size, tuple(consistency_proof(old, size, hashes_of(reader, size))))


def prove_complete(reader: Reader, place: str, since_ms: int, until_ms: int, size: int) -> Complete:
    """Return all that sealed spans hold of a place in an interval, under a tree of `size` leaves.

    `place`: `record:...`, `subject:...` or both (`complete.both`). Raises LookupError while nothing is sealed.
    """
    paths = reader.segments()
    with reader.db(paths[-1]).snapshot() if paths else nullcontext():
        seals = [seal for seal in reader.seals.all() if seal.leaf < size]
    if not seals:
        raise LookupError("no span of this ledger is sealed yet")
    last, gone = seals[-1], read(reader.folder).headers()
    spans = (*gone, *(seal.span for seal in seals))
    if any(span.touches(since_ms, until_ms) for span in gone):
        raise LookupError("rows of that time are no longer kept")
    low, high = bounds(key_of(place), since_ms, until_ms)
    touched = [at for at, span in enumerate(spans) if span.touches(since_ms, until_ms)]
    stretches = tuple(_stretch(reader, at, spans[at], low, high) for at in touched)
    ((_, row),) = reader.leaves(last.leaf, last.leaf + 1)
    proof = Completeness(place, since_ms, until_ms, spans, stretches)
    return Complete(proof, last, row, prove(reader, last.leaf, size))


def hashes_of(reader: Reader, size: int) -> Hashes:
    """Return the function that proofs ask for roots, over the tree of `size` leaves."""

    def fetch(level: int, number: int) -> bytes:
        return tile_of(reader, level, number, width_of(level, number, size))

    if len(reader.whole) > MOST_WHOLE:
        reader.whole.clear()
    return roots(fetch, reader.whole)


def tile_of(reader: Reader, level: int, number: int, width: int) -> bytes:
    """Return the first `width` hashes of a tile: as stored, or out of rows too new to be in one."""
    last = ((number * WIDTH + width) << HEIGHT * level) - 1
    path, _ = reader.of_leaf(last)
    hashes = b"" if reader.older(path) else tile(reader.db(path), level, number)[: width * HASH_SIZE]
    have = len(hashes) // HASH_SIZE
    if have == width:
        return hashes
    start = number * WIDTH
    if level == 0:
        fresh: Iterable[bytes] = (leaf_hash(raw) for _, raw in reader.leaves(start + have, start + width))
    else:
        fresh = (_whole(reader, level - 1, at) for at in range(start + have, start + width))
    return hashes + b"".join(fresh)


def _whole(reader: Reader, level: int, number: int) -> bytes:
    hashes = tile_of(reader, level, number, WIDTH)
    return root_of(hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE))


def _stretch(reader: Reader, number: int, span: Span, low: bytes, high: bytes) -> Stretch:
    made = reader.seals.sorted(span)
    start, stop = made.range(low, high)
    start, stop = max(start - 1, 0), min(stop + 1, span.entries)
    return Stretch(number, start, made.entries(start, stop), shown(start, stop, span.entries, made.root))


def _check_size(reader: Reader, size: int) -> None:
    if size < 1 or next(reader.leaves(size - 1, size), None) is None:
        raise ValueError(f"the ledger has no tree of {size} leaves")


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()


def _texts(hashes: Iterable[bytes]) -> list[str]:
    return [_text(one) for one in hashes]
