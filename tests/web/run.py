"""Runs the real server over a fake door in a thread, for browsers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from authd.web.server import make_server
from authd.web.settings import Settings
from tests.web.fakes import FakeDoor

PATIENCE_S = 60.0


class Running:
    """A server with its fake door; `do` runs something in its loop."""

    def __init__(self, settings: Settings) -> None:
        self.door = FakeDoor()
        self.settings = settings
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop

    def __enter__(self) -> Self:
        self._server, self._listener = make_server(self.settings, self.door, self._started)
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            self.do(self.stop)
        self._thread.join(PATIENCE_S)
        self._listener.close()

    def do(self, act: Callable[[], object]) -> None:
        """Run `act` in the server's loop and return when it is done."""

        async def once() -> None:
            act()

        asyncio.run_coroutine_threadsafe(once(), self._loop).result(PATIENCE_S)

    def stop(self) -> None:
        """End the server; to be called in its loop."""
        self._server.end()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve(sockets=[self._listener])

    def _started(self, address: str) -> None:
        self.address = address
        self._ready.set()
