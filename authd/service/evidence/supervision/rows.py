"""A roster as a CSV file, CP932 or UTF-8: one person's term a line; every fault is told, and none hides another.

Parsed in the command line's own process: what is in a file from elsewhere never reaches the daemon unread.
"""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from authd.service.evidence.supervision import cells
from authd.service.evidence.supervision.cells import BadCell
from authd.service.evidence.supervision.encoding import Line, lines
from authd.service.evidence.supervision.terms import WEEKDAYS, Term

MOST_BYTES: Final = 32 << 20
MOST_ROWS: Final = 10_000
LONGEST_LINE: Final = 4_096
MOST_CELLS: Final = 64
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "staff_number": ("職員番号", "職員コード", "staff number", "staff_number"),
    "name": ("氏名", "職員氏名", "name"),
    "kana": ("カナ", "かな", "ふりがな", "フリガナ", "氏名カナ", "kana"),
    "section": ("所属", "所属課", "課", "section"),
    "since": ("発令日", "異動日", "適用日", "from", "effective", "since"),
    "until": ("退職日", "終了日", "until"),
    "start": ("勤務開始", "始業", "始業時刻", "shift start", "start"),
    "end": ("勤務終了", "終業", "終業時刻", "shift end", "end"),
    "days": ("勤務日", "勤務曜日", "days"),
    "supervisor": ("監督者", "所属長", "supervisor"),
    "reports_to": ("上司", "上司職員番号", "reports to", "reports_to"),
}
"""Column -> what its header may say, Japanese or English, in any width and case."""
NEEDED: Final = ("staff_number", "name", "section", "since")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where: line from 1 as a text editor counts, column from 1 as a spreadsheet; 0: the line."""

    line: int
    column: int
    why: str
    """Id of the sentence, in the table `roster_fault` of the catalogue."""
    value: str = ""
    """What the sentence names, cut short; never a whole cell."""


@dataclass(slots=True)
class Parsed:
    """What a file says: every row that can be read, with its line, and every fault."""

    rows: list[tuple[int, Term]] = field(default_factory=list[tuple[int, Term]])
    faults: list[Fault] = field(default_factory=list[Fault])
    encoding: str = "utf-8"

    @property
    def terms(self) -> Sequence[Term]:
        """The rows without their lines."""
        return [term for _, term in self.rows]


def parse(raw: bytes, section: Callable[[str], str | None]) -> Parsed:
    """Read a file. `section`: a name as the city writes it -> the section's id; None: there is none of that name."""
    parsed = Parsed()
    if len(raw) > MOST_BYTES:
        parsed.faults.append(Fault(1, 0, "too_large", str(MOST_BYTES >> 20)))
        return parsed
    parsed.encoding, found = lines(raw, LONGEST_LINE)
    numbered = (each for each in found if each.fault or each.text.strip(" ,\t\r"))
    header = next(numbered, None)
    if header is None:
        parsed.faults.append(Fault(1, 0, "empty"))
        return parsed
    columns = _columns(header, parsed.faults)
    if columns:
        _rows(numbered, columns, section, parsed)
    return parsed


def _columns(header: Line, faults: list[Fault]) -> Mapping[str, int]:
    """Where each column stands; nothing where the header cannot be used."""
    words = _cells(header, faults)
    if words is None:
        return {}
    known = {_plain(word): name for name, said in COLUMNS.items() for word in said}
    columns: dict[str, int] = {}
    before = len(faults)
    for at, word in enumerate(words):
        name = known.get(_plain(word))
        if name is None:
            faults.append(Fault(header.number, at + 1, "column_unknown", short(word)))
        elif name in columns:
            faults.append(Fault(header.number, at + 1, "column_twice", short(word)))
        else:
            columns[name] = at
    missing = [COLUMNS[name][0] for name in NEEDED if name not in columns]
    faults.extend(Fault(header.number, 0, "column_missing", each) for each in missing)
    return columns if len(faults) == before else {}


def _rows(
    found: Iterator[Line], columns: Mapping[str, int], section: Callable[[str], str | None], parsed: Parsed
) -> None:
    seen: dict[str, tuple[int, Term]] = {}
    days: dict[tuple[str, str], int] = {}
    for count, line in enumerate(found):
        if count == MOST_ROWS:
            parsed.faults.append(Fault(line.number, 0, "too_many_rows", str(MOST_ROWS)))
            return
        words = _cells(line, parsed.faults)
        term = _term(line, words, columns, section, parsed.faults) if words is not None else None
        if term is None:
            continue
        fault = _twice(line.number, term, columns, seen, days)
        if fault is not None:
            parsed.faults.append(fault)
        else:
            parsed.rows.append((line.number, term))


def _twice(
    line: int,
    term: Term,
    columns: Mapping[str, int],
    seen: dict[str, tuple[int, Term]],
    days: dict[tuple[str, str], int],
) -> Fault | None:
    """One person a number, and one term of theirs a day."""
    at, first = seen.setdefault(term.staff_number, (line, term))
    if first.name != term.name:
        return Fault(line, columns["staff_number"] + 1, "number_twice", f"{at}")
    before = days.setdefault((term.staff_number, term.since.isoformat()), line)
    return Fault(line, columns["since"] + 1, "day_twice", f"{before}") if before != line else None


def _cells(line: Line, faults: list[Fault]) -> list[str] | None:
    """The cells of a line; None, and a fault, where it is none."""
    if line.fault:
        faults.append(Fault(line.number, line.column, line.fault, line.value))
        return None
    try:
        rows = list(csv.reader([line.text], strict=True))
    except csv.Error:
        faults.append(Fault(line.number, 0, "quote"))
        return None
    words = [each.strip() for each in (rows[0] if rows else [])]
    if len(words) > MOST_CELLS:
        faults.append(Fault(line.number, MOST_CELLS + 1, "too_many_cells", str(MOST_CELLS)))
        return None
    while words and not words[-1]:
        words.pop()
    return words


def _term(
    line: Line,
    words: list[str],
    columns: Mapping[str, int],
    section: Callable[[str], str | None],
    faults: list[Fault],
) -> Term | None:
    """One row; every cell of it is read, so that each fault is told."""
    before = len(faults)
    if len(words) > max(columns.values()) + 1:
        faults.append(Fault(line.number, max(columns.values()) + 2, "cell_too_many"))

    def cell(name: str, read: Callable[[str], object]) -> object:
        at = columns.get(name)
        text = words[at] if at is not None and at < len(words) else ""
        try:
            return read(cells.harmless(text))
        except BadCell as bad:
            faults.append(Fault(line.number, (at or 0) + 1, bad.why, short(bad.value)))
            return None

    read: dict[str, object] = {
        "staff_number": cell("staff_number", cells.number),
        "name": cell("name", cells.name),
        "kana": cell("kana", cells.kana),
        "section": cell("section", lambda text: cells.section(text, section)),
        "since": cell("since", cells.day),
        "until": cell("until", lambda text: cells.day(text) if text else None),
        "start": cell("start", lambda text: cells.minute(text) if text else None),
        "end": cell("end", lambda text: cells.minute(text) if text else None),
        "days": cell("days", lambda text: cells.weekdays(text) if text else WEEKDAYS),
        "supervisor": cell("supervisor", cells.flag),
        "reports_to": cell("reports_to", lambda text: cells.number(text) if text else ""),
    }
    if len(faults) > before:
        return None
    term = Term(**read)  # type: ignore[arg-type]  # each cell was read by the reader of its own type
    faults.extend(_contradictions(line.number, term, columns))
    return term if len(faults) == before else None


def _contradictions(line: int, term: Term, columns: Mapping[str, int]) -> Iterator[Fault]:
    def at(name: str) -> int:
        return columns.get(name, -1) + 1

    if (term.start is None) != (term.end is None):
        yield Fault(line, at("start") or at("end"), "half_a_shift")
    elif term.start is not None and term.start == term.end:
        yield Fault(line, at("end"), "no_shift")
    if term.until is not None and term.until < term.since:
        yield Fault(line, at("until"), "ends_before")
    if term.reports_to == term.staff_number:
        yield Fault(line, at("reports_to"), "own_supervisor")


def _plain(word: str) -> str:
    return unicodedata.normalize("NFKC", word).strip().casefold().replace("_", " ")


def short(value: str) -> str:
    """Cut what a person typed to what fits in a line, without anything that steers a terminal."""
    seen = "".join(each if each.isprintable() else "?" for each in value[:24])
    return seen + ("…" if len(value) > 24 else "")
