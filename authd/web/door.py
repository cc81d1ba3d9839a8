"""What the seat screen asks of the bus. `authd.web.bus` does it with `authd.client`, the tests with a fake."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from authd.core.model import Face, SeatId


class DoorError(Exception):
    """The core did not do it: it is away, or it refused. `code` is one word of the door's protocol."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Button(StrEnum):
    """What can be pressed on a seat screen."""

    LOCK = "lock"
    LOGOUT = "logout"


@dataclass(frozen=True, slots=True)
class Person:
    """The member of staff at the seat, by the attributes that the screen's scope has."""

    name: str
    kana: str = ""
    section: str = ""


@dataclass(frozen=True, slots=True)
class Sight:
    """A face, and whose it is."""

    face: Face
    person: Person | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """The core is there and the last face still holds."""


class SeatDoor(Protocol):
    """The screen's side of the bus: one for all seats of this process, each under its own key."""

    def watch(self, seat: SeatId) -> AsyncGenerator[Sight | Beat, None]:
        """Yield the present face, then every change, and a beat at least every 0.5 s while the core lives.

        Ends or raises `DoorError` when the core is away. Closing the generator gives the watch up.
        """
        ...

    async def activity(self, seat: SeatId) -> None:
        """Say that keyboard or pointer moved at the seat. Raises `DoorError`."""
        ...

    async def press(self, seat: SeatId, button: Button) -> None:
        """Press a button. Raises `DoorError`."""
        ...

    async def ticket(self, seat: SeatId, application: str) -> str:
        """Return the application's URL with a single-use ticket for the open session. Raises `DoorError`."""
        ...
