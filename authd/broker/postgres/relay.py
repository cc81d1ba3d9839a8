"""Two ends of a connection through the broker. Before sign-on they are read; after it, bytes go across unread."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, cast

from authd.broker.postgres import messages

HIGH_WATER: Final = 262_144
"""Bytes that wait for one end, before the other one is read no more."""
MOST_UNREAD: Final = 131_072
"""Bytes that may have come before anybody asked for them."""


class Lost(Exception):
    """The other side of a wire has gone."""


class Wire(asyncio.Protocol):
    """One end. `receive` until `join`; from then on what comes is written to the other wire as it came."""

    def __init__(self, made: Callable[[Wire], None] = lambda wire: None) -> None:
        self._made = made
        self._other: Wire | None = None
        self._waiting = bytearray()
        self._came = asyncio.Event()
        self._tail = b""
        self.transport: asyncio.Transport | None = None
        self.gone = asyncio.Event()
        """Set when the connection is over."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER)
        self._made(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came: across they go, or they wait to be asked for."""
        if self._other is not None:
            self._tail = data
            self._other.write(data)
            return
        self._waiting += data
        self._came.set()
        if len(self._waiting) > MOST_UNREAD:
            self.abort()

    def eof_received(self) -> bool:
        """The other side says no more: the connection ends."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over; what is left of it ends with it."""
        self.gone.set()
        self._came.set()
        if self._other is not None:
            self._other.close()

    def pause_writing(self) -> None:
        """This side does not read: the other one is not read either."""
        if self._other is not None and self._other.transport is not None:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        """This side reads again."""
        if self._other is not None and self._other.transport is not None:
            self._other.transport.resume_reading()

    async def receive(self) -> bytes:
        """Return what has come, and wait for it. Raises `Lost`."""
        while not self._waiting:
            if self.gone.is_set():
                raise Lost
            self._came.clear()
            await self._came.wait()
        data = bytes(self._waiting)
        self._waiting.clear()
        return data

    @property
    def unread(self) -> bool:
        """Whether something has come that nobody asked for."""
        return bool(self._waiting)

    def unreceive(self, data: bytes) -> None:
        """Put back what was read too far."""
        self._waiting[:0] = data

    async def encrypt(self, context: ssl.SSLContext, host: str | None = None) -> None:
        """Begin TLS: as the client of `host`, or as the server. Raises `Lost`, `OSError` (`ssl.SSLError` is one)."""
        if self.transport is None or self.transport.is_closing():
            raise Lost
        loop, server = asyncio.get_running_loop(), host is None
        upgraded = await loop.start_tls(self.transport, self, context, server_side=server, server_hostname=host)
        if upgraded is None:
            raise Lost
        self.transport = upgraded
        upgraded.set_write_buffer_limits(high=HIGH_WATER)

    def write(self, data: bytes) -> None:
        """Send."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def join(self, other: Wire, *, rested: bool = False) -> None:
        """From now on, bytes that come here go there. What has come already goes first. rested: of a fresh server."""
        self._other = other
        self._tail = messages.READY + b"I" if rested else b""
        if self._waiting:
            data = bytes(self._waiting)
            self._waiting.clear()
            self.data_received(data)

    @property
    def at_rest(self) -> bool:
        """Whether what came last from a server was the end of an answer."""
        return messages.at_rest(self._tail)

    @property
    def unsent(self) -> bool:
        """Whether the other side has not read all it was sent."""
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    def close(self) -> None:
        """End it, once what waits is sent."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """End it now; what waits is never sent."""
        if self.transport is not None:
            self.transport.abort()
