"""A disk for SQLite that loses power, fills up, turns read-only, errs or hangs when a test says so.

It remembers every write that was not synced. A power cut keeps, drops or tears each of them by itself (sectors of
512 bytes), in any combination, which is what a real disk with a write cache may do.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import apsw

from authd.service.sqlite import Database, connect

SECTOR = 512
_names = itertools.count()


@dataclass
class Content:
    """One file: what is safely on the disk, and what was written since the last sync."""

    safe: bytes
    pending: list[tuple[int, bytes | None]] = field(default_factory=list[tuple[int, "bytes | None"]])
    """(offset, data), or (size, None) for a truncation."""

    def now(self) -> bytes:
        return applied(self.safe, self.pending)

    def after_a_cut(self, dice: random.Random) -> bytes:
        return applied(self.safe, list(self._survivors(dice)))

    def _survivors(self, dice: random.Random) -> Iterator[tuple[int, bytes | None]]:
        kept = dice.random()
        for offset, data in self.pending:
            if data is None:
                if dice.random() < kept:
                    yield offset, None
                continue
            for at in range(0, len(data), SECTOR):
                if dice.random() < kept:
                    yield offset + at, data[at : at + SECTOR]


def applied(start: bytes, writes: list[tuple[int, bytes | None]]) -> bytes:
    content = bytearray(start)
    for offset, data in writes:
        if data is None:
            del content[offset:]
        else:
            content.extend(bytes(max(0, offset - len(content))))
            content[offset : offset + len(data)] = data
    return bytes(content)


class Disk(apsw.VFS):
    """An SQLite VFS over the real file system."""

    def __init__(self) -> None:
        self.name = f"disk-{next(_names)}"
        self.files: dict[str, Content] = {}
        self.before: Callable[[str, str], None] = lambda what, path: None
        """Called before each `write`, `sync`, `truncate`; may raise apsw errors, or block."""
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.before("delete", filename)
        self.files.pop(filename, None)
        super().xDelete(filename, syncdir)

    def connect(self, path: Path, read_only: bool) -> Database:
        return connect(path, read_only, self.name)

    def cut(self, folder: Path, dice: random.Random) -> dict[str, bytes]:
        """What would be found in the folder if the power failed now."""
        found: dict[str, bytes] = {}
        for path in folder.iterdir():
            content = self.files.get(str(path))
            found[path.name] = path.read_bytes() if content is None else content.after_a_cut(dice)
        return found


class File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self.disk = disk
        self.path = str(name.filename() if isinstance(name, apsw.URIFilename) else name)
        if self.path not in disk.files:
            disk.files[self.path] = Content(Path(self.path).read_bytes() if Path(self.path).exists() else b"")

    @property
    def content(self) -> Content:
        return self.disk.files.setdefault(self.path, Content(b""))

    def xWrite(self, data: Any, offset: int) -> None:
        self.disk.before("write", self.path)
        self.content.pending.append((offset, bytes(data)))
        cast("Any", super()).xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self.disk.before("truncate", self.path)
        self.content.pending.append((newsize, None))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self.disk.before("sync", self.path)
        content = self.content  # the real disk need not be waited for: this one is judged by its own record
        content.safe, content.pending = content.now(), []
