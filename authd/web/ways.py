"""What a person can do at a locked screen besides touching the reader: type a PIN, be named, use a key, ask for help.

Nothing here decides or keeps anything that could open a seat. What is typed goes straight to the core; a name is shown
only after a deliberate press, under a tile that is good for a while and for one page; what a key signs is over the
nonce that the core has armed, which is all the state that WebAuthn's ceremony needs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from authd.web.door import OF_NOBODY, Button, SeatDoor
from authd.web.pages import Page
from authd.web.said import MAX_BODY, Said, answered, read
from authd.web.settings import Seat, Way
from authd.web.view import MAX_NAME

SHORTEST, LONGEST = 4, 63
"""Bytes of UTF-8: a PIN of CTAP 2.1 (6.5.1); PIV's has 6 to 8 digits."""
MAX_RESPONSE = 60_000
MAX_RESPONSE_BODY = 2 * MAX_RESPONSE + MAX_BODY
"""Quoted once more, within the page's JSON."""
MAX_TILES = 200

S = TypeVar("S", bound=Said)
Speaks = Callable[[Request, Said], tuple[Page, Seat]]
"""Returns the open page that says this, and its seat; raises `HTTPException`."""


class Typed(Said, frozen=True, kw_only=True):
    """What was typed for the prompt that is named by `ask`."""

    ask: str
    typed: str

    def __repr__(self) -> str:
        """Say nothing of what was typed, wherever it might be written."""
        return "Typed(...)"


class Pointed(Said, frozen=True, kw_only=True):
    """The tile that was pressed."""

    tile: str


class Signed(Said, frozen=True, kw_only=True):
    """What the browser got from a key, as JSON text."""

    response: str


class Pressed(Said, frozen=True, kw_only=True):
    """A button."""

    button: Button


class Ways:
    """The endpoints, over one door."""

    def __init__(self, door: SeatDoor, speaks: Speaks) -> None:
        self._door = door
        self._speaks = speaks

    async def press(self, request: Request) -> Response:
        """Pass on a button, if the seat is still whose it was when it was pressed."""
        said = await read(request, Pressed)
        page, seat = self._speaks(request, said)
        if said.button in OF_NOBODY:
            _offered(seat, "vouch" if said.button is Button.VOUCH else "break_glass")
            _same_turn(page, said)
            _nobody(page)
        elif said.turn is None or said.turn != page.turn:
            raise HTTPException(409)
        return await _done(self._door.press(page.seat, said.button))

    async def answer(self, request: Request) -> Response:
        """Pass on what was typed, once for each time that it is asked for; never kept, logged or repeated."""
        said = await read(request, Typed)
        page, _ = self._speaks(request, said)
        if not may_be_typed(said.typed):
            raise HTTPException(400)
        if page.ask is None or said.ask != page.ask:
            raise HTTPException(409)
        page.ask = None
        return await _done(self._door.answer(page.seat, said.typed))

    async def names(self, request: Request) -> Response:
        """Return the tiles of the staff who may be named here."""
        said = await read(request, Said)
        page, seat = self._speaks(request, said)
        _offered(seat, "tiles")
        _same_turn(page, said)
        _nobody(page)
        people = await answered(self._door.roster(page.seat))
        page.lay([each.subject for each in people[:MAX_TILES]])
        names = {each.subject: each for each in people}
        tiles = [
            {"tile": tile, "name": names[subject].name[:MAX_NAME], "kana": names[subject].kana[:MAX_NAME]}
            for tile, subject in page.tiles.items()
        ]
        return JSONResponse({"names": sorted(tiles, key=lambda each: (each["kana"], each["name"]))})

    async def claim(self, request: Request) -> Response:
        """Name the person of a tile."""
        said = await read(request, Pointed)
        page, seat = self._speaks(request, said)
        _offered(seat, "tiles")
        _same_turn(page, said)
        _nobody(page)
        subject = page.tiles.get(said.tile)
        page.lay([])
        if subject is None:
            raise HTTPException(409)
        return await _done(self._door.claim(page.seat, subject))

    async def key(self, request: Request) -> Response:
        """Return what the browser is to ask of a key."""
        said = await read(request, Said)
        page, seat = self._speaks(request, said)
        _offered(seat, "webauthn")
        _same_turn(page, said)
        begun = await answered(self._door.webauthn_begin(page.seat))
        return JSONResponse({"kind": begun.kind, "options": begun.options})

    async def signed(self, request: Request) -> Response:
        """Pass on what a key signed."""
        said = await read(request, Signed, MAX_RESPONSE_BODY)
        page, seat = self._speaks(request, said)
        _offered(seat, "webauthn")
        if len(said.response) > MAX_RESPONSE:
            raise HTTPException(413)
        _same_turn(page, said)
        return await _done(self._door.webauthn_done(page.seat, said.response))


def may_be_typed(typed: str) -> bool:
    """Say whether a key or card could take this for a PIN: the length that it has, one line, and nothing hidden."""
    if any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in typed):
        return False
    return SHORTEST <= len(typed.encode()) <= LONGEST


async def _done(asked: Awaitable[None]) -> Response:
    await answered(asked)
    return Response(status_code=204)


def _offered(seat: Seat, way: Way) -> None:
    if way not in seat.ways:
        raise HTTPException(404)


def _same_turn(page: Page, said: Said) -> None:
    """Whoever pressed was shown the seat as it is now: nobody's, or of the same session."""
    if said.turn != page.turn:
        raise HTTPException(409)


def _nobody(page: Page) -> None:
    if page.turn is not None:
        raise HTTPException(409)
