"""Searching a data set's prints where they lie: which rows hold this value, is this row there, does this row fit."""

from __future__ import annotations

import hashlib
import mmap
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from authd.service.evidence.records import RecordId
from authd.service.evidence.trace.form import (
    DIGEST_BYTES,
    MOST_ABOUT,
    RECORD_BYTES,
    BadPrints,
    read_about,
    record_id,
    sections,
)

_CHUNK = 1 << 20


class Prints:
    """One data set's prints, mapped. Closed by `close` or `with`. Raises `BadPrints` where the file is not whole."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            try:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError:
                raise BadPrints(f"{path.name}: is empty") from None
        self.path = path
        try:
            self.about, begin = read_about(self._map[: MOST_ABOUT + 64])
            self._views(begin)
        except BadPrints as error:
            self._map.close()
            raise BadPrints(f"{path.name}: {error}; put the original back, or register the data set again") from None
        self.width = len(self.about.columns)
        self.canaries = frozenset(self.about.canaries)

    def _views(self, begin: int) -> None:
        plan = sections(self.about, begin)
        if plan["digest"].end != len(self._map):
            raise BadPrints("is cut off or has something behind its end")
        whole = memoryview(self._map)
        views = {name: _numbers(whole[part.begin : part.end], part.type) for name, part in plan.items()}
        self._row_prints, self._row_numbers = views["row_prints"], views["row_numbers"]
        self._values, self._often, self._where = views["values"], views["often"], views["where"]
        self._first, self._cells, self._checks = views["first"], views["cells"], views["checks"]
        self._records, self._digest = views["records"], views["digest"]
        self._shift = 64 - self.about.bits
        self._held: tuple[memoryview, ...] = (whole, *views.values())

    def verify(self) -> str:
        """Return the file's digest after computing it. Raises `BadPrints` if its content is another."""
        digest, left = hashlib.sha256(), len(self._map) - DIGEST_BYTES
        with self.path.open("rb") as file:  # not through the mapping: that would all stay in this process
            while left and (piece := file.read(min(left, _CHUNK))):
                digest.update(piece)
                left -= len(piece)
        if digest.digest() != bytes(self._digest):
            raise BadPrints(f"{self.path.name}: was changed; put the original back, or register the data set again")
        return digest.hexdigest()

    @property
    def rows(self) -> int:
        """How many rows the data set has."""
        return self.about.rows

    def row(self, print_: int) -> int | None:
        """Return the row with this row print."""
        at = bisect_left(self._row_prints, print_)
        if at < len(self._row_prints) and self._row_prints[at] == print_:
            return self._row_numbers[at]
        return None

    def value(self, print_: int) -> int:
        """Return the place of a field's print among the values; -1 where no field has it."""
        top = print_ >> self._shift
        end = self._first[top + 1]
        at = bisect_left(self._values, print_, self._first[top], end)
        return at if at < end and self._values[at] == print_ else -1

    def values(self) -> Iterator[int]:
        """Yield every different field's print."""
        return iter(self._values)

    def often(self, value: int) -> int:
        """Return how many cells hold the value at this place."""
        return self._often[value]

    def holders(self, value: int) -> list[int]:
        """Return the cells (row * width + column) that hold the value at this place; none of a common one."""
        return self._cells[self._where[value] : self._where[value + 1]].tolist()

    def holds(self, value: int, cell: int) -> bool:
        """Whether the cell holds the value at this place; of a common one, whose cells are not told, it is taken to."""
        begin, end = self._where[value], self._where[value + 1]
        at = bisect_left(self._cells, cell, begin, end)
        return begin == end or (at < end and self._cells[at] == cell)

    def checks(self, row: int) -> list[int]:
        """Return the first 16 bits of each field's print of a row."""
        return self._checks[row * self.width : (row + 1) * self.width].tolist()

    def record(self, row: int) -> RecordId | None:
        """Return the pseudonym of a row's record."""
        raw = bytes(self._records[row * RECORD_BYTES : (row + 1) * RECORD_BYTES])
        return record_id(raw) if any(raw) else None

    def close(self) -> None:
        """Give the mapping back."""
        for view in reversed(self._held):
            view.release()
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _numbers(part: memoryview, kind: str) -> memoryview:
    whole: Any = part
    found: memoryview = whole.cast(kind)  # the stubs know kinds as literals only
    return found
