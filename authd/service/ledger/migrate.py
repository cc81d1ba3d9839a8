"""Older formats of a segment brought to the present one. The rows' bytes are never touched: they are what is hashed.

Format 1 found rows by seat and subject. Format 2 also finds those of rare kinds (enrolments, policies, gaps).
"""

from __future__ import annotations

from collections.abc import Callable

from authd.service.ledger.record import decode, places
from authd.service.ledger.segment import FORMAT
from authd.service.sqlite import Database


def migrate(db: Database, version: int) -> None:
    """Bring one segment to `FORMAT`, in one transaction a step: after a crash it stands at one format or the next."""
    for step in range(version, FORMAT):
        with db.transaction():
            STEPS[step](db)
            db.pragma("user_version", step + 1)


def _index_rare_kinds(db: Database) -> None:
    db.execute("DELETE FROM place")
    placed = db.value("SELECT value FROM meta WHERE name = 'placed'")
    for seq, raw in db.execute("SELECT seq, bytes FROM entry WHERE seq <= ? ORDER BY seq", (placed,)):
        recorded = decode(raw)
        rows = [(of, recorded.wall_ms, seq) for of in places(recorded.entry)]
        db.executemany("INSERT INTO place VALUES(?, ?, ?)", rows)


STEPS: dict[int, Callable[[Database], None]] = {1: _index_rare_kinds}
"""Format -> what brings a segment to the next."""
