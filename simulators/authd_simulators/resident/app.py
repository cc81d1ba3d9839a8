"""The resident system's pages. No password field: the only way in is a ticket from the seat's screen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from authd.client import ClientError, DoorError, Person
from authd_simulators.guard import Guard
from authd_simulators.people import SECTIONS
from authd_simulators.resident.copy import Copy
from authd_simulators.resident.html import Html, join, page
from authd_simulators.resident.masked import LANGUAGE, confirmed, masked
from authd_simulators.resident.records import Resident, by_number, in_era, search
from authd_simulators.resident.visits import Door, TooManyVisits, Visit, Visits

log = logging.getLogger("authd_simulators.resident")
COOKIE = "visit"
MOST_BODY = 8_192
MOST_FIELDS = 64
BEAT_S = 0.5
STATIC = {"resident.css": "text/css", "guard.js": "text/javascript"}

SCREEN, PURPOSE = "juminhyo", "counter-inquiry"
"""What the records are shown on and for, as authd is told: kinds of business, never names."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the resident system is told at its start."""

    residents: Sequence[Resident]
    now: Callable[[], datetime]
    """Wall clock with its offset; for people only."""
    seats: Mapping[str, str] = field(default_factory=dict[str, str])
    """Names of the seats, by id."""
    hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost"})
    """`host:port` names that a browser may use for it."""
    ancestors: tuple[str, ...] = ()
    """Origins that may show it in a frame: the seat's screen."""


def make_app(settings: Settings, door: Callable[[], AbstractAsyncContextManager[Door]]) -> Guard:
    """Return the ASGI application; `door` makes the client of authd, opened for the application's life."""
    policy = {"frame-ancestors": " ".join(settings.ancestors)} if settings.ancestors else {}
    return Guard(_App(settings, door).routes(), settings.hosts, policy)


class _App:
    def __init__(self, settings: Settings, door: Callable[[], AbstractAsyncContextManager[Door]]) -> None:
        self._settings = settings
        self._door = door
        self._visits: Visits | None = None
        self._copy = Copy([each.number for each in settings.residents])

    def routes(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self.arrive),
                Route("/locked", self.locked),
                Route("/static/{name}", self.static),
                Route("/s/{visit}/", self.search, methods=["GET", "POST"]),
                Route("/s/{visit}/watch", self.watch),
                Route("/s/{visit}/record/{number}", self.record),
                Route("/s/{visit}/record/{number}", self.unmask, methods=["POST"]),
            ],
            lifespan=self._life,
        )

    @asynccontextmanager
    async def _life(self, app: Starlette) -> AsyncGenerator[None, None]:
        del app
        async with self._door() as door, asyncio.TaskGroup() as group:
            self._visits = Visits(door, group)
            holding = group.create_task(self._copy.run(door))
            try:
                yield
            finally:
                holding.cancel()
                self._visits.end_all()

    # Pages.

    async def arrive(self, request: Request) -> Response:
        """Exchange the ticket for a visit; without a good one, say where to start."""
        assert self._visits is not None
        ticket = request.query_params.get("ticket", "")
        try:
            if not 0 < len(ticket) <= 256:
                return _closed("start")
            visit = await self._visits.begin(ticket)
        except TooManyVisits:
            return _closed("full")
        except ClientError as error:
            log.info("a ticket was refused: %s", error)
            return _closed("start")
        path = f"/s/{visit.path}/"
        answer = RedirectResponse(path, status_code=303)
        answer.set_cookie(COOKIE, visit.cookie, path=path, httponly=True, samesite="strict")
        return answer

    async def search(self, request: Request) -> Response:
        """Show the form and, once it was sent, what was found. Words go in the body, never into an address."""
        visit = await self._visit(request)
        if visit is None:
            return _closed("locked")
        words, found = "", Html("")
        if request.method == "POST":
            words = await _words(request)
            found = _found(visit, search(self._settings.residents, words))
        return self._framed(visit, page("search", visit=visit.path, words=words, found=found))

    async def record(self, request: Request) -> Response:
        """Ask authd, then show one record, or its mask. Without a receipt of the durable view nothing is shown."""
        visit = await self._visit(request)
        if visit is None:
            return _closed("locked")
        resident = by_number(self._settings.residents, request.path_params["number"])
        if resident is None:
            return _closed("missing")
        assert self._visits is not None
        try:
            look = await self._visits.look(visit, resident.number, screen=SCREEN, purpose=PURPOSE)
        except ClientError as error:
            log.warning("a view was not recorded, and nothing was shown: %s", error)
            return _closed("unrecorded")
        if look.masked:
            return self._framed(visit, masked(visit.path, resident, look))
        if resident.number in self._copy:  # a moment behind, or ahead: the stricter of the two holds
            return _closed("unrecorded")
        return self._framed(visit, self._record(visit, resident, look.receipt.seq))

    async def unmask(self, request: Request) -> Response:
        """Show what is masked, after purpose, checklist and the person's touch; else say what was missing."""
        visit = await self._visit(request)
        if visit is None:
            return _closed("locked")
        resident = by_number(self._settings.residents, request.path_params["number"])
        said = confirmed(await _fields(request))
        look = visit.masked.get(request.path_params["number"])
        if resident is None or look is None or look.id != said.look:
            return _closed("missing")
        assert self._visits is not None
        try:
            opened = await self._visits.unmask(look, said.purpose, look.notice[LANGUAGE], dict(said.answers))
        except DoorError as error:
            return self._framed(visit, masked(visit.path, resident, look, said.purpose, refused=error.message))
        except ClientError as error:
            log.warning("a masked record stayed masked: %s", error)
            return _closed("unrecorded")
        if visit.ended.is_set() or opened.session != visit.person.session:
            return _closed("locked")
        visit.masked.pop(resident.number, None)
        return self._framed(visit, self._record(visit, resident, opened.seq))

    async def watch(self, request: Request) -> Response:
        """Tell an open page, as server-sent events, that its visit lives, and at once when it has ended."""
        visit = await self._visit(request)
        if visit is None:
            return Response(status_code=204)
        return StreamingResponse(_beats(visit), media_type="text/event-stream")

    async def locked(self, request: Request) -> Response:
        """Say that it is locked."""
        del request
        return _closed("locked")

    async def static(self, request: Request) -> Response:
        """Return one of the few files."""
        name = request.path_params["name"]
        if name not in STATIC:
            raise HTTPException(404)
        data = files("authd_simulators.resident").joinpath("static", name).read_bytes()
        return Response(data, media_type=STATIC[name])

    # Pieces.

    async def _visit(self, request: Request) -> Visit | None:
        assert self._visits is not None
        return await self._visits.find(request.path_params["visit"], request.cookies.get(COOKIE, ""))

    def _framed(self, visit: Visit, body: Html) -> HTMLResponse:
        person = visit.person
        framed = page(
            "frame",
            visit=visit.path,
            name=person.name or person.subject,
            section=_section(person.section),
            seat=self._seat(person),
            body=body,
        )
        return HTMLResponse(framed)

    def _record(self, visit: Visit, resident: Resident, row: int) -> Html:
        return page(
            "record",
            visit=visit.path,
            number=resident.number,
            name=resident.name,
            kana=resident.kana,
            born=resident.born_in_era,
            address=resident.address,
            head=resident.head,
            relation=resident.relation,
            moved_in=in_era(resident.moved_in),
            time=f"{self._settings.now():%H:%M:%S}",
            row=str(row),
            viewer=visit.person.name or visit.person.subject,
            seat=self._seat(visit.person),
        )

    def _seat(self, person: Person) -> str:
        return self._settings.seats.get(person.seat, person.seat)


def _found(visit: Visit, residents: Sequence[Resident]) -> Html:
    rows = (
        page("row", visit=visit.path, number=each.number, name=each.name, kana=each.kana, born=each.born_in_era)
        for each in residents
    )
    return page("found", count=str(len(residents)), rows=join(rows))


def _section(section: str) -> str:
    return next((each.name_ja for each in SECTIONS if each.id == section), section)


CLOSED = {
    "locked": (
        403,
        "ロックしました",
        "Locked",
        "席の画面で指を置いて、もう一度始めてください。",
        "Touch the reader and start again from the seat's screen.",
    ),
    "start": (
        403,
        "席の画面から開いてください",
        "Open this from the seat's screen",
        "この画面だけでは利用できません。",
        "It cannot be used by itself.",
    ),
    "full": (503, "混み合っています", "Too busy", "少し待ってからもう一度どうぞ。", "Please try again shortly."),
    "unrecorded": (
        503,
        "表示できません",
        "Cannot be shown",
        "閲覧を記録できないため、表示しません。もう一度お試しください。",
        "It is not shown because the view cannot be recorded. Please try again.",
    ),
    "missing": (404, "該当がありません", "No such record", "検索からやり直してください。", "Please search again."),
}


def _closed(which: str) -> HTMLResponse:
    status, *texts = CLOSED[which]
    title_ja, title_en, text_ja, text_en = texts
    closed = page("closed", title_ja=title_ja, title_en=title_en, text_ja=text_ja, text_en=text_en)
    return HTMLResponse(closed, status_code=status)


async def _words(request: Request) -> str:
    return (await _fields(request)).get("words", [""])[0][:40]


async def _fields(request: Request) -> Mapping[str, list[str]]:
    """Read a form, within bounds."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise HTTPException(413)
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=MOST_FIELDS)
    except ValueError:
        raise HTTPException(400) from None


async def _beats(visit: Visit) -> AsyncGenerator[str, None]:
    while not visit.ended.is_set():
        yield "event: beat\ndata:\n\n"
        try:
            async with asyncio.timeout(BEAT_S):
                await visit.ended.wait()
        except TimeoutError:
            continue
    yield "event: locked\ndata:\n\n"
