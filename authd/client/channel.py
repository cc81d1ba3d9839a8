"""Questions and streams on one connection, and what the door says of itself."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from authd.client.link import Channel, Dialler, Gone
from authd.client.values import ClientError, DoorError, Frame, Host, SignatureError, decode

SILENCE: Final = 2.0
"""Seconds without a word, after which the daemon counts as gone."""
FIRST_WAIT, LONGEST_WAIT = 0.05, 2.0
"""Seconds between attempts to connect."""
TRANSIENT: Final = frozenset({"slow", "busy", "fault", "ledger_down"})
"""Answers after which a follower comes back."""
PING_ID = 0
STREAM_ID = 1
Frames = AsyncGenerator[tuple[Frame, bytes], None]
"""Items of a stream: decoded as far as all have in common, and whole."""
_PING = b'{"id":0,"verb":"ping"}'


class _Pong(msgspec.Struct):
    host: str
    audience: str
    event_key: str


class Caller:
    """Opens connections, and holds the host to the key it first showed."""

    def __init__(self, dialler: Dialler, event_key: bytes | None) -> None:
        self._dialler = dialler
        self._event_key = event_key
        self.host = Host()

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[Channel, None]:
        """Dial and wait for the door's first word. Raises `Gone`, `DoorError`, `SignatureError`."""
        channel = await self._dialler.dial()
        try:
            await channel.send(_PING)
            self._meet(await heard(channel))
            yield channel
        finally:
            channel.close()

    def close(self) -> None:
        """Release what the connections shared."""
        self._dialler.close()

    def _meet(self, raw: bytes) -> None:
        raise_error(decode(raw, Frame))
        pong = decode(raw, _Pong)
        key = base64.urlsafe_b64decode(pong.event_key + "==")
        if self._event_key not in (None, key):
            raise SignatureError("the host signs its events with another key than expected")
        self._event_key = key
        self.host = Host(pong.host, pong.audience, key)


async def heard(channel: Channel) -> bytes:
    """Return the next frame; asks for a sign of life when it is quieter than beats. Raises `Gone` after `SILENCE`."""
    for _ in range(3):
        try:
            async with asyncio.timeout(SILENCE / 3):
                return await channel.receive()
        except TimeoutError:
            await channel.send(_PING)
    raise Gone("the daemon is silent")


async def stream(
    channel: Channel, verb: str, fields: Mapping[str, object]
) -> AsyncGenerator[tuple[Frame, bytes], None]:
    """Ask for a stream on a connection of its own and yield its frames until it ends.

    Nothing is read ahead: a follower that is slow slows its own connection only. Raises `Gone`, `DoorError`.
    """
    await channel.send(request(STREAM_ID, verb, fields))
    while True:
        raw = await heard(channel)
        frame = decode(raw, Frame)
        if frame.id == PING_ID:
            continue
        raise_error(frame)
        if frame.end:
            return
        yield frame, raw


def request(number: int, verb: str, fields: Mapping[str, object]) -> bytes:
    """Write a request; members that are None are left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    return msgspec.json.encode({"id": number, "verb": verb, **given})


def raise_error(frame: Frame) -> None:
    """Raise the `DoorError` that a frame tells of."""
    if frame.error:
        raise DoorError(frame.error, frame.message)


def passing(error: ClientError) -> bool:
    """Whether it may be better when tried again."""
    return isinstance(error, Gone) or (isinstance(error, DoorError) and error.code in TRANSIENT)


class BackOff:
    """Waits that grow from 50 ms to 2 s, each shortened by chance, so that many clients do not come at once."""

    def __init__(self) -> None:
        self._wait = FIRST_WAIT

    def reset(self) -> None:
        """It worked."""
        self._wait = FIRST_WAIT

    async def sleep(self) -> None:
        """Wait, and wait longer the next time."""
        await asyncio.sleep(self._wait * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, guards nothing
        self._wait = min(2 * self._wait, LONGEST_WAIT)
