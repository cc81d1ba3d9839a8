"""Runs the seat screen: one listening socket, one event loop, no log of who asked for what."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from authd.web.app import make_app
from authd.web.door import SeatDoor
from authd.web.guard import own_hosts
from authd.web.settings import Settings

MAX_CONNECTIONS = 64


class Server(uvicorn.Server):
    """Says when it listens, and ends at once: streams are not worth waiting for."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, then say so."""
        await super().startup(sockets=sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End on a signal."""
        self.end()

    def end(self) -> None:
        """End within a tenth of a second."""
        self.should_exit = self.force_exit = True


def make_server(settings: Settings, door: SeatDoor, ready: Callable[[str], None]) -> tuple[Server, socket.socket]:
    """Bind the address and return the server for it; `ready` is told `host:port` once it listens.

    Raises `OSError` when the address cannot be had. Run it with `server.serve(sockets=[socket])`.
    """
    listener = listen(*settings.address)
    host = settings.listen.rpartition(":")[0]
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        make_app(settings, door, own_hosts(settings, port)),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=16_384,
    )
    return Server(config, lambda: ready(f"{host}:{port}")), listener


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket that does not block. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as stack:
        # With the protocol's number, or asyncio leaves Nagle's algorithm on: 40 ms between a head and its body.
        listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.setblocking(False)
        stack.pop_all()
    return listener
