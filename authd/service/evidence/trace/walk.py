"""Walking a folder of found files: every ordinary file once, in a bounded tree; no link is followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from authd.service.evidence.trace.reading import Why

MOST_FILES: Final = 1_000_000
_DEEPEST: Final = 64


@dataclass(frozen=True, slots=True)
class Found:
    """A file: its path within the folder as the system has it, and its size; or why it is none to read."""

    name: str
    size: int = 0
    why: Why | None = None

    @property
    def label(self) -> str:
        """The name for people: Japanese Windows leaves names in CP932 behind, which are no text here."""
        raw = os.fsencode(self.name)
        for encoding in ("utf-8", "cp932"):
            with suppress(UnicodeDecodeError):
                return raw.decode(encoding)
        return raw.decode("utf-8", "replace")


def walk(folder: Path) -> Iterator[Found]:
    """Yield what lies in a folder, sorted within each; at most `MOST_FILES`."""
    for count, found in enumerate(_walk(folder, "", 0)):
        if count >= MOST_FILES:
            yield Found(found.name, why=Why.TOO_MANY)
            return
        yield found


def _walk(folder: Path, below: str, deep: int) -> Iterator[Found]:
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        yield Found(below or ".", why=Why.DENIED)
        return
    for entry in ordered:
        yield from _entry(entry, f"{below}{entry.name}", deep)


def _entry(entry: os.DirEntry[str], name: str, deep: int) -> Iterator[Found]:
    try:
        about = entry.stat(follow_symlinks=False)
    except OSError:
        yield Found(name, why=Why.DENIED)
        return
    if stat.S_ISLNK(about.st_mode):
        yield Found(name, why=Why.SYMLINK)
    elif stat.S_ISDIR(about.st_mode):
        if deep >= _DEEPEST:
            yield Found(name, why=Why.TOO_DEEP)
        else:
            yield from _walk(Path(entry.path), f"{name}/", deep + 1)
    elif stat.S_ISREG(about.st_mode):
        yield Found(name, about.st_size)
    else:
        yield Found(name, why=Why.SPECIAL)
