"""Runs the watches of every system: one look at each, or looks without end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from authd import client
from authd.broker.unattributed import postgresql
from authd.broker.unattributed.compare import Access, Group
from authd.broker.unattributed.postgresql import MayNotEnd, SystemSilent
from authd.broker.unattributed.settings import Postgresql, Settings, System, Weblog
from authd.broker.unattributed.watch import News, Watch
from authd.broker.unattributed.weblog import WeblogSight
from authd.client.tables import BadSettings

BACK_OFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
CUT_WITHIN_S: Final = 10.0
MOST_ACCESSES: Final = 1_000_000
_NOT_TOLD: Final = "authd did not say whose sessions there were; look again"
Tell = Callable[[News], None]


def wall_ms() -> int:
    """Milliseconds since 1970, to compare what systems and sessions say of themselves."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Compared:
    """What one look at a system has shown; `blind`: why it could not be looked at."""

    system: System
    seen: int = 0
    groups: Sequence[Group] = ()
    news: list[News] = field(default_factory=list[News])
    unread: int = 0
    blind: str = ""

    def found(self, group: Group) -> int | None:
        """Number of the row that it stands in."""
        rows = (each.found for each in self.news if each.group is not None and each.group.key == group.key)
        return next((row for row in rows if row is not None), None)

    def cut(self, group: Group) -> bool:
        """Whether it was ended."""
        same = [each for each in self.news if each.group is not None and each.group.key == group.key]
        return any(each.what == "ended" and each.detail == "cut" for each in same)


async def once(
    settings: Settings, *, since_ms: int | None = None, until_ms: int | None = None, dry: bool = False
) -> Sequence[Compared]:
    """Look at every system once, at logs from their beginning. Raises `BadSettings`, `client.ClientError`."""
    return [await _once(settings, system, since_ms, until_ms, dry=dry) for system in settings.systems]


async def watch(settings: Settings, tell: Tell, *, dry: bool = False) -> None:
    """Look at every system again and again, until cancelled. Raises `BadSettings`, `client.DoorError`."""
    async with asyncio.TaskGroup() as group:
        for system in settings.systems:
            group.create_task(_watch(settings, system, tell, dry=dry))


def _door(settings: Settings, system: System) -> client.Client:
    return client.connect(settings.address, key=system.key, server_key=settings.server_key)


async def _once(
    settings: Settings, system: System, since_ms: int | None, until_ms: int | None, *, dry: bool
) -> Compared:
    compared = Compared(system)
    async with _door(settings, system) as door:
        await door.ping()
        watching = Watch(system, door, compared.news.append, wall_ms, dry=dry)
        try:
            await _look_once(watching, compared, since_ms, until_ms)
        except (SystemSilent, OSError) as error:
            compared.blind = postgresql.first_line(error)
    return compared


async def _look_once(watching: Watch, compared: Compared, since_ms: int | None, until_ms: int | None) -> None:
    table = compared.system.table
    if isinstance(table, Postgresql):
        async with postgresql.looking(table, wall_ms, compared.system.name) as sight:
            watching.cut = sight.end
            accesses = await sight.look()
            compared.seen, compared.groups = len(accesses), await watching.step(accesses)
            if any(each.what == "found" for each in compared.news) and watching.terms and watching.terms.end:
                await watching.step(await sight.look())  # what was ended is gone now
    else:
        accesses, compared.unread = await asyncio.to_thread(_whole, table, compared.system.place)
        wanted = [each for each in accesses if _within(each, since_ms, until_ms)]
        compared.seen, compared.groups = len(wanted), await watching.step(wanted)
        await watching.finish()
    if not watching.judged:
        raise SystemSilent(_NOT_TOLD)


def _whole(table: Weblog, place: str) -> tuple[Sequence[Access], int]:
    """Read a log from its beginning to its end, as far as memory is bounded."""
    sight, found, unread = WeblogSight(table, place, from_start=True), list[Access](), 0
    try:
        while len(found) < MOST_ACCESSES:
            looked = sight.look()
            found += looked.accesses
            unread += looked.unread
            if looked.read == 0:
                break
    finally:
        sight.close()
    return found, unread


def _within(access: Access, since_ms: int | None, until_ms: int | None) -> bool:
    return (since_ms is None or since_ms <= access.until_ms) and (until_ms is None or access.until_ms <= until_ms)


async def _watch(settings: Settings, system: System, tell: Tell, *, dry: bool) -> None:
    table, tries = system.table, 0
    async with _door(settings, system) as door:
        watching = Watch(system, door, tell, wall_ms, dry=dry)
        sight = WeblogSight(table, system.place) if isinstance(table, Weblog) else None
        while True:
            before = watching.steps
            try:
                await (_connections(watching) if sight is None else _lines(watching, sight))
            except (SystemSilent, OSError) as error:
                tries = tries + 1 if watching.steps == before else 1
                if tries == 1:
                    tell(News("blind", system, detail=postgresql.first_line(error)))
            await asyncio.sleep(BACK_OFF_S[min(tries, len(BACK_OFF_S)) - 1])


async def _connections(watching: Watch) -> None:
    table = watching.system.table
    assert isinstance(table, Postgresql)
    async with postgresql.looking(table, wall_ms, watching.system.name) as sight:
        watching.cut = sight.end
        while True:
            await watching.step(await sight.look())
            await asyncio.sleep(table.look_s)


async def _lines(watching: Watch, sight: WeblogSight) -> None:
    table = watching.system.table
    assert isinstance(table, Weblog)
    watching.cut = _cutter(watching.system, table) if table.cut else None
    while True:
        looked = await asyncio.to_thread(sight.look)
        if looked.unread:
            watching.tell(News("unread", watching.system, count=looked.unread))
        await watching.step(looked.accesses)
        await asyncio.sleep(table.look_s)


def _cutter(system: System, table: Weblog) -> Callable[[Access], Awaitable[bool]]:
    """Runs the site's own program: no shell, what is found in its environment, ten seconds."""

    async def cut(access: Access) -> bool:
        told = {"AUTHD_SYSTEM": system.table.application, "AUTHD_ACCOUNT": access.account}
        told |= {"AUTHD_ADDRESS": access.address, "PATH": os.environ.get("PATH", os.defpath)}
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *table.cut, stdin=quiet, stdout=quiet, stderr=quiet, env=told, start_new_session=True
        )
        try:
            async with asyncio.timeout(CUT_WITHIN_S):
                code = await process.wait()
        except TimeoutError:
            raise MayNotEnd(f"{table.cut[0]} did not end within {CUT_WITHIN_S:g} s") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if code:
            raise MayNotEnd(f"{table.cut[0]}: exit code {code}")
        return True

    return cut


__all__ = ["BadSettings", "Compared", "once", "wall_ms", "watch"]
