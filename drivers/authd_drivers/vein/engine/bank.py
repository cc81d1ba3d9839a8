"""Templates of one profile, packed: 256 bytes each, 64 of the coarse map derived from them, and whose they are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from authd_drivers.vein.engine.compare import FINE_WORDS, ROUGH_WORDS, coarse, lattices

if TYPE_CHECKING:
    import numpy.typing as npt

    from authd_drivers.vein.engine.profile import SearchSettings

    Floats = npt.NDArray[np.float32]
    Words = npt.NDArray[np.uint64]
    Rows = npt.NDArray[np.intp]

SURVIVORS = 256
"""Templates that are always compared closely: all of a counter's roster, some milliseconds."""
SHARE = 0.08
"""Of more, the part that is; of living fingers no accepted one is lost (`python -m tests.bench.vein_search`)."""


class Slot(NamedTuple):
    """Whose a row is. finger: its code (engine/template.py)."""

    subject: str
    reference: str
    finger: int


class Bank:
    """Rows of bits; forgetting some overwrites them all, once the others were copied."""

    def __init__(self, search: SearchSettings | None = None) -> None:
        self.lattice, self._rough_lattice = lattices(search)
        self.fine: Words = np.zeros((0, FINE_WORDS), np.uint64)
        self._rough: Words = np.zeros((0, ROUGH_WORDS), np.uint64)
        self.slots: list[Slot] = []
        self._rows: dict[str, list[int]] = {}
        self.fingers: dict[str, dict[int, int]] = {}
        """How many templates of each finger of each person there are."""

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def nbytes(self) -> int:
        """Of the packed templates and coarse maps."""
        return self.fine.nbytes + self._rough.nbytes

    def add(self, slots: Sequence[Slot], maps: Words) -> None:
        """Add rows, maps of shape (n, 32), which are copied."""
        old = (self.fine, self._rough)
        self.fine, self._rough = np.concatenate([self.fine, maps]), np.concatenate([self._rough, coarse(maps)])
        for array in old:
            array.fill(0)
        self._note(slots)

    def drop(self, rows: Collection[int]) -> None:
        """Forget rows."""
        if not rows:
            return
        kept = [row for row in range(len(self.slots)) if row not in rows]
        old, slots = (self.fine, self._rough), self.slots
        self.fine, self._rough = self.fine[kept], self._rough[kept]
        for array in old:
            array.fill(0)
        self.slots, self._rows, self.fingers = [], {}, {}
        self._note([slots[row] for row in kept])

    def of(self, people: Iterable[str]) -> Rows:
        """Return the rows of some people."""
        wanted = dict.fromkeys(people)
        if wanted.keys() >= self._rows.keys():
            return np.arange(len(self.slots))
        return np.fromiter(chain.from_iterable(filter(None, map(self._rows.get, wanted))), np.intp)

    def plausible(self, probe: Words, rows: Rows) -> Rows:
        """Leave out rows whose coarse map is unlike the probe's. Few rows are all kept."""
        keep = max(SURVIVORS, round(SHARE * len(rows)))
        if len(rows) <= keep:
            return rows
        scores = self._rough_lattice.scores(coarse(probe[np.newaxis])[0], self._rough, rows)
        return rows[np.argpartition(scores, len(rows) - keep)[-keep:]]

    def scores(self, probe: Words, rows: Rows) -> Floats:
        """Likeness of a probe, shape (32,), with each of some rows."""
        return self.lattice.scores(probe, self.fine, rows)

    def _note(self, slots: Iterable[Slot]) -> None:
        for row, slot in enumerate(slots, len(self.slots)):
            self.slots.append(slot)
            self._rows.setdefault(slot.subject, []).append(row)
            fingers = self.fingers.setdefault(slot.subject, {})
            fingers[slot.finger] = fingers.get(slot.finger, 0) + 1
