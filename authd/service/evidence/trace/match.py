"""Does a found row come from a data set, and from which of its rows? With the chance that it only looks so.

A value counts by how rare it is in the data set: a row of the data set fits a found one by chance in N * product of
(cells with that value / N) rows, over the columns that agree and do not follow from each other. A prefecture, a sex, a
common name alone say nothing; a common name with a birthday says something; with an address besides, it is that row.
A row's score is minus the decimal logarithm of that number. Nothing is found by one value alone, except by a number
that is one row's and lies far from the next ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Final

from authd.service.evidence.trace.search import Prints

LEAST_SCORE: Final = 1.3
"""A row that fits with less is none: it would be one in twenty by chance."""
MOST_SCORE: Final = 12.0
_PLAIN: Final = 4.0
_OWN: Final = 2
_MOST_CANDIDATES: Final = 8
_LEARNT: Final = 32


@dataclass(frozen=True, slots=True)
class Match:
    """A found row is this row of a data set. fields: cells that agree; exact: all, and nothing else."""

    row: int
    score: float
    fields: int
    exact: bool = False


class Filter:
    """Tells at once of most prints that no data set has them: one bit for each of eight times as many."""

    def __init__(self, data_sets: Iterable[Prints]) -> None:
        sets = list(data_sets)
        size = 1 << max(10, (8 * sum(each.about.values for each in sets)).bit_length())
        self._mask, self._bits = size - 1, bytearray(size >> 3)
        for each in sets:
            for value in each.values():
                at = value & self._mask
                self._bits[at >> 3] |= 1 << (at & 7)

    def keep(self, fields: Iterable[int]) -> list[int]:
        """Return the fields that some data set may have."""
        bits, mask = self._bits, self._mask
        return [value for value in fields if bits[(value & mask) >> 3] >> (value & 7) & 1]


class Matcher:
    """Matches found rows with one data set."""

    def __init__(self, prints: Prints) -> None:
        self.prints = prints
        self._log_rows = math.log10(max(1, prints.rows))
        self._weights: dict[int, float] = {}
        self._follows = [frozenset(each) for each in prints.about.follows]
        self._alone = [-math.log10(each) if each else 0.0 for each in prints.about.density]
        self._most_alone = max(self._alone)
        self._exact: list[float] = []
        self._exact_score = 0.0

    def whole(self, print_: int, fields: Sequence[int]) -> Match | None:
        """Match a found row by its row print: every cell is there, and no other."""
        row = self.prints.row(print_)
        if row is None:
            return None
        if len(self._exact) < _LEARNT:  # a few are weighed; the others of the same data set weigh as much
            known = self.match(fields)
            self._exact.append(known.score if known else 0.0)
            self._exact_score = median_low(self._exact)
        return Match(row, self._exact_score, self.prints.width, exact=True)

    def match(self, fields: Iterable[int]) -> Match | None:
        """Match a found row by its fields, in whatever columns they stand. fields: different, none empty."""
        prints = self.prints
        known = [(prints.often(place), place, value >> 48) for value in fields if (place := prints.value(value)) >= 0]
        if not known:
            return None
        most = sum(self._weight(often) for often, _, _ in known) - self._log_rows
        if most < LEAST_SCORE and self._most_alone < LEAST_SCORE:
            return None
        known.sort()
        if known[0][0] <= _MOST_CANDIDATES and most >= _PLAIN:  # a rare value is nearly always enough, and cheaper
            found = self._best([cell // prints.width for cell in prints.holders(known[0][1])], known)
            if found and found.score >= _PLAIN:
                return found
        return self._best(self._candidates(known, most), known)

    def _candidates(self, known: Sequence[tuple[int, int, int]], most: float) -> Sequence[int]:
        """Return the rows that may fit: what they hold of the uncommon values, and all common ones, is enough.

        known: how often, place and check of each value; most: what a row with all of them would score.
        """
        weights: dict[int, float] = {}
        alone = set[int]()
        width, open_ = self.prints.width, most
        for often, place, _ in known:
            holders = self.prints.holders(place)
            weight = self._weight(often)
            open_ -= weight if holders else 0.0
            for cell in holders:
                row = cell // width
                weights[row] = weights.get(row, 0.0) + weight
            if often <= _OWN:
                alone.update(cell // width for cell in holders if self._alone[cell % width] >= LEAST_SCORE)
        fit = [row for row, weight in weights.items() if weight >= LEAST_SCORE - open_ or row in alone]
        if len(fit) > _MOST_CANDIDATES:
            fit.sort(key=weights.__getitem__, reverse=True)
        return fit[:_MOST_CANDIDATES]

    def _best(self, rows: Sequence[int], known: Sequence[tuple[int, int, int]]) -> Match | None:
        oftens = {check: often for often, _, check in known}
        best: Match | None = None
        for row in rows:
            agree = [(oftens[check], column) for column, check in enumerate(self.prints.checks(row)) if check in oftens]
            found = self._weigh(row, agree)
            if found.score >= LEAST_SCORE:  # in a long list some agree by an accident of the 16 bits
                found = self._weigh(row, self._truly(row, agree, known))
            if best is None or (found.score, found.fields) > (best.score, best.fields):
                best = found
        return best if best and best.score >= LEAST_SCORE else None

    def _truly(
        self, row: int, agree: Sequence[tuple[int, int]], known: Sequence[tuple[int, int, int]]
    ) -> list[tuple[int, int]]:
        """Return of the fields that seem to agree those that hold the value."""
        holds, begin = self.prints.holds, row * self.prints.width
        return [
            (often, column)
            for often, column in agree
            if any(each == often and holds(place, begin + column) for each, place, _ in known)
        ]

    def _weigh(self, row: int, agree: list[tuple[int, int]]) -> Match:
        """Weigh a row. agree: how often and column of the values that it shares."""
        agree.sort()
        score, alone, taken, implied = -self._log_rows, 0.0, 0, set[int]()
        for often, column in agree:
            if column not in implied:
                score += self._weight(often)
                alone = max(alone, self._alone[column])
                taken += 1
                implied |= self._follows[column]
        return Match(row, min(MOST_SCORE, max(score if taken > 1 else 0.0, alone)), len(agree))

    def _weight(self, often: int) -> float:
        """Return the logarithm of how rare a value is that so many cells hold."""
        known = self._weights.get(often)
        if known is None:
            known = self._weights[often] = self._log_rows - math.log10(often)
        return known
