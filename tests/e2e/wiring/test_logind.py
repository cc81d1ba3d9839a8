"""Who is heard in logind's name: a private bus, a small logind on it, and strangers beside it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from authd.agent.desk import Event, LockAsked, Sleeping
from authd.agent.logind import BUS, BUS_PATH, MANAGER, NAME, PATH, SESSION, Logind
from authd_simulators.fprint.private_bus import PrivateBus

T = TypeVar("T", bound="Speaker")
PATIENCE_S = 30.0
HERE = "/org/freedesktop/login1/session/c1"
LOCK = (HERE, SESSION, "Lock")
SLEEP = (PATH, MANAGER, "PrepareForSleep")


class Speaker:
    """A connection to the bus that says whatever it is told to."""

    def __init__(self, address: str) -> None:
        self.bus = MessageBus(bus_address=address, bus_type=BusType.SYSTEM, negotiate_unix_fd=True)

    async def connect(self) -> None:
        await self.bus.connect()

    async def signal(self, path: str, interface: str, member: str, *body: bool | str, to: str | None = None) -> None:
        """To everybody who matches it, or to one connection alone, which nothing but its own care protects."""
        signature = "".join("b" if isinstance(each, bool) else "s" for each in body)
        words = Message(to, path, interface, member, MessageType.SIGNAL, signature=signature, body=list(body))
        await self.send(words)

    def send(self, words: Message) -> asyncio.Future[Any]:
        """Done once the bus has taken it."""
        bus: Any = self.bus  # which does not say what its future is of
        sent: asyncio.Future[Any] = bus.send(words)
        return sent

    async def said(self) -> None:
        """Wait until the bus has passed on all that was said."""
        await self.bus.call(Message(BUS, BUS_PATH, BUS, "GetId"))

    def close(self) -> None:
        self.bus.disconnect()


class SmallLogind(Speaker):
    """Answers what an agent asks; keeps what it was asked, and its inhibitors."""

    def __init__(self, address: str, *, asleep: bool = False) -> None:
        super().__init__(address)
        self._asleep = asleep
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.inhibitors: list[int] = []
        self.came = asyncio.Event()
        self.client = ""

    async def connect(self) -> None:
        await super().connect()
        self.bus.add_message_handler(self._answer)

    def close(self) -> None:
        super().close()
        for each in self.inhibitors:
            os.close(each)

    def _answer(self, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL or message.path not in (PATH, HERE):
            return None
        self.client = message.sender or ""
        self.calls.append((message.member or "", tuple(message.body)))
        self.came.set()
        match message.member:
            case "GetSession":
                return Message.new_method_return(message, "o", [HERE])
            case "Get":
                return Message.new_method_return(message, "v", [Variant("b", self._asleep)])
            case "Inhibit":
                ours, theirs = os.pipe()
                self.inhibitors.append(ours)
                sent = self.send(Message.new_method_return(message, "h", [0], unix_fds=[theirs]))
                sent.add_done_callback(lambda _: os.close(theirs))
                return True
            case _:
                return Message.new_method_return(message)

    async def asked(self, what: str) -> tuple[Any, ...]:
        """Wait until it was asked this; returns with what."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for name, body in self.calls:
                    if name == what:
                        return body
                self.came.clear()
                await self.came.wait()

    async def released(self) -> None:
        """Wait until the newest inhibitor is let go."""
        newest, gone, loop = self.inhibitors[-1], asyncio.Event(), asyncio.get_running_loop()
        loop.add_reader(newest, gone.set)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await gone.wait()
        finally:
            loop.remove_reader(newest)


@asynccontextmanager
async def beside(speaker: T) -> AsyncGenerator[T]:
    await speaker.connect()
    try:
        yield speaker
    finally:
        speaker.close()


@dataclass
class House:
    """A bus with a logind and an agent's ear on it, which has just been answered."""

    address: str
    logind: SmallLogind
    agent: Logind
    heard: asyncio.Queue[Event]

    async def next(self) -> Event:
        async with asyncio.timeout(PATIENCE_S):
            return await self.heard.get()


@pytest.fixture
async def house(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    with tempfile.TemporaryDirectory(prefix="bus") as folder:
        bus = PrivateBus(Path(folder))
        await bus.open()
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        try:
            async with beside(SmallLogind(bus.address)) as logind, asyncio.TaskGroup() as group:
                await logind.bus.request_name(NAME)
                heard = asyncio.Queue[Event]()
                agent = Logind(heard.put_nowait, "c1")
                running = group.create_task(agent.run())
                there = House(bus.address, logind, agent, heard)
                assert await there.next() == Sleeping(asleep=False)
                yield there
                running.cancel()
        finally:
            await bus.close()


async def test_a_stranger_on_the_bus_neither_locks_nor_lets_the_machine_sleep(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.agent.hold()
    async with beside(Speaker(house.address)) as stranger:
        name = stranger.bus.unique_name or ""
        for to in (None, house.logind.client):
            await stranger.signal(*LOCK, to=to)
            for asleep in (True, False):
                await stranger.signal(*SLEEP, asleep, to=to)
        await stranger.signal(BUS_PATH, BUS, "NameOwnerChanged", NAME, "", name, to=house.logind.client)
        await stranger.signal(*LOCK, to=house.logind.client)
        await stranger.said()
        await house.logind.signal(*SLEEP, True)
        assert await house.next() == Sleeping(asleep=True)
        assert house.heard.empty()
    assert caplog.text.count("is not heard") == 1
    assert name in caplog.text


async def test_a_logind_that_started_again_is_followed_and_the_one_before_is_a_stranger(house: House) -> None:
    await house.agent.hold()
    await house.agent.hint(locked=True)
    async with beside(SmallLogind(house.address, asleep=True)) as again:
        await house.logind.bus.release_name(NAME)
        await again.bus.request_name(NAME)
        assert await house.next() == Sleeping(asleep=True)  # nobody had told
        assert await again.asked("Inhibit") == (
            "sleep",
            "authd-seat",
            "lock the seat before the machine sleeps",
            "delay",
        )
        assert await again.asked("SetLockedHint") == (True,)
        await house.logind.released()
        await house.logind.signal(*LOCK, to=again.client)
        await house.logind.said()
        await again.signal(*SLEEP, True)
        assert await house.next() == Sleeping(asleep=True)
        await again.signal(*LOCK)
        assert await house.next() == LockAsked()
        house.agent.let_go()
        await again.released()


async def test_nobody_is_heard_while_there_is_no_logind(house: House) -> None:
    await house.logind.bus.release_name(NAME)
    await house.logind.signal(*LOCK, to=house.logind.client)
    await house.logind.bus.request_name(NAME)
    assert await house.next() == Sleeping(asleep=False)
    await house.logind.signal(*LOCK)
    assert await house.next() == LockAsked()
    assert house.heard.empty()
