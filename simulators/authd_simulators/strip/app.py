"""Serves the strip and passes its commands to the bench's control socket."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from authd_simulators.control import command
from authd_simulators.guard import Guard
from authd_simulators.vein_image import Finger

STATIC = {"strip.css": "text/css", "strip.js": "text/javascript"}
MOST_BODY = 256
COMMAND = re.compile(r"[a-z0-9_-]{1,32}(?: [A-Za-z0-9_]{1,32}){1,4}\Z")
FINGERS = {
    Finger.RIGHT_INDEX: ("右 人差し指", "Right index"),
    Finger.RIGHT_MIDDLE: ("右 中指", "Right middle"),
    Finger.RIGHT_RING: ("右 薬指", "Right ring"),
    Finger.LEFT_INDEX: ("左 人差し指", "Left index"),
    Finger.LEFT_MIDDLE: ("左 中指", "Left middle"),
    Finger.LEFT_RING: ("左 薬指", "Left ring"),
}


@dataclass(frozen=True, slots=True)
class FurtherDevice:
    """Another reader of a seat: `means` is `card` or `fingerprint`, `owner` who is enrolled with it."""

    id: str
    means: str
    owner: str
    pin: str = ""


@dataclass(frozen=True, slots=True)
class StripSeat:
    """A seat as the strip shows it: its screen, and the devices that belong to it ("" : it has none).

    act: the command with which its key is touched; owner: whose key it is; pin: what the key asks for, if it does.
    """

    id: str
    name_ja: str
    name_en: str
    url: str
    vein: str = ""
    presence: str = ""
    key: str = ""
    act: str = ""
    owner: str = ""
    pin: str = ""
    further: tuple[FurtherDevice, ...] = ()


def make_app(
    control: Path, seats: Iterable[StripSeat], hosts: Iterable[str], frames: Iterable[str], note: str = ""
) -> Guard:
    """Return the ASGI application.

    control: the bench's control socket; hosts: `host:port` names of this page; frames: origins of the seat screens;
    note: a line of text for the page's head (for instance, who is enrolled).
    """
    pages = _Pages(control, tuple(seats), note)
    app = Starlette(
        routes=[
            Route("/", pages.page),
            Route("/state", pages.state),
            Route("/command", pages.command, methods=["POST"]),
            Route("/static/{name}", pages.static),
        ]
    )
    return Guard(app, hosts, {"frame-src": " ".join(frames), "form-action": "'none'"})


class _Pages:
    def __init__(self, control: Path, seats: tuple[StripSeat, ...], note: str) -> None:
        self._control = control
        self._seats = seats
        self._note = note

    async def page(self, request: Request) -> Response:
        """Return the page, with what it needs to know as JSON inside."""
        del request
        people = json.loads((await self._bench("PEOPLE")).removeprefix("ok "))
        known = {
            "seats": [asdict(seat) for seat in self._seats],
            "people": people,
            "fingers": [{"id": finger, "ja": ja, "en": en} for finger, (ja, en) in FINGERS.items()],
        }
        template = Template(files("authd_simulators.strip").joinpath("strip.html").read_text("utf-8"))
        data = json.dumps(known, ensure_ascii=False).replace("<", "\\u003c")
        return HTMLResponse(template.substitute(known=data, note=escape(self._note)))

    async def state(self, request: Request) -> Response:
        """Return what the devices look like."""
        del request
        return JSONResponse(json.loads((await self._bench("STATUS")).removeprefix("ok ")))

    async def command(self, request: Request) -> Response:
        """Pass one command on and return the bench's line."""
        if request.headers.get("content-type") != "text/plain":
            raise HTTPException(415)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BODY:
                raise HTTPException(413)
        line = body.decode("utf-8", "replace")
        if not COMMAND.match(line):
            raise HTTPException(400)
        return JSONResponse({"answer": await self._bench(line)})

    async def static(self, request: Request) -> Response:
        """Return one of the few files."""
        name = request.path_params["name"]
        if name not in STATIC:
            raise HTTPException(404)
        data = files("authd_simulators.strip").joinpath("static", name).read_bytes()
        return Response(data, media_type=STATIC[name])

    async def _bench(self, line: str) -> str:
        try:
            return await command(self._control, line)
        except (OSError, TimeoutError):
            raise HTTPException(503, "the bench does not answer") from None
