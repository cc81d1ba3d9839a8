"""The endpoints of the seat screen. Every answer is small, every body bounded, every wait limited."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from authd.core.model import Instant, SeatId
from authd.locale import LANGUAGES
from authd.web import assets
from authd.web.door import Button, DoorError, SeatDoor, Sight
from authd.web.guard import Guard, content_policy
from authd.web.pages import Page, Pages, TooManyPages
from authd.web.settings import BadSettings, Seat, Settings, origin_of
from authd.web.view import open_turn, view_of

MAX_BODY = 1_024
BODY_WITHIN_S = 2.0
DOOR_WITHIN_S = 5.0
AWAY = frozenset({"busy", "slow", "fault", "ledger_down", "gone"})
"""Refusals that pass by themselves; the others say that the page is behind what is true now."""

T = TypeVar("T")

log = logging.getLogger("authd.web")


class Said(msgspec.Struct, frozen=True):
    """What a page posts; each endpoint reads its own part."""

    page: str
    turn: str | None = None
    button: Button | None = None
    application: str | None = None


def boottime() -> Instant:
    """Return CLOCK_BOOTTIME, the clock of the faces."""
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME))


def make_app(
    settings: Settings, door: SeatDoor, hosts: frozenset[str], now: Callable[[], Instant] = boottime
) -> ASGIApp:
    """Return the application; `hosts` are the names that it answers to (see `guard.own_hosts`)."""
    screen = Screen(settings, door, now)
    routes = [
        Route("/", screen.choose),
        Route("/static/{name}", screen.static),
        Route("/seat/{seat}", screen.page),
        Route("/seat/{seat}/stream", screen.stream),
        Route("/seat/{seat}/activity", screen.activity, methods=["POST"]),
        Route("/seat/{seat}/press", screen.press, methods=["POST"]),
        Route("/seat/{seat}/open", screen.open, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes), hosts)


class Screen:
    """The endpoints, over one door."""

    def __init__(self, settings: Settings, door: SeatDoor, now: Callable[[], Instant]) -> None:
        self._settings = settings
        self._door = door
        self._now = now
        self._pages = Pages(now)
        self._assets = assets.load()

    async def choose(self, request: Request) -> Response:
        """Let a seat be chosen, if there is a choice."""
        seats = self._settings.seats
        if len(seats) == 1:
            return RedirectResponse(f"/seat/{seats[0].id}", status_code=303)
        return self._html(assets.choice_page(self._assets, seats, _language(request)), frames=[])

    async def static(self, request: Request) -> Response:
        """Return one of the page's files."""
        name = request.path_params["name"]
        body = self._assets.files.get(name)
        return Response(status_code=404) if body is None else Response(body, media_type=assets.type_of(name))

    async def page(self, request: Request) -> Response:
        """Return the seat's page, which is covered until the stream says otherwise."""
        seat = self._seat(request)
        applications = self._settings.applications_of(seat)
        page = assets.seat_page(self._assets, seat, applications, _language(request))
        return self._html(page, [application.origin for application in applications])

    async def stream(self, request: Request) -> Response:
        """Return the faces of the seat as server-sent events, until the core or the browser goes away."""
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise HTTPException(403)
        return StreamingResponse(self._events(self._seat(request)), media_type="text/event-stream")

    async def activity(self, request: Request) -> Response:
        """Pass on that somebody moved; more than once a second is dropped without a word."""
        page, _ = await self._said(request)
        if self._pages.may_stir(page.seat):
            await _ask(self._door.activity(page.seat))
        return Response(status_code=204)

    async def press(self, request: Request) -> Response:
        """Pass on a button, if the session for which it was pressed is still the present one."""
        page, said = await self._said(request)
        if said.button is None:
            raise HTTPException(400)
        if said.turn is None or said.turn != page.turn:
            raise HTTPException(409)
        await _ask(self._door.press(page.seat, said.button))
        return Response(status_code=204)

    async def open(self, request: Request) -> Response:
        """Return an application's address with a single-use ticket."""
        page, said = await self._said(request)
        known = {each.id: each for each in self._settings.applications_of(self._seat(request))}
        if said.application not in known:
            raise HTTPException(404)
        if said.turn is None or said.turn != page.turn:
            raise HTTPException(409)
        url = await _ask(self._door.ticket(page.seat, said.application))
        if not _same_origin(url, known[said.application].origin):
            log.error("the core answered a ticket for %s with an address elsewhere", said.application)
            raise HTTPException(502)
        return JSONResponse({"url": url})

    async def _events(self, seat: Seat) -> AsyncGenerator[str, None]:
        try:
            with self._pages.opened(SeatId(seat.id)) as page:
                yield _event("hello", {"page": page.name, "build": self._assets.build})
                async with aclosing(_watched(self._door, page.seat)) as watched:
                    async for seen in watched:
                        yield self._told(page, seen)
                yield _event("gone", {})
        except TooManyPages:
            yield _event("full", {})

    def _told(self, page: Page, seen: Sight | None) -> str:
        if seen is None:
            return _event("beat", {})
        page.turn = open_turn(seen.face)
        return _event("face", view_of(seen, self._settings.sections, self._now()))

    async def _said(self, request: Request) -> tuple[Page, Said]:
        """Return the page that speaks, and what it says."""
        seat = self._seat(request)
        if request.headers.get("content-type") != "application/json":
            raise HTTPException(415)
        try:
            said = msgspec.json.decode(await _body(request), type=Said)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise HTTPException(400) from None
        page = self._pages.find(said.page, SeatId(seat.id))
        if page is None:
            raise HTTPException(403)
        return page, said

    def _seat(self, request: Request) -> Seat:
        seat = self._settings.seat(request.path_params["seat"])
        if seat is None:
            raise HTTPException(404)
        return seat

    def _html(self, page: str, frames: list[str]) -> HTMLResponse:
        ancestors = self._settings.frame_ancestors
        headers = {"content-security-policy": content_policy(frames, ancestors)}
        return HTMLResponse(page, headers=headers if ancestors else headers | {"x-frame-options": "DENY"})


async def _watched(door: SeatDoor, seat: SeatId) -> AsyncGenerator[Sight | None, None]:
    """Yield sights, and None for a beat; end quietly when the core goes away."""
    try:
        async with aclosing(door.watch(seat)) as watched:
            async for seen in watched:
                yield seen if isinstance(seen, Sight) else None
    except DoorError as error:
        log.warning("the screen of %s lost the core: %s", seat, error.code)


async def _ask(answer: Awaitable[T]) -> T:
    """Wait for the core's answer, and turn its refusal into a status."""
    try:
        async with asyncio.timeout(DOOR_WITHIN_S):
            return await answer
    except DoorError as error:
        raise HTTPException(503 if error.code in AWAY else 409, error.code) from None
    except TimeoutError:
        raise HTTPException(503, "slow") from None


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise HTTPException(413)
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:
        raise HTTPException(400) from None
    return bytes(body)


def _language(request: Request) -> str:
    asked = request.query_params.get("lang", "")
    return asked if asked in LANGUAGES else LANGUAGES[0]


def _same_origin(url: str, origin: str) -> bool:
    try:
        return origin_of(url) == origin
    except BadSettings:
        return False


def _event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
