"""What a book of sessions hears and asks, as a test says it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

from authd.client import Client, DoorError, Person
from authd.client.channel import Caller
from authd.client.link import Gone
from authd.core.model import SECOND, Grade, Instant, SeatId, SessionId, SubjectId
from authd.web.gateway.sessions import Book

SEAT = SeatId("counter-1")
HANAKO = Person(
    SEAT,
    SessionId("ses_1"),
    SubjectId("sub_hanako"),
    Grade.MATCHED,
    "2026-11-22T09:00:00+09:00",
    name="佐藤 花子",
    section="市民課",
    account="staff_1003",
)


class FakeDoor:
    """authd as the gateway sees it: a stream of frames, tickets, assertions, and a clock that a test moves."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[dict[str, object] | None] = asyncio.Queue()
        self.asked: list[dict[str, object]] = []
        self.tickets: dict[str, Person] = {}
        self.refusal: Exception | None = None
        self.signed = 0
        self.dialled = asyncio.Event()
        self.at = 0
        self.book = Book("resident", cast("Caller", self), cast("Client", self), self.now)

    def now(self) -> Instant:
        return Instant(self.at)

    def wait(self, seconds: float) -> None:
        self.at += int(seconds * SECOND)

    # What a caller is.

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[FakeDoor, None]:
        self.frames = asyncio.Queue()
        self.dialled.set()
        yield self

    async def send(self, frame: bytes) -> None:
        self.asked.append(json.loads(frame))

    async def receive(self) -> bytes:
        frame = await self.frames.get()
        if frame is None:
            raise Gone("the test broke it")
        return json.dumps(frame).encode()

    # What a client is.

    async def exchange(self, ticket: str) -> Person:
        if ticket not in self.tickets:
            raise DoorError("not_found")
        return self.tickets.pop(ticket)

    async def assertion(self, session: str) -> str:
        if self.refusal is not None:
            raise self.refusal
        self.signed += 1
        return f"signed.{session}.{self.signed}"

    # What a test does.

    async def say(self, **frame: object) -> None:
        """Tell a frame of the stream, and let it be heard."""
        self.frames.put_nowait({"id": 1, **frame})
        await settle()

    async def answer(self, number: object, session: str | None) -> None:
        """Answer a question about the seat."""
        there = {"session": session, "subject": "sub_hanako", "grade": "B"} if session else {}
        self.frames.put_nowait({"id": number, "ok": True, "seat": SEAT, **there})
        await settle()

    async def silence(self) -> None:
        """Break the connection."""
        self.dialled.clear()
        self.frames.put_nowait(None)
        await settle()

    async def again(self) -> None:
        """Wait until the book has dialled once more."""
        await self.dialled.wait()
        await settle()


async def settle() -> None:
    """Let whatever can run, run."""
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def heard() -> AsyncGenerator[FakeDoor, None]:
    """A book that follows, and has been told that it is up to date."""
    door = FakeDoor()
    async with asyncio.TaskGroup() as group:
        following = group.create_task(door.book.follow())
        await settle()
        await door.say(ok=True, after=7, head=7)
        try:
            yield door
        finally:
            following.cancel()
