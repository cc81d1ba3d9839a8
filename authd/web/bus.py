"""The seat screen's door, over `authd.client`: one client a seat, since a seat's key is good for its own seat only."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from authd.client import Client, ClientError
from authd.client import DoorError as Refused
from authd.client.channel import SILENCE, Caller, stream
from authd.client.flags import Covered
from authd.client.link import Dialler, dialler
from authd.client.procedures import ProcedureRun, Procedures
from authd.client.supervision import Alerts, Review, Reviewed
from authd.client.tables import BadSettings
from authd.client.values import shown
from authd.core.model import SeatId, SessionId
from authd.web.door import Beat, Button, Ceremony, DoorError, Named, Person, Sight, System
from authd.web.settings import Seat, Settings


class BusDoor:
    """Implements `SeatDoor`; to be used with `async with`."""

    def __init__(self, settings: Settings) -> None:
        self._callers: Mapping[SeatId, Caller] = {
            SeatId(seat.id): Caller(_dialler(settings, seat), None) for seat in settings.seats
        }
        self._clients = {seat: Client(caller, SILENCE) for seat, caller in self._callers.items()}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Begin to connect; a core that is not there yet is waited for in the background."""
        for client in self._clients.values():
            await self._stack.enter_async_context(client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close every connection."""
        await self._stack.__aexit__(kind, error, traceback)

    async def watch(self, seat: SeatId) -> AsyncGenerator[Sight | Beat, None]:
        """Yield faces and the core's own beats.

        Not `Client.watch`, which keeps the beats to itself and speaks of silence after 2 s: a page waits 1 s only.
        """
        with _translated():
            async with (
                self._callers[seat].connected() as channel,
                aclosing(stream(channel, "watch", {"seat": seat})) as frames,
            ):
                async for _, raw in frames:
                    yield _seen(raw)

    async def activity(self, seat: SeatId) -> None:
        """Report activity."""
        with _translated():
            await self._clients[seat].activity(seat)

    async def press(self, seat: SeatId, button: Button) -> None:
        """Press a button."""
        with _translated():
            await self._clients[seat].press(seat, button.value)

    async def ticket(self, seat: SeatId, application: str) -> str:
        """Return the application's URL with its ticket."""
        with _translated():
            return (await self._clients[seat].ticket(seat, application)).url

    async def answer(self, seat: SeatId, typed: str) -> None:
        """Hand on what was typed."""
        with _translated():
            await self._clients[seat].answer(seat, typed)

    async def roster(self, seat: SeatId) -> Sequence[Named]:
        """Return who may be named."""
        with _translated():
            return [Named(each.subject, each.name, each.kana) for each in await self._clients[seat].roster(seat)]

    async def claim(self, seat: SeatId, subject: str) -> None:
        """Name somebody."""
        with _translated():
            await self._clients[seat].claim(seat, subject)

    async def reviews(self, seat: SeatId) -> Sequence[Review]:
        """Return the months to review."""
        with _translated():
            return await self._clients[seat].reviews(seat)

    async def review_items(self, seat: SeatId, section: str, month: str) -> Reviewed:
        """Return what is to be looked at."""
        with _translated():
            return await self._clients[seat].review_items(section, month, seat)

    async def review_sign(self, seat: SeatId, section: str, month: str, digest: str) -> Review:
        """Sign, with the touch of whoever is logged in."""
        with _translated():
            return await self._clients[seat].sign_review(seat, section, month, digest)

    async def review_alerts(self, seat: SeatId) -> Alerts:
        """Return who was seen elsewhere."""
        with _translated():
            return await self._clients[seat].review_alerts(seat)

    async def procedures(self, seat: SeatId, session: SessionId) -> Procedures:
        """Return what may be run, and what is."""
        with _translated():
            return await self._clients[seat].procedures(seat, session)

    async def procedure_start(self, seat: SeatId, session: SessionId, procedure: str) -> ProcedureRun:
        """Begin one."""
        with _translated():
            return await self._clients[seat].procedure_start(seat, session, procedure)

    async def procedure_answer(self, seat: SeatId, run: str, step: str, choice: str) -> ProcedureRun:
        """Answer a step."""
        with _translated():
            return await self._clients[seat].procedure_answer(seat, run, step, choice)

    async def procedure_drop(self, seat: SeatId, run: str) -> ProcedureRun:
        """Give one up."""
        with _translated():
            return await self._clients[seat].procedure_drop(seat, run)

    async def coverage(self) -> Sequence[System]:
        """Return how far each application has come; any seat's key may ask."""
        with _translated():
            _, systems = await next(iter(self._clients.values())).flag_coverage()
            return [_system(each) for each in systems]

    async def webauthn_begin(self, seat: SeatId) -> Ceremony:
        """Return what to ask of a key."""
        with _translated():
            begun = await self._clients[seat].webauthn_begin(seat)
            return Ceremony(begun.kind, begun.options)

    async def webauthn_done(self, seat: SeatId, response: str) -> None:
        """Hand on what the key answered."""
        with _translated():
            await self._clients[seat].webauthn_done(seat, response)


@contextmanager
def _translated() -> Generator[None, None, None]:
    """Let nothing out but `DoorError`."""
    try:
        yield
    except Refused as error:
        raise DoorError(error.code) from error
    except ClientError as error:
        raise DoorError("gone") from error
    except msgspec.MsgspecError as error:
        raise DoorError("fault") from error


def _system(each: Covered) -> System:
    held = (each.linked, each.version, each.wanted, each.silent, each.silent_s, each.covered)
    return System(each.name_ja, each.name_en, *held)


def _seen(raw: bytes) -> Sight | Beat:
    told = shown(raw)
    if told is None:
        return Beat()
    person = Person(told.name, told.kana, told.section) if told.name else None
    return Sight(told.face, person)


def _dialler(settings: Settings, seat: Seat) -> Dialler:
    try:
        return dialler(settings.door.router, Path(seat.key_file), settings.door.server_key)
    except (ValueError, IndexError) as error:
        raise BadSettings(f"seat {seat.id}: {error}") from None
