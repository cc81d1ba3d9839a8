"""Malformed messages do not come through a bus: the daemon checks what it passes on, and cuts their sender off.

dbus-fast 5.2.0's compiled reader dies of some of them (`CRASH`, found by fuzzing); so this is what stands between a
hostile peer and a crash of the reader's process, which would lock its seat.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from dbus_fast import Message
from dbus_fast.aio import MessageBus

from authd_simulators.fprint.private_bus import PrivateBus

pytestmark = pytest.mark.real
PATIENCE = 60.0
CRASH = (
    bytes.fromhex("6c02000140000000070000001300000005017500010000000801670005617b73767d")
    + bytes(6)
    + b"8"
    + bytes(127)
    + bytes.fromhex("040000006e616d651501730006000000")
    + b"Sensor\0\0\x11\0\0\0num-enroll-stages\0\1i\0\0\0\0\5\0\0\0"
)


@pytest_asyncio.fixture
async def bus() -> AsyncGenerator[PrivateBus, None]:
    with tempfile.TemporaryDirectory(prefix="bus-", dir="/tmp") as folder:
        made = PrivateBus(Path(folder))
        await made.open()
        yield made
        await made.close()


async def hello(bus: PrivateBus) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect as a peer of our own making, byte by byte."""
    reader, writer = await asyncio.open_unix_connection(bus.socket)
    writer.write(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
    assert (await reader.readline()).startswith(b"OK ")
    writer.write(b"BEGIN\r\n")
    hello = Message("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", serial=1)
    writer.write(hello._marshall(False))  # pyright: ignore[reportPrivateUsage]  # nothing public makes bytes
    await reader.read(1024)
    return reader, writer


async def ask(client: MessageBus) -> Message:
    said = await client.call(
        Message("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ListNames")
    )
    assert said is not None
    return said


@pytest.mark.parametrize("data", [CRASH, b"l" + b"\xff" * 64], ids=["crash", "ones"])
async def test_a_malformed_message_ends_its_sender_and_nobody_else(bus: PrivateBus, data: bytes) -> None:
    client = await MessageBus(bus_address=bus.address).connect()
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await hello(bus)
            before = len((await ask(client)).body[0])
            writer.write(data)
            while await reader.read(4096):
                pass
            writer.close()
            assert len((await ask(client)).body[0]) == before - 1
    finally:
        client.disconnect()
