"""What PostgreSQL says of who is logged in (`pg_stat_activity`), and how one of them is ended.

The role that looks needs `pg_read_all_stats` (part of `pg_monitor`), and `pg_signal_backend` to end anything; it reads
no table and sees no query's text. Ages are the server's own, so that its clock need not agree with anybody's.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from authd.broker.unattributed.compare import LOCAL, Access, clean
from authd.broker.unattributed.settings import Postgresql
from authd.client.tables import BadSettings

if TYPE_CHECKING:
    import psycopg

WITHIN_S: Final = 5
_SESSION: Final = re.compile(r"(?:^|[/,])OU=(ses_[0-9a-f]{8,64})(?:[/,]|$)")
_MAY: Final = "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')"
_LOOK: Final = """
SELECT a.pid, a.backend_start::text, coalesce(a.usename, ''), coalesce(a.datname, ''), host(a.client_addr),
       extract(epoch FROM clock_timestamp() - a.backend_start)::float8, coalesce(s.client_dn, '')
  FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s USING (pid)
 WHERE a.backend_type IN ('client backend', 'walsender') AND a.pid <> pg_backend_pid() AND a.backend_start IS NOT NULL
 ORDER BY a.backend_start LIMIT 10000
"""
_END: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s::timestamptz"
)


class SystemSilent(Exception):
    """The system does not answer; what it would have said is not known. The text is one line, without secrets."""


class MayNotEnd(Exception):
    """The role may not end this connection. The text is one line."""


class PostgresqlSight:
    """One server, while it is connected; `name`: what it is called in what is found."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], wall_ms: Callable[[], int], name: str) -> None:
        self._connection = connection
        self._wall_ms = wall_ms
        self._name = name

    async def look(self) -> Sequence[Access]:
        """Return who is logged in now. Raises `SystemSilent`."""
        rows, now = await self._ask(_LOOK), self._wall_ms()
        return [access_of(row, now, self._name) for row in rows]

    async def end(self, access: Access) -> bool:
        """End one of them, if it is still the same; returns whether it was. Raises `MayNotEnd`, `SystemSilent`."""
        pid, _, began = access.handle.partition(" ")
        rows = await self._ask(_END, int(pid), began)
        return bool(rows and rows[0][0])

    async def _ask(self, query: str, *values: object) -> Sequence[tuple[Any, ...]]:
        import psycopg

        try:
            cursor = await self._connection.execute(query.encode(), values or None)
            return await cursor.fetchall()
        except psycopg.errors.InsufficientPrivilege as error:
            raise MayNotEnd(first_line(error)) from None
        except psycopg.Error as error:
            raise SystemSilent(first_line(error)) from None


@asynccontextmanager
async def looking(table: Postgresql, wall_ms: Callable[[], int], name: str) -> AsyncGenerator[PostgresqlSight, None]:
    """Connect for as long as the context lasts. Raises `SystemSilent`; `BadSettings`: the role may not look."""
    try:
        import psycopg
    except ImportError:
        raise BadSettings("to look at PostgreSQL, install psycopg: pip install 'authd-seat[postgresql]'") from None
    try:
        connection = await psycopg.AsyncConnection.connect(
            table.connect,
            autocommit=True,
            connect_timeout=WITHIN_S,
            options=f"-c statement_timeout={WITHIN_S}s",
            application_name="authd unattributed",
        )
    except psycopg.Error as error:
        raise SystemSilent(first_line(error)) from None
    try:
        sight = PostgresqlSight(connection, wall_ms, name)
        await _check(connection)
        yield sight
    finally:
        await connection.close()


async def _check(connection: psycopg.AsyncConnection[Any]) -> None:
    import psycopg

    try:
        row = await (await connection.execute(_MAY.encode())).fetchone()
    except psycopg.Error as error:
        raise SystemSilent(first_line(error)) from None
    if row is None or not row[0]:
        raise BadSettings("this role does not see the others' connections: GRANT pg_monitor, pg_signal_backend TO it")


def access_of(row: tuple[Any, ...], now_ms: int, name: str) -> Access:
    """Read one row of the look. A certificate of authd names its session as its OU, as `pg_stat_ssl` writes it."""
    pid, began, account, database, address, age, certificate = row
    named = _SESSION.search(str(certificate))
    return Access(
        account=clean(str(account)),
        address=LOCAL if address is None else str(address),
        place=clean(f"{name}/{database}"),
        began_ms=now_ms - round(max(0.0, float(age)) * 1_000),
        until_ms=now_ms,
        session=named[1] if named else "",
        handle=f"{pid} {began}",
    )


def first_line(error: Exception) -> str:
    """Return what a server said, on one line of a bounded length."""
    line = str(error).strip().partition("\n")[0]
    return "".join(letter for letter in line if letter.isprintable())[:200] or type(error).__name__
