"""Making a data set's prints: row after row in bounded memory, one file at the end (0600, whole or not at all)."""

from __future__ import annotations

import hashlib
import os
import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from authd.service.evidence.records import Pseudonyms, RecordId
from authd.service.evidence.trace import columns as judging
from authd.service.evidence.trace.form import (
    MOST_CELLS,
    MOST_COLUMNS,
    MOST_ROWS,
    RECORD_BYTES,
    About,
    BadPrints,
    head,
    padded,
    record_bytes,
)
from authd.service.evidence.trace.prints import MASK, Printer

_BUCKETS: Final = 256
_NO_CELL: Final = MOST_CELLS
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """A data set's file: for the ledger."""

    id: str
    rows: int
    digest: str
    """SHA-256 of the file without its last 32 bytes, which are the same."""
    path: Path


@dataclass(slots=True)
class _Index:
    """The arrays of the file that are made at its end."""

    values: array[int] = field(default_factory=lambda: array("Q"))
    often: array[int] = field(default_factory=lambda: array("I"))
    where: array[int] = field(default_factory=lambda: array("I", [0]))
    cells: array[int] = field(default_factory=lambda: array("I"))


class PrintsMaker:
    """Takes the rows of a data set (an export, or a baseline) and writes its prints.

    key: `Keys.record_key`. columns: their names. number: the column with the residents' numbers; without it, rows may
    carry their record's pseudonym, and residents are named by their row otherwise.
    """

    def __init__(self, key: bytes, columns: Sequence[str], *, number: str | None = None) -> None:
        if not 1 <= len(columns) <= MOST_COLUMNS:
            raise BadPrints(f"a data set has 1 to {MOST_COLUMNS} columns, this one {len(columns)}")
        if number is not None and number not in columns:
            raise BadPrints(f"no column is called {number}; there are: {', '.join(columns)}")
        self.columns = tuple(columns)
        self._printer = Printer(key)
        self._pseudonyms = Pseudonyms(key)
        self._number = None if number is None else self.columns.index(number)
        self._rows = array("Q")
        self._checks = array("H")
        self._records = bytearray()
        self._canaries: list[int] = []
        self._buckets = [(array("Q"), array("I")) for _ in range(_BUCKETS)]
        self._few: list[Counter[int] | None] = []
        self._numbers: dict[int, array[int]] = {}
        self._first: list[Sequence[str]] = []

    def __len__(self) -> int:
        return len(self._rows) + len(self._first)

    def add(self, cells: Sequence[str], record: RecordId | None = None, *, canary: bool = False) -> None:
        """Take one row; missing cells at its end are empty ones. Raises `BadPrints`."""
        row = len(self)
        if len(cells) > len(self.columns) or row >= MOST_ROWS or (row + 1) * len(self.columns) >= MOST_CELLS:
            raise BadPrints(f"row {row + 1}: {len(cells)} cells, {len(self.columns)} columns; at most {MOST_ROWS} rows")
        self._note(row, cells, record, canary=canary)
        whole = [*cells, *[""] * (len(self.columns) - len(cells))]
        if self._few:
            self._take(whole)
            return
        self._first.append(whole)
        if len(self._first) >= judging.LOOK:
            self._settle()

    def _note(self, row: int, cells: Sequence[str], record: RecordId | None, *, canary: bool) -> None:
        if canary:
            self._canaries.append(row)
        if record is None and self._number is not None:
            record = self._pseudonyms.record(cells[self._number])
        if record is not None:
            self._records += bytes(row * RECORD_BYTES - len(self._records)) + record_bytes(record)

    def _settle(self) -> None:
        """Judge the columns by the first rows, and take these."""
        first, self._first = self._first, []
        prints = [[self._printer.field(cell) for cell in row] for row in first]
        self._few = [Counter() if judging.few(prints, column) else None for column in range(len(self.columns))]
        for column, low in enumerate(self._few):
            if low is None and judging.numbers([row[column] for row in first]):
                self._numbers[column] = array("Q")
        for row in first:
            self._take(row)

    def _take(self, cells: Sequence[str]) -> None:
        prints = list(map(self._printer.field, cells))
        at = len(self._rows) * len(prints)
        self._rows.append(sum(prints) & MASK)
        for number, (value, low) in enumerate(zip(prints, self._few, strict=True), at):
            self._checks.append(value >> 48)
            if low is not None:
                low[value] += 1
            elif value:
                bucket = self._buckets[value >> 56]
                bucket[0].append(value)
                bucket[1].append(number)
        for column, kept in self._numbers.items():
            kept.append(judging.number(cells[column]) or 0)

    def write(self, folder: Path, about: About) -> Written:
        """Write `<folder>/<about.id>.prints`. Of `about` its id, kind, title and time are taken. Raises `OSError`."""
        if not self._few:
            self._settle()
        pairs, index = judging.Pairs(len(self.columns)), _Index()
        for value, often, cells in self._ordered():
            index.values.append(value)
            index.often.append(often)
            if often <= self._common:
                index.cells.extend(cells)
            index.where.append(len(index.cells))
            if len(cells) > 1:
                pairs.offer(cells)
        bits = min(24, max(1, len(index.values).bit_length() - 2))
        whole = msgspec.structs.replace(
            about,
            columns=self.columns,
            rows=len(self._rows),
            values=len(index.values),
            cells=len(index.cells),
            bits=bits,
            records=bool(self._records),
            follows=pairs.follows(self.columns, self._checks),
            density=tuple(self._density(column) for column in range(len(self.columns))),
            canaries=tuple(self._canaries),
        )
        return _save(folder, whole, self._sections(index, bits))

    @property
    def _common(self) -> int:
        return max(64, len(self._rows) // 8_192)

    def _density(self, column: int) -> float | None:
        kept = self._numbers.get(column)
        return None if kept is None else judging.density(kept)

    def _ordered(self) -> Iterator[tuple[int, int, list[int]]]:
        """Yield each different value, ascending, with how often it is there and its cells."""
        few = Counter[int]()
        for low in self._few:
            few.update(low or {})
        few.pop(0, None)
        by_bucket: list[list[int]] = [[] for _ in range(_BUCKETS)]
        for value in few:
            by_bucket[value >> 56].append(value)
        for number, (values, cells) in enumerate(self._buckets):
            found = sorted([*zip(values, cells, strict=True), *((value, _NO_CELL) for value in by_bucket[number])])
            yield from _grouped(found, few)
            self._buckets[number] = (array("Q"), array("I"))

    def _sections(self, index: _Index, bits: int) -> Iterator[bytes | memoryview]:
        order = array("I", sorted(range(len(self._rows)), key=self._rows.__getitem__))
        yield _raw(array("Q", (self._rows[row] for row in order)))
        yield _raw(order)
        yield _raw(index.values)
        yield _raw(index.often)
        yield _raw(index.where)
        yield _raw(_first(index.values, bits))
        yield _raw(index.cells)
        yield _raw(self._checks)
        if self._records:
            yield bytes(self._records) + bytes(len(self._rows) * RECORD_BYTES - len(self._records))


def _grouped(found: Sequence[tuple[int, int]], few: Mapping[int, int]) -> Iterator[tuple[int, int, list[int]]]:
    at = 0
    while at < len(found):
        value, begin = found[at][0], at
        while at < len(found) and found[at][0] == value:
            at += 1
        cells = [cell for _, cell in found[begin:at] if cell != _NO_CELL]
        yield value, len(cells) + few.get(value, 0), cells


def _first(values: array[int], bits: int) -> array[int]:
    """Return where the values of each beginning of `bits` bits begin."""
    found, at, shift = array("I"), 0, 64 - bits
    for top in range(1 << bits):
        while at < len(values) and values[at] >> shift < top:
            at += 1
        found.append(at)
    found.append(len(values))
    return found


def _raw(numbers: array[int]) -> memoryview:
    assert sys.byteorder == "little" and (numbers.typecode != "I" or numbers.itemsize == 4)  # noqa: PT018 (one fact)
    return memoryview(numbers).cast("B")


def _save(folder: Path, about: About, parts: Iterator[bytes | memoryview]) -> Written:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path, digest = folder / f"{about.id}.prints", hashlib.sha256()
    making = path.with_suffix(".making")
    making.unlink(missing_ok=True)
    with open(os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 (its mode)
        for part in (head(about), *parts):
            filling = bytes(padded(len(part)) - len(part))
            for piece in (part, filling):
                file.write(piece)
                digest.update(piece)
        file.write(digest.digest())
        file.flush()
        os.fsync(file.fileno())
    making.replace(path)
    _sync(folder)
    return Written(about.id, about.rows, digest.hexdigest(), path)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
