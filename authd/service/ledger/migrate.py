"""Older formats of a segment brought to the present one. The rows' bytes are never touched: they are what is hashed.

Format 1 had one row in the narrow index for each seat and subject of an entry. Format 2 had blocks of them, and found
rare kinds (enrolments, policies, gaps) too. Format 3 has the tree's tiles, finds records, and keeps subjects and
records in the narrow index only until a span is sealed over them. All of that is made anew from the rows.

Format 4 tells the rows of a seat's sessions from its other ones, from the number on that `narrow.told` says: a segment
of format 3 goes on in it with its next row, and nothing of it is made anew. Months before stay as they are, and slower.
"""

from __future__ import annotations

import logging
from itertools import islice
from pathlib import Path

from authd.core.tiles import Edge
from authd.core.tlog import leaf_hash
from authd.service.ledger.narrow import placed
from authd.service.ledger.placing import Placing
from authd.service.ledger.segment import (
    FORMAT,
    GENERATION,
    INDEXED,
    SCHEMA,
    Connect,
    base,
    check_schema,
    put_tiles,
    segments,
)
from authd.service.ledger.survey import rows_after
from authd.service.sqlite import Database

BATCH = 8_192
_log = logging.getLogger("authd.ledger")


def migrate(folder: Path, connect: Connect) -> None:
    """Bring every segment to `FORMAT`, the oldest first, each in one transaction: a crash leaves the old or the new."""
    edge: Edge | None = Edge()
    paths = segments(folder)
    for path in paths:
        db = connect(path, True)
        try:
            version = check_schema(db, path)
            edge = None if version >= INDEXED else edge or _edge(folder, connect, path)
        finally:
            db.close()
        if edge is not None:
            _log.info("bringing %s from format %d to %d", path.name, version, FORMAT)
            edge = _renewed(path, edge, connect)
        elif version < FORMAT and path == paths[-1]:
            _go_on(path, connect)


def _go_on(path: Path, connect: Connect) -> None:
    """Have the rows of sessions told from others from the next row on that is brought into the index."""
    db = connect(path, False)
    try:
        with db.transaction():
            db.execute("INSERT OR REPLACE INTO meta VALUES('told', ?)", (placed(db),))
            db.pragma("user_version", FORMAT)
    finally:
        db.close()


def renew(db: Database, edge: Edge, folder: Path) -> Edge:
    """Make everything that is derived from the rows anew. `edge`: of the tiles before the segment; returns the next."""
    _, seq = base(db)
    db.execute("DROP TABLE place")
    for table in (2, 4, 5):
        db.execute(SCHEMA[table])
    db.execute("INSERT INTO meta VALUES('pruned', ?), ('told', ?)", (seq >> GENERATION, seq))
    db.execute("UPDATE meta SET value = ? WHERE name = 'placed'", (seq,))
    put_tiles(db, edge.tiles())
    placing, rows = Placing.load(folder, db), rows_after(db, seq, folder)
    while some := list(islice(rows, BATCH)):
        placing.add(some, [leaf_hash(row.bytes) for row in some])
        placing.write(db)
        placing.written()
    return placing.edge


def _renewed(path: Path, edge: Edge, connect: Connect) -> Edge:
    db = connect(path, False)
    try:
        with db.transaction():
            edge = renew(db, edge, path.parent)
            db.pragma("user_version", FORMAT)
        return edge
    finally:
        db.close()


def _edge(folder: Path, connect: Connect, path: Path) -> Edge:
    """Return the edge of the tiles before a segment, which the one before it has."""
    paths = segments(folder)
    db = connect(paths[paths.index(path) - 1], True)
    try:
        return Placing.load(folder, db).edge
    finally:
        db.close()
