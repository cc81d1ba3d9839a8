"""Which surface answers a request. Bare ASGI: forward auth is asked once for every request of an application."""

from __future__ import annotations

import logging
from asyncio import Task, TaskGroup
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import cast

from starlette.types import Receive, Scope, Send

from authd.client.channel import Caller
from authd.client.link import dialler
from authd.client.tables import BadSettings
from authd.web.gateway.answers import say
from authd.web.gateway.operations import Operation, Response
from authd.web.gateway.sessions import Book, opened
from authd.web.gateway.settings import Application, GatewaySettings
from authd.web.gateway.world import Module, Surface, World

SURFACES = {
    "forward": "authd.web.gateway.forward",
    "oidc": "authd.web.gateway.oidc",
    "caep": "authd.web.gateway.caep",
}
"""Surface -> its module, which has `make` and `OPERATIONS` (`world.Module`)."""
OPERATIONS = (
    Operation(
        "GET",
        "/health",
        "Whether authd is heard for every application.",
        responses={200: Response("It is.", "text/plain"), 503: Response("It is not, for at least one.", "text/plain")},
    ),
)
log = logging.getLogger("authd.web.gateway")


class Gateway:
    """The ASGI application: a table from path prefixes to surfaces."""

    def __init__(self, surfaces: Iterable[Surface], books: Mapping[str, Book]) -> None:
        self._books = books
        self._table: dict[str, Surface] = {}
        for surface in surfaces:
            for prefix in surface.prefixes:
                if self._table.setdefault(prefix, surface) is not surface:
                    raise BadSettings(f"two surfaces answer {prefix}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        cut = path.find("/", 1)
        surface = self._table.get(path if cut < 0 else path[:cut]) or self._table.get(path)
        if surface is not None:
            await surface(scope, receive, send)
        elif path == "/health":
            await self._health(send)
        else:
            await say(send, 404, b"not found\n")

    async def _health(self, send: Send) -> None:
        heard = all(book.alive for book in self._books.values())
        await say(send, 200 if heard else 503, b"authd is heard\n" if heard else b"authd is not heard\n")


def modules() -> Mapping[str, Module]:
    """Import the modules of every surface."""
    return {name: cast("Module", import_module(path)) for name, path in SURFACES.items()}


def operations() -> tuple[Operation, ...]:
    """Return everything that the gateway answers, whatever is configured."""
    return (*OPERATIONS, *(each for module in modules().values() for each in module.OPERATIONS))


@asynccontextmanager
async def running(settings: GatewaySettings) -> AsyncGenerator[Gateway, None]:
    """Follow authd for every application and yield the gateway. Raises `BadSettings`."""
    async with AsyncExitStack() as stack:
        books = {
            name: await stack.enter_async_context(opened(name, _dial(settings, name, each)))
            for name, each in settings.applications.items()
        }
        spawn = await stack.enter_async_context(_tasks())
        world = World(settings, books, spawn)
        made = [module.make(world) for module in modules().values()]
        yield Gateway([surface for surface in made if surface is not None], books)


@asynccontextmanager
async def _tasks() -> AsyncGenerator[Callable[[Coroutine[None, None, None]], None], None]:
    """Yield what starts a task that is cancelled at the end of the context."""
    tasks: set[Task[None]] = set()
    async with TaskGroup() as group:

        def spawn(work: Coroutine[None, None, None]) -> None:
            task = group.create_task(work)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        try:
            yield spawn
        finally:
            for task in list(tasks):
                task.cancel()


def _dial(settings: GatewaySettings, name: str, application: Application) -> Callable[[], Caller]:
    """Return what opens connections to authd under the application's key. Raises `BadSettings`."""

    def dial() -> Caller:
        try:
            return Caller(dialler(settings.door.router, Path(application.key_file), settings.door.key), None)
        except (OSError, ValueError, IndexError) as error:
            raise BadSettings(f"application.{name}.key_file or door.server_key: {error}") from None

    return dial
