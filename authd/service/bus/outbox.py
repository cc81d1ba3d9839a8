"""What waits to be read by one peer: bounded, and patient only for so long (I13)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from authd.core.model import SECOND, Instant
from authd.service.bus.house import DoorError

MOST: Final = 1_000
"""Frames that wait for one peer."""
STREAM_SHARE: Final = 500
"""Of these, how many a stream may fill; the rest is for answers, locks and beats."""
PATIENCE: Final = 5 * SECOND
"""How long a peer may read nothing while something waits for it."""


class Slow(DoorError):
    """The peer does not read."""


class Hung(DoorError):
    """The connection is gone."""


class Wire(Protocol):
    """The sending half of a connection."""

    def offer(self, frame: bytes) -> bool:
        """Take the frame at once, or say that the peer must read first. Raises `Hung`."""
        ...

    async def writable(self) -> None:
        """Return when it may be worth while to offer again. Raises `Hung`."""
        ...


class Outbox:
    """Frames in order. What can be sent at once is; for the rest there is `pump`, a task of the connection's."""

    def __init__(self, wire: Wire, now: Callable[[], Instant]) -> None:
        self._wire = wire
        self._now = now
        self._frames: deque[bytes] = deque()
        self._some = asyncio.Event()
        self._room = asyncio.Event()

    def put(self, frame: bytes) -> None:
        """Send, or keep for `pump`. Raises `Slow` when `MOST` frames wait, `Hung`."""
        if not self._frames and self._wire.offer(frame):
            return
        if len(self._frames) >= MOST:
            raise Slow
        self._frames.append(frame)
        self._some.set()

    def put_first(self, frame: bytes) -> None:
        """As `put`, but ahead of everything that waits, and past `MOST` (once over)."""
        if not self._frames:
            self.put(frame)
        elif len(self._frames) < 2 * MOST:
            self._frames.appendleft(frame)
        else:
            raise Slow

    async def put_patiently(self, frame: bytes) -> None:
        """As `put`, for streams: wait until the peer has read enough."""
        while len(self._frames) >= STREAM_SHARE:
            self._room.clear()
            await self._room.wait()
        self.put(frame)

    def replace(self, frames: list[bytes]) -> None:
        """Drop what waits; these are the last words."""
        self._frames = deque(frames)
        self._some.set()
        self._room.set()

    async def pump(self) -> None:
        """Send what waits, for as long as the connection lives. Raises `Slow` after `PATIENCE`, `Hung`."""
        while True:
            await self._some.wait()
            since = self._now()
            while self._frames:
                if self._wire.offer(self._frames[0]):
                    self._frames.popleft()
                    since = self._now()
                    if len(self._frames) < STREAM_SHARE:
                        self._room.set()
                elif self._now() - since > PATIENCE:
                    raise Slow
                else:
                    await self._wire.writable()
            self._some.clear()

    async def drained(self) -> None:
        """Return when nothing waits any more. Only for last words, after `pump` has ended."""
        while self._frames:
            if self._wire.offer(self._frames[0]):
                self._frames.popleft()
            else:
                await self._wire.writable()
