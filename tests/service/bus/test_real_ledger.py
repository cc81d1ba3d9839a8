"""The doors in front of the real ledger, which dies with the daemon and is opened again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from authd.client import connect
from authd.core.model import Kind
from tests.service.bus.fakes import World
from tests.service.ledgers import RealClock, ended, entry, opened, started

LIVES = 20


@pytest.mark.real
async def test_a_follower_of_the_real_ledger_misses_nothing_over_its_lives(host: World, tmp_path: Path) -> None:
    seen: list[int] = []
    expected: list[int] = []
    more = asyncio.Event()

    async def read() -> None:
        async for event in client.follow(after=0):
            seen.append(event.seq)
            more.set()

    async with connect(host.local) as client, asyncio.TaskGroup() as group:
        reading = group.create_task(read())
        for life in range(LIVES):
            async with opened(tmp_path, RealClock()) as ledger:
                running = replace(host, desk=replace(host.desk, source=ledger))
                async with running.serving():
                    for session in range(life % 7 + 1):
                        await ledger.append(entry(Kind.GRANT, session))
                        expected.append(await ledger.append(started(session)))
                        expected.append(await ledger.append(ended(session)))
                    while life % 2 and seen[-1:] != expected[-1:]:  # every other life ends in the middle
                        more.clear()
                        await more.wait()
        reading.cancel()
    assert seen == expected[: len(seen)]
    assert seen[-1:] == expected[-1:]
    assert len(expected) >= 2 * LIVES
