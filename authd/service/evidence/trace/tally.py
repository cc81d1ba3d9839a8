"""What one found file has in common with every data set: counts, rows seen, and how sure that is.

How sure: under chance alone, of R tested rows at most R * 10^-t would fit with a score of t or more. The file's
significance is the largest over t of minus the decimal logarithm of Chernoff's bound for so many and more.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

import msgspec

from authd.service.evidence.trace.match import Filter, Match, Matcher
from authd.service.evidence.trace.prints import Printer, row_print
from authd.service.evidence.trace.reading.found import Budget, Cell, Why

SURE: Final = 9.0
"""Significance from which a file is found: one in a thousand million by chance."""
_BLOCK, _WINDOW, _ACTIVE, _WORTH = 4_096, 512, 4, 0.2
_LEVELS: Final = 12
_BETWEEN: Final = re.compile(r"[\s,、。,:;:;「」『』()()<>\[\]{}|\"'=]+")
_RECORDS: Final = re.compile(r"\)\s*,\s*\(|\}\s*,\s*\{|</tr>|</TR>")
_AROUND: Final = re.compile(r"^(?:〒|TEL|Tel|電話)+|(?:様|殿|さん|氏)$")
_MOST_TOKENS: Final = 40
_TOGETHER: Final = 3
_BEFORE: Final = 12
_MOST_PARTS: Final = 200
_MOST_TROUBLES: Final = 200
_HURRY: Final = 1_024


class Hit(msgspec.Struct, frozen=True):
    """What a file has of one data set. rows: different rows of the data set that are in it; seen: which, a bit each."""

    data_set: int
    rows: int
    exact: int
    fields: float
    """Cells of a row that agree, on average."""
    canaries: tuple[int, ...]
    significance: float
    seen: bytes
    """Packed by zlib."""


class Trouble(msgspec.Struct, frozen=True):
    """A file or part that was not read, or not to its end."""

    path: str
    why: Why
    detail: str = ""


class Part(msgspec.Struct, frozen=True):
    """What was found in one part of a file. rows: of the data set that has most of it."""

    path: str
    kind: str
    rows: int


class Outcome(msgspec.Struct, frozen=True):
    """A found file, read and compared."""

    number: int
    kind: str
    tested: int
    hits: tuple[Hit, ...] = ()
    parts: tuple[Part, ...] = ()
    troubles: tuple[Trouble, ...] = ()


class _Standing:
    """One data set's standing in one file."""

    def __init__(self, number: int, matcher: Matcher) -> None:
        self.number, self.matcher = number, matcher
        self.seen = bytearray((matcher.prints.rows + 7) >> 3)
        self.rows = self.exact = self.fields = 0
        self.canaries: set[int] = set()
        self.levels = [0] * (_LEVELS + 1)

    def take(self, match: Match) -> None:
        at, bit = match.row >> 3, 1 << (match.row & 7)
        if self.seen[at] & bit:
            return
        self.seen[at] |= bit
        self.rows += 1
        self.exact += match.exact
        self.fields += match.fields
        self.levels[min(_LEVELS, int(match.score))] += 1
        if match.row in self.matcher.prints.canaries:
            self.canaries.add(match.row)

    def hit(self, tested: int) -> Hit:
        return Hit(
            self.number,
            self.rows,
            self.exact,
            self.fields / max(1, self.rows),
            tuple(sorted(self.canaries)),
            significance(self.levels, tested),
            zlib.compress(self.seen, 1),
        )


def significance(levels: Sequence[int], tested: int) -> float:
    """Return how sure it is that these rows are not there by chance. levels: rows by their score's whole part."""
    best, above = 0.0, 0
    for level in range(len(levels) - 1, 0, -1):
        above += levels[level]
        expected = max(1, tested) * 10.0**-level
        if above > expected:
            best = max(best, (above * math.log(above / expected) - above + expected) / math.log(10))
    return best


class Tally:
    """Takes what is read of one file (a `Sink`) and compares it."""

    def __init__(
        self, number: int, printer: Printer, matchers: Sequence[Matcher], known: Filter, budget: Budget
    ) -> None:
        self._number, self._printer, self._known, self._budget = number, printer, known, budget
        self._standings = [_Standing(at, matcher) for at, matcher in enumerate(matchers)]
        self._all = sorted(self._standings, key=lambda each: -each.matcher.prints.rows)
        self._active = self._all
        self._read = self._tested = 0
        self._before: deque[list[int]] = deque(maxlen=_BEFORE)
        self._troubles: list[Trouble] = []
        self._parts: list[Part] = []
        self._part, self._kind, self._had = ("", ""), "", 0

    def part(self, path: str, kind: str) -> None:
        """Begin a part."""
        self._end_part()
        self._part, self._had = (path, kind), self._most()
        self._kind = self._kind or ("zip" if "!" in path else kind)
        self._before.clear()

    def field(self, text: str) -> int:
        """Return a cell's print."""
        return self._printer.field(text)

    def row(self, cells: Sequence[Cell]) -> None:
        """Compare a row of a table."""
        field = self._printer.field
        prints = [cell if isinstance(cell, int) else field(cell) for cell in cells]
        fields = self._known.keep({each for each in prints if each})
        self._next()
        if not fields:
            return
        self._tested += 1
        whole, known = row_print(prints), None
        for standing in self._asked():
            matcher = standing.matcher
            match = matcher.whole(whole, fields)
            if match is None and known != matcher.prints.about.columns:
                match = matcher.match(fields)
            if match:
                standing.take(match)
                # what is whole in one data set is so in every other one with these columns, or is not in it
                known = matcher.prints.about.columns if match.exact else known

    def line(self, text: str) -> None:
        """Compare a line of running text, with those before it where it says too little alone."""
        for said in _RECORDS.split(text):
            tokens = [token for token in _BETWEEN.split(said) if token]
            for begin in range(0, len(tokens), _MOST_TOKENS):
                self._words(tokens[begin : begin + _MOST_TOKENS])

    def _words(self, tokens: Sequence[str]) -> None:
        fields = self._known.keep({self._printer.field(words) for words in together(tokens)})
        self._next()
        if not fields:
            return
        self._tested += len(fields)
        several = list({*fields, *chain.from_iterable(self._before)})
        matched = False
        for standing in self._asked():
            match = standing.matcher.match(fields)
            if match is None and self._before:
                match = standing.matcher.match(several)
            if match:
                standing.take(match)
                matched = True
        if matched:
            self._before.clear()
        else:
            self._before.append(fields)

    def trouble(self, path: str, why: Why, detail: str) -> None:
        """Note what was not read."""
        if len(self._troubles) < _MOST_TROUBLES:
            self._troubles.append(Trouble(path[-1_000:], why, detail[:200]))

    def outcome(self) -> Outcome:
        """Return what came of it."""
        self._end_part()
        hits = tuple(standing.hit(self._tested) for standing in self._standings if standing.rows)
        sure = tuple(hit for hit in hits if hit.significance >= SURE / 3)
        return Outcome(self._number, self._kind, self._tested, sure, tuple(self._parts), tuple(self._troubles))

    def _next(self) -> None:
        self._read += 1
        if self._read % _HURRY == 0:
            self._budget.hurry()
        if self._read % _BLOCK == _WINDOW:
            most = self._most()
            best = sorted((each for each in self._all if each.rows), key=lambda each: -each.rows)[:_ACTIVE]
            self._active = [each for each in best if each.rows >= _WORTH * most] or self._all

    def _asked(self) -> list[_Standing]:
        """Every data set at the beginning of each block of rows; else those that have most of the file."""
        return self._all if self._read % _BLOCK < _WINDOW else self._active

    def _most(self) -> int:
        return max((each.rows for each in self._standings), default=0)

    def _end_part(self) -> None:
        new = self._most() - self._had
        if "!" in self._part[0] and new and len(self._parts) < _MOST_PARTS:
            self._parts.append(Part(self._part[0][-1_000:], self._part[1], new))


def together(tokens: Sequence[str]) -> Iterator[str]:
    """Yield the words of a line, each alone and with the next ones: a name has two, a date up to three."""
    for begin in range(len(tokens)):
        for end in range(begin + 1, min(len(tokens), begin + _TOGETHER) + 1):
            words = " ".join(tokens[begin:end])
            yield words
            if (bare := _AROUND.sub("", words)) != words:
                yield bare
