"""One driver behind its server: what is typed reaches the operation that asked, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from authd.core.model import Fault, Prompt, PromptId
from authd.driver import Ask, Capture, DriverError, Event, Op, Proof, Verify, Watch
from authd.service.host.frames import Asked, Cancel, Ended, Frame, Message, Typed, Unasked
from authd.service.host.serving import ReaderServer

NONCE = "ab" * 16


class Key:
    """Asks for a PIN, and signs with it; asks twice at once where it is told to verify."""

    def __init__(self) -> None:
        self.cancelled = 0

    async def open(self) -> None:
        return

    async def run(self, op: Op, ask: Ask) -> AsyncGenerator[Event, None]:
        try:
            if isinstance(op, Verify):
                await asyncio.gather(ask(Prompt(PromptId.PIN)), ask(Prompt(PromptId.PIN)))
            yield Proof((await ask(Prompt(PromptId.PIN, 8))).encode(), NONCE)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def close(self) -> None:
        return


class Served:
    """A server whose channel is a queue."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.key, self.sent = Key(), asyncio.Queue[Frame]()
        channel: Any = self
        self.server = ReaderServer(self.key, channel, group)

    def send(self, frame: Frame) -> bool:
        self.sent.put_nowait(frame)
        return True

    async def ask(self, op: int, message: Message) -> None:
        await self.server.serve(Frame(op, message))

    async def next(self) -> Frame:
        async with asyncio.timeout(60):
            return await self.sent.get()


async def test_what_is_typed_reaches_who_asked() -> None:
    async with asyncio.TaskGroup() as group:
        served = Served(group)
        await served.ask(3, Capture(NONCE))
        assert await served.next() == Frame(3, Asked(PromptId.PIN, 8))
        await served.ask(2, Typed("0000"))  # of an operation that is over
        await served.ask(3, Typed("1234"))
        await served.ask(3, Typed("9999"))  # nobody asked twice
        assert await served.next() == Frame(3, Proof(b"1234", NONCE))
        assert await served.next() == Frame(3, Ended())
        await served.server.close()


async def test_a_prompt_is_cancelled_with_its_operation() -> None:
    async with asyncio.TaskGroup() as group:
        served = Served(group)
        await served.ask(1, Capture(NONCE))
        await served.next()
        await served.ask(2, Cancel())
        assert served.key.cancelled == 1
        assert await served.next() == Frame(1, Unasked())
        await served.ask(1, Typed("1234"))
        await served.ask(3, Capture(NONCE))
        assert await served.next() == Frame(3, Asked(PromptId.PIN, 8))
        await served.server.close()
        assert await served.next() == Frame(3, Unasked())
    assert served.sent.empty()


async def test_two_questions_at_once_are_a_drivers_bug() -> None:
    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.TaskGroup() as group:
            await Served(group).ask(1, Verify(NONCE, "sub"))
    (error,) = raised.value.exceptions
    assert isinstance(error, DriverError)
    assert error.fault is Fault.PROTOCOL


async def test_what_is_typed_before_it_is_asked_for_goes_nowhere() -> None:
    async with asyncio.TaskGroup() as group:
        served = Served(group)
        await served.ask(1, Watch())
        await served.ask(1, Typed("1234"))
        assert (await served.next()).message == Asked(PromptId.PIN, 8)
        await served.server.close()
