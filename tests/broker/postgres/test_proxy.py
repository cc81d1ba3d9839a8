"""What one connection may do to all the others: nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import pytest

from authd.broker.postgres import messages
from authd.broker.postgres.proxy import Proxy
from authd.broker.postgres.seats import Seats
from authd.broker.postgres.server import Database
from authd.broker.postgres.settings import Listener
from authd.client import Person
from tests.broker.clients import SATO

START = messages.startup({"user": "resident_app", "database": "resident"})


class Broken:
    """A server, or a whole seat, at which something goes wrong that nobody thought of."""

    on_change: list[object]

    def __init__(self) -> None:
        self.on_change = []

    async def ask(self, seat: str) -> Person:
        return SATO

    async def sign_on(self, person: Person, parameters: object) -> Any:
        raise LookupError("user=secret")


async def _at_once(person: Person) -> None:
    pass


@pytest.fixture
async def path(tmp_path: Path) -> AsyncGenerator[Path]:
    """A proxy's socket."""
    broken, listener = Broken(), Listener(str(tmp_path / "pg"), "resident", "counter-1")
    proxy = Proxy(listener, cast("Seats", broken), cast("Database", broken), frozenset(), _at_once)
    serving = asyncio.create_task(proxy.run())
    await proxy.ready.wait()
    yield tmp_path / "pg"
    assert not serving.done()
    serving.cancel()
    await asyncio.wait([serving])


async def said(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    async with asyncio.timeout(30):
        found = await reader.read()
    writer.close()
    return found


async def test_a_mistake_of_ours_ends_the_connection_that_met_it_and_no_other(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for _ in range(2):
        assert b"08006" in await said(path, START)
    assert "LookupError" in caplog.text
    assert "secret" not in caplog.text
