"""What a data set's columns are worth as evidence: which follow from another, and which numbers are dense."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

from authd.service.evidence.trace.normal import normal

LOOK: Final = 4_096
"""Rows that are looked at before a column is judged."""
FEW: Final = 64
"""A column with fewer different values among them (sex, prefecture, ward) is in no index."""
_FAMILIES: Final = (
    ("氏名", "名前", "漢字", "カナ", "かな", "ふりがな", "フリガナ", "性別", "name", "kana", "sex", "gender"),
    (
        *("住所", "番地", "町", "区", "市", "県", "郵便", "方書", "電話", "世帯"),
        *("address", "postal", "zip", "town", "ward", "city", "phone", "tel", "household"),
    ),
)
_MOST_PAIRS, _FEWEST_PAIRS, _SAME = 400, 12, 0.9
_NEIGHBOURS: Final = 8
_MOST_DIGITS: Final = 18


def family(name: str) -> int | None:
    """Return which family a column belongs to by its name: of what a name tells, or of what a place tells."""
    lower = name.lower()
    return next((at for at, words in enumerate(_FAMILIES) if any(word in lower for word in words)), None)


class Pairs:
    """Pairs of rows that agree in one column: do they agree in another too? Then that one follows from it."""

    def __init__(self, width: int) -> None:
        self._pairs: list[list[tuple[int, int]]] = [[] for _ in range(width)]

    def offer(self, cells: Sequence[int]) -> None:
        """Note two rows with the same value, if they have it in the same column. cells: row * width + column."""
        width = len(self._pairs)
        (one, column), (other, same) = divmod(cells[0], width), divmod(cells[-1], width)
        if column == same and len(self._pairs[column]) < _MOST_PAIRS:
            self._pairs[column].append((one, other))

    def follows(self, names: Sequence[str], checks: array[int]) -> tuple[tuple[int, ...], ...]:
        """Return for each column those that follow from it: by its pairs; in small data sets only names can tell."""
        width, families = len(names), [family(name) for name in names]

        def follow(column: int, other: int) -> bool:
            akin = families[column] is not None and families[column] == families[other]
            return column != other and (akin or _agree(self._pairs[column], checks, other, width))

        return tuple(tuple(other for other in range(width) if follow(column, other)) for column in range(width))


def _agree(pairs: list[tuple[int, int]], checks: array[int], column: int, width: int) -> bool:
    same = sum(checks[one * width + column] == checks[other * width + column] for one, other in pairs)
    return len(pairs) >= _FEWEST_PAIRS and same >= _SAME * len(pairs)


def few(rows: Sequence[Sequence[int]], column: int) -> bool:
    """Whether a column says only a few things. rows: prints of the first `LOOK` rows, all of them there."""
    return len(rows) >= LOOK and len({row[column] for row in rows}) < FEW


def number(cell: str) -> int | None:
    """Return the number in a cell of numbers."""
    said = normal(cell)
    return int(said) if said.isascii() and said.isdigit() and len(said) <= _MOST_DIGITS else None


def numbers(cells: Sequence[str]) -> bool:
    """Whether a column's first cells are numbers that are each one row's: neither dates nor amounts."""
    found = [number(cell) for cell in cells]
    known = [each for each in found if each is not None]
    return bool(known) and len(known) == len(found) == len(set(known)) and not all(map(_date, known))


def _date(value: int) -> bool:
    year, month, day = value // 10_000, value // 100 % 100, value % 100
    return 1850 <= year <= 2150 and 1 <= month <= 12 and 1 <= day <= 31


def density(values: array[int]) -> float:
    """Return how dense numbers lie where they lie densest (90th percentile): 1 for one after the other.

    So it is with telephone numbers of a town, among which anybody's number would be found by chance.
    """
    if len(values) <= 2 * _NEIGHBOURS:
        return 1.0
    ordered = sorted(values)
    step = max(1, len(ordered) // 1_000)
    spans = sorted(
        ordered[at + _NEIGHBOURS] - ordered[at - _NEIGHBOURS]
        for at in range(_NEIGHBOURS, len(ordered) - _NEIGHBOURS, step)
    )
    return min(1.0, 2 * _NEIGHBOURS / max(1, spans[len(spans) // 10]))
