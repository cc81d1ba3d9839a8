"""The seat screen's door, over `authd.client`: one client a seat, since a seat's key is good for its own seat only."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AsyncExitStack, aclosing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from authd.client import Client, ClientError
from authd.client import DoorError as Refused
from authd.client.channel import SILENCE, Caller, stream
from authd.client.link import Dialler, dialler
from authd.client.values import shown
from authd.core.model import SeatId
from authd.web.door import Beat, Button, DoorError, Person, Sight
from authd.web.settings import BadSettings, Seat, Settings


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
            await self._clients[seat].press(seat, "lock" if button is Button.LOCK else "logout")

    async def ticket(self, seat: SeatId, application: str) -> str:
        """Return the application's URL with its ticket."""
        with _translated():
            return (await self._clients[seat].ticket(seat, application)).url


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
