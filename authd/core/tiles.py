"""The tree in tiles of 256 hashes (C2SP tlog-tiles): how it grows, where a tile lies, and any root out of tiles.

At level 0 tiles hold leaf hashes, at level n + 1 the roots of full tiles of level n. Pure: no file, clock or key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from authd.core.tlog import HASH_SIZE, Hashes, Tree, node_hash

HEIGHT = 8
WIDTH = 1 << HEIGHT
FULL = WIDTH * HASH_SIZE
"""Bytes of a full tile."""

Tile = tuple[int, int, bytes]
"""Level, number, hashes."""
Fetch = Callable[[int, int], bytes]
"""`fetch(level, number)`: the hashes of a tile, as many as there are."""


def path_of(level: int | str, number: int, width: int = WIDTH) -> str:
    """Return where a tile (level `entries`: a bundle of rows) lies: `tile/0/x001/234`, partial ones with `.p/W`."""
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])
    return f"tile/{level}/{path}" + ("" if width == WIDTH else f".p/{width}")


def width_of(level: int, number: int, size: int) -> int:
    """Return how many hashes a tile has in the tree of `size` leaves; 0: there is no such tile."""
    return min(max((size >> HEIGHT * level) - number * WIDTH, 0), WIDTH)


def tiles_of(size: int) -> Iterator[tuple[int, int]]:
    """Yield level and number of every tile of the tree of `size` leaves."""
    level = 0
    while size >> HEIGHT * level:
        yield from ((level, number) for number in range(-(-(size >> HEIGHT * level) // WIDTH)))
        level += 1


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of the tiles of a tree: what is needed to go on."""

    size: int = 0
    partial: tuple[bytes, ...] = ()
    """The hashes of the last, not yet full tile of each level; may be none."""

    def grown(self, leaves: Sequence[bytes]) -> tuple[Edge, list[Tile]]:
        """Return the edge behind further leaf hashes, and every tile that is new or has become wider."""
        partial, tiles, fresh, level = list(self.partial), list[Tile](), list(leaves), 0
        while fresh:
            if level == len(partial):
                partial.append(b"")
            number = self.size >> HEIGHT * (level + 1)
            hashes, fresh = partial[level] + b"".join(fresh), list[bytes]()
            for at in range(0, len(hashes) - FULL + 1, FULL):
                tiles.append((level, number, hashes[at : at + FULL]))
                fresh.append(root_in(tiles[-1][2], 0, WIDTH))
                number += 1
            partial[level] = hashes[len(fresh) * FULL :]
            if partial[level]:
                tiles.append((level, number, partial[level]))
            level += 1
        return Edge(self.size + len(leaves), tuple(partial)), tiles

    def tiles(self) -> list[Tile]:
        """Return the tiles of the edge itself."""
        numbered = enumerate(self.partial)
        return [(level, self.size >> HEIGHT * (level + 1), hashes) for level, hashes in numbered if hashes]


def edge_of(size: int, fetch: Fetch) -> Edge:
    """Return the edge of the tree of `size` leaves from its tiles."""
    partial = list[bytes]()
    while size >> HEIGHT * len(partial):
        level = len(partial)
        number = size >> HEIGHT * (level + 1)
        width = width_of(level, number, size)
        partial.append(fetch(level, number)[: width * HASH_SIZE] if width else b"")
    return Edge(size, tuple(partial))


def peaks_of(edge: Edge) -> list[bytes]:
    """Return the roots of the tree's perfect subtrees, largest first, as a `Tree` holds them."""
    peaks = list[bytes]()
    for hashes in reversed(edge.partial):
        at = 0
        for height in reversed(range(HEIGHT)):
            if len(hashes) // HASH_SIZE >> height & 1:
                peaks.append(root_in(hashes, at, at + (1 << height)))
                at += 1 << height
    return peaks


def root_in(hashes: bytes, start: int, stop: int) -> bytes:
    """Return the root over the hashes `[start, stop)` of a tile, `stop` > `start`."""
    level = hashes[start * HASH_SIZE : stop * HASH_SIZE]
    if (stop - start) & (stop - start - 1):
        tree = Tree()
        tree.extend([level[at : at + HASH_SIZE] for at in range(0, len(level), HASH_SIZE)])
        return tree.root()
    while len(level) > HASH_SIZE:
        pairs = range(0, len(level), 2 * HASH_SIZE)
        level = b"".join([sha256(b"\x01" + level[at : at + 2 * HASH_SIZE]).digest() for at in pairs])
    return level


def roots(fetch: Fetch, whole: dict[tuple[int, int], bytes] | None = None) -> Hashes:
    """Return the function that proofs ask, from tiles. Each tile is fetched once.

    `whole`: (start, height) -> root, of subtrees higher than a tile; these never change, so that they can be kept.
    """
    known: dict[tuple[int, int], bytes] = {}
    whole = {} if whole is None else whole

    def perfect(start: int, height: int) -> bytes:
        """Root over `[start, start + 2**height)`, which begins at a multiple of its length."""
        if (start, height) in whole:
            return whole[start, height]
        level, rest = divmod(height, HEIGHT)
        number, within = divmod(start >> HEIGHT * level, WIDTH)
        tile = known.get((level, number))
        if tile is None:
            tile = known[level, number] = fetch(level, number)
        found = root_in(tile, within, within + (1 << rest))
        if level:
            whole[start, height] = found
        return found

    def root(start: int, stop: int) -> bytes:
        parts = list[bytes]()
        while start < stop:
            height = (stop - start).bit_length() - 1
            if start:
                height = min(height, (start & -start).bit_length() - 1)
            parts.append(perfect(start, height))
            start += 1 << height
        whole = parts.pop()
        while parts:
            whole = node_hash(parts.pop(), whole)
        return whole

    return root
