"""The brokers for terminals and for forms, wired: a client of authd for each application, and what stands on it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from typing import Any, cast

from authd import client
from authd.broker.settings import Settings
from authd.broker.vault import Vault


async def terminals(settings: Settings, ready: Callable[[], None] = lambda: None) -> None:
    """Serve every `[terminal.NAME]` until SIGTERM. Raises `BadSettings`, `VaultError`, `ClientError`."""
    from authd.broker.terminal.broker import Terminal
    from authd.broker.terminal.settings import terminals as read

    vault, found = Vault.open(settings.vault), read(settings)
    async with AsyncExitStack() as stack:
        clients = await _clients(settings, stack, (each.application for each in found.values()))
        made = [Terminal(name, each, clients[each.application], vault) for name, each in found.items()]
        ready()
        await _until_told([each.run() for each in made])


async def forms(settings: Settings, ready: Callable[[], None] = lambda: None) -> None:
    """Serve every `[form.NAME]` until SIGTERM. Raises `BadSettings`, `VaultError`, `ClientError`, `OSError`."""
    from authd.broker.forms.legacy import Legacy
    from authd.broker.forms.server import FormBroker, listening
    from authd.broker.forms.settings import forms as read

    vault, found = Vault.open(settings.vault), read(settings)
    async with AsyncExitStack() as stack:
        clients = await _clients(settings, stack, (each.application for each, _ in found.values()))
        serving: list[Coroutine[Any, Any, None]] = []
        for terms, system in found.values():
            broker = FormBroker(terms, Legacy(system, settings.here), clients[terms.application], vault)
            serving.append(listening(await stack.enter_async_context(broker), *terms.address))
        ready()
        await _until_told(serving)


async def _clients(settings: Settings, stack: AsyncExitStack, names: Iterable[str]) -> dict[str, client.Client]:
    router, server_key = settings.door()
    return {
        name: await stack.enter_async_context(
            client.connect(router, key=settings.key_file(name), server_key=server_key)
        )
        for name in sorted(set(names))
    }


async def _until_told(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all of it until SIGTERM or SIGINT; the first error ends it all."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
            await told.wait()
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as error:
        raise _first(error) from error


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        error = group.exceptions[0]
    return error
