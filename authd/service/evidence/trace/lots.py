"""The data sets that are looked for: all of them, so many at a time as a process may hold open, the newest first."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from authd.service.evidence.trace.form import SUFFIX, BadPrints
from authd.service.evidence.trace.search import Prints
from authd.service.evidence.trace.sources import Source

MOST_SETS: Final = 2_000
"""Data sets that are looked for at once."""
_OTHER_FILES: Final = 256
"""Descriptors for anything else than prints, of which each keeps one."""


@dataclass(slots=True)
class DataSets:
    """A lot: the prints that are whole, and as the ledger tells; and one line for each other one."""

    prints: list[Prints] = field(default_factory=list[Prints])
    flawed: list[str] = field(default_factory=list[str])


def lots(folder: Path, sources: Mapping[str, Source]) -> list[list[Path]]:
    """Return the files of all prints of a folder, in lots that are looked for at once, the newest lot first."""
    paths = sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: _age(path, sources))
    most = at_once()
    return [sorted(paths[at : at + most]) for at in range(0, len(paths), most)]


def at_once(most: int | None = None) -> int:
    """Return how many prints this process may hold open, after asking for as many as are wanted."""
    most = MOST_SETS if most is None else most
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(most + _OTHER_FILES, hard)
    if soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return max(1, min(most, soft - _OTHER_FILES))


def open_sets(paths: Sequence[Path], sources: Mapping[str, Source], stack: ExitStack) -> DataSets:
    """Open a lot; what is damaged or another than the ledger's is named, not looked for."""
    found = DataSets()
    for path in paths:
        try:
            prints = stack.enter_context(Prints(path))
            digest = prints.verify()
        except (BadPrints, OSError) as error:
            found.flawed.append(str(error))
            continue
        source = sources.get(prints.about.id)
        if source is not None and source.digest != digest:
            found.flawed.append(f"{path.name}: is another file than the ledger tells of; put the original back")
        else:
            found.prints.append(prints)
    return found


def missing(folder: Path, sources: Mapping[str, Source], looked: Sequence[str]) -> list[str]:
    """Name the data sets of the ledger whose prints are not there."""
    known = {path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}")} | set(looked)
    return [f"{id_}: its prints are not in {folder}" for id_ in sources if id_ not in known]


def _age(path: Path, sources: Mapping[str, Source]) -> tuple[int, str]:
    """Order the newest first: as the ledger tells; a data set that it does not know, as its file does."""
    source = sources.get(path.name.removesuffix(SUFFIX))
    try:
        at_ms = source.at_ms if source is not None else path.stat().st_mtime_ns // 1_000_000
    except OSError:
        at_ms = 0  # gone, or a link to nowhere: opening it says so
    return -at_ms, path.name
