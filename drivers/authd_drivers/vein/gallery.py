"""The templates that the verifier child holds, as rows of bits, and the search among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from authd.driver import Reference, Scored
from authd_drivers.vein.engine.compare import FINE, ROUGH, coarse, unmoved, words
from authd_drivers.vein.engine.template import parse

if TYPE_CHECKING:
    import numpy.typing as npt

    Words = npt.NDArray[np.uint64]
    Rows = npt.NDArray[np.intp]

FINE_WORDS, ROUGH_WORDS = 32, 8
SURVIVORS = 32
SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Ranking:
    """People by their best template, best first. exact: among those that passed the coarse filter."""

    people: tuple[Scored, ...]
    same: bool
    """A template is the probe itself, bit for bit or nearly."""
    fingers: tuple[Scored, ...] = ()
    """Each finger of each of them by its best template, best first."""


class Gallery:
    """Packed templates; forgetting a person overwrites their rows."""

    def __init__(self) -> None:
        self._fine: Words = np.zeros((0, FINE_WORDS), np.uint64)
        self._rough: Words = np.zeros((0, ROUGH_WORDS), np.uint64)
        self._codes: npt.NDArray[np.uint32] = np.zeros(0, np.uint32)
        self._names: list[tuple[str, str]] = []
        self._fingers: list[int] = []
        self._rows: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._names)

    @property
    def bits(self) -> Words:
        """The rows held, shape (n, 32); overwritten as soon as one of them is forgotten."""
        return self._fine

    @property
    def codes(self) -> set[int]:
        """Profiles of which there are templates."""
        return set(self._codes.tolist())

    def add(self, references: Sequence[Reference]) -> None:
        """Add templates, in place of any of the same id. Raises `DriverError`; then nothing was changed."""
        parsed = [parse(reference.data) for reference in references]
        ids = {reference.id for reference in references}
        if len(ids) != len(references):
            raise ValueError("two references have one id")
        self._keep([row for row, (_, name) in enumerate(self._names) if name not in ids])
        if not parsed:
            return
        fine = np.stack([words(template.bits) for template in parsed])
        old = (self._fine, self._rough)
        self._fine = np.concatenate([self._fine, fine])
        self._rough = np.concatenate([self._rough, coarse(fine)])
        self._codes = np.concatenate([self._codes, np.array([each.profile for each in parsed], np.uint32)])
        self._names += [(reference.subject, reference.id) for reference in references]
        self._fingers += [each.finger for each in parsed]
        for array in (*old, fine):
            array.fill(0)
        self._index()

    def remove(self, subject: str) -> None:
        """Forget a person."""
        self._keep([row for row, (name, _) in enumerate(self._names) if name != subject])

    def clear(self) -> None:
        """Forget everybody."""
        self._keep([])

    def rank(self, probe: Words, code: int, scope: Sequence[str], same: float) -> Ranking:
        """Compare with the templates of the people in scope that come from the same kind of sensor."""
        rows = np.array([row for subject in dict.fromkeys(scope) for row in self._rows.get(subject, ())], np.intp)
        rows = rows[self._codes[rows] == code]
        if not rows.size:
            return Ranking((), same=False)
        twin = bool(unmoved(probe, self._fine[rows]).max() > same)
        rows = self._plausible(probe, rows)
        scores = FINE.scores(probe, self._fine[rows])
        fingers = self._by_finger(rows, scores)
        people: dict[str, Scored] = {}
        for each in fingers:
            people.setdefault(each.subject, each)
        return Ranking(tuple(people.values()), twin, fingers)

    @property
    def subjects(self) -> Sequence[str]:
        """Everybody."""
        return list(self._rows)

    def fingers(self, subject: str) -> Mapping[int, int]:
        """How many templates of each finger of a person there are, by its code."""
        return Counter(self._fingers[row] for row in self._rows.get(subject, ()))

    def _plausible(self, probe: Words, rows: Rows) -> Rows:
        """Leave out templates whose coarse map is unlike the probe's; a small scope is compared whole."""
        keep = max(SURVIVORS, round(SHARE * len(rows)))
        if len(rows) <= keep:
            return rows
        scores = ROUGH.scores(coarse(probe[np.newaxis])[0], self._rough[rows])
        return rows[np.argpartition(scores, len(rows) - keep)[-keep:]]

    def _by_finger(self, rows: Rows, scores: npt.NDArray[np.float32]) -> tuple[Scored, ...]:
        best: dict[tuple[str, int], Scored] = {}
        for place in np.argsort(-scores, kind="stable").tolist():
            row = int(rows[place])
            (subject, name), finger = self._names[row], self._fingers[row]
            best.setdefault((subject, finger), Scored(subject, name, float(scores[place]), finger))
        return tuple(best.values())

    def _keep(self, rows: list[int]) -> None:
        if len(rows) == len(self._names):
            return
        old = (self._fine, self._rough)
        self._fine, self._rough, self._codes = self._fine[rows], self._rough[rows], self._codes[rows]
        self._names = [self._names[row] for row in rows]
        self._fingers = [self._fingers[row] for row in rows]
        for array in old:
            array.fill(0)
        self._index()

    def _index(self) -> None:
        self._rows = {}
        for row, (subject, _) in enumerate(self._names):
            self._rows.setdefault(subject, []).append(row)
