"""A closer look at the best templates: a finger that bends or rolls as it lies shifts its veins unevenly.

Runs in the verifier child: NumPy only. At the best rigid shift the overlap is cut into `STRIPS` across the finger, each
of which may move a little further by itself; that neighbours move apart costs. The score is the mean of the rigid one
and phi over the cells so aligned, which alone would raise strangers nearly as much (docs/decisions/0011).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from authd_drivers.vein.engine.lattice import Lattice

    Floats = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]
    Words = npt.NDArray[np.uint64]

STRIPS = 4
DOWN, RIGHT = 2, 1
"""Cells that a strip may move by."""
CLOSER = 0.15
"""Rigid score from which `judged` looks closer; on SDUMLA one pair of different fingers in seven has it."""
AT_ONCE = 16
"""Templates of one closer look, which bound its memory."""
APART = 5.0
"""What a cell that two neighbouring strips move apart costs, in cells that more than by chance are set in both."""
_ROWS, _COLUMNS = 32, 64


class _Counts(NamedTuple):
    """Cells of each strip: set in both maps and in the probe, at each move; set in the template, and all there are.

    Shapes (n, moves, strips) twice and (n, 1, strips) twice.
    """

    both: Ints
    probe: Ints
    template: Ints
    cells: Ints


def refine(lattice: Lattice, probe: Words, templates: Words, scores: Floats) -> Floats:
    """Judge anew how alike a probe, shape (32,), and a few templates, shape (n, 32), are: shape (n,), -1 to 1.

    scores: what the lattice found for them.
    """
    at = np.zeros(len(templates), np.intp)
    lattice.scores(probe, templates, at=at)
    counts = _counts(probe, templates, lattice.down[at], lattice.right[at])
    bent = _phi(counts, _smoothest(_gain(counts))) * lattice.weight[at, 0]
    mean: Floats = ((scores + bent) / 2).astype(np.float32)
    return mean


def judged(lattice: Lattice, probe: Words, templates: Words) -> Floats:
    """Scores of a probe with any number of templates as a search gives them to its best, for whoever measures.

    Shapes (32,), (n, 32) and (n,). A search looks closer at its best candidates only; here at all from `CLOSER` on.
    """
    scores = lattice.scores(probe, templates)
    near = np.flatnonzero(scores >= CLOSER)
    for first in range(0, len(near), AT_ONCE):
        part = near[first : first + AT_ONCE]
        scores[part] = refine(lattice, probe, templates[part], scores[part])
    return scores


@cache
def _moves() -> tuple[Ints, Ints, Floats]:
    """Down and right of each move, and what it costs from one to another, shape (moves, moves)."""
    down, right = (each.ravel() for each in np.mgrid[-DOWN : DOWN + 1, -RIGHT : RIGHT + 1])
    apart = np.abs(down[:, np.newaxis] - down) + np.abs(right[:, np.newaxis] - right)
    return down, right, (APART * apart).astype(np.float32)


def _counts(probe: Words, templates: Words, down: Ints, right: Ints) -> _Counts:
    more_down, more_right, _ = _moves()
    row = np.arange(_ROWS)
    covered = (row >= down[:, np.newaxis]) & (row < _ROWS + down[:, np.newaxis])
    source = row - (down[:, np.newaxis] + more_down)[:, :, np.newaxis]
    rows = np.append(probe, np.uint64(0))[np.where((source < 0) | (source >= _ROWS), _ROWS, source)]
    moved = _sideways(rows, (right[:, np.newaxis] + more_right)[:, :, np.newaxis]) * covered[:, np.newaxis, :]
    strips, widths = _strips(right)
    in_probe = moved[:, :, np.newaxis, :] & strips[:, np.newaxis, :, np.newaxis]
    in_template = (templates * covered)[:, np.newaxis, np.newaxis, :] & strips[:, np.newaxis, :, np.newaxis]
    cells = widths * covered.sum(axis=1)[:, np.newaxis]
    return _Counts(_set(in_probe & in_template), _set(in_probe), _set(in_template), cells[:, np.newaxis, :])


def _set(cells: Words) -> Ints:
    counts: Ints = np.bitwise_count(cells).sum(axis=-1, dtype=np.int64)
    return counts


def _sideways(rows: Words, right: Ints) -> Words:
    places = np.abs(right).astype(np.uint64)
    return np.where(right >= 0, rows << places, rows >> places)


def _strips(right: Ints) -> tuple[Words, Ints]:
    """Masks of the strips of the columns that overlap after a shift, and how wide they are, shape (n, strips)."""
    first = np.maximum(0, right)[:, np.newaxis]
    bounds = first + (_COLUMNS - np.abs(right)[:, np.newaxis]) * np.arange(STRIPS + 1) // STRIPS
    one = np.uint64(1)
    widths = np.diff(bounds)
    masks = ((one << widths.astype(np.uint64)) - one) << bounds[:, :-1].astype(np.uint64)
    return masks, widths


def _gain(counts: _Counts) -> Floats:
    """Cells in both beyond what chance makes of them, shape (n, moves, strips)."""
    return (counts.both - counts.probe * counts.template / counts.cells).astype(np.float32)


def _smoothest(gain: Floats) -> Ints:
    """Number of each strip's move, shape (n, strips), of the greatest gain less what moving apart costs (Viterbi)."""
    _, _, apart = _moves()
    best = gain[:, :, 0]
    came: list[Ints] = []
    for strip in range(1, gain.shape[2]):
        options = best[:, :, np.newaxis] - apart
        came.append(options.argmax(axis=1))
        best = options.max(axis=1) + gain[:, :, strip]
    path = [best.argmax(axis=1)]
    for step in reversed(came):
        path.append(np.take_along_axis(step, path[-1][:, np.newaxis], axis=1)[:, 0])
    return np.stack(path[::-1], axis=1)


def _phi(counts: _Counts, moves: Ints) -> npt.NDArray[np.float64]:
    """Phi over all strips, each at its move."""
    both = np.take_along_axis(counts.both, moves[:, np.newaxis], axis=1).sum(axis=(1, 2))
    a = np.take_along_axis(counts.probe, moves[:, np.newaxis], axis=1).sum(axis=(1, 2))
    b, n = counts.template.sum(axis=(1, 2)), counts.cells.sum(axis=(1, 2))
    spread = (a * (n - a)).astype(np.float64) * (b * (n - b))
    phi: npt.NDArray[np.float64] = (both * n - a * b) / np.sqrt(np.maximum(spread, 1.0))
    return phi
