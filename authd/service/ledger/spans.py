"""The completeness index on disk: one file for each sealed span, made from the rows and away from the writer.

A file only repeats what the rows say; a `ledger.sealed` row commits to it, and a file that is lost or does not fit is
made anew. It also answers questions: which rows are of a record or a subject, without reading any.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from struct import Struct
from typing import Any

import msgspec

from authd.core.complete import ENTRY_SIZE, KEY_SIZE, Span, both, entry, key_of, read_entry
from authd.core.tlog import HASH_SIZE, Tree, leaf_hash, root_of
from authd.service.ledger.ahead import Part, read
from authd.service.ledger.head import sync_folder
from authd.service.ledger.record import BadRow

SPAN = 65_536
"""Rows of a span, unless somebody asks for the newest rows sooner."""
TILE = 256
"""Entries under each root that a file keeps beside them."""
STEP = 256
"""Rows between two pauses."""
FOLDER = "index"
_MAGIC = b"authd-span-1\n\0\0\0"
_HEADER = Struct("<16sqqqqq32s")

Pause = Callable[[], None]
Row = tuple[int, bytes]
"""Leaf and bytes."""


class BadSpan(ValueError):
    """The file of a span is not what was sealed."""


class _Data(msgspec.Struct, frozen=True, gc=False):
    record: Any = None
    helper: Any = None


class _Slim(msgspec.Struct, frozen=True, gc=False):
    """As much of a row as the index needs."""

    wall: int
    subject: str | None = None
    data: _Data = _Data()


_decode = msgspec.json.Decoder(_Slim).decode


def _slim(raw: bytes) -> _Slim:
    """Raises `BadRow`."""
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRow(str(error)) from error


@dataclass(frozen=True, slots=True)
class Sorted:
    """A span with its sorted entries, wherever they are."""

    span: Span
    fence: array[int]
    """The first eight bytes of every `TILE`th entry, as a number."""
    tops: Callable[[int, int], bytes]
    """The roots over whole `TILE`s of entries, from one to another, joined."""
    read: Callable[[int, int], bytes]
    """The entries from one position to another, joined."""
    part: Callable[[int, int], Part] | None = None
    """Where they lie, if in a file."""

    def entries(self, start: int, stop: int) -> tuple[bytes, ...]:
        """Return the entries `[start, stop)`."""
        return tuple(_cut(self.read(start, stop), ENTRY_SIZE))

    def root(self, start: int, stop: int) -> bytes:
        """Return the root over the entries `[start, stop)`, which is a subtree as proofs ask for it."""
        tree = Tree()
        if start % TILE == 0 and stop - start >= TILE:
            tree.extend(_cut(self.tops(start // TILE, stop // TILE), HASH_SIZE))
            tree.size *= TILE
            start = stop // TILE * TILE
        tree.extend([leaf_hash(made) for made in self.entries(start, stop)])
        return tree.root()

    def range(self, low: bytes, high: bytes) -> tuple[int, int]:
        """Return the positions of the entries from `low` to `high`, both included."""
        start, stop = self.near(low, high)
        first, last = _within(self.read(start, stop), low, high)
        return start + first, start + last

    def near(self, low: bytes, high: bytes) -> tuple[int, int]:
        """Return positions, of whole tiles, among which the entries from `low` to `high` are; without reading any."""
        start = max(bisect_left(self.fence, int.from_bytes(low[:8])) - 1, 0) * TILE
        stop = min(bisect_right(self.fence, int.from_bytes(high[:8])) * TILE, self.span.entries)
        return start, max(start, stop)

    def leaves(self, low: bytes, high: bytes) -> list[int]:
        """Return the leaves of the entries from `low` to `high`: a place's rows in an interval (`complete.bounds`)."""
        return leaves_in(self.read(*self.near(low, high)), low, high)


def leaves_in(joined: bytes, low: bytes, high: bytes) -> list[int]:
    """Return the leaves of the entries from `low` to `high` among sorted ones that are joined."""
    if low[:KEY_SIZE] == high[:KEY_SIZE] and low[:KEY_SIZE] not in joined:
        return []  # as in most spans: no need to look closer
    first, last = _within(joined, low, high)
    return [read_entry(raw)[2] for raw in _cut(joined[first * ENTRY_SIZE : last * ENTRY_SIZE], ENTRY_SIZE)]


def _within(joined: bytes, low: bytes, high: bytes) -> tuple[int, int]:
    """Return where the entries from `low` to `high` are; only those are cut out that are compared."""
    found = range(len(joined) // ENTRY_SIZE)
    first = bisect_left(found, low, key=lambda at: joined[at * ENTRY_SIZE : (at + 1) * ENTRY_SIZE])
    return first, bisect_right(found, high, first, key=lambda at: joined[at * ENTRY_SIZE : (at + 1) * ENTRY_SIZE])


def build(rows: Iterable[Row], pause: Pause = lambda: None) -> tuple[Sorted, bytes]:
    """Sort the entries of rows that follow each other; return them also joined, as `store` wants them.

    `pause` is called after every millisecond of work or so. Sorted in 256 heaps by the first byte, so that no step
    holds the interpreter for long. Raises ValueError without rows, `BadRow`.
    """
    heaps: list[list[bytes]] = [[] for _ in range(256)]
    walls, leaf, first = list[int](), -1, -1
    for at, (leaf, raw) in enumerate(rows):
        first = leaf if at == 0 else first
        row = _slim(raw)
        walls.append(row.wall)
        for made in _entries(row, leaf):
            heaps[made[0]].append(made)
        if at % STEP == STEP - 1:
            pause()
    if not walls:
        raise ValueError("a span has rows")
    entries, tops, tree = _joined(heaps, pause)
    span = Span(first, leaf + 1, tree.size, min(walls), max(walls), tree.root())
    return _in_memory(span, entries, tops), entries


def places_of(leaf: int, raw: bytes) -> tuple[int, list[bytes]]:
    """Return a row's wall-clock ms, and its entries. Raises `BadRow`."""
    row = _slim(raw)
    return row.wall, _entries(row, leaf)


def _entries(row: _Slim, leaf: int) -> list[bytes]:
    record, people = row.data.record, _people(row)
    found = [entry(_key(f"subject:{subject}"), row.wall, leaf) for subject in people]
    if isinstance(record, str):
        found.append(entry(key_of(f"record:{record}"), row.wall, leaf))
        found += [entry(key_of(both(record, subject)), row.wall, leaf) for subject in people]
    return found


def _people(row: _Slim) -> list[str]:
    """Whose row it is, and who touched beside them: nobody who vouched is shown not to have been there."""
    subject, helper = row.subject, row.data.helper
    found = [] if subject is None else [subject]
    return [*found, helper] if isinstance(helper, str) and helper != subject else found


def _joined(heaps: list[list[bytes]], pause: Pause) -> tuple[bytes, bytes, Tree]:
    parts, tops, rest, tree = list[bytes](), list[bytes](), list[bytes](), Tree()
    for heap in heaps:
        heap.sort()
        parts.append(b"".join(heap))
        rest += [leaf_hash(made) for made in heap]
        heap.clear()
        while len(rest) >= TILE:
            tops.append(root_of(rest[:TILE]))
            tree.extend(rest[:TILE])
            del rest[:TILE]
            pause()
    tree.extend(rest)
    return b"".join(parts), b"".join(tops), tree


def _in_memory(span: Span, entries: bytes, tops: bytes) -> Sorted:
    marks = array("Q", b"".join(entries[at : at + 8] for at in range(0, len(entries), TILE * ENTRY_SIZE)))
    marks.byteswap()
    return Sorted(
        span,
        marks,
        lambda start, stop: tops[start * HASH_SIZE : stop * HASH_SIZE],
        lambda start, stop: entries[start * ENTRY_SIZE : stop * ENTRY_SIZE],
    )


def _cut(joined: bytes, size: int) -> list[bytes]:
    return [joined[at : at + size] for at in range(0, len(joined), size)]


def path_of(folder: Path, first: int) -> Path:
    """Return where the file of the span that begins at leaf `first` lies."""
    return folder / FOLDER / f"{first:012d}.span"


def store(folder: Path, made: Sorted, entries: bytes) -> None:
    """Write the file of a span, durably, before the row that commits to it."""
    path, span = path_of(folder, made.span.first), made.span
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_suffix(".new")
    header = _HEADER.pack(_MAGIC, span.first, span.stop, span.entries, span.earliest, span.latest, span.root)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines((header, made.fence.tobytes(), made.tops(0, span.entries // TILE), entries))
        file.flush()
        os.fdatasync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def load(folder: Path, span: Span) -> Sorted:
    """Open the file of a sealed span. Raises `BadSpan` if it is not there or is another one's; OSError."""
    path = path_of(folder, span.first)
    marks, tops = -(-span.entries // TILE), span.entries // TILE * HASH_SIZE
    at_tops = _HEADER.size + 8 * marks
    try:
        if path.stat().st_size != at_tops + tops + span.entries * ENTRY_SIZE:
            raise BadSpan("the file has another length")
        begin = _part(path, 0, at_tops)
    except FileNotFoundError as error:
        raise BadSpan("the file is gone") from error
    sealed = (_MAGIC, span.first, span.stop, span.entries, span.earliest, span.latest, span.root)
    if _HEADER.unpack_from(begin) != sealed:
        raise BadSpan("the file is another span's")
    return Sorted(
        span,
        array("Q", begin[_HEADER.size :]),
        lambda start, stop: _part(path, at_tops + start * HASH_SIZE, (stop - start) * HASH_SIZE),
        lambda start, stop: _part(*_entries_at(path, at_tops + tops, start, stop)),
        lambda start, stop: _entries_at(path, at_tops + tops, start, stop),
    )


def _entries_at(path: Path, begin: int, start: int, stop: int) -> Part:
    return path, begin + start * ENTRY_SIZE, (stop - start) * ENTRY_SIZE


def _part(path: Path, at: int, length: int) -> bytes:
    found = read(path, at, length)
    if len(found) != length:
        raise BadSpan("the file is too short")
    return found


@lru_cache(maxsize=16_384)
def _key(place: str) -> bytes:
    return key_of(place)
