"""A stream within a conversation, as the verb that fills it uses it; and the bound on how often a peer may ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from authd.core.model import SECOND, Instant
from authd.service.bus import wire
from authd.service.bus.house import Peer
from authd.service.bus.outbox import Outbox
from authd.service.bus.verbs import Fields

BEAT_S: Final = 0.5
RATE: Final = 5_000
"""Requests a second from one connection, and as many at once."""


class Stream:
    """Implements `verbs.Talk`."""

    def __init__(
        self,
        number: int,
        outbox: Outbox,
        authorised: Callable[[], Peer],
        group: asyncio.TaskGroup,
        broken: Callable[[int, Exception], None],
    ) -> None:
        self._number = number
        self._outbox = outbox
        self._authorised = authorised
        self._group = group
        self._broken = broken

    def peer(self) -> Peer:
        """Authorise the peer anew, or raise `Refused`."""
        return self._authorised()

    def begin(self, fields: Fields) -> None:
        """Say that the request was accepted."""
        self._outbox.put(wire.answer(self._number, fields))

    async def item(self, fields: Fields) -> None:
        """Send the next item, when the peer has read enough of those before."""
        await self._outbox.put_patiently(wire.item(self._number, fields))

    async def event(self, event: bytes) -> None:
        """Send a signed event, as `item`."""
        await self._outbox.put_patiently(wire.event_item(self._number, event))

    def urgent(self, fields: Fields) -> None:
        """Send ahead of everything that waits. Never raises: it is called by whoever locks."""
        try:
            self._outbox.put_first(wire.item(self._number, fields))
        except Exception as error:
            self._broken(self._number, error)

    @contextmanager
    def beating(self, beat: Callable[[], Fields]) -> Generator[None, None, None]:
        """Send a beat now and every 0.5 s while the context lasts."""
        task = self._group.create_task(self._beats(beat))
        try:
            yield
        finally:
            task.cancel()

    async def _beats(self, beat: Callable[[], Fields]) -> None:
        try:
            while True:
                self._authorised()
                self._outbox.put(wire.item(self._number, beat()))
                await asyncio.sleep(BEAT_S)
        except Exception as error:
            self._broken(self._number, error)


class Bucket:
    """`RATE` tokens a second, at most `RATE` saved up. Time is passed in."""

    def __init__(self, now: Instant) -> None:
        self._tokens = float(RATE)
        self._at = now

    def take(self, now: Instant) -> bool:
        """Take one, if there is one."""
        if self.empty(now):
            return False
        self._tokens -= 1
        return True

    def empty(self, now: Instant) -> bool:
        """Whether there is none to take."""
        self._tokens = min(RATE, self._tokens + RATE * (now - self._at) / SECOND)
        self._at = now
        return self._tokens < 1
