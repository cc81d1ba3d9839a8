"""Peers that speak the door protocol by hand, or badly."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Self

import zmq
import zmq.asyncio

from tests.service.bus.fakes import Pair, World


class RawLocal:
    """A connection to the local socket."""

    def __init__(self, host: World) -> None:
        self._path = host.local.removeprefix("unix:")

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_unix_connection(self._path)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.writer.transport.abort()

    def send(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def next(self) -> dict[str, Any] | None:
        """Return the next frame; None at the end."""
        line = await self.reader.readline()
        return json.loads(line) if line else None

    async def ask(self, **fields: object) -> dict[str, Any] | None:
        self.send(json.dumps(fields).encode() + b"\n")
        return await self.next()


class RawRouter:
    """A DEALER with any key at all."""

    def __init__(self, host: World, pair: Pair, door: str = "", identity: bytes = b"") -> None:
        self._context = zmq.asyncio.Context()
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvhwm = 10
        if identity:
            self.socket.identity = identity
        self.socket.curve_secretkey = pair.secret.encode()
        self.socket.curve_publickey = pair.public.encode()
        self.socket.curve_serverkey = (door or host.door.public).encode()
        self._address = host.router

    async def __aenter__(self) -> Self:
        self.socket.connect(self._address)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._context.destroy(linger=0)

    async def next(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(await self.socket.recv())
        return frame

    async def ask(self, **fields: object) -> dict[str, Any]:
        await self.socket.send(json.dumps(fields).encode())
        return await self.next()

    async def hears_nothing(self, seconds: float = 0.3) -> bool:
        return not await self.socket.poll(int(seconds * 1000))
