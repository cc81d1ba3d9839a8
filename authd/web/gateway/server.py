"""Runs the gateway: one listening socket, one event loop, no log of who asked for what."""

from __future__ import annotations

from collections.abc import Callable

import uvicorn

from authd.web.gateway.app import running
from authd.web.gateway.settings import GatewaySettings
from authd.web.server import Server, listen

MAX_CONNECTIONS = 512
MAX_HEAD = 32_768
"""Bytes of a request's head: a legacy application's cookies may be large."""


async def serve(settings: GatewaySettings, ready: Callable[[str], None]) -> None:
    """Serve until told to end; `ready` is told `host:port` once it listens. Raises `OSError`, `BadSettings`."""
    with listen(*settings.gateway.address) as listener:
        async with running(settings) as gateway:
            host = settings.gateway.listen.rpartition(":")[0]
            port = listener.getsockname()[1]
            await Server(config(gateway), lambda: ready(f"{host}:{port}")).serve(sockets=[listener])


def config(app: object) -> uvicorn.Config:
    """Return how an ASGI application is served."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # bare ASGI of our own types
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=MAX_HEAD,
    )
