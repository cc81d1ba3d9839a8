"""Procedure packs: checklists for a call, a counter or a letter, run on the seat's screen.

A run belongs to one session and ends with it. What a person answered is what a person said (the ledger's rows carry the
grade with which the session's owner is known, and no answer of theirs is more than a statement).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from authd.core.model import SECOND, Entry, Instant, Kind, SeatId, Session, SessionId
from authd.core.ports import LedgerDown
from authd.service import pdp
from authd.service.bus.house import Error, Refused
from authd.service.evidence.ground import Ground, Part
from authd.service.evidence.procedures import pack
from authd.service.evidence.procedures.checklist import Answer, Checklist, Step, StepKind, check
from authd.service.evidence.procedures.run import Result, Run

__all__ = ["Answer", "Checklist", "Passed", "Procedures", "Result", "Run", "Step", "StepKind", "check"]

LOOK_BACK_MS: Final = 30 * 86_400_000
"""How far back a start looks for procedures that the last daemon left open: a session lasts 12 h."""
PASSED_FOR: Final = 3_600 * SECOND
"""How long a passed procedure counts in its session, unless whoever asks says less."""
MOST_PASSED: Final = 100
"""Of one session."""
AGAIN_S: Final = 1.0
"""Until a ledger that could not be read is read again."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A procedure that somebody went through to its end in their present session."""

    run: str
    kind: str
    version: str
    at: Instant
    record: str = ""
    """What it was used for; empty: nothing yet."""


class Procedures(Part):
    """What may be run, what is being run at each seat, and what became of it."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self.packs = pack.Packs({}, {})
        self._runs: dict[SeatId, Run] = {}
        """The last run of each seat, while its session is open."""
        self._passed: dict[SessionId, list[Passed]] = {}
        self._turns: defaultdict[SeatId, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def begin(self) -> None:
        """Read the packs, and close what the last daemon left open. Raises `BundleError`, `LedgerDown`."""
        self.packs = await asyncio.to_thread(pack.read, self._source())
        await self._close_left()

    def jobs(self) -> Sequence[Coroutine[Any, Any, None]]:
        """End every run with its session."""
        return (self._end_with_sessions(),)

    def state(self) -> Mapping[str, object]:
        """Versions, and how many are being run."""
        versions = {kind: each.version for kind, each in self.packs.base.items()}
        return {"versions": versions, "running": sum(run.result is None for run in self._runs.values())}

    # What may be run, and what the guard asks.

    def offered(self, section: str) -> Sequence[Checklist]:
        """Return every procedure as it holds in a section."""
        return self.packs.of(section)

    def checklist(self, kind: str, section: str) -> Checklist:
        """Return one procedure (`phone`, `counter`, `letter`) as it holds in a section. Raises `Refused`."""
        found = self.packs.checklist(kind, section)
        if found is None:
            raise Refused(Error.NOT_FOUND, "there is no such procedure")
        return found

    def check(self, checklist: Checklist, answers: Mapping[str, str]) -> bool:
        """Whether every step has an answer that goes on, by step id, and nothing else was answered."""
        return check(checklist, answers)

    def passed(self, session: SessionId, kind: str = "", within: int = PASSED_FOR) -> Passed | None:
        """Return the newest procedure that was passed in this open session, of this kind if one is named.

        within: nanoseconds that it may be old.
        """
        if self.ground.owner(session) is None:
            return None
        return max(self._in_force(session, kind, within), key=lambda each: each.at, default=None)

    def use(self, session: SessionId, kind: str, record: str) -> Passed | None:
        """Return the passed procedure with which this record may be asked for; the first record uses it up.

        It is used up whatever the answer is: what is told about other records depends on nothing but the asking.
        """
        if self.ground.owner(session) is None:
            return None
        found = self._in_force(session, kind, PASSED_FOR)
        for each in found:
            if each.record == record:
                return each
        unused = max((each for each in found if not each.record), key=lambda each: each.at, default=None)
        if unused is None:
            return None
        kept, used = self._passed[session], replace(unused, record=record)
        kept[kept.index(unused)] = used
        return used

    def _in_force(self, session: SessionId, kind: str, within: int) -> Sequence[Passed]:
        since = self.ground.clock.now() - within
        return [each for each in self._passed.get(session, ()) if each.at >= since and kind in ("", each.kind)]

    # Running one.

    def running(self, seat: SeatId, session: SessionId) -> Run | None:
        """Return what is being run, or was run last, in the session that is open at the seat."""
        self._owner(seat, session)
        found = self._runs.get(seat)
        return found if found is not None and found.session.id == session else None

    def section(self, seat: SeatId) -> str:
        """Return the seat's section."""
        found = self.ground.config.seats.get(seat)
        if found is None:
            raise Refused(Error.NOT_FOUND, "no such seat")
        return found.section

    async def start(self, seat: SeatId, session: SessionId, kind: str) -> Run:
        """Begin a procedure; one that was begun before in the session is given up. Raises `Refused`, `LedgerDown`."""
        checklist = self.checklist(kind, self.section(seat))
        async with self._turns[seat]:
            owner, now = self._owner(seat, session), self.ground.clock.now()
            before = self._runs.get(seat)
            if before is not None and before.result is None:
                await self._end(before, Result.DROPPED if before.session.id == session else Result.SESSION_ENDED)
            run = Run("run_" + secrets.token_hex(16), checklist, seat, self.section(seat), owner, now, now)
            await self.ground.ledger.append(run.started())
            self._runs[seat] = run
            return run

    async def answer(self, seat: SeatId, name: str, step: str, answer: str) -> Run:
        """Answer the next step of the run of this name. Raises `Refused`, `LedgerDown` (nothing was answered then)."""
        async with self._turns[seat]:
            run, now = self._open(seat, name), self.ground.clock.now()
            if run.step is None or run.step.id != step:
                raise Refused(Error.REFUSED, "another step is asked now")
            if run.step.answer(answer) is None:
                raise Refused(Error.BAD_REQUEST, "the step has no such answer")
            if run.early(now):
                raise Refused(Error.REFUSED, "too soon: the step has only just been shown")
            after = run.answered(answer, now)
            await self.ground.ledger.append(run.told(answer, now))
            if after.result is not None:
                await self.ground.ledger.append(after.finished(now))
            self._runs[seat] = after
            self._keep(after, now)
            return after

    async def drop(self, seat: SeatId, name: str) -> Run:
        """Give it up. Raises `Refused`, `LedgerDown`."""
        async with self._turns[seat]:
            return await self._end(self._open(seat, name), Result.DROPPED)

    def _owner(self, seat: SeatId, session: SessionId) -> Session:
        found = self.ground.owner(session)
        if found is None or found[0] != seat:
            raise Refused(Error.EXPIRED, "this session is not open at this seat")
        return found[1]

    def _open(self, seat: SeatId, name: str) -> Run:
        """Return the run of this name, if it is open and its session too."""
        run = self._runs.get(seat)
        if run is None or run.id != name or run.result is not None:
            raise Refused(Error.NOT_FOUND, "no such procedure is being run here")
        self._owner(seat, run.session.id)
        return run

    async def _end(self, run: Run, result: Result) -> Run:
        over = run.over(result)
        await self.ground.ledger.append(over.finished(self.ground.clock.now()))
        self._runs[run.seat] = over
        return over

    def _keep(self, run: Run, now: Instant) -> None:
        if run.result is Result.PASSED:
            kept = self._passed.setdefault(run.session.id, [])
            kept.append(Passed(run.id, run.checklist.id, run.checklist.version, now))
            del kept[:-MOST_PASSED]

    # Ends that nobody asks for.

    async def _end_with_sessions(self) -> None:
        after = self.ground.ledger.head
        while True:
            try:
                async for row in self.ground.ledger.follow(after):
                    after = row.seq
                    if row.entry.kind is Kind.SESSION_ENDED:
                        await self._forget(row.entry)
                return
            except LedgerDown:
                await asyncio.sleep(AGAIN_S)

    async def _forget(self, end: Entry) -> None:
        if end.session is not None and end.seat is not None:
            self._passed.pop(end.session, None)
            if end.seat in self._runs:
                await self._ended(end.seat, end.session)

    async def _ended(self, seat: SeatId, session: SessionId) -> None:
        """The row is written as soon as the ledger can: until then the run is over, for its session is."""
        async with self._turns[seat]:
            run = self._runs.get(seat)
            if run is None or run.session.id != session:
                return
            del self._runs[seat]
            if run.result is None:
                over = run.over(Result.SESSION_ENDED)
                self.ground.ledger.write(over.finished(self.ground.clock.now()))

    async def _close_left(self) -> None:
        """Write an end for every run that has none: the daemon ended before it."""
        ledger, since = self.ground.ledger, self.ground.clock.wall_ms() - LOOK_BACK_MS
        begun = {
            row.entry.data.get("run"): row for row in await ledger.entries(f"kind:{Kind.PROCEDURE_STARTED}", since)
        }
        for row in await ledger.entries(f"kind:{Kind.PROCEDURE_FINISHED}", since):
            begun.pop(row.entry.data.get("run"), None)
        for row in begun.values():
            was, took = row.entry, max(0, self.ground.clock.wall_ms() - row.wall_ms)
            kept = {name: was.data.get(name) for name in ("run", "procedure", "version", "digest")}
            data = kept | {"result": Result.RESTARTED, "answered": None, "ms": took}
            kind, now = Kind.PROCEDURE_FINISHED, self.ground.clock.now()
            await ledger.append(
                Entry(kind, was.seat, was.epoch, was.subject, was.session, now, grade=was.grade, data=data)
            )

    def _source(self) -> pdp.Source:
        config = self.ground.config
        return pdp.Source(config.policy or pdp.installed(), config.settings)
