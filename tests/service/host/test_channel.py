from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from authd.service.host.channel import MAX_PENDING, Channel
from authd.service.host.frames import FROM_READER, TO_READER, Beat, Cancel, Frame, FrameError, Start, encode
from authd.service.host.grants import Grants


@dataclass
class Ends:
    """One end under test, the other a plain socket."""

    channel: Channel
    other: socket.socket
    frames: list[Frame] = field(default_factory=list[Frame])
    lost: list[Exception | None] = field(default_factory=list[Exception | None])
    said: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_said(self) -> None:
        async with asyncio.timeout(60):
            await self.said.wait()
        self.said.clear()


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    ours, theirs = socket.socketpair()

    def take(frame: Frame) -> None:
        made.frames.append(frame)
        made.said.set()

    def lost(error: Exception | None) -> None:
        made.lost.append(error)
        made.said.set()

    made = Ends(Channel(FROM_READER, take, lost, budget=5), theirs)
    await asyncio.get_running_loop().create_connection(lambda: made.channel, sock=ours)
    yield made
    made.channel.close()
    theirs.close()
    await asyncio.sleep(0)


BEAT = encode(Frame(0, Beat()))


async def test_frames_arrive(ends: Ends) -> None:
    ends.other.sendall(BEAT)
    await ends.until_said()
    assert ends.frames == [Frame(0, Beat())]


async def test_frames_leave(ends: Ends) -> None:
    assert ends.channel.send(Frame(3, Cancel()))
    await ends.channel.drained()
    assert ends.other.recv(100) == encode(Frame(3, Cancel()))


async def test_a_peer_that_closes_is_lost_without_an_error(ends: Ends) -> None:
    ends.other.close()
    await ends.until_said()
    assert ends.lost == [None]
    assert not ends.channel.send(Frame(0, Beat()))


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\0\0\0\x01\xc1", encode(Frame(1, Cancel()))], ids=range(3))
async def test_a_peer_that_speaks_nonsense_is_lost_once(ends: Ends, data: bytes) -> None:
    ends.other.sendall(data + BEAT + data)
    await ends.until_said()
    assert [type(error) for error in ends.lost] == [FrameError]
    assert ends.frames == []


async def test_a_flood_ends_the_channel_and_a_refill_allows_more(ends: Ends) -> None:
    ends.other.sendall(BEAT * 5)
    await ends.until_said()
    ends.channel.refill()
    ends.other.sendall(BEAT * 6)
    await ends.until_said()
    while not ends.lost:
        await ends.until_said()
    assert len(ends.frames) == 10
    assert isinstance(ends.lost[0], FrameError)


async def test_a_peer_that_never_reads_is_given_up(ends: Ends) -> None:
    big = Frame(0, Start(1, Grants(), settings={"x": "y" * 4000}))
    sent = 0
    while ends.channel.send(big):
        sent += 4000
        assert sent < MAX_PENDING + (1 << 20)
    assert isinstance(ends.lost[0], FrameError)


def test_the_tables_of_the_two_directions_differ() -> None:
    assert not ({*FROM_READER} & {*TO_READER}) - {"Beat"}
