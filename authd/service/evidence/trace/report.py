"""The answer: files in the order of what is in them, the data sets they came from, the residents, what was not read."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from authd.service.evidence.trace.form import About
from authd.service.evidence.trace.reading import Why
from authd.service.evidence.trace.search import Prints
from authd.service.evidence.trace.sources import Source
from authd.service.evidence.trace.tally import SURE, Hit, Outcome, Part, Trouble

_NEAR: Final = 0.9
_MOST_NAMED: Final = 8


@dataclass(frozen=True, slots=True)
class Origin:
    """A data set that a file came from, as far as it can be told. rows: of the data set, in the file."""

    about: About
    source: Source | None
    """None: the ledger tells of no such data set."""
    rows: int
    exact: int
    fields: float
    canaries: int
    significance: float

    @property
    def share(self) -> float:
        """How much of the data set is in the file."""
        return self.rows / max(1, self.about.rows)


@dataclass(frozen=True, slots=True)
class Leak:
    """A found file with rows of a data set. The first origin is the one it came from, if any can be told apart."""

    path: str
    kind: str
    rows: int
    origins: tuple[Origin, ...]
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Resident:
    """A resident whose row is in the found files. record: pseudonym, where the data set has them."""

    data_set: str
    row: int
    """Counted from 1, without the heading."""
    record: str | None
    files: int


@dataclass(slots=True)
class Report:
    """What came of a trace."""

    files: int
    size: int
    data_sets: Sequence[Prints]
    sources: Mapping[str, Source]
    looked: tuple[str, ...] = ()
    """Ids of all data sets that were looked for; `data_sets` are those that the files were compared with in the end."""
    sure: float = SURE
    """Significance from which a file is found."""
    read: int = 0
    leaks: list[Leak] = field(default_factory=list[Leak])
    troubles: list[Trouble] = field(default_factory=list[Trouble])
    flawed: tuple[str, ...] = ()
    """Data sets that could not be looked for, one line each."""
    peak_kb: int = 0
    sandbox: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    _rows: dict[int, array[int]] = field(default_factory=dict[int, "array[int]"])

    def take(self, path: str, outcome: Outcome) -> None:
        """Take in one file."""
        sure = [hit for hit in outcome.hits if hit.significance >= self.sure and hit.data_set < len(self.data_sets)]
        if not sure:
            return
        ordered = ranked(sure, self.data_sets)
        origins = tuple(map(self._origin, ordered[:_MOST_NAMED]))
        self.leaks.append(Leak(path, outcome.kind, origins[0].rows, origins, outcome.parts))
        self._mark(ordered[0])

    def end(self) -> None:
        """Put it in order."""
        self.leaks.sort(key=lambda leak: (-leak.rows, leak.path))
        self.troubles.sort(key=lambda trouble: (trouble.why in _PLAIN, trouble.path, trouble.why, trouble.detail))

    def residents(self) -> Iterator[Resident]:
        """Yield each resident once, whichever data sets and files they are in; canary rows are nobody."""
        told: set[str] = set()
        for number, files in sorted(self._rows.items()):
            prints = self.data_sets[number]
            for row in (row for row, count in enumerate(files) if count and row not in prints.canaries):
                record = prints.record(row)
                if record is None or record not in told:
                    yield Resident(prints.about.id, row + 1, record, files[row])
                if record is not None and len(self._rows) > 1:
                    told.add(record)

    def _origin(self, hit: Hit) -> Origin:
        about = self.data_sets[hit.data_set].about
        source = self.sources.get(about.id)
        return Origin(about, source, hit.rows, hit.exact, hit.fields, len(hit.canaries), hit.significance)

    def _mark(self, hit: Hit) -> None:
        rows = self.data_sets[hit.data_set].rows
        files = self._rows.setdefault(hit.data_set, array("H", bytes(2 * rows)))
        unpacked = zlib.decompressobj().decompress(hit.seen, (rows + 7) >> 3)
        for at, bits in enumerate(unpacked):
            for bit in range(8) if bits else ():
                if bits >> bit & 1 and 8 * at + bit < rows:
                    files[8 * at + bit] = min(0xFFFF, files[8 * at + bit] + 1)


_PLAIN: Final = frozenset({Why.UNKNOWN})


def ranked(hits: Sequence[Hit], data_sets: Sequence[Prints]) -> list[Hit]:
    """Return the data sets in the order in which a file may have come from them.

    Those that explain nearly as many of its rows as the best one come first. Among these canary rows decide, then how
    many cells of a row agree, then whether rows agree whole, and then the smaller one: its rows are in it by choice.
    """
    most = max(hit.rows for hit in hits)

    def order(hit: Hit) -> tuple[object, ...]:
        near = hit.rows >= _NEAR * most
        whole = hit.exact >= _NEAR * hit.rows
        rest = (-len(hit.canaries), -round(hit.fields), not whole, data_sets[hit.data_set].rows)
        return (not near, 0 if near else -hit.rows, *rest)

    return sorted(hits, key=order)
