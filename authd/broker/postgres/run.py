"""The broker, wired: one client of authd for each application, the seats, keepers and listeners that stand on it."""

from __future__ import annotations

import asyncio
import logging
import pwd
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import cast

from authd import client
from authd.broker.postgres.certificate import SessionCertificates
from authd.broker.postgres.keeper import Keeper
from authd.broker.postgres.proxy import Proxy
from authd.broker.postgres.seats import Seats
from authd.broker.postgres.server import Database
from authd.broker.postgres.settings import Listener, Settings
from authd.broker.vault import Vault
from authd.client import Person
from authd.client.tables import BadSettings

log = logging.getLogger("authd.broker.postgres")


class Broker:
    """All of it. Raises `BadSettings`, `VaultError`: a line for a person."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._vault = Vault.open(settings.vault) if settings.vault is not None else None
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Begin to end."""
        self._ended.set()

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `end`; `ready` is called once every listener listens."""
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            proxies = await self._wire(stack, group)
            tasks = [group.create_task(each.run()) for each in proxies]
            for each in proxies:
                await each.ready.wait()
            ready()
            await self._ended.wait()
            for task in [*tasks, *self._tasks]:
                task.cancel()

    async def _wire(self, stack: AsyncExitStack, group: asyncio.TaskGroup) -> list[Proxy]:
        settings, self._tasks = self._settings, list[asyncio.Task[None]]()
        clients = {
            name: await stack.enter_async_context(
                client.connect(settings.router, key=each, server_key=settings.server_key)
            )
            for name, each in settings.applications.items()
        }
        proxies: list[Proxy] = []
        for name, server in settings.servers.items():
            asked = clients[server.application]
            seats = Seats(asked, server.seats)
            database = Database(name, server, self._vault, SessionCertificates(asked))
            keeper = Keeper(database, seats) if server.keeper else None
            self._tasks += [group.create_task(keeper.run())] if keeper is not None else []
            listeners = [each for each in settings.listeners.values() if each.server == name]
            admitted = keeper.admitted if keeper is not None else _at_once
            proxies += [Proxy(each, seats, database, accounts(each), admitted) for each in listeners]
            self._tasks.append(group.create_task(seats.run()))
        return proxies


async def _at_once(person: Person) -> None:
    """Nobody keeps the server: its roles may always log in."""


def accounts(listener: Listener) -> frozenset[int]:
    """Return the numbers of the accounts whose programs may connect. Raises `BadSettings`."""
    try:
        return frozenset(pwd.getpwnam(name).pw_uid for name in listener.accounts)
    except KeyError as error:
        raise BadSettings(f"listener.accounts: there is no account {error}") from error


async def serve(settings: Settings, ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT. Raises `BadSettings`, `VaultError`, `ClientError`, or `OSError`: cannot listen."""
    broker = Broker(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, broker.end)
    try:
        await broker.run(ready)
    except BaseExceptionGroup as error:
        raise _first(error) from error


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        error = group.exceptions[0]
    return error
