"""What every surface is given, and what it must be."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Protocol

from starlette.types import Receive, Scope, Send

from authd.web.gateway.operations import Operation
from authd.web.gateway.sessions import Book
from authd.web.gateway.settings import GatewaySettings


@dataclass(frozen=True, slots=True)
class World:
    """The settings; one live book of sessions for each application; `spawn` runs a task beside the requests.

    A task is cancelled when the gateway ends, and must not raise before: that ends the gateway.
    """

    settings: GatewaySettings
    books: Mapping[str, Book]
    spawn: Callable[[Coroutine[None, None, None]], None]


class Surface(Protocol):
    """A bare ASGI application for a few path prefixes. It bounds what it reads, waits for and keeps."""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """First segments of the paths that are its own, such as `/oidc`, or whole paths."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of type `http`."""
        ...


class Module(Protocol):
    """A module with a surface, named in `app.SURFACES`."""

    OPERATIONS: tuple[Operation, ...]

    @staticmethod
    def make(world: World) -> Surface | None:
        """Return the surface, or None where the settings ask for none. Raises `BadSettings`."""
        ...
