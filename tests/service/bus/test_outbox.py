from __future__ import annotations

import asyncio

import pytest

from authd.core.model import SECOND, Instant
from authd.service.bus.outbox import MOST, PATIENCE, STREAM_SHARE, Hung, Outbox, Slow


class FakeWire:
    """A peer that reads `room` frames and then no more."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.taken: list[bytes] = []
        self.clock = Instant(0)

    def now(self) -> Instant:
        return self.clock

    def offer(self, frame: bytes) -> bool:
        if not self.room:
            return False
        self.room -= 1
        self.taken.append(frame)
        return True

    async def writable(self) -> None:
        self.clock = Instant(self.clock + SECOND)
        await asyncio.sleep(0)


def test_a_reading_peer_gets_it_at_once() -> None:
    wire = FakeWire(room=2)
    Outbox(wire, wire.now).put(b"a")
    assert wire.taken == [b"a"]


def test_what_waits_is_bounded() -> None:
    wire = FakeWire(room=0)
    outbox = Outbox(wire, wire.now)
    for _ in range(MOST):
        outbox.put(b"x")
    with pytest.raises(Slow):
        outbox.put(b"x")


def test_the_urgent_is_bounded_too() -> None:
    wire = FakeWire(room=0)
    outbox = Outbox(wire, wire.now)
    for _ in range(2 * MOST):
        outbox.put_first(b"lock")
    with pytest.raises(Slow):
        outbox.put_first(b"lock")


async def test_order_is_kept_and_the_urgent_goes_first() -> None:
    wire = FakeWire(room=0)
    outbox = Outbox(wire, wire.now)
    outbox.put(b"1")
    outbox.put(b"2")
    outbox.put_first(b"lock")
    wire.room = 3
    async with asyncio.TaskGroup() as group:
        pump = group.create_task(outbox.pump())
        await asyncio.sleep(0)
        pump.cancel()
    assert wire.taken == [b"lock", b"1", b"2"]


async def test_a_peer_that_reads_nothing_is_given_up() -> None:
    wire = FakeWire(room=0)
    outbox = Outbox(wire, wire.now)
    outbox.put(b"x")
    with pytest.raises(Slow):
        await outbox.pump()
    assert wire.clock > PATIENCE


async def test_a_peer_that_reads_slowly_is_not_given_up() -> None:
    wire = FakeWire(room=0)
    outbox = Outbox(wire, wire.now)
    for _ in range(20):
        outbox.put(b"x")
    async with asyncio.TaskGroup() as group:
        pump = group.create_task(outbox.pump())
        while len(wire.taken) < 20:
            wire.clock = Instant(wire.clock + PATIENCE - 2 * SECOND)
            wire.room = 1
            await asyncio.sleep(0)
        pump.cancel()
    assert wire.clock > 2 * PATIENCE


async def test_a_stream_waits_and_leaves_room_for_answers() -> None:
    wire = FakeWire(room=0)
    outbox = Outbox(wire, wire.now)
    for _ in range(STREAM_SHARE):
        await outbox.put_patiently(b"event")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(outbox.put_patiently(b"one more"))
        await asyncio.sleep(0)
        assert not waiting.done()
        outbox.put(b"answer")
        wire.room = 10_000
        pump = group.create_task(outbox.pump())
        await waiting
        pump.cancel()
    assert wire.taken[-2:] == [b"answer", b"one more"]


async def test_last_words_replace_what_waited() -> None:
    wire = FakeWire(room=0)
    outbox = Outbox(wire, wire.now)
    outbox.put(b"x")
    outbox.replace([b"slow"])
    wire.room = 5
    await outbox.drained()
    assert wire.taken == [b"slow"]


async def test_a_connection_that_is_gone_is_told() -> None:
    class Gone(FakeWire):
        def offer(self, frame: bytes) -> bool:
            raise Hung

    wire = Gone(0)
    with pytest.raises(Hung):
        Outbox(wire, wire.now).put(b"x")
