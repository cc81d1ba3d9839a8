"""A client of authd's, as far as brokers use it: who is at the seat is what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import cast

from authd.client import Client, DoorError, Person
from authd.core.model import Grade, SeatId, SessionId, SubjectId

SATO = Person(SeatId("counter-1"), SessionId("ses_1"), SubjectId("sub_1"), Grade.SIGNED, "", account="staff_1042")
AGAIN = replace(SATO, session=SessionId("ses_2"))


class Authd:
    """`there` may be changed at any time with `be`."""

    def __init__(self, there: Person | None = SATO) -> None:
        self.there = there
        self.tickets = {"t1", "t2", "t3"}
        self._news = asyncio.Event()

    @property
    def client(self) -> Client:
        return cast("Client", cast("object", self))

    def be(self, there: Person | None) -> None:
        self.there = there
        self._news.set()
        self._news = asyncio.Event()

    async def who(self, seat: str) -> Person | None:
        return self.there if self.there is not None and self.there.seat == seat else None

    async def changes(self, seat: str) -> AsyncGenerator[Person | None, None]:
        while True:
            news = self._news
            yield await self.who(seat)
            await news.wait()

    async def exchange(self, ticket: str) -> Person:
        if ticket not in self.tickets or self.there is None:
            raise DoorError("not_found")
        self.tickets.discard(ticket)
        return self.there
