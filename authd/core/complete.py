"""Completeness: a sorted Merkle index over the rows of a ledger, which proves what is *not* in it.

Rows are taken in spans, in the ledger's order. The entries of a span, one for each place a row is found under, are
sorted by (key, time, leaf) and are the leaves of a tree of RFC 9162; a span's header says which leaves of the ledger
it covers and how its tree came out; the headers are the leaves of one more tree, whose root stands in a row of the
ledger itself (`ledger.sealed`), so that every checkpoint behind that row commits to it. Whoever shows adjacent
entries, and that they are adjacent, shows that none stands in between. Pure: no file, clock or key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from struct import Struct, error

from authd.core.tlog import EMPTY_ROOT, HASH_SIZE, Hashes, leaf_hash, node_hash, root_of, split

KEY_SIZE = 16
ENTRY_SIZE = 32
_WHEN = Struct(">QQ")
_HEADER = Struct(">QQQQQ32s")
_ZERO = 1 << 63
"""Added to a time, so that earlier ones sort first, those before 1970 too."""
_LAST = (1 << 64) - 1


class NotComplete(ValueError):
    """The proof does not show what it claims."""


def key_of(place: str) -> bytes:
    """Return what the index knows a place by (`record:rec_...`): 16 bytes of its SHA-256."""
    return sha256(place.encode()).digest()[:KEY_SIZE]


def both(record: str, subject: str) -> str:
    """Return the place of rows about this record that are this person's, or in which they touched beside another."""
    return f"record:{record} subject:{subject}"


def entry(key: bytes, wall_ms: int, leaf: int) -> bytes:
    """Return an entry, 32 bytes that sort as (key, time, leaf). A time out of range counts as the nearest in it."""
    return key + _WHEN.pack(min(max(wall_ms + _ZERO, 0), _LAST), leaf)


def read_entry(raw: bytes) -> tuple[bytes, int, int]:
    """Return key, wall-clock ms and leaf of an entry."""
    when, leaf = _WHEN.unpack_from(raw, KEY_SIZE)
    return raw[:KEY_SIZE], when - _ZERO, leaf


@dataclass(frozen=True, slots=True)
class Span:
    """The header of a span: the leaves `[first, stop)` of the ledger's tree, and the root over their entries."""

    first: int
    stop: int
    entries: int
    earliest: int
    """Wall-clock ms of its rows, at least."""
    latest: int
    """At most."""
    root: bytes

    def hash(self) -> bytes:
        """Return the leaf hash of the header. Raises `NotComplete` for numbers that no header has."""
        times = (self.earliest + _ZERO, self.latest + _ZERO)
        try:
            return leaf_hash(_HEADER.pack(self.first, self.stop, self.entries, *times, self.root))
        except error as wrong:
            raise NotComplete("not a header") from wrong

    def touches(self, since_ms: int, until_ms: int) -> bool:
        """Whether a row of the span may lie in the interval."""
        return self.earliest <= until_ms and self.latest >= since_ms


@dataclass(frozen=True, slots=True)
class Stretch:
    """Adjacent entries of one span, and what is needed to see that its tree has them there."""

    span: int
    """Number of the span, from 0."""
    start: int
    """Position of the first entry shown."""
    entries: tuple[bytes, ...]
    hashes: tuple[bytes, ...]
    """Roots over what is not shown, in the order in which `rebuild` asks for them."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """Everything that the first rows of a ledger hold of one place in an interval; often nothing: then absence."""

    place: str
    since_ms: int
    until_ms: int
    spans: tuple[Span, ...]
    """All of them: together they cover the leaves from the first on."""
    stretches: tuple[Stretch, ...]
    """One for each span that touches the interval, in order."""

    @property
    def covered(self) -> int:
        """Leaves of the ledger that the proof speaks about: `[0, covered)`."""
        return self.spans[-1].stop if self.spans else 0


def bounds(key: bytes, since_ms: int, until_ms: int) -> tuple[bytes, bytes]:
    """Return the smallest and the largest entry that a key can have in an interval."""
    return entry(key, since_ms, 0), entry(key, until_ms, _LAST)


def shown(start: int, stop: int, size: int, hashes: Hashes) -> tuple[bytes, ...]:
    """Return the roots that `rebuild` needs beside the leaves `[start, stop)` of a tree of `size` leaves."""
    found: list[bytes] = []

    def walk(low: int, high: int) -> None:
        if high <= start or low >= stop:
            found.append(hashes(low, high))
        elif high - low > 1:
            middle = low + split(high - low)
            walk(low, middle)
            walk(middle, high)

    if size:
        walk(0, size)
    return tuple(found)


def rebuild(start: int, leaves: Sequence[bytes], size: int, hashes: Sequence[bytes]) -> bytes:
    """Return the root of the tree of `size` leaves that has these leaf hashes from `start` on. Raises `NotComplete`."""
    if start < 0 or start + len(leaves) > size:
        raise NotComplete("more leaves than the tree has")
    if not size:
        return EMPTY_ROOT
    rest = iter(hashes)
    root = _rebuilt(0, size, start, leaves, rest)
    if next(rest, None) is not None:
        raise NotComplete("more hashes than needed")
    return root


def _rebuilt(low: int, high: int, start: int, leaves: Sequence[bytes], rest: Iterator[bytes]) -> bytes:
    if high <= start or low >= start + len(leaves):
        other = next(rest, b"")
        if len(other) != HASH_SIZE:
            raise NotComplete("a hash is missing")
        return other
    if high - low == 1:
        return leaves[low - start]
    middle = low + split(high - low)
    left = _rebuilt(low, middle, start, leaves, rest)
    return node_hash(left, _rebuilt(middle, high, start, leaves, rest))


def check(proof: Completeness, index: bytes) -> list[tuple[int, int]]:
    """Return (leaf, wall ms) of every row of the place in the interval; empty: there is none among those covered.

    `index`: the root over the headers, from a `ledger.sealed` row that a trusted checkpoint includes. Raises
    `NotComplete`. Rows behind `proof.covered` are not spoken about.
    """
    if root_of(span.hash() for span in proof.spans) != index:
        raise NotComplete("these are not the spans that were sealed")
    _contiguous(proof.spans)
    wanted = [at for at, span in enumerate(proof.spans) if span.touches(proof.since_ms, proof.until_ms)]
    if wanted != [stretch.span for stretch in proof.stretches]:
        raise NotComplete("a span that touches the interval is not shown")
    low, high = bounds(key_of(proof.place), proof.since_ms, proof.until_ms)
    found: list[tuple[int, int]] = []
    for stretch in proof.stretches:
        found += _check_stretch(proof.spans[stretch.span], stretch, low, high)
    return found


def _contiguous(spans: Sequence[Span]) -> None:
    stop = 0
    for span in spans:
        if span.first != stop or span.stop <= span.first or span.earliest > span.latest:
            raise NotComplete("the spans leave rows out")
        stop = span.stop


def _check_stretch(span: Span, stretch: Stretch, low: bytes, high: bytes) -> list[tuple[int, int]]:
    shown, end = stretch.entries, stretch.start + len(stretch.entries)
    if any(len(raw) != ENTRY_SIZE for raw in shown) or any(a >= b for a, b in pairwise(shown)):
        raise NotComplete("entries out of order")
    if not shown and span.entries:
        raise NotComplete("nothing is shown of a span")
    if rebuild(stretch.start, [leaf_hash(raw) for raw in shown], span.entries, stretch.hashes) != span.root:
        raise NotComplete("the span has other entries")
    if (stretch.start > 0 and shown[0] >= low) or (end < span.entries and shown[-1] <= high):
        raise NotComplete("an entry beside those shown could be of the place")
    found = [read_entry(raw) for raw in shown if low <= raw <= high]
    return [(leaf, wall) for _, wall, leaf in found]
