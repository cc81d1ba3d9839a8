"""One end of the socketpair between core and a child: frames in order, bounded both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from authd.service.host.frames import Frame, FrameError, Splitter, Table, encode, parse

MAX_PENDING = 1 << 20
"""Bytes that may wait for a peer that does not read; one byte more and the channel is given up."""


class Channel(asyncio.Protocol):
    """Calls `on_frame` for each frame, and `on_lost` once: None for a closed peer, else what was wrong.

    budget: frames accepted until `refill` is called again (by the peer's watcher), so that a flood ends in a recycled
    child and not in a busy core; None: no bound.
    """

    def __init__(
        self,
        table: Table,
        on_frame: Callable[[Frame], None],
        on_lost: Callable[[Exception | None], None],
        budget: int | None = None,
    ) -> None:
        self._table, self._on_frame, self._on_lost = table, on_frame, on_lost
        self._budget = self._left = budget
        self._splitter = Splitter()
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(0)  # so that `drained` means: all of it is in the kernel

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        try:
            for body in self._splitter.feed(data):
                self._spend()
                if self._transport is None:  # an earlier frame of this chunk ended the channel
                    return
                self._on_frame(parse(body, self._table))
        except FrameError as error:
            self._end(error)

    def eof_received(self) -> None:
        """Part of `asyncio.Protocol`."""
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        self._end(exc)

    def pause_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        self._writable.set()

    def send(self, frame: Frame) -> bool:
        """Queue a frame; False where the channel has ended. A peer that never reads ends it."""
        if self._transport is None:
            return False
        self._transport.write(encode(frame))
        if self._transport.get_write_buffer_size() > MAX_PENDING:
            self._end(FrameError("the peer does not read"))
            return False
        return True

    async def drained(self) -> None:
        """Wait until nothing of what was sent is left in this process (for long lists, and for a last word)."""
        await self._writable.wait()

    def refill(self) -> None:
        """Allow the next `budget` frames."""
        self._left = self._budget

    def close(self) -> None:
        """End the channel without a word to `on_lost`."""
        transport, self._transport = self._transport, None
        self._writable.set()
        if transport is not None:
            transport.abort()

    def _spend(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise FrameError("too many frames")

    def _end(self, error: Exception | None) -> None:
        if self._transport is not None:
            self.close()
            self._on_lost(error)
