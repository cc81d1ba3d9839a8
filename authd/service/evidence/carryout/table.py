"""A table of rows in a file, as the systems of a city hall write them: CSV in UTF-8, CP932 or UTF-16, read in passes.

Nothing is kept in memory but a few thousand rows, which canary rows are made of.
"""

from __future__ import annotations

import csv
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

MOST_BYTES: Final = 4 << 30
MOST_CELL: Final = 100_000
"""Characters of one cell."""
MOST_LINE: Final = 1_000_000
LOOK: Final = 2_000
_SNIFF: Final = 65_536
NUMBERS: Final = ("宛名番号", "住民番号", "個人番号", "整理番号", "resident_number", "number", "id")
"""Names of the column with residents' numbers, where nobody says which it is; the first that is there."""


class BadTable(ValueError):
    """The file is no table that can be read; the text says where and what is expected."""


@dataclass(frozen=True, slots=True)
class Table:
    """How the file is written, what its columns are called, how many rows it has, and the first of them."""

    path: Path
    encoding: str
    delimiter: str
    newline: str
    columns: tuple[str, ...]
    rows: int
    first: list[list[str]]
    identity: tuple[int, int, int]
    """Of the file that was looked at: the second pass must find the same."""

    def number(self, named: str | None) -> str | None:
        """Return the column of residents' numbers: the one that was named, or one of the usual names. `BadTable`."""
        if named is not None and named not in self.columns:
            raise BadTable(
                f"{self.path}: no column is called {named}; there are: {' '.join(', '.join(self.columns).split())}"
            )
        return named or next((name for name in NUMBERS if name in self.columns), None)

    def each(self) -> Iterator[list[str]]:
        """Yield the rows again, without the heading. Raises `BadTable` where the file has changed since."""
        if _identity(self.path) != self.identity:
            raise BadTable(f"{self.path}: changed while it was read; start again")
        rows = _rows(self.path, self.encoding, self.delimiter)
        next(rows)
        for _, row in rows:
            yield row


def look(path: Path) -> Table:
    """Read the file once, whole. Raises `BadTable` and `OSError`."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise BadTable(f"{path}: expected a plain file")
    before = _identity(path)
    if before[2] > MOST_BYTES:
        raise BadTable(f"{path}: larger than {MOST_BYTES >> 30} GiB; cut it into parts")
    encoding, start = _encoding(path)
    delimiter = "\t" if start.split("\n", 1)[0].count("\t") > start.split("\n", 1)[0].count(",") else ","
    rows = _rows(path, encoding, delimiter)
    columns = next((tuple(heading) for _, heading in rows), ())
    if not columns or len(set(columns)) != len(columns) or not all(name.strip() for name in columns):
        raise BadTable(f"{path}:1: expected a heading whose columns have each a name of their own")
    first: list[list[str]] = []
    count = 0
    for line, row in rows:
        if len(row) != len(columns):
            raise BadTable(f"{path}:{line}: expected {len(columns)} cells as in the heading, found {len(row)}")
        count += 1
        if count <= LOOK:
            first.append(row)
    newline = "\r\n" if "\r\n" in start else "\n"
    return Table(path, encoding, delimiter, newline, columns, count, first, before)


def _identity(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _encoding(path: Path) -> tuple[str, str]:
    """Return the encoding and the beginning. UTF-8 is strict, so whatever is not, and has no mark, is CP932."""
    with path.open("rb") as file:
        start = file.read(_SNIFF)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", start[: len(start) // 2 * 2].decode("utf-16", "replace")
    if start.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig", start.decode("utf-8-sig", "replace")
    encoding = "utf-8" if _is_utf8(path) else "cp932"
    return encoding, start.decode(encoding, "replace")


def _is_utf8(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            while file.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _rows(path: Path, encoding: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the number of its last line."""
    csv.field_size_limit(MOST_CELL)
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(_lines(file, path), delimiter=delimiter, strict=True)
        try:
            for row in reader:
                if row:
                    yield reader.line_num, row
        except csv.Error as error:
            raise BadTable(f"{path}:{reader.line_num}: not CSV: {error}") from None
        except UnicodeError:
            raise BadTable(f"{path}:{reader.line_num + 1}: neither UTF-8, CP932 nor UTF-16") from None


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    """Yield the lines; one that does not end is no table, and is not read into memory."""
    while line := file.readline(MOST_LINE):
        if len(line) == MOST_LINE and not line.endswith("\n"):
            raise BadTable(f"{path}: a line of more than {MOST_LINE} characters is no row")
        yield line
