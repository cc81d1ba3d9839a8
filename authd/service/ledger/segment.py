"""One file of the ledger: an SQLite database with the rows of a month, their narrow index and signed checkpoints.

A segment is made complete under another name and then renamed, so that a file with a segment's name is always whole.
It begins with the checkpoint that the segment before it ended with, so that the tree goes on across files.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from authd.core.tiles import Edge, Tile
from authd.core.tlog import Tree
from authd.service.ledger.head import Head, sync_folder
from authd.service.ledger.record import Recorded
from authd.service.ledger.trouble import LedgerDamaged, LedgerFormat
from authd.service.sqlite import Database

FORMAT, INDEXED = 4, 3
"""Of the segments this code writes; of the oldest ones of which more than the rows are read. Older ones are migrated
when they are opened (`migrate.py`)."""
APPLICATION_ID = 0x61757468
"""`auth`: lets `file` tell a ledger from another SQLite database."""
SCHEMA = (
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE entry(seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL)",
    "CREATE TABLE place(of INTEGER, until INTEGER, first INTEGER, pairs BLOB NOT NULL, "
    "PRIMARY KEY(of, until, first)) WITHOUT ROWID",
    "CREATE TABLE checkpoint(size INTEGER PRIMARY KEY, seq INTEGER NOT NULL, peaks BLOB NOT NULL, "
    "open TEXT NOT NULL, note TEXT NOT NULL)",
    "CREATE TABLE recent(gen INTEGER, of INTEGER, wall INTEGER, seq INTEGER, PRIMARY KEY(gen, of, wall, seq)) "
    "WITHOUT ROWID",
    "CREATE TABLE tile(id INTEGER PRIMARY KEY, hashes BLOB NOT NULL)",
)
SCHEMAS = {
    1: (
        SCHEMA[0],
        SCHEMA[1],
        "CREATE TABLE place(of INTEGER, wall INTEGER, seq INTEGER, PRIMARY KEY(of, wall, seq)) WITHOUT ROWID",
        SCHEMA[3],
    ),
    2: SCHEMA[:4],
    3: SCHEMA,
    4: SCHEMA,
}
"""Format -> its tables."""
GENERATION = 8
"""`recent` is filled and emptied in stretches of 2 ** 8 rows."""
_SIZES = (128, 64, 32, 16, 8, 4, 2, 1)
AT_ONCE = {size: f"INSERT INTO entry VALUES {','.join(['(?,?)'] * size)}" for size in _SIZES}  # noqa: S608 (constants)
"""Rows -> one statement for so many: the interpreter's lock is given up once for all of them, not once a row."""
_RETIRED = re.compile(r"retired-\d{6}\.json")
_NAME = re.compile(r"(\d{6})-\d{4}-\d{2}\.sqlite")

Connect = Callable[[Path, bool], Database]
"""`connect(path, read_only)`; `authd.service.sqlite.connect`, or a test's."""


def segments(folder: Path) -> list[Path]:
    """Return the segments' paths in order. Raises `LedgerDamaged` when one is missing in between."""
    names = sorted(os.listdir(folder))  # noqa: PTH208 (asked at every question: a Path for each is five times slower)
    gone = max((int(name[8:14]) for name in names if _RETIRED.fullmatch(name)), default=0)
    found = [folder / name for name in names if _NAME.fullmatch(name) and int(name[:6]) > gone]
    for number, path in enumerate(found, gone + 1):
        if segment_number(path) != number:
            raise LedgerDamaged(f"segment {number:06d} is missing", folder)
    return found


def segment_number(path: Path) -> int:
    """Return the number in a segment's name."""
    return int(path.name[:6])


def month_of(wall_ms: int) -> str:
    """Return the month (UTC) that a wall-clock time falls in, `2026-11`."""
    at = time.gmtime(min(max(wall_ms, 0), 250_000_000_000_000) // 1000)
    return f"{at.tm_year:04d}-{at.tm_mon:02d}"


def month_in(path: Path) -> str:
    """Return the month in a segment's name."""
    return path.name[7:14]


def create(folder: Path, number: int, month: str, head: Head, edge: Edge, note: str, connect: Connect) -> Path:
    """Make the segment that goes on from `head`, durably, and return its path. `edge`: of all tiles before it."""
    path = folder / f"{number:06d}-{month}.sqlite"
    fresh = path.with_suffix(".new")
    for leftover in (fresh, Path(f"{fresh}-wal"), Path(f"{fresh}-shm")):
        leftover.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    db = connect(fresh, False)
    try:
        with db.transaction():
            _fill(db, head, edge, note)
        db.empty_wal()
    finally:
        db.close()
    fresh.replace(path)
    sync_folder(folder)
    return path


def _fill(db: Database, head: Head, edge: Edge, note: str) -> None:
    db.pragma("application_id", APPLICATION_ID)
    db.pragma("user_version", FORMAT)
    for statement in SCHEMA:
        db.execute(statement)
    pruned = head.seq >> GENERATION
    db.execute(
        "INSERT INTO meta VALUES('placed', ?), ('told', ?), ('pruned', ?), ('pulse', 0)", (head.seq, head.seq, pruned)
    )
    put_tiles(db, edge.tiles())
    put_checkpoint(db, head, note)


def put_rows(db: Database, rows: Sequence[Recorded]) -> None:
    """Store rows: durable at once where one statement holds them all, else with the caller's transaction."""
    start = 0
    for size, statement in AT_ONCE.items():
        while len(rows) - start >= size:
            chunk = rows[start : start + size]
            db.execute(statement, [value for row in chunk for value in (row.seq, row.bytes)])
            start += size


def put_tiles(db: Database, tiles: Iterable[Tile]) -> None:
    """Store tiles of the tree, new ones and those that became wider."""
    rows = [(tile_id(level, number), hashes) for level, number, hashes in tiles]
    db.executemany("INSERT OR REPLACE INTO tile VALUES(?, ?)", rows)


def tile_id(level: int, number: int) -> int:
    """Return what a tile is stored under."""
    return level << 56 | number


def tile(db: Database, level: int, number: int) -> bytes:
    """Return a tile as wide as this segment has it; without any hash if it has none."""
    found = db.value("SELECT hashes FROM tile WHERE id = ?", (tile_id(level, number),))
    return b"" if found is None else bytes(found)


def base(db: Database) -> tuple[int, int]:
    """Return the tree's size and the row's number that the segment goes on from."""
    size, seq = next(db.execute("SELECT size, seq FROM checkpoint ORDER BY size LIMIT 1"))
    return int(size), int(seq)


def put_checkpoint(db: Database, head: Head, note: str) -> None:
    """Store a signed checkpoint with all that is needed to go on from it."""
    open_now = msgspec.json.encode(head.open).decode()
    row = (head.tree.size, head.seq, head.tree.dump(), open_now, note)
    db.execute("INSERT OR REPLACE INTO checkpoint VALUES(?, ?, ?, ?, ?)", row)


def checkpoints(db: Database, folder: Path, least: int = 0) -> Iterator[tuple[Head, str]]:
    """Yield each stored checkpoint from the tree size `least` on, as the head it stands for and its note."""
    rows = db.execute("SELECT size, seq, peaks, open, note FROM checkpoint WHERE size >= ? ORDER BY size", (least,))
    for size, seq, peaks, still_open, note in rows:
        try:
            opened = msgspec.json.decode(str(still_open), type=dict[str, int])
            yield Head(Tree.load(int(size), bytes(peaks)), int(seq), opened), str(note)
        except (ValueError, TypeError, msgspec.MsgspecError) as error:
            raise LedgerDamaged(f"the checkpoint at {size} is damaged", folder) from error


def check_schema(db: Database, path: Path) -> int:
    """Return the segment's format. Raises `LedgerDamaged` for anything but a ledger (a trigger could hide rows)."""
    version = int(db.pragma("user_version"))
    if db.pragma("application_id") != APPLICATION_ID or version < 1:
        raise LedgerDamaged(f"{path.name} is not a ledger segment", path.parent)
    if version > FORMAT:
        raise LedgerFormat(f"{path} has format {version}, written by a newer authd; this one knows {FORMAT}")
    found = {str(sql) for (sql,) in db.execute("SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")}
    if found != set(SCHEMAS[version]):
        raise LedgerDamaged(f"{path.name} has other tables, indexes or triggers than a ledger", path.parent)
    return version
