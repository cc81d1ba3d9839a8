"""Excel sheets and Word documents (Office Open XML, ECMA-376): cells as they are shown, rows, paragraphs."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Final

from authd.service.evidence.trace.reading.found import Cell, Sink, Unreadable, Why
from authd.service.evidence.trace.reading.xml import Handler, parse

Members = Callable[[str], Iterator[bytes]]
"""Gives the pieces of a member of the archive."""
_MOST_STRINGS: Final = 4_000_000
_MOST_STYLES: Final = 100_000
_MOST_CELLS: Final = 512
_DATES: Final = frozenset({*range(14, 18), 22, *range(27, 32), *range(34, 37), *range(50, 59)})
_DATE_CODE: Final = re.compile(r"[ymdge年月日]", re.IGNORECASE)
_QUOTED: Final = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')
_COLUMN: Final = re.compile(r"[A-Z]{1,3}")
_SHEET: Final = re.compile(r"xl/worksheets/[^/]+\.xml")
_STORY: Final = re.compile(r"word/(?:document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml")


def read_sheets(names: list[str], member: Members, sink: Sink) -> None:
    """Read a workbook."""
    strings, styles, book = _Strings(sink), _Styles(), _Book()
    for name, handler in (("xl/sharedStrings.xml", strings), ("xl/styles.xml", styles), ("xl/workbook.xml", book)):
        if name in names:
            parse(member(name), handler)
    for name in names:
        if _SHEET.fullmatch(name):
            parse(member(name), _Sheet(sink, strings.prints, styles.dates, book.epoch))


def read_document(names: list[str], member: Members, sink: Sink) -> None:
    """Read a document."""
    for name in names:
        if _STORY.fullmatch(name):
            parse(member(name), _Document(sink))


class _Strings(Handler):
    """The shared strings: their prints only, 8 bytes each."""

    wanted = frozenset({"t"})

    def __init__(self, sink: Sink) -> None:
        self.prints = array("Q")
        self._sink = sink
        self._text: list[str] = []
        self._reading = False  # how a name is read aloud stands beside it and is no part of it

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "si":
            self._text = []
        self._reading = name == "rPh" or (self._reading and name == "t")

    def end(self, name: str, text: str) -> None:
        if name == "t" and not self._reading:
            self._text.append(text)
        if name == "si":
            if len(self.prints) >= _MOST_STRINGS:
                raise Unreadable(Why.TOO_LARGE, "shared strings")
            self.prints.append(self._sink.field("".join(self._text)))


class _Styles(Handler):
    """Which cell formats show a date."""

    def __init__(self) -> None:
        self.dates: set[int] = set()
        self._codes: set[str] = set()
        self._formats = 0
        self._cells = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        number = attributes.get("numFmtId", "")
        if name == "numFmt" and _DATE_CODE.search(_QUOTED.sub("", attributes.get("formatCode", ""))):
            self._codes.add(number)
        if name == "cellXfs":
            self._cells = True
        if name == "xf" and self._cells and self._formats < _MOST_STYLES:
            if number in self._codes or (number.isdigit() and len(number) < 4 and int(number) in _DATES):
                self.dates.add(self._formats)
            self._formats += 1

    def end(self, name: str, text: str) -> None:
        if name == "cellXfs":
            self._cells = False


class _Book(Handler):
    """The day from which dates are counted."""

    def __init__(self) -> None:
        self.epoch = date(1899, 12, 30)

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "workbookPr" and attributes.get("date1904") in {"1", "true"}:
            self.epoch = date(1904, 1, 1)


class _Sheet(Handler):
    """One sheet's rows."""

    wanted = frozenset({"v", "t"})

    def __init__(self, sink: Sink, strings: array[int], dates: set[int], epoch: date) -> None:
        self._sink, self._strings, self._dates, self._epoch = sink, strings, dates, epoch
        self._row: list[Cell] = []
        self._type, self._style = "", ""
        self._value: list[str] = []
        self._reading = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "c":
            self._type, self._style, self._value = attributes.get("t", ""), attributes.get("s", ""), []
        elif name == "row":
            self._row = []
        self._reading = name == "rPh" or (self._reading and name == "t")

    def end(self, name: str, text: str) -> None:
        if name in {"v", "t"} and not self._reading:
            self._value.append(text)
        elif name == "c" and self._value and len(self._row) < _MOST_CELLS:
            self._row.append(self._cell("".join(self._value)))
        elif name == "row" and self._row:
            self._sink.row(self._row)

    def _cell(self, value: str) -> Cell:
        if self._type == "s":
            known = value.isascii() and value.isdigit() and len(value) < 8 and int(value) < len(self._strings)
            return self._strings[int(value)] if known else ""
        if self._type in {"", "n"}:
            return shown(value, self._epoch if self._is_date() else None)
        return value

    def _is_date(self) -> bool:
        return self._style.isdigit() and len(self._style) < 7 and int(self._style) in self._dates


def shown(value: str, epoch: date | None) -> str:
    """Return a number as its cell shows it; a day as its date, counted from `epoch`."""
    if value.isdigit() and epoch is None:
        return value
    try:
        number = float(value)
        if epoch is not None:
            return (epoch + timedelta(days=int(number))).isoformat()
        return str(int(number)) if number.is_integer() and abs(number) < 1e18 else value
    except (ValueError, OverflowError):
        return value


class _Document(Handler):
    """A document's tables as rows (an inner table's cells are its own), its other paragraphs as lines."""

    wanted = frozenset({"t"})

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._text: list[str] = []
        self._cells: list[list[str]] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "p":
            self._text = []
        elif name == "tr":
            self._cells.append([])
        elif name == "tc" and self._cells and len(self._cells[-1]) < _MOST_CELLS:
            self._cells[-1].append("")
        elif name in {"tab", "br"}:
            self._text.append("\t")

    def end(self, name: str, text: str) -> None:
        if name == "t":
            self._text.append(text)
        elif name == "p":
            self._paragraph("".join(self._text)[: 1 << 16])
            self._text = []
        elif name == "tr" and self._cells:
            self._sink.row(self._cells.pop())

    def _paragraph(self, said: str) -> None:
        if self._cells and self._cells[-1]:
            self._cells[-1][-1] = f"{self._cells[-1][-1]} {said}".strip()[: 1 << 12]
        elif said.strip():
            self._sink.line(said)
