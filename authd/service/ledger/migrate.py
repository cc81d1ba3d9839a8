"""Older formats of a segment brought to the present one. The rows' bytes are never touched: they are what is hashed.

Format 1 had one row in the narrow index for each seat and subject of an entry. Format 2 has blocks of them, and finds
rare kinds (enrolments, policies, gaps) too.
"""

from __future__ import annotations

from collections.abc import Callable

from authd.service.ledger.narrow import Narrow, placed
from authd.service.ledger.record import decode
from authd.service.ledger.segment import FORMAT, SCHEMA
from authd.service.sqlite import Database

BATCH = 8_192


def migrate(db: Database, version: int) -> None:
    """Bring one segment to `FORMAT`, in one transaction a step: after a crash it stands at one format or the next."""
    for step in range(version, FORMAT):
        with db.transaction():
            STEPS[step](db)
            db.pragma("user_version", step + 1)


def _index_in_blocks(db: Database) -> None:
    db.execute("DROP TABLE place")
    db.execute(SCHEMA[2])
    narrow, last = Narrow(), placed(db)
    for (raw,) in db.execute("SELECT bytes FROM entry WHERE seq <= ? ORDER BY seq", (last,)):
        narrow.add([decode(raw)])
        if len(narrow) >= BATCH:
            narrow.write(db, last)
            narrow.clear()
    narrow.write(db, last)


STEPS: dict[int, Callable[[Database], None]] = {1: _index_in_blocks}
"""Format -> what brings a segment to the next."""
