"""Telling the kernel what is read next, so that a disk looks for many places at once and not for one after the other.

An answer is made of rows and entries that lie far apart. What is not in memory is asked for all together, and read
then. For rows that is a hint: where it is wrong, or the system does not take it, answers are slower and no other.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from authd.service.sqlite import Database

FEW = 4
"""So few rows are read without any hint."""
AT_ONCE = 64
"""Files that are open at a time."""
MOST_LEVELS = 8
"""Of a table's pages; SQLite's own limit is far above what a disk holds."""
MOST_KNOWN = 64
"""Pages of which the keys are kept, 16 kB each."""
_DESCRIPTORS = Path("/proc/self/fd")
_INNER = 5
"""What a page of a table begins with that has pages below it: https://www.sqlite.org/fileformat2.html#b_tree_pages."""
_HEAD, _POINTER, _CHILD = struct.Struct(">BHHHBI"), struct.Struct(">H"), struct.Struct(">I")

Part = tuple[Path, int, int]
"""File, where in it, how many bytes."""


def read(path: Path, at: int, length: int) -> bytes:
    """Read a part of a file; opened each time: there are hundreds of them. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, length, at)
    finally:
        os.close(descriptor)


def read_all(parts: Sequence[Part]) -> Iterator[bytes | None]:
    """Yield the bytes of each part, in order; None for one that cannot be read."""
    for start in range(0, len(parts), AT_ONCE):
        some = parts[start : start + AT_ONCE]
        begun = [_begun(part) for part in some]
        yield from [_ended(part, known) for part, known in zip(some, begun, strict=True)]


def _begun(part: Part) -> bytes | int | None:
    """Return what is in memory already, or the descriptor of a file whose disk has begun to look."""
    path, at, length = part
    try:
        descriptor, found = os.open(path, os.O_RDONLY | os.O_CLOEXEC), bytearray(length)
    except OSError:
        return None
    with suppress(OSError):  # not in memory, or a file system that cannot tell
        if os.preadv(descriptor, [found], at, os.RWF_NOWAIT) == length:
            os.close(descriptor)
            return bytes(found)
    _soon(descriptor, at, length)
    return descriptor


def _ended(part: Part, known: bytes | int | None) -> bytes | None:
    if not isinstance(known, int):
        return known
    try:
        return os.pread(known, part[2], part[1])
    except OSError:
        return None
    finally:
        os.close(known)


def _soon(descriptor: int, at: int, length: int) -> None:
    with suppress(OSError):
        os.posix_fadvise(descriptor, at, length, os.POSIX_FADV_WILLNEED)


def descriptors(path: Path) -> set[int]:
    """Return this process's own descriptors of a file; none where the system does not tell."""
    found, real = set[int](), os.path.realpath(path)
    with suppress(OSError):
        for name in os.listdir(_DESCRIPTORS):  # noqa: PTH208 (numbers, not paths, are wanted)
            with suppress(OSError):
                if os.readlink(_DESCRIPTORS / name) == real:  # noqa: PTH115 (as above)
                    found.add(int(name))
    return found


class Pages:
    """Knows on which pages of a segment rows lie.

    It looks through the descriptor that SQLite has: whoever opens the file a second time and closes it takes SQLite's
    locks from it (POSIX). Pages that are in the WAL alone are not seen; they are in memory anyhow.
    """

    def __init__(self, db: Database, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = int(db.pragma("page_size"))
        self._known: dict[int, tuple[bytes, list[int]]] = {}
        """Pages that many rows lie below, as they were, and the last numbers of what is below them."""
        self._root = int(db.value("SELECT rootpage FROM sqlite_schema WHERE name = 'entry'") or 0)

    def soon(self, numbers: Sequence[int]) -> None:
        """Have the disk look for the rows of these numbers, ascending."""
        if len(numbers) > FEW:
            with suppress(OSError, struct.error, IndexError):
                self._descend(numbers)

    def _descend(self, numbers: Sequence[int]) -> None:
        wanted = {self._root: list(numbers)}
        for _ in range(MOST_LEVELS):
            for page in wanted:
                _soon(self._descriptor, (page - 1) * self._size, self._size)
            below: defaultdict[int, list[int]] = defaultdict(list)
            for page, some in wanted.items():
                raw = os.pread(self._descriptor, self._size, (page - 1) * self._size)
                if raw[0] != _INNER:
                    return  # the rows' own pages, all on one level
                keys = self._keys(page, raw) if len(some) > FEW else None
                for number in some:
                    below[_child(raw, number, keys)].append(number)
            wanted = below

    def _keys(self, page: int, raw: bytes) -> list[int]:
        """Return the keys of an upper page. It is read all the same: it grows, and it may be another one now."""
        known = self._known.get(page)
        if known is None or known[0] != raw:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[page] = raw, [_key(raw, cell) for cell in range(_HEAD.unpack_from(raw)[2])]
        return known[1]


def _child(raw: bytes, number: int, keys: list[int] | None) -> int:
    """Return the page below an inner one on which a number's row lies: each holds those up to its key."""
    _, _, cells, _, _, last = _HEAD.unpack_from(raw)
    if keys is None:
        at = bisect_left(range(cells), number, key=lambda cell: _key(raw, cell))
    else:
        at = bisect_left(keys, number)
    return last if at == cells else int(_CHILD.unpack_from(raw, _cell(raw, at))[0])


def _cell(raw: bytes, cell: int) -> int:
    return int(_POINTER.unpack_from(raw, _HEAD.size + _POINTER.size * cell)[0])


def _key(raw: bytes, cell: int) -> int:
    """Read the key of a cell, in seven bits a byte; the ninth, of larger numbers than there are rows, is not read."""
    at, key = _cell(raw, cell) + _CHILD.size, 0
    while raw[at] & 0x80:
        key, at = key << 7 | raw[at] & 0x7F, at + 1
    return key << 7 | raw[at]
