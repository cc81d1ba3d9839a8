"""Procedures on the seat's screen: run by whoever is logged in there, and shown to nobody else.

The page gets one step at a time, its answers in the pack's order and none of them chosen; what an answer leads to, it
learns after it has given it. A run ends with the session: the core says so, and nothing is kept here.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from authd.client.procedures import ProcedureRun, ProcedureStep
from authd.core.model import SessionId
from authd.web.door import SeatDoor
from authd.web.pages import Page
from authd.web.said import Said, answered, read
from authd.web.settings import Seat
from authd.web.view import Json

Speaks = Callable[[Request, Said], tuple[Page, Seat]]
"""Returns the open page that says this, and its seat; raises `HTTPException`."""


class Begun(Said, frozen=True, kw_only=True):
    """The procedure to begin."""

    procedure: str


class Chosen(Said, frozen=True, kw_only=True):
    """The answer to a step of a run."""

    run: str
    step: str
    choice: str


class Dropped(Said, frozen=True, kw_only=True):
    """The run to give up."""

    run: str


class ProcedureDesk:
    """The endpoints, over one door."""

    def __init__(self, door: SeatDoor, speaks: Speaks) -> None:
        self._door = door
        self._speaks = speaks

    def routes(self) -> list[Route]:
        """Return where they are."""
        return [
            Route("/seat/{seat}/procedures", self.listed, methods=["POST"]),
            Route("/seat/{seat}/procedure-start", self.start, methods=["POST"]),
            Route("/seat/{seat}/procedure-answer", self.answer, methods=["POST"]),
            Route("/seat/{seat}/procedure-drop", self.drop, methods=["POST"]),
        ]

    async def listed(self, request: Request) -> Response:
        """Return what may be run, and what is being run in this turn."""
        page, session = self._owner(request, await read(request, Said))
        found = await answered(self._door.procedures(page.seat, session))
        names: list[Json] = [{"id": each.id, "name": dict(each.name)} for each in found.procedures]
        return JSONResponse({"procedures": names, "run": found.run and run_view(found.run)})

    async def start(self, request: Request) -> Response:
        """Begin one."""
        said = await read(request, Begun)
        page, session = self._owner(request, said)
        return _shown(await answered(self._door.procedure_start(page.seat, session, said.procedure)))

    async def answer(self, request: Request) -> Response:
        """Pass on an answer."""
        said = await read(request, Chosen)
        page, _ = self._owner(request, said)
        return _shown(await answered(self._door.procedure_answer(page.seat, said.run, said.step, said.choice)))

    async def drop(self, request: Request) -> Response:
        """Give one up."""
        said = await read(request, Dropped)
        page, _ = self._owner(request, said)
        return _shown(await answered(self._door.procedure_drop(page.seat, said.run)))

    def _owner(self, request: Request, said: Said) -> tuple[Page, SessionId]:
        """Only who is logged in, and was shown that it is they."""
        page, _ = self._speaks(request, said)
        if page.session is None or said.turn is None or said.turn != page.turn:
            raise HTTPException(409)
        return page, page.session


def _shown(run: ProcedureRun) -> Response:
    return JSONResponse({"run": run_view(run)})


def run_view(run: ProcedureRun) -> dict[str, Json]:
    """Return what the page is told of a run: a list of what may pass."""
    return {
        "id": run.id,
        "name": dict(run.procedure.name),
        "steps": run.steps,
        "done": run.done,
        "result": run.result,
        "refusal": dict(run.refusal) if run.result == "refused" else None,
        "step": None if run.step is None else _step_view(run.step),
    }


def _step_view(step: ProcedureStep) -> dict[str, Json]:
    return {
        "id": step.id,
        "words": dict(step.words),
        "least_ms": step.least_ms,
        "answers": {each.id: dict(each.words) for each in step.answers},
    }
