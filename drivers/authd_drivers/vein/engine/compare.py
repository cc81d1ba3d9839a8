"""Step 5: how alike two templates are: the phi coefficient of the two maps, at the shift where it is greatest.

Runs in the verifier child: NumPy only. engine/lattice.py computes it, with fine maps for scores and with coarse ones to
leave out templates that need no score.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from authd_drivers.vein.engine.lattice import Lattice
from authd_drivers.vein.engine.template import COLUMNS, ROWS, TEMPLATE_BYTES

if TYPE_CHECKING:
    import numpy.typing as npt

    from authd_drivers.vein.engine.profile import SearchSettings

    Floats = npt.NDArray[np.float32]
    Words = npt.NDArray[np.uint64]

COARSE = 2
"""The coarse map has one cell for 2 x 2."""
FINE_WORDS, ROUGH_WORDS = ROWS * COLUMNS // 64, ROWS * COLUMNS // COARSE**2 // 64
SAME = 0.98
"""Correlation without any shift above which two probes are one recording; two touches of SDUMLA reach 0.875."""
_EVEN = 0x5555_5555_5555_5555
_SQUEEZE = (
    (1, 0x3333_3333_3333_3333),
    (2, 0x0F0F_0F0F_0F0F_0F0F),
    (4, 0x00FF_00FF_00FF_00FF),
    (8, 0x0000_FFFF_0000_FFFF),
    (16, 0x0000_0000_FFFF_FFFF),
)


@cache
def lattices(search: SearchSettings | None = None) -> tuple[Lattice, Lattice]:
    """Return the shifts for fine maps and for coarse ones, within a profile's limits, if it is given."""
    if search is None:
        return Lattice(ROWS, COLUMNS), Lattice(ROWS // COARSE, COLUMNS // COARSE)
    down, right = -(-search.rows // COARSE), -(-search.columns // COARSE)
    fine = Lattice(ROWS, COLUMNS, search.rows, search.columns)
    return fine, Lattice(ROWS // COARSE, COLUMNS // COARSE, down, right)


FINE, ROUGH = lattices()


def words(bits: bytes) -> Words:
    """Return a template's 256 bytes as 32 words."""
    if len(bits) != TEMPLATE_BYTES:
        raise ValueError(f"{TEMPLATE_BYTES} bytes are expected")
    return np.frombuffer(bits, "<u8").astype(np.uint64)


def coarse(maps: Words) -> Words:
    """Shrink maps of shape (n, 32) to 16 x 32 cells, shape (n, 8): a cell is set where two of its four are.

    One of four, which is how `pool` shrinks a picture, would fill two thirds of the map and tell fingers apart less.
    """
    upper, lower = maps[:, ::2], maps[:, 1::2]
    both, any_ = upper & lower, upper | lower
    cells = (both | both >> np.uint64(1) | any_ & any_ >> np.uint64(1)) & np.uint64(_EVEN)
    for places, kept in _SQUEEZE:  # the 32 even bits into the lower half of the word
        cells = (cells | cells >> np.uint64(places)) & np.uint64(kept)
    return cells[:, ::2] | cells[:, 1::2] << np.uint64(32)


def compare(a: bytes, b: bytes, search: SearchSettings | None = None) -> float:
    """Likeness of two templates of 256 bytes, -1 to 1; the same in either order."""
    return float(lattices(search)[0].scores(words(a), words(b)[np.newaxis])[0])


def unmoved(probe: Words, others: Words) -> Floats:
    """Phi without any shift, with each of `others` (n, words): two takes of a recording agree in every bit."""
    n = np.float32(ROWS * COLUMNS)
    a = np.bitwise_count(probe).sum(dtype=np.float32)
    b = np.bitwise_count(others).sum(axis=1, dtype=np.float32)
    ab = np.bitwise_count(others & probe).sum(axis=1, dtype=np.float32)
    phi: Floats = (n * ab - a * b) / np.sqrt(np.maximum(a * (n - a) * b * (n - b), 1))
    return phi
