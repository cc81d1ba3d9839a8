from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import zmq
import zmq.asyncio

from authd.service.bus.tap import topic
from tests.service.bus.fakes import ITO, ONE, SATO, TWO, Pair, World


@asynccontextmanager
async def listening(host: World, pair: Pair, on: bytes) -> AsyncGenerator[zmq.asyncio.Socket, None]:
    context = zmq.asyncio.Context()
    socket = context.socket(zmq.SUB)
    socket.curve_secretkey, socket.curve_publickey = pair.secret.encode(), pair.public.encode()
    socket.curve_serverkey = host.door.public.encode()
    socket.subscribe(on)
    socket.connect(host.tap)
    try:
        yield socket
    finally:
        context.destroy(linger=0)


async def heard(socket: zmq.asyncio.Socket) -> dict[str, Any]:
    _topic, body = await socket.recv_multipart()
    said: dict[str, Any] = json.loads(body)
    return said


@pytest.mark.real
async def test_events_locks_and_beats_with_the_last_number(served: World) -> None:
    async with listening(served, served.resident, topic(served.resident.public)) as socket:
        assert await heard(socket) == {"beat": 0}
        served.house.open(TWO, ITO)
        session = served.house.open(ONE, SATO)
        event = await heard(socket)
        assert (event["id"], event["subject"]) == ("4", SATO)
        served.house.end(ONE, durable=False)
        lock = await heard(socket)
        assert lock["lock"]["session"] == session
        assert await heard(socket) == {"beat": 4}


@pytest.mark.real
async def test_nobody_is_subscribed_to_anothers_topics(served: World) -> None:
    foreign = [b"", served.resident.public.encode(), topic(served.resident.public), topic(served.resident.public, ONE)]
    for on in foreign:
        async with listening(served, served.tax, on) as socket:
            await asyncio.sleep(0.1)
            served.house.open(ONE, SATO)
            assert not await socket.poll(600)
    assert served.tally.unauthorised == len(foreign)


@pytest.mark.real
async def test_a_revoked_subscriber_hears_nothing_more(served: World) -> None:
    async with listening(served, served.resident, topic(served.resident.public)) as socket:
        await heard(socket)
        served.directory.revoke(served.resident.public)
        served.house.open(ONE, SATO)
        assert not await socket.poll(700)
