"""SQLite by apsw, as the ledger and the store use it: durable at every commit, or not opened at all.

The one place where apsw's stubs (they name a `Buffer` that Python 3.11 does not have) meet our strict types.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import apsw

from authd.core.ports import PortError

SQLITE_MINIMUM = (3, 51, 3)
"""Before it, two connections resetting the WAL at once could corrupt the database."""
BUSY_MS = 1_000

Cell = int | float | str | bytes | None
Execute = Callable[..., Iterator[tuple[Any, ...]]]


class SqliteRefused(PortError):
    """This SQLite, or this file system, does not give the durability that authd needs."""


def check_version(version: str | None = None) -> None:
    """Refuse an SQLite with the WAL-reset corruption. Raises `SqliteRefused`."""
    version = version or apsw.sqlite_lib_version()
    if tuple(int(part) for part in version.split(".")[:3]) < SQLITE_MINIMUM:
        raise SqliteRefused(f"SQLite {version} can corrupt a WAL; 3.51.3 or later is needed")


class Database:
    """One connection. Statements raise apsw.Error; a method is used by one thread at a time."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.execute = cast("Execute", connection.execute)  # pyright: ignore[reportUnknownMemberType] (stub's Buffer)
        self._many = cast("Callable[..., object]", connection.executemany)  # pyright: ignore[reportUnknownMemberType] (same)
        self._pragma = cast("Callable[..., Any]", connection.pragma)  # pyright: ignore[reportUnknownMemberType] (same)

    def value(self, statement: str, bindings: Sequence[Cell] = ()) -> Any:
        """Return the first column of the first row; None without rows."""
        row = next(self.execute(statement, bindings), (None,))
        return row[0]

    def executemany(self, statement: str, rows: Iterable[Sequence[Cell]]) -> None:
        """Run a statement once for each row of bindings."""
        self._many(statement, rows)

    def pragma(self, name: str, value: Cell = None) -> Any:
        """Read (value None) or set a pragma."""
        return self._pragma(name) if value is None else self._pragma(name, value)

    @contextmanager
    def transaction(self, begin: str = "BEGIN IMMEDIATE") -> Generator[None]:
        """All that happens inside is durable together, or not at all."""
        self.execute(begin)
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.execute("ROLLBACK")
            raise

    def snapshot(self) -> Any:
        """Return a context in which every read sees the same state."""
        return self.transaction("BEGIN")

    def empty_wal(self) -> None:
        """Bring everything from the WAL into the database file, durably."""
        self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def close(self) -> None:
        """Close, whatever is still open."""
        self.connection.close(True)


def connect(path: Path, read_only: bool, vfs: str | None = None) -> Database:
    """Open a file that exists; for writing with WAL and synchronous=FULL, read back. Raises `SqliteRefused`."""
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE
    db = Database(apsw.Connection(str(path), flags=flags, vfs=vfs))
    db.connection.set_busy_timeout(BUSY_MS)
    if vfs is not None:  # a VFS made in Python (tests) has no shared memory for the WAL's index
        db.pragma("locking_mode", "exclusive")
    db.pragma("trusted_schema", 0)
    db.pragma("cell_size_check", 1)
    if not read_only:
        make_durable(db)
    return db


def make_durable(db: Database) -> None:
    """Set what durability needs and read it back. Raises `SqliteRefused` if SQLite would not have it."""
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", 2)
    if db.pragma("journal_mode") != "wal" or db.pragma("synchronous") != 2:
        db.close()
        raise SqliteRefused("SQLite refuses WAL with synchronous=FULL here")
