"""Questions about procedures, and the values that come back; the same words with and without `await`."""

from __future__ import annotations

from typing import Literal

import msgspec

from authd.client.asking import Asking
from authd.client.waiting import Waiting


class ProcedureAnswer(msgspec.Struct, frozen=True):
    """One answer of a step, by language."""

    id: str
    words: dict[str, str]


class ProcedureStep(msgspec.Struct, frozen=True):
    """What is asked now. `least_ms`: an answer is refused any sooner."""

    id: str
    kind: str
    words: dict[str, str]
    answers: list[ProcedureAnswer]
    least_ms: int = 0


class Procedure(msgspec.Struct, frozen=True):
    """A procedure that may be run at a seat."""

    id: str
    version: str
    name: dict[str, str]


class ProcedureRun(msgspec.Struct, frozen=True):
    """A procedure that is being run, or was: `result` is then there. `refusal`: what is to be said, to anybody."""

    id: str
    procedure: Procedure
    steps: int
    done: int
    step: ProcedureStep | None
    result: Literal["passed", "refused", "dropped", "session_ended", "restarted"] | None
    refusal: dict[str, str]


class Procedures(msgspec.Struct, frozen=True):
    """What may be run at a seat, and what is being run in the session that is open there."""

    procedures: list[Procedure]
    run: ProcedureRun | None = None


class _Ran(msgspec.Struct, frozen=True):
    run: ProcedureRun


class ProcedureCalls(Asking):
    """Part of `Client`; for the seat's own screen."""

    async def procedures(self, seat: str, session: str) -> Procedures:
        """Return what may be run, and what is being run. Raises `DoorError`."""
        return await self._ask(Procedures, "procedures", seat=seat, session=session)

    async def procedure_start(self, seat: str, session: str, procedure: str) -> ProcedureRun:
        """Begin one (`phone`, `counter`, `letter`) in the session that is open at the seat. Raises `DoorError`."""
        return (await self._ask(_Ran, "procedure_start", seat=seat, session=session, procedure=procedure)).run

    async def procedure_answer(self, seat: str, run: str, step: str, answer: str) -> ProcedureRun:
        """Answer its next step. Raises `DoorError`."""
        return (await self._ask(_Ran, "procedure_answer", seat=seat, run=run, step=step, choice=answer)).run

    async def procedure_drop(self, seat: str, run: str) -> ProcedureRun:
        """Give it up. Raises `DoorError`."""
        return (await self._ask(_Ran, "procedure_drop", seat=seat, run=run)).run


class SyncProcedureCalls(Waiting):
    """Part of `SyncClient`."""

    def procedures(self, seat: str, session: str) -> Procedures:
        """As `Client.procedures`."""
        return self._wait(self._client.procedures(seat, session))

    def procedure_start(self, seat: str, session: str, procedure: str) -> ProcedureRun:
        """As `Client.procedure_start`."""
        return self._wait(self._client.procedure_start(seat, session, procedure))

    def procedure_answer(self, seat: str, run: str, step: str, answer: str) -> ProcedureRun:
        """As `Client.procedure_answer`."""
        return self._wait(self._client.procedure_answer(seat, run, step, answer))

    def procedure_drop(self, seat: str, run: str) -> ProcedureRun:
        """As `Client.procedure_drop`."""
        return self._wait(self._client.procedure_drop(seat, run))
