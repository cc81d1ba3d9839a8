"""The core's procedures as a fake door has them: the real packs and the real steps, with no seat and no ledger."""

from __future__ import annotations

import msgspec

from authd.client.procedures import Procedure, ProcedureAnswer, ProcedureRun, Procedures, ProcedureStep
from authd.service.evidence.procedures import Checklist
from authd.service.evidence.procedures.pack import read
from authd.service.pdp import Source, installed
from authd.web.door import DoorError


class FakeProcedures:
    """`offered` is empty until a test asks for a section's."""

    def __init__(self) -> None:
        self.offered: dict[str, Checklist] = {}
        self.run: ProcedureRun | None = None
        self._count = 0

    def offer(self, section: str) -> None:
        self.offered = {each.id: each for each in read(Source(installed())).of(section)}

    def listed(self) -> Procedures:
        return Procedures([_offer(each) for each in self.offered.values()], self.run)

    def start(self, name: str) -> ProcedureRun:
        if name not in self.offered:
            raise DoorError("not_found")
        self._count += 1
        found = self.offered[name]
        steps = [_step(found, at) for at in range(len(found.steps))]
        self.run = ProcedureRun(f"run_{self._count}", _offer(found), len(steps), 0, steps[0], None, dict(found.refusal))
        return self.run

    def answer(self, run: str, step: str, choice: str) -> ProcedureRun:
        now = self.run
        if now is None or now.id != run or now.step is None or now.step.id != step:
            raise DoorError("refused")
        found = self.offered[now.procedure.id]
        given = found.steps[now.done].answer(choice)
        if given is None:
            raise DoorError("bad_request")
        done = now.done + 1
        more = given.goes_on and done < now.steps
        result = None if more else "passed" if given.goes_on else "refused"
        following = _step(found, done) if more else None
        self.run = msgspec.structs.replace(now, done=done, step=following, result=result)
        return self.run

    def drop(self, run: str) -> ProcedureRun:
        if self.run is None or self.run.id != run:
            raise DoorError("not_found")
        self.run = msgspec.structs.replace(self.run, step=None, result="dropped")
        return self.run


def _offer(checklist: Checklist) -> Procedure:
    return Procedure(checklist.id, checklist.version, dict(checklist.name))


def _step(checklist: Checklist, at: int) -> ProcedureStep:
    step = checklist.steps[at]
    answers = [ProcedureAnswer(each.id, dict(each.words)) for each in step.answers]
    return ProcedureStep(step.id, step.kind, dict(step.words), answers, step.least_ms)
