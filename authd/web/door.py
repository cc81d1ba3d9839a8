"""What the seat screen asks of the bus. `authd.web.bus` does it with `authd.client`, the tests with a fake."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from authd.client.procedures import ProcedureRun, Procedures
from authd.client.supervision import Alerts, Review, Reviewed
from authd.core.model import Face, SeatId, SessionId


class DoorError(Exception):
    """The core did not do it: it is away, or it refused. `code` is one word of the door's protocol."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Button(StrEnum):
    """What can be pressed on a seat screen."""

    LOCK = "lock"
    LOGOUT = "logout"
    VOUCH = "vouch"
    BREAK_GLASS = "break_glass"


OF_NOBODY = frozenset({Button.VOUCH, Button.BREAK_GLASS})
"""Pressed on a seat that is nobody's; the others by the owner of the session."""


@dataclass(frozen=True, slots=True)
class Person:
    """The member of staff at the seat, by the attributes that the screen's scope has."""

    name: str
    kana: str = ""
    section: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody who may be named at the seat. The subject stays in this process: a page gets tiles."""

    subject: str
    name: str
    kana: str = ""


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What the browser is to ask of a key: `get` or `create`, and the options of WebAuthn as JSON values."""

    kind: str
    options: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Sight:
    """A face, and whose it is."""

    face: Face
    person: Person | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """The core is there and the last face still holds."""


@dataclass(frozen=True, slots=True)
class System:
    """One application, as far as a board may know it."""

    name_ja: str
    name_en: str
    linked: bool
    version: int
    wanted: int
    silent: bool
    silent_s: int | None
    covered: bool

    @property
    def state(self) -> str:
        """`covered`, `behind`, `silent` or `not_linked`."""
        if not self.linked:
            return "not_linked"
        return "covered" if self.covered else "silent" if self.silent else "behind"


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

    async def answer(self, seat: SeatId, typed: str) -> None:
        """Hand what was typed to the reader that asks. Raises `DoorError`."""
        ...

    async def roster(self, seat: SeatId) -> Sequence[Named]:
        """Return who may be named at the seat. Raises `DoorError`."""
        ...

    async def claim(self, seat: SeatId, subject: str) -> None:
        """Say whose finger comes next. Raises `DoorError`."""
        ...

    async def reviews(self, seat: SeatId) -> Sequence[Review]:
        """Return the months that whoever is logged in may review. Raises `DoorError`."""
        ...

    async def review_items(self, seat: SeatId, section: str, month: str) -> Reviewed:
        """Return what is to be looked at in one of them. Raises `DoorError`."""
        ...

    async def review_sign(self, seat: SeatId, section: str, month: str, digest: str) -> Review:
        """Sign it; returns once the person has touched. Raises `DoorError`."""
        ...

    async def review_alerts(self, seat: SeatId) -> Alerts:
        """Return whether they supervise anybody, and who was seen elsewhere. Raises `DoorError`."""
        ...

    async def procedures(self, seat: SeatId, session: SessionId) -> Procedures:
        """Return what may be run in this session, and what is. Raises `DoorError`."""
        ...

    async def procedure_start(self, seat: SeatId, session: SessionId, procedure: str) -> ProcedureRun:
        """Begin a procedure. Raises `DoorError`."""
        ...

    async def procedure_answer(self, seat: SeatId, run: str, step: str, choice: str) -> ProcedureRun:
        """Answer its next step. Raises `DoorError`."""
        ...

    async def procedure_drop(self, seat: SeatId, run: str) -> ProcedureRun:
        """Give it up. Raises `DoorError`."""
        ...

    async def coverage(self) -> Sequence[System]:
        """Return how far each application has come with the protections. Raises `DoorError`."""
        ...

    async def webauthn_begin(self, seat: SeatId) -> Ceremony:
        """Return what a key is to be asked for, under the nonce that is armed now. Raises `DoorError`."""
        ...

    async def webauthn_done(self, seat: SeatId, response: str) -> None:
        """Hand over what the key answered, as JSON text. Raises `DoorError`."""
        ...
