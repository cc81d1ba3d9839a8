"""The connection for questions; it also follows the events, to correct at once what is remembered of who is where."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Mapping

from authd.client import values
from authd.client.channel import STREAM_ID, BackOff, Caller, heard, passing, raise_error, request
from authd.client.link import Channel, Gone
from authd.client.presence import Cache
from authd.client.values import ClientError, Frame, decode
from authd.core.model import Instant


class Questions:
    """Questions and their answers, over one connection at a time."""

    def __init__(self, caller: Caller, cache: Cache) -> None:
        self._caller = caller
        self._cache = cache
        self._numbers = itertools.count(STREAM_ID + 1)
        self._pending: dict[int, asyncio.Future[tuple[bytes, int]]] = {}
        self._channel: Channel | None = None
        self._refusal: ClientError | None = None
        self._tried = False
        self._wanted = asyncio.Event()
        self.happened = asyncio.Event()
        """Set, and replaced by a new one, whenever who is where may have changed."""

    async def ask(
        self,
        verb: str,
        limit: float,
        fields: Mapping[str, object],
        *,
        connect: float | None = None,
        patient: bool = True,
    ) -> tuple[bytes, int]:
        """Return the answer, errors too, and the turn at which it came. Raises `Gone` after `limit` seconds.

        connect: seconds to wait for a connection, of these: what a person may take for a touch is not to be waited for
        where there is no daemon. patient: whether to wait for one at all where there is none, or it broke.
        """
        number = next(self._numbers)
        self._wanted.set()
        try:
            async with asyncio.timeout(limit):
                channel = await self._ready(patient, connect)
                answer: asyncio.Future[tuple[bytes, int]] = asyncio.get_running_loop().create_future()
                self._pending[number] = answer
                await channel.send(request(number, verb, fields))
                return await answer
        except TimeoutError:
            raise Gone(f"no answer to {verb} within {limit:.3g} s") from None
        finally:
            self._pending.pop(number, None)

    async def _ready(self, patient: bool, within: float | None) -> Channel:
        try:
            async with asyncio.timeout(within):
                while self._channel is None:
                    if self._refusal is not None:
                        raise self._refusal
                    if self._tried and not patient:
                        raise Gone("not connected")
                    await self.happened.wait()
        except TimeoutError:
            raise Gone(f"no connection within {within:.3g} s") from None
        return self._channel

    async def keep_connected(self) -> None:
        """Connect at the first question, and connect again, for ever. Who only follows has no second connection."""
        await self._wanted.wait()
        back_off = BackOff()
        while True:
            try:
                async with self._caller.connected() as channel:
                    await self._attend(channel, back_off)
            except ClientError as error:
                self._lost(error)
            await back_off.sleep()

    async def _attend(self, channel: Channel, back_off: BackOff) -> None:
        """Follow, then let questions through: an answer from before could be overtaken by a lock unheard."""
        await channel.send(request(STREAM_ID, "follow", {}))
        while True:
            raw = await heard(channel)
            frame = decode(raw, Frame)
            if frame.id is None:
                raise_error(frame)
            elif frame.id == STREAM_ID:
                self._note(frame)
                if self._channel is None:
                    back_off.reset()
                    self._tried, self._refusal, self._channel = True, None, channel
                    self._wake(None, None)
            elif (waiting := self._pending.pop(frame.id, None)) and not waiting.done():
                waiting.set_result((raw, self._cache.turn))

    def _note(self, frame: Frame) -> None:
        """Correct what is remembered. Who may not follow (a screen; a key that was revoked) remembers nothing."""
        if frame.error == "not_permitted":
            self._cache.lost()
            self._wake(None, None)
            return
        raise_error(frame)
        if frame.beat is not None or frame.after is not None:
            self._cache.beat(now())
        elif frame.lock is not None:
            self._wake(frame.lock.get("seat"), frame.lock.get("session"))
        elif bytes(frame.event):
            self._wake(values.event(bytes(frame.event)).seat, None)

    def _wake(self, seat: str | None, ended: str | None) -> None:
        self._cache.happened(seat, ended)
        self.happened.set()
        self.happened = asyncio.Event()

    def _lost(self, error: ClientError) -> None:
        self._tried, self._channel = True, None
        self._refusal = None if passing(error) else error
        self._cache.lost()
        self._wake(None, None)
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_exception(Gone("the connection broke"))
        self._pending.clear()


def now() -> Instant:
    """CLOCK_BOOTTIME: a machine that slept has not heard its daemon."""
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
