"""Canary rows: people whom nobody knows, put into one export and into no other.

Each is put together from values of the export itself, so that it looks like its neighbours: columns that follow from
each other (name and kana, address and postal code) come from one row, the others from other rows, and numbers that are
one row's alone get digits of their own. They are made with a key and the export's id: asking again gives the same ones.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final

from authd.service.evidence.records import derived
from authd.service.evidence.trace.columns import family
from authd.service.evidence.trace.normal import normal

MOST: Final = 64
_LOOK: Final = 2_000
_TRIES: Final = 100
_FRESH_DIGITS: Final = 5
_SAME: Final = 0.95


def canary_count(rows: int) -> int:
    """Return how many canary rows an export of this many rows should carry: one in 200, at least 2, at most 64."""
    return min(MOST, max(2, rows // 200))


def canaries(
    key: bytes, export: str, columns: Sequence[str], rows: Sequence[Sequence[str]], count: int
) -> list[list[str]]:
    """Return `count` rows (fewer where the export has no room for others than its own).

    key: `Keys.record_key`. rows: the export's, or the first few thousand of them; each as long as `columns`.
    """
    sample = [row for row in rows[:_LOOK] if len(row) == len(columns)]
    if len(sample) < 2:
        return []
    dice, families = _Dice(derived(key, "canary"), export), _families(columns)
    fresh = {column for column in range(len(columns)) if _own_number(sample, column)}
    seen = {_said(row) for row in sample}
    made: list[list[str]] = []
    for _ in range(min(count, MOST) * _TRIES):
        if len(made) >= min(count, MOST):
            break
        row = _row(dice, sample, families, fresh)
        if _said(row) not in seen:
            seen.add(_said(row))
            made.append(row)
    return made


class _Dice:
    """Numbers from a key and an export's id, the same ones each time."""

    def __init__(self, key: bytes, export: str) -> None:
        self._key, self._export, self._thrown = key, export.encode(), 0

    def throw(self, faces: int) -> int:
        self._thrown += 1
        raw = hmac.digest(self._key, self._export + b"\0" + self._thrown.to_bytes(8), "sha256")
        return int.from_bytes(raw[:8]) % faces


def _row(dice: _Dice, sample: Sequence[Sequence[str]], families: Sequence[int], fresh: set[int]) -> list[str]:
    donors = {family: sample[dice.throw(len(sample))] for family in dict.fromkeys(families)}
    return [
        _redrawn(dice, donors[family][column]) if column in fresh else donors[family][column]
        for column, family in enumerate(families)
    ]


def _redrawn(dice: _Dice, cell: str) -> str:
    """Return the cell with its last digits drawn anew, everything else as it was."""
    left, made = _FRESH_DIGITS, list[str]()
    for character in reversed(cell):
        draw = left > 0 and character.isascii() and character.isdigit()
        left -= draw
        made.append(str(dice.throw(10)) if draw else character)
    return "".join(reversed(made))


def _families(columns: Sequence[str]) -> list[int]:
    """Return a number for each column; columns of the same number come from one row."""
    known = [family(name) for name in columns]
    return [len(columns) + column if each is None else each for column, each in enumerate(known)]


def _own_number(sample: Sequence[Sequence[str]], column: int) -> bool:
    """Whether the column holds numbers that are one row's alone: they may not be anybody's twice."""
    said = [normal(row[column]) for row in sample]
    numbers = [each for each in said if each.isascii() and each.isdigit() and len(each) > _FRESH_DIGITS]
    dates = sum(len(each) == 8 and each[:2] in {"18", "19", "20"} for each in numbers)
    return len(numbers) >= _SAME * len(said) and len(set(numbers)) >= _SAME * len(numbers) and dates < len(numbers) / 2


def _said(row: Sequence[str]) -> tuple[str, ...]:
    return tuple(normal(cell) for cell in row)
