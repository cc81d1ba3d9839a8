"""Step 5: how alike two templates are: the phi coefficient of the two maps, at the shift where it is greatest.

Runs in the verifier child: NumPy only. A *shift* (down, right) lays cell (r - down, c - right) of the probe on cell
(r, c) of a template; all shifts count that leave at least `OVERLAP` of the cells on each other. With n cells in the
overlap, a and b of them set in probe and template and ab in both, phi = (n ab - a b) / sqrt(a (n - a) b (n - b)): the
correlation of two binary maps, -1 to 1, blind to how dense they are.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from authd_drivers.vein.engine.template import COLUMNS, ROWS, TEMPLATE_BYTES

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Words = npt.NDArray[np.uint64]

OVERLAP = 0.6
COARSE = 2
"""The coarse map has one cell for 2 x 2."""
_BATCH = 64


def _band(length: int, shift: int) -> Floats:
    """1 for the cells of a template that a probe of the same length covers after a shift, 0 for the rest."""
    band = np.zeros(length, np.float32)
    band[max(0, shift) : length + min(0, shift)] = 1
    return band


class Lattice:
    """Maps of one size, as words of 64 bits: rows from above, lowest bit at the left."""

    def __init__(self, rows: int, columns: int, overlap: float = OVERLAP) -> None:
        self.rows, self.columns = rows, columns
        self._row_type = np.dtype(f"<u{columns // 8}")
        shifts = [
            (down, right)
            for down in range(1 - rows, rows)
            for right in range(1 - columns, columns)
            if (rows - abs(down)) * (columns - abs(right)) >= overlap * rows * columns
        ]
        downs, rights = sorted({down for down, _ in shifts}), sorted({right for _, right in shifts})
        self.shifts = len(shifts)
        self.cells = np.array([(rows - abs(down)) * (columns - abs(right)) for down, right in shifts], np.float32)
        self._rights = rights
        # Overlaps are rectangles: a band of rows for each `down`, one of columns for each `right`.
        self._row_bands = np.stack([_band(rows, down) for down in downs])
        self._column_bands = np.stack([_band(columns, right) for right in rights], axis=1)
        place = {shift: index for index, shift in enumerate(product(downs, rights))}
        self._places = np.array([place[shift] for shift in shifts])
        self._mirrored = np.array([place[-down, -right] for down, right in shifts])
        self._sources = np.array([self._source(rights.index(right), down) for down, right in shifts])

    def _source(self, right: int, down: int) -> list[int]:
        """Where in `_sideways` each row of a shifted probe comes from; the row below the last is empty."""
        stride = self.rows + 1
        rows = (row - down for row in range(self.rows))
        return [right * stride + (row if 0 <= row < self.rows else self.rows) for row in rows]

    def moved(self, probe: Words) -> Words:
        """Return the probe at each shift, what leaves the map cut off, shape (words, shifts)."""
        rows = probe.view(self._row_type)
        sideways = np.zeros((len(self._rights), self.rows + 1), self._row_type)
        for row, right in zip(sideways, self._rights, strict=True):
            places = rows.dtype.type(abs(right))
            row[:-1] = rows << places if right >= 0 else rows >> places
        return np.ascontiguousarray(sideways.reshape(-1)[self._sources].view(np.uint64).T)

    def counts(self, maps: Words) -> Floats:
        """Cells set in each place of `_places`, from maps of shape (n, words): shape (n, places)."""
        cells = np.unpackbits(maps.view(np.uint8), axis=1, bitorder="little")
        cells = cells.reshape(len(maps), self.rows, self.columns).astype(np.float32)
        counts = np.empty((len(maps), len(self._row_bands), len(self._rights)), np.float32)
        np.matmul(self._row_bands, np.matmul(cells, self._column_bands), out=counts)
        return counts.reshape(len(maps), -1)

    def scores(self, probe: Words, templates: Words) -> Floats:
        """Likeness of one probe, shape (words,), with templates of shape (n, words): shape (n,), -1 to 1."""
        moved = self.moved(probe)
        in_probe = self.counts(probe[np.newaxis])[0, self._mirrored]
        best = np.empty(len(templates), np.float32)
        for first in range(0, len(templates), _BATCH):
            part = slice(first, first + _BATCH)
            best[part] = self._best_phi(moved, in_probe, templates[part])
        return best

    def _best_phi(self, moved: Words, in_probe: Floats, templates: Words) -> Floats:
        both = np.zeros((len(templates), self.shifts), np.uint16)
        for word, column in zip(moved, templates.T, strict=True):
            both += np.bitwise_count(column[:, np.newaxis] & word)
        in_template = self.counts(templates)[:, self._places]
        spread = self.cells - in_template
        spread *= in_template
        spread *= in_probe * (self.cells - in_probe)
        np.sqrt(np.maximum(spread, np.float32(1), out=spread), out=spread)  # an empty or full overlap says nothing: 0
        phi = both * self.cells
        phi -= np.multiply(in_template, in_probe, out=in_template)
        phi /= spread
        best: Floats = phi.max(axis=1)
        return best


FINE = Lattice(ROWS, COLUMNS)
ROUGH = Lattice(ROWS // COARSE, COLUMNS // COARSE)


def words(bits: bytes) -> Words:
    """Return a template's 256 bytes as 32 words."""
    if len(bits) != TEMPLATE_BYTES:
        raise ValueError(f"{TEMPLATE_BYTES} bytes are expected")
    return np.frombuffer(bits, "<u8").astype(np.uint64)


def coarse(maps: Words) -> Words:
    """Shrink maps of shape (n, 32) to 16 x 32 cells, shape (n, 8): a cell is set where any of its four is."""
    cells = np.unpackbits(maps.view(np.uint8), axis=1, bitorder="little")
    cells = cells.reshape(-1, ROWS // COARSE, COARSE, COLUMNS // COARSE, COARSE).max(axis=(2, 4))
    return np.packbits(cells.reshape(len(maps), -1), axis=1, bitorder="little").view(np.uint64)


def compare(a: bytes, b: bytes) -> float:
    """Likeness of two templates of 256 bytes, -1 to 1; the same in either order."""
    return float(FINE.scores(words(a), words(b)[np.newaxis])[0])


def unmoved(probe: Words, others: Words) -> Floats:
    """Phi without any shift, with each of `others` (n, words): two takes of a recording agree in every bit."""
    n = np.float32(ROWS * COLUMNS)
    a = np.bitwise_count(probe).sum(dtype=np.float32)
    b = np.bitwise_count(others).sum(axis=1, dtype=np.float32)
    ab = np.bitwise_count(others & probe).sum(axis=1, dtype=np.float32)
    phi: Floats = (n * ab - a * b) / np.sqrt(np.maximum(a * (n - a) * b * (n - b), 1))
    return phi
