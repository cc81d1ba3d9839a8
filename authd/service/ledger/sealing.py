"""Sealing: the next span is sorted and its file written, away from the writer; then one row commits to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from authd.core.model import Entry, Instant, Kind, Value
from authd.core.tlog import Tree
from authd.service.ledger.file import LedgerFile
from authd.service.ledger.query import Reader
from authd.service.ledger.record import decode
from authd.service.ledger.seals import data_of
from authd.service.ledger.spans import SPAN, Pause, build, store

PAUSE_S = 0.001
"""Given to the other threads after each step of the sorting, seconds."""
FEW = 8


def give_way() -> None:
    """Let whoever waits for the interpreter have it."""
    time.sleep(PAUSE_S)


class Sealing:
    """Knows how far the ledger in a folder is sealed. Used by one thread; nothing is read before the first question."""

    def __init__(self, folder: Path, pause: Pause = give_way) -> None:
        self._reader = Reader(folder)
        self._pause = pause
        self._headers: Tree | None = None
        self.covered = 0
        """Leaves that are in sealed spans."""

    def due(self, size: int) -> bool:
        """Whether there is anything to seal in a ledger of so many rows: seals alone are not."""
        self._load()
        if size - self.covered > FEW:
            return True
        rows = self._reader.leaves(self.covered, size)
        return any(decode(raw).entry.kind is not Kind.LEDGER_SEALED for _, raw in rows)

    def prepare(self, size: int) -> dict[str, Value]:
        """Write the file of the next span, up to the tree size `size`; return the data of the row to append."""
        headers = self._load()
        stop = min(size, self.covered + SPAN)
        made, entries = build(self._reader.leaves(self.covered, stop), self._pause)
        store(self._reader.folder, made, entries)
        after = headers.copy()
        after.append(made.span.hash())
        return data_of(made.span, after.size, after.root())

    def forget(self) -> None:
        """Look again, before the next span, at what is sealed."""
        self._headers = None

    def close(self) -> None:
        """Let go of the files."""
        self._reader.close()

    def _load(self) -> Tree:
        if self._headers is None:
            paths, headers = self._reader.segments(), Tree()
            with self._reader.db(paths[-1]).snapshot() if paths else nullcontext():
                spans = self._reader.seals.headers()
            headers.extend([span.hash() for span in spans])
            self._headers, self.covered = headers, spans[-1].stop if spans else 0
        return self._headers


def seal_file(file: LedgerFile, now: Instant, wall: Callable[[], int], *, whole: bool = False) -> int:
    """Seal all rows (`whole`: as many as fill spans) of a ledger that no daemon has open; return how many are."""
    sealing = Sealing(file.folder, lambda: None)
    try:
        size = file.head.tree.size
        while sealing.due(size) and not (whole and size - sealing.covered < SPAN):
            entry = Entry(Kind.LEDGER_SEALED, at=now, data=sealing.prepare(size))
            file.commit(file.encode([(entry, wall())]))
            sealing.forget()
            size = size if not whole else file.head.tree.size
        return sealing.covered
    finally:
        sealing.close()
