"""A door that shows what a test tells it to, and keeps what it was asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TypedDict, Unpack

from authd.client.procedures import ProcedureRun, Procedures
from authd.client.supervision import Alerts, Review, Reviewed
from authd.core.model import (
    SECOND,
    Confirms,
    Epoch,
    Face,
    Hint,
    Instant,
    Message,
    Prompt,
    SeatId,
    SeatState,
    SessionId,
    SubjectId,
)
from authd.web.door import Beat, Button, Ceremony, DoorError, Named, Person, Sight, System
from authd.web.settings import Application, Door, Seat, Settings, Way
from tests.web.procedures import FakeProcedures
from tests.web.reviews import FakeReviews

SEAT = SeatId("counter-1")
HANAKO = Person("佐藤 花子", "さとう はなこ", "resident")
ALL_WAYS: tuple[Way, ...] = ("webauthn", "tiles", "vouch", "break_glass")
ROSTER = (
    Named("sub_taro", "鈴木 太郎", "すずき たろう"),
    Named("sub_hanako", "佐藤 花子", "さとう はなこ"),
    Named("sub_ume", "田中 うめ", "たなか うめ"),
)
TARO = Person("鈴木 太郎", "すずき たろう", "tax")


def settings(
    application_url: str = "http://127.0.0.1:8790/",
    *,
    seats: int = 1,
    frame_ancestors: tuple[str, ...] = (),
    ways: tuple[Way, ...] = (),
    hosts: tuple[str, ...] = (),
) -> Settings:
    return Settings(
        listen="127.0.0.1:0",
        door=Door("ipc:///nowhere", "k" * 40),
        seats=tuple(
            Seat(f"counter-{n}", f"窓口{n}", f"Counter {n}", applications=("resident", "tax"), ways=ways)
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
        hosts=hosts,
    )


def boottime() -> Instant:
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME))


class Fields(TypedDict, total=False):
    hint: Hint | None
    left: float | None
    reader: bool
    at: Instant | None
    prompt: Prompt | None
    break_glass: bool
    claim: str | None
    lent: bool
    confirms: Confirms | None


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
    prompt: Prompt | None = None,
    break_glass: bool = False,
    claim: str | None = None,
    lent: bool = False,
    confirms: Confirms | None = None,
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
        prompt=prompt,
        break_glass=break_glass,
        claim=SubjectId(claim) if claim else None,
        lent=lent,
        confirms=confirms,
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
        self.begin: Callable[[], Ceremony] = lambda: Ceremony("get", {"challenge": "AAAA"})
        self.done: Callable[[str], object] = lambda response: None
        self.town = FakeProcedures()
        self.desk = FakeReviews()
        self.systems: list[System] = []
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

    async def answer(self, seat: SeatId, typed: str) -> None:
        await self._ask("answer", seat, typed)

    async def reviews(self, seat: SeatId) -> Sequence[Review]:
        return self.desk.listed()

    async def review_items(self, seat: SeatId, section: str, month: str) -> Reviewed:
        return self.desk.items(section, month)

    async def review_sign(self, seat: SeatId, section: str, month: str, digest: str) -> Review:
        await self._ask("review_sign", seat, section, month, digest)
        await self.desk.touched.wait()
        return self.desk.sign(section, month, digest)

    async def review_alerts(self, seat: SeatId) -> Alerts:
        return self.desk.alerts()

    async def coverage(self) -> Sequence[System]:
        await self._ask("coverage")
        return self.systems

    async def roster(self, seat: SeatId) -> Sequence[Named]:
        await self._ask("roster", seat)
        return ROSTER

    async def claim(self, seat: SeatId, subject: str) -> None:
        await self._ask("claim", seat, subject)

    async def procedures(self, seat: SeatId, session: SessionId) -> Procedures:
        await self._ask("procedures", seat, session)
        return self.town.listed()

    async def procedure_start(self, seat: SeatId, session: SessionId, procedure: str) -> ProcedureRun:
        await self._ask("procedure_start", seat, session, procedure)
        return self.town.start(procedure)

    async def procedure_answer(self, seat: SeatId, run: str, step: str, choice: str) -> ProcedureRun:
        await self._ask("procedure_answer", seat, run, step, choice)
        return self.town.answer(run, step, choice)

    async def procedure_drop(self, seat: SeatId, run: str) -> ProcedureRun:
        await self._ask("procedure_drop", seat, run)
        return self.town.drop(run)

    async def webauthn_begin(self, seat: SeatId) -> Ceremony:
        await self._ask("webauthn_begin", seat)
        return self.begin()

    async def webauthn_done(self, seat: SeatId, response: str) -> None:
        await self._ask("webauthn_done", seat, response)
        self.done(response)

    async def _ask(self, *words: str) -> None:
        self.asked.append(words)
        if self.refuse is not None:
            raise self.refuse
