"""The endpoints of the seat screen. Every answer is small, every body bounded, every wait limited."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from authd.client.tables import BadSettings
from authd.core.model import Instant, SeatId
from authd.locale import LANGUAGES
from authd.web import assets
from authd.web.board import Board
from authd.web.door import DoorError, SeatDoor, Sight
from authd.web.guard import Guard, content_policy, own_origins
from authd.web.pages import Page, Pages, TooManyPages
from authd.web.procedure import ProcedureDesk
from authd.web.review import ReviewDesk
from authd.web.said import Said, answered, read
from authd.web.settings import Seat, Settings, origin_of
from authd.web.view import ask_of, open_turn, view_of
from authd.web.ways import Ways

log = logging.getLogger("authd.web")


class Opened(Said, frozen=True, kw_only=True):
    """The application to open."""

    application: str


def boottime() -> Instant:
    """Return CLOCK_BOOTTIME, the clock of the faces."""
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME))


def make_app(
    settings: Settings, door: SeatDoor, hosts: frozenset[str], now: Callable[[], Instant] = boottime
) -> ASGIApp:
    """Return the application; `hosts` are the names that it answers to (see `guard.own_hosts`)."""
    screen = Screen(settings, door, now)
    ways, procedures = Ways(door, screen.speaks), ProcedureDesk(door, screen.speaks)
    routes = [
        Route("/", screen.choose),
        Route("/board", Board(door, settings.frame_ancestors).page),
        Route("/static/{name}", screen.static),
        Route("/seat/{seat}", screen.page),
        Route("/seat/{seat}/stream", screen.stream),
        Route("/seat/{seat}/activity", screen.activity, methods=["POST"]),
        Route("/seat/{seat}/press", ways.press, methods=["POST"]),
        Route("/seat/{seat}/open", screen.open, methods=["POST"]),
        Route("/seat/{seat}/answer", ways.answer, methods=["POST"]),
        Route("/seat/{seat}/names", ways.names, methods=["POST"]),
        Route("/seat/{seat}/claim", ways.claim, methods=["POST"]),
        Route("/seat/{seat}/key", ways.key, methods=["POST"]),
        Route("/seat/{seat}/signed", ways.signed, methods=["POST"]),
        *procedures.routes(),
        *ReviewDesk(door, screen.speaks).routes(),
    ]
    return Guard(Starlette(routes=routes), hosts, own_origins(settings, hosts))


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
        page, _ = self.speaks(request, await read(request, Said))
        if self._pages.may_stir(page.seat):
            await answered(self._door.activity(page.seat))
        return Response(status_code=204)

    async def open(self, request: Request) -> Response:
        """Return an application's address with a single-use ticket."""
        said = await read(request, Opened)
        page, seat = self.speaks(request, said)
        known = {each.id: each for each in self._settings.applications_of(seat)}
        if said.application not in known:
            raise HTTPException(404)
        if said.turn is None or said.turn != page.turn:
            raise HTTPException(409)
        url = await answered(self._door.ticket(page.seat, said.application))
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
        page.turn, page.ask = open_turn(seen.face), ask_of(seen.face)
        page.session = None if page.turn is None else seen.face.session
        return _event("face", view_of(seen, self._settings.sections, self._now()))

    def speaks(self, request: Request, said: Said) -> tuple[Page, Seat]:
        """Return the page that speaks, and its seat: it must be open now, and show this seat."""
        seat = self._seat(request)
        page = self._pages.find(said.page, SeatId(seat.id))
        if page is None:
            raise HTTPException(403)
        return page, seat

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
