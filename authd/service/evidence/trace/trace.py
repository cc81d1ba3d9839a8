"""A trace from its beginning to its end: data sets, folder, crew, report.

All data sets are looked for, however many there are. Where one lot does not hold them, every file is read against one
lot after another, only to learn which files and which data sets have to do with each other; these files are then read
once more, against these data sets together, and that is what is reported.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

from authd.service.evidence.trace.crew import Crew
from authd.service.evidence.trace.lots import MOST_SETS, DataSets, at_once, lots, missing, open_sets
from authd.service.evidence.trace.report import Report
from authd.service.evidence.trace.sources import Source
from authd.service.evidence.trace.tally import SURE, Outcome, Trouble
from authd.service.evidence.trace.walk import Found, walk

Progress = Callable[[int, int, int, int, int], None]
"""Files done, files in all, bytes done, bytes in all, files found. With several lots: for all of them, then anew."""
_LEFT: Final = "others have more of these files; trace the files that it may be in alone, in a folder of their own"


class NothingToLookFor(Exception):
    """There is no data set: nothing was exported through authd, and no baseline was registered."""

    def __init__(self, flawed: Sequence[str]) -> None:
        super().__init__()
        self.flawed = flawed
        """Those that could not be looked for, one line each."""


@dataclass(slots=True)
class _Seen:
    """What came of reading every file against one lot after another."""

    looked: list[str] = field(default_factory=list[str])
    """Ids of the data sets that were looked for."""
    flawed: list[str] = field(default_factory=list[str])
    rows: Counter[Path] = field(default_factory=Counter[Path])
    """Of the prints of each data set that some file may come from: the rows in all files."""
    files: set[int] = field(default_factory=set[int])
    """Numbers of the files that may come from some data set."""
    read: set[int] = field(default_factory=set[int])
    troubles: set[Trouble] = field(default_factory=set[Trouble])

    def opened(self, sets: DataSets) -> DataSets:
        """Take note of a lot."""
        self.looked += [prints.about.id for prints in sets.prints]
        self.flawed += sets.flawed
        return sets

    def take(self, outcome: Outcome, sets: DataSets) -> None:
        """Take note of a file that was read against a lot."""
        self.troubles.update(outcome.troubles)
        if outcome.kind:
            self.read.add(outcome.number)
        for hit in outcome.hits:
            self.files.add(outcome.number)
            self.rows[sets.prints[hit.data_set].path] += hit.rows

    def likely(self) -> list[Path]:
        """Return the prints to compare together, those with the most rows; others, if these are too many, are named."""
        paths, most = [path for path, _ in self.rows.most_common()], at_once()
        self.flawed += [f"{path.name}: {most:,} {_LEFT}" for path in paths[most:]]
        return sorted(paths[:most])


@dataclass(slots=True)
class _Reading:
    """Reads files against a lot, and tells how far it is."""

    crew: Crew
    progress: Progress | None
    parts: int = 1
    """Lots that are read one after another."""
    part: int = 0

    def read(self, files: Sequence[Found], sets: DataSets, found: Callable[[], int]) -> Iterator[Outcome]:
        """Yield what comes of each file, which `found` counts. Raises `CrewError`."""
        self.crew.prints = [prints.path for prints in sets.prints]
        whole = sum(file.size for file in files)
        done, size = self.part * len(files), self.part * whole
        for number, outcome in self.crew.read(files) if sets.prints else ():
            done, size = done + 1, size + files[number].size
            yield outcome
            if self.progress:
                self.progress(done, self.parts * len(files), size, self.parts * whole, found())
        self.part += 1


def trace(
    folder: Path,
    prints: Path,
    sources: Mapping[str, Source],
    key: bytes,
    stack: ExitStack,
    progress: Progress | None = None,
    crew: Crew | None = None,
) -> Report:
    """Read a folder of found files against every data set. Raises `NothingToLookFor`, `CrewError`.

    prints: the folder with the prints of all data sets; stack: keeps those open of which the report tells.
    """
    files, parts, seen = list(walk(folder)), lots(prints, sources), _Seen()
    left, crew = [file for file in files if file.why is None], crew or Crew(folder, (), key)
    several = len(parts) > 1
    if several:
        _select(parts, sources, left, _Reading(crew, progress, len(parts)), seen)
        left = [left[number] for number in sorted(seen.files)]
        sets = open_sets(seen.likely(), sources, stack)
    else:
        sets = seen.opened(open_sets(list(chain(*parts)), sources, stack))
    seen.flawed += missing(prints, sources, seen.looked)
    if not seen.looked:
        raise NothingToLookFor(seen.flawed)
    report = Report(len(files), sum(file.size for file in files), sets.prints, sources, looked=tuple(seen.looked))
    report.sure = SURE + max(0.0, math.log10(len(seen.looked) / MOST_SETS))
    for outcome in _Reading(crew, progress).read(left, sets, lambda: len(report.leaks)):
        report.take(left[outcome.number].label, outcome)
        if not several:
            seen.take(outcome, sets)
    _close(report, seen, crew, files)
    return report


def _select(
    parts: Sequence[Sequence[Path]],
    sources: Mapping[str, Source],
    files: Sequence[Found],
    reading: _Reading,
    seen: _Seen,
) -> None:
    """Read every file against one lot after another."""
    for paths in parts:
        with ExitStack() as lot:
            sets = seen.opened(open_sets(paths, sources, lot))
            for outcome in reading.read(files, sets, lambda: len(seen.files)):
                seen.take(outcome, sets)


def _close(report: Report, seen: _Seen, crew: Crew, files: Sequence[Found]) -> None:
    report.read, report.flawed = len(seen.read), tuple(seen.flawed)
    report.troubles += [Trouble(file.label, file.why) for file in files if file.why]
    report.troubles += seen.troubles
    report.end()
    report.peak_kb = crew.peak_kb
    if crew.sandbox:
        report.sandbox, report.missing = crew.sandbox.in_force, crew.sandbox.missing
