"""Verbs about procedure packs: checklists that are run on the seat's screen, by whoever is logged in there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from authd.core.model import SeatId, SessionId
from authd.service.bus import wire
from authd.service.bus.house import Peer
from authd.service.bus.verbs import SCREEN, Desk, Fields, Verb
from authd.service.evidence.procedures import Checklist, Run, Step


class ProceduresCall(wire.Call, frozen=True, tag="procedures"):
    """Ask what may be run at the seat, and what is being run in this session."""

    seat: wire.Name
    session: wire.Name


class ProcedureStart(wire.Call, frozen=True, tag="procedure_start"):
    """Begin a procedure in the session that is open at the seat."""

    seat: wire.Name
    session: wire.Name
    procedure: wire.Name


class ProcedureAnswer(wire.Call, frozen=True, tag="procedure_answer"):
    """Answer its next step."""

    seat: wire.Name
    run: wire.Name
    step: wire.Name
    choice: wire.Name


class ProcedureDrop(wire.Call, frozen=True, tag="procedure_drop"):
    """Give it up."""

    seat: wire.Name
    run: wire.Name


def procedures(desk: Desk, peer: Peer, call: ProceduresCall) -> Fields:
    """List them, with the one that is being run."""
    seat, part = SeatId(call.seat), desk.house.evidence.procedures
    run = part.running(seat, SessionId(call.session))
    return {"procedures": [_offer(each) for each in part.offered(part.section(seat))], "run": run and _run(run)}


async def start(desk: Desk, peer: Peer, call: ProcedureStart) -> Fields:
    """Begin one."""
    part = desk.house.evidence.procedures
    return {"run": _run(await part.start(SeatId(call.seat), SessionId(call.session), call.procedure))}


async def answer(desk: Desk, peer: Peer, call: ProcedureAnswer) -> Fields:
    """Answer a step."""
    part = desk.house.evidence.procedures
    return {"run": _run(await part.answer(SeatId(call.seat), call.run, call.step, call.choice))}


async def drop(desk: Desk, peer: Peer, call: ProcedureDrop) -> Fields:
    """Give one up."""
    return {"run": _run(await desk.house.evidence.procedures.drop(SeatId(call.seat), call.run))}


def _offer(checklist: Checklist) -> Fields:
    return {"id": checklist.id, "version": checklist.version, "name": checklist.name}


def _run(run: Run) -> Fields:
    """What a screen is told. Which answers go on is not: nobody shall look for the one that does."""
    return {
        "id": run.id,
        "procedure": _offer(run.checklist),
        "steps": len(run.checklist.steps),
        "done": run.done,
        "step": None if run.step is None else _step(run.step),
        "result": run.result,
        "refusal": run.checklist.refusal,
    }


def _step(step: Step) -> Fields:
    answers = [{"id": each.id, "words": each.words} for each in step.answers]
    return {"id": step.id, "kind": step.kind, "words": step.words, "answers": answers, "least_ms": step.least_ms}


VERBS: Final[Mapping[type[wire.Call], Verb]] = {
    ProceduresCall: Verb(SCREEN, instant=procedures),
    ProcedureStart: Verb(SCREEN, waiting=start),
    ProcedureAnswer: Verb(SCREEN, waiting=answer),
    ProcedureDrop: Verb(SCREEN, waiting=drop),
}
