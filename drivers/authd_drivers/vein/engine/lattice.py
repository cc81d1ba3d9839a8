"""Phi at every shift of one map over many others, in NumPy, a block of templates and a tile of shifts at a time.

A *shift* (down, right) lays cell (r - down, c - right) of the probe on cell (r, c) of a template; all shifts count that
leave at least `OVERLAP` of the cells on each other. With n cells in the overlap, a and b of them set in probe and
template and ab in both, phi = (n ab - a b) / sqrt(a (n - a) b (n - b)): the correlation of two binary maps, -1 to 1,
blind to how dense they are. It counts times the fourth root of the share of cells in the overlap.

All counts are exact and each phi is rounded alike wherever it stands, so a score does not depend on what else is
compared with it. What costs time is counting bits in words: about 20,000 a pair of templates.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Words = npt.NDArray[np.uint64]
    Counts = npt.NDArray[np.uint16]
    Rows = npt.NDArray[np.intp]

OVERLAP = 0.5
WEIGHT = 0.25
"""Power of the share in overlap by which phi is multiplied: over fewer cells chance reaches further."""
_TILE = 1 << 15
"""Words at work at once: 256 KB, which stay in the second-level cache."""
_FEW = 12
"""Templates up to which one call for all their words costs less than many."""
_TABLE = 1 << 21
"""Bytes of counts at once, which bound the templates of a block."""
_BUFFER = 256
"""Elements in NumPy's buffers. With its default of 8,192 it copies operands that are broadcast, and takes four times
as long over an AND."""


class Lattice:
    """Maps of one size, as words of 64 bits: rows from above, lowest bit at the left; and the shifts that count.

    most_down, most_right: the largest shifts, in cells; by default all that leave enough overlap.
    """

    def __init__(self, rows: int, columns: int, most_down: int | None = None, most_right: int | None = None) -> None:
        self.rows, self.columns = rows, columns
        down, right = (each.ravel() for each in np.mgrid[1 - rows : rows, 1 - columns : columns])
        cells = (rows - abs(down)) * (columns - abs(right))
        near = abs(down) <= (rows if most_down is None else most_down)
        near &= abs(right) <= (columns if most_right is None else most_right)
        near &= cells >= OVERLAP * rows * columns
        down, right, cells = down[near], right[near], cells[near]
        self.shifts = len(cells)
        self.down, self.right = down, right
        self.cells = cells.astype(np.float32)[:, np.newaxis]
        self.weight: Floats = (self.cells / np.float32(rows * columns)) ** np.float32(WEIGHT)
        self._rights, self._right = np.unique(right, return_inverse=True)
        # Rows of the template from `top` to before `end` lie under the probe; of the probe, those of the shift back.
        top, end = np.maximum(0, down), rows + np.minimum(0, down)
        mirrored, many = len(self._rights) - 1 - self._right, len(self._rights)
        self._above, self._until = top * many + self._right, end * many + self._right
        self._probe_above = np.maximum(0, -down) * many + mirrored
        self._probe_until = (rows + np.minimum(0, -down)) * many + mirrored
        self._row_type = np.dtype(f"<u{columns // 8}")
        self._rows_a_word = 64 // columns
        self._first, self._last = top // self._rows_a_word, -(-end // self._rows_a_word)
        self._sources = self._source_of(down)
        ones = np.full((1, 1), ~np.uint64(0) >> np.uint64(64 - columns)).astype(self._row_type)
        self._bands = self._sideways(ones)
        self._block = max(1, _TABLE // (2 * (rows + 1) * len(self._rights)))

    def _source_of(self, down: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Where in `_sideways` each row of a shifted map comes from; the row below the last is empty.

        Shape (words, shifts, rows a word).
        """
        row = np.arange(self.rows).reshape(-1, 1, self._rows_a_word) - down[:, np.newaxis]
        row[(row < 0) | (row >= self.rows)] = self.rows
        return self._right[:, np.newaxis] * (self.rows + 1) + row

    def _sideways(self, rows: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.unsignedinteger]:
        """Return rows, shape (1, n), moved to each of `_rights`, what leaves the map cut off: shape (rights, n)."""
        places = np.abs(self._rights).astype(self._row_type)[:, np.newaxis]
        moved: npt.NDArray[np.unsignedinteger] = np.where(
            self._rights[:, np.newaxis] < 0, rows >> places, rows << places
        )
        return moved

    def moved(self, probe: Words) -> Words:
        """Return a map at each shift, what leaves it cut off: shape (words, shifts)."""
        rows = np.append(probe.view(self._row_type), self._row_type.type(0))
        return self._sideways(rows[np.newaxis]).take(self._sources).view(np.uint64)[..., 0]

    def counts(self, maps: Words) -> Counts:
        """Cells set above each row in the columns of each of `_rights`: shape ((rows + 1) * rights, n).

        maps: shape (words, n). The columns of a shift are those of a template that the probe covers.
        """
        rows = maps.view(self._row_type).reshape(len(maps), -1, self._rows_a_word)
        rows = np.ascontiguousarray(rows.transpose(0, 2, 1)).reshape(self.rows, 1, -1)
        counts = np.zeros((self.rows + 1, len(self._rights), rows.shape[2]), np.uint16)
        if counts.size <= _TILE:
            np.cumsum(np.bitwise_count(rows & self._bands), axis=0, dtype=np.uint16, out=counts[1:])
            return counts.reshape(-1, counts.shape[2])
        step = max(1, _TILE // counts[0].size)
        for first in range(0, self.rows, step):
            for row, found in enumerate(np.bitwise_count(rows[first : first + step] & self._bands), first):
                np.add(counts[row], found, out=counts[row + 1])
        return counts.reshape(-1, counts.shape[2])

    def scores(self, probe: Words, templates: Words, rows: Rows | None = None, at: Rows | None = None) -> Floats:
        """Likeness of one probe, shape (words,), with templates of shape (n, words): shape (n,), -1 to 1.

        rows: which of the templates, by default all; they are copied a block at a time. at: if it is given, the number
        of the best shift of each is written there.
        """
        best = np.full(len(templates) if rows is None else len(rows), -1, np.float32)
        with _small_buffers():
            moved = self.moved(probe)
            counts = self.counts(probe[:, np.newaxis])
            in_probe = (counts[self._probe_until] - counts[self._probe_above]).astype(np.float32)
            fullest = self._rows_a_word * int(np.bitwise_count(probe.view(self._row_type)).max())
            at_once = 255 // max(1, fullest)
            for first in range(0, len(best), self._block):
                part = slice(first, first + self._block)
                block = templates[part] if rows is None else templates[rows[part]]
                where = None if at is None else at[part]
                self._raise(best[part], where, moved, in_probe, at_once, np.ascontiguousarray(block.T))
        return best

    def _raise(self, best: Floats, at: Rows | None, moved: Words, in_probe: Floats, at_once: int, block: Words) -> None:
        """Raise `best`, shape (n,), to the greatest phi with each map of a block, shape (words, n)."""
        counts = self.counts(block)
        step = max(1, min(self.shifts, _TILE // len(best)))
        for first in range(0, self.shifts, step):
            tile = slice(first, first + step)
            rows = slice(int(self._first[tile].min()), int(self._last[tile].max()))
            both = _both(moved[rows, tile], block[rows], at_once)
            in_template = counts[self._until[tile]]
            in_template -= counts[self._above[tile]]
            phi = _phi(both, self.cells[tile], self.weight[tile], in_probe[tile], in_template.astype(np.float32))
            top = phi.max(axis=0)
            if at is not None:
                np.copyto(at, first + phi.argmax(axis=0), where=top > best)
            np.maximum(best, top, out=best)


def _both(moved: Words, block: Words, at_once: int) -> Floats:
    """Cells set in both, at each of s shifts: shape (s, n), from maps of shape (words, s) and (words, n).

    at_once: words of a moved map in which no more cells are set than a byte can count.
    """
    shape = (moved.shape[1], block.shape[1])
    if shape[1] <= _FEW:
        each = np.bitwise_count(moved[:, np.newaxis] & block[:, :, np.newaxis])
        sums: Floats = each.sum(axis=0, dtype=np.uint16).astype(np.float32).T
        return sums
    both, some = np.zeros(shape, np.uint16), np.empty(shape, np.uint8)
    met, found = np.empty(shape, np.uint64), np.empty(shape, np.uint8)
    for first in range(0, len(moved), at_once):
        some.fill(0)
        for left, right in zip(moved[first : first + at_once, :, np.newaxis], block[first:, np.newaxis], strict=False):
            np.bitwise_count(np.bitwise_and(left, right, out=met), out=found)
            some += found
        both += some
    return both.astype(np.float32)


def _phi(both: Floats, cells: Floats, weight: Floats, in_probe: Floats, in_template: Floats) -> Floats:
    """Weighted phi from the counts, shapes (s, n), three of (s, 1), (s, n). Overwrites the first and last."""
    spread = cells - in_template
    spread *= in_template
    spread *= in_probe * (cells - in_probe)
    np.sqrt(np.maximum(spread, np.float32(1), out=spread), out=spread)  # an empty or full overlap says nothing: 0
    both *= cells
    in_template *= in_probe
    both -= in_template
    both /= spread
    both *= weight
    return both


@contextmanager
def _small_buffers() -> Generator[None]:
    """For this thread, until the end of the block."""
    usual = np.setbufsize(_BUFFER)
    try:
        yield
    finally:
        np.setbufsize(usual)
