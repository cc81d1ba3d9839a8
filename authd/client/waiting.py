"""What every group of synchronous questions is made of: the loop of a thread of its own, waited for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import TYPE_CHECKING, Any, TypeVar

from authd.client.link import Gone

if TYPE_CHECKING:
    from authd.client.aio import Client

T = TypeVar("T")


class Waiting:
    """Base of a group of questions; `SyncClient` has them all."""

    _client: Client
    _loop: asyncio.AbstractEventLoop
    _thread: threading.Thread

    def _wait(self, question: Coroutine[Any, Any, T]) -> T:
        if not self._thread.is_alive():
            question.close()
            raise Gone("this client is closed")
        future = asyncio.run_coroutine_threadsafe(question, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # an interrupted caller leaves nothing running
            raise

    def _each(self, items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        try:
            while True:
                try:
                    item = self._wait(_next(items))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            # Not waited for: the collector may have brought us here in the client's own thread.
            if self._thread.is_alive():
                asyncio.run_coroutine_threadsafe(_close(items), self._loop)


async def _next(items: AsyncGenerator[T, None]) -> T:
    return await anext(items)


async def _close(items: AsyncGenerator[T, None]) -> None:
    await items.aclose()
