"""What is derived from the rows and written behind them: the narrow index, and the tree's tiles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from authd.core.model import Kind
from authd.core.tiles import Edge, edge_of
from authd.service.ledger.narrow import Narrow, placed, prune, pruned
from authd.service.ledger.record import Recorded
from authd.service.ledger.segment import GENERATION, base, put_tiles, tile
from authd.service.ledger.trouble import LedgerDamaged
from authd.service.sqlite import Database

PRUNE_LEAST = 8
"""Generations of the narrow index that are given up at a time, at least; more where more than half as many came."""


class Placing:
    """Rows of one segment that are durable and not placed yet; its length is how many these are."""

    def __init__(self, folder: Path, edge: Edge | None = None) -> None:
        self.edge = edge or Edge()
        """Of the tiles that are written."""
        self._folder = folder
        self._next = self.edge
        self._narrow = Narrow()
        self._leaves: list[bytes] = []
        self._last = 0
        self._base = (0, 0)
        self._sealed = 0
        """Leaves that are in sealed spans."""
        self._pruned = 0
        self._until = 0

    @classmethod
    def load(cls, folder: Path, db: Database) -> Self:
        """Take up the segment where it was left."""
        size, seq = base(db)
        last = placed(db)
        edge = edge_of(size + last - seq, lambda level, number: tile(db, level, number))
        widths = [edge.size >> 8 * level & 255 for level in range(len(edge.partial))]
        if [len(hashes) // 32 for hashes in edge.partial] != widths:
            raise LedgerDamaged("the tiles of the tree do not go as far as the index", folder)
        placing = cls(folder, edge)
        placing._base, placing._last, placing._pruned = (size, seq), last, pruned(db)
        return placing

    def __len__(self) -> int:
        return len(self._narrow)

    def add(self, rows: Sequence[Recorded], leaves: Sequence[bytes]) -> None:
        """Take note of durable rows and their leaf hashes; what is known already is passed over."""
        known = self._last - rows[0].seq + 1 if rows else 0
        if known > 0:
            rows, leaves = rows[known:], leaves[known:]
        if rows:
            self._last = rows[-1].seq
        self._narrow.add(rows)
        self._leaves += leaves
        for row in rows:
            if row.entry.kind is Kind.LEDGER_SEALED:
                self._sealed = max(self._sealed, _stop(row))

    def write(self, db: Database) -> None:
        """Write all of it, inside the caller's transaction."""
        self._next, tiles = self.edge.grown(self._leaves)
        self._narrow.write(db, self._last)
        put_tiles(db, tiles)
        self._until = self._prunable()
        if self._until > self._pruned:
            prune(db, self._pruned, self._until)

    def written(self) -> None:
        """Forget it: it is durable now."""
        self.edge, self._pruned = self._next, max(self._pruned, self._until)
        self._narrow.clear()
        self._leaves.clear()

    def _prunable(self) -> int:
        """Where the generations end that sealed spans have, as far as may go at once."""
        size, seq = self._base
        covered = (seq + self._sealed - size + 1) >> GENERATION
        return min(covered, self._pruned + max(PRUNE_LEAST, 2 * len(self) >> GENERATION))


def _stop(row: Recorded) -> int:
    stop = row.entry.data.get("stop")
    return stop if isinstance(stop, int) else 0
