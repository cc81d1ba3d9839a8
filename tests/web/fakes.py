"""A door that shows what a test tells it to, and keeps what it was asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import TypedDict, Unpack

from authd.core.model import (
    SECOND,
    Epoch,
    Face,
    Hint,
    Instant,
    Message,
    SeatId,
    SeatState,
    SessionId,
    SubjectId,
)
from authd.web.door import Beat, Button, DoorError, Person, Sight
from authd.web.settings import Application, Door, Seat, Settings

SEAT = SeatId("counter-1")
HANAKO = Person("佐藤 花子", "さとう はなこ", "resident")
TARO = Person("鈴木 太郎", "すずき たろう", "tax")


def settings(
    application_url: str = "http://127.0.0.1:8790/", *, seats: int = 1, frame_ancestors: tuple[str, ...] = ()
) -> Settings:
    return Settings(
        listen="127.0.0.1:0",
        door=Door("ipc:///nowhere", "k" * 40),
        seats=tuple(
            Seat(f"counter-{n}", f"窓口{n}", f"Counter {n}", applications=("resident", "tax"))
            for n in range(1, seats + 1)
        ),
        applications=(
            Application("resident", "住民記録", "Resident records", application_url),
            Application("tax", "税務", "Tax", application_url),
        ),
        sections={
            "resident": {"ja": "市民課", "en": "Resident Affairs"},
            "tax": {"ja": "税務課", "en": "Tax"},
        },
        frame_ancestors=frame_ancestors,
    )


def boottime() -> Instant:
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME))


class Fields(TypedDict, total=False):
    hint: Hint | None
    left: float | None
    reader: bool
    at: Instant | None


def locked(message: Message = Message.WAITING, **fields: Unpack[Fields]) -> Sight:
    return sight(SeatState.LOCKED, message, session=None, **fields)


def active(
    person: Person = HANAKO, session: str = "ses_a", message: Message = Message.START, **fields: Unpack[Fields]
) -> Sight:
    return sight(SeatState.ACTIVE, message, session=session, person=person, **fields)


def sight(
    state: SeatState,
    message: Message,
    *,
    session: str | None = "ses_a",
    person: Person | None = None,
    hint: Hint | None = None,
    left: float | None = None,
    reader: bool = True,
    at: Instant | None = None,
) -> Sight:
    """`left`: seconds until what the face speaks of."""
    now = boottime() if at is None else at
    face = Face(
        seat=SEAT,
        epoch=Epoch(1),
        state=state,
        message=message,
        at=now,
        subject=SubjectId("sub_secret") if session else None,
        session=SessionId(session) if session else None,
        hint=hint,
        until=None if left is None else Instant(now + int(left * SECOND)),
        reader=reader,
    )
    return Sight(face, person)


class FakeDoor:
    """Implements `SeatDoor`. Each watcher gets the present sight first, then what `show` and `beat` are given."""

    def __init__(self, url: str = "http://127.0.0.1:8790/?ticket=t1") -> None:
        self.present = locked()
        self.url = url
        self.asked: list[tuple[str, ...]] = []
        self.refuse: DoorError | None = None
        self.down = False
        self.beating = True
        self.watchers: list[asyncio.Queue[Sight | Beat | None]] = []

    def show(self, sight: Sight) -> None:
        self.present = sight
        self._tell(sight)

    def beat(self) -> None:
        self._tell(Beat())

    def hang_up(self, *, down: bool = False) -> None:
        """End every stream; `down`: and let none begin."""
        self.down = down
        self._tell(None)

    def _tell(self, told: Sight | Beat | None) -> None:
        for watcher in self.watchers:
            watcher.put_nowait(told)

    async def watch(self, seat: SeatId) -> AsyncGenerator[Sight | Beat, None]:
        if self.down:
            raise DoorError("gone")
        told: asyncio.Queue[Sight | Beat | None] = asyncio.Queue(100)
        self.watchers.append(told)
        try:
            yield self.present
            while True:
                try:
                    async with asyncio.timeout(0.3):
                        seen = await told.get()
                except TimeoutError:
                    if self.beating:
                        yield Beat()
                    continue
                if seen is None:
                    raise DoorError("gone")
                yield seen
        finally:
            self.watchers.remove(told)

    async def activity(self, seat: SeatId) -> None:
        await self._ask("activity", seat)

    async def press(self, seat: SeatId, button: Button) -> None:
        await self._ask("press", seat, button.value)

    async def ticket(self, seat: SeatId, application: str) -> str:
        await self._ask("ticket", seat, application)
        return self.url

    async def _ask(self, *words: str) -> None:
        self.asked.append(words)
        if self.refuse is not None:
            raise self.refuse
