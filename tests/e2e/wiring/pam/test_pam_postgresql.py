"""E5 and E6: PostgreSQL's own `pam` method, with the service file that is delivered: the role is the person's own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import psycopg
import pytest
import pytest_asyncio

from tests.tools.pam.stage import Machine
from tests.tools.postgres import Cluster, cluster

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="package")]
HBA = ["host all +staff 127.0.0.1/32 pam pamservice=postgresql"]


@dataclass(frozen=True, slots=True)
class Hall:
    """The seat, and a server that believes it."""

    counter: Machine
    server: Cluster

    def connect(self, role: str) -> psycopg.Connection[tuple[object, ...]]:
        """Connect as an application whose connection string has a role and no password."""
        where = {"host": "127.0.0.1", "port": self.server.port, "sslmode": "disable"}
        return psycopg.connect(dbname="postgres", user=role, connect_timeout=30, **where)  # type: ignore[arg-type] # by name

    async def refused(self, role: str) -> str:
        """Return what the application is told."""
        with pytest.raises(psycopg.OperationalError) as caught:
            await asyncio.to_thread(self.connect, role)
        return str(caught.value)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def hall(counter: Machine) -> AsyncGenerator[Hall, None]:
    counter.write("runuser", "".join(f"{each} required pam_permit.so\n" for each in ("auth", "account", "session")))
    with pytest.MonkeyPatch.context() as patch:  # the server asks PAM where the services are that were delivered
        for name in ("LD_PRELOAD", "PAM_WRAPPER", "PAM_WRAPPER_SERVICE_DIR"):
            patch.setenv(name, counter.environment[name])
        started = cluster()
        server = await asyncio.to_thread(started.__enter__)
    try:
        server.run("CREATE ROLE staff")
        for role in counter.people:
            server.run(f"CREATE ROLE {role} LOGIN IN ROLE staff")
        server.allow(HBA)
        yield Hall(counter, server)
    finally:
        await asyncio.to_thread(started.__exit__, None, None, None)


async def test_whoever_is_logged_in_at_the_seat_is_the_role_and_types_nothing(hall: Hall) -> None:
    session = await hall.counter.owned(0)
    connection = await asyncio.to_thread(hall.connect, hall.counter.people[0])
    with connection:
        assert connection.execute("SELECT session_user").fetchone() == (hall.counter.people[0],)
    there = await hall.counter.door.who("counter-1")
    assert there is not None
    assert there.session == session


async def test_nobody_else_is_let_in_under_another_role(hall: Hall) -> None:
    await hall.counter.owned(0)
    said = await hall.refused(hall.counter.people[1])
    assert re.search("PAM authentication failed", said)


async def test_nobody_is_let_in_after_the_lock(hall: Hall) -> None:
    await hall.counter.owned(0)
    await hall.counter.locked()
    for role in hall.counter.people:
        assert re.search("PAM authentication failed", await hall.refused(role))


async def test_nobody_is_let_in_while_the_daemon_is_away(hall: Hall) -> None:
    await hall.counter.stage.end("daemon")
    assert re.search("PAM authentication failed", await hall.refused(hall.counter.people[0]))
    await hall.counter.stage.begin()
    await hall.counter.owned(0)
    (await asyncio.to_thread(hall.connect, hall.counter.people[0])).close()
