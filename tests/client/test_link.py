"""Connections to the door: what came is never lost, however the waiting for it ended."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import zmq
from pytest_mock import MockerFixture

from authd.client.channel import heard
from authd.client.link import Channel, dialler
from authd.client.values import Frame, ProtocolError, decode

LOCK, NEXT = b'{"id":1,"lock":{}}', b'{"id":1,"beat":7}'


class Scripted:
    """A channel that is silent for so many turns, then says one thing; counts what it was sent."""

    def __init__(self, silent: int) -> None:
        self.silent, self.sent = silent, list[bytes]()

    async def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    async def receive(self) -> bytes:
        if len(self.sent) < self.silent:
            await asyncio.Event().wait()
        return NEXT

    def close(self) -> None: ...


async def test_what_comes_in_the_moment_of_a_timeout_is_heard_next(tmp_path: Path, mocker: MockerFixture) -> None:
    public, secret = (key.decode() for key in zmq.curve_keypair())
    door = dialler(f"ipc://{tmp_path}/r", secret, public)
    first, second = asyncio.Future[bytes](), asyncio.Future[bytes]()
    second.set_result(NEXT)
    mocker.patch("zmq.asyncio.Socket.recv", side_effect=[first, second])
    channel = await door.dial()
    try:
        waiting = asyncio.ensure_future(channel.receive())
        await asyncio.sleep(0)
        first.set_result(LOCK)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await channel.receive() == LOCK
        assert await channel.receive() == NEXT
    finally:
        channel.close()
        door.close()


async def test_a_quiet_door_is_asked_for_a_sign_of_life(mocker: MockerFixture) -> None:
    mocker.patch("authd.client.channel.SILENCE", 0.03)
    channel: Channel = (scripted := Scripted(silent=2))
    assert await heard(channel) == NEXT
    assert [json.loads(each)["verb"] for each in scripted.sent] == ["ping", "ping"]


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"id":"x"}', b'{"error":"\xff"}', b'{"x":' + b"[" * 60_000])
def test_what_the_door_may_not_say_is_said_to_be_that(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(raw, Frame)
