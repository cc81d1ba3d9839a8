"""One procedure being run by one person in one session: which step is next, and how long each took. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from authd.core.model import MILLISECOND, Entry, Instant, Kind, SeatId, Session, Value
from authd.service.evidence.procedures.checklist import Checklist, Step


class Result(StrEnum):
    """How a procedure ended."""

    PASSED = "passed"
    REFUSED = "refused"
    """An answer does not go on: the refusal was shown."""
    DROPPED = "dropped"
    """Given up by the person."""
    SESSION_ENDED = "session_ended"
    RESTARTED = "restarted"
    """The daemon ended while it was run."""


@dataclass(frozen=True, slots=True)
class Run:
    """A procedure from its start to its result. Steps are answered in their order, each once."""

    id: str
    checklist: Checklist
    seat: SeatId
    section: str
    session: Session
    began: Instant
    shown: Instant
    """Since when the next step has been shown."""
    done: int = 0
    """Steps that have been answered."""
    result: Result | None = None

    @property
    def step(self) -> Step | None:
        """The step that is to be answered now."""
        steps = self.checklist.steps
        return steps[self.done] if self.result is None and self.done < len(steps) else None

    def early(self, now: Instant) -> bool:
        """Whether the step has not been shown for as long as it takes to do it."""
        return self.step is not None and now - self.shown < self.step.least_ms * MILLISECOND

    def answered(self, answer: str, now: Instant) -> Run:
        """Return it after the next step was answered. Raises `KeyError`: the step has no such answer."""
        step = self.step
        given = None if step is None else step.answer(answer)
        if given is None:
            raise KeyError(answer)
        last = self.done + 1 == len(self.checklist.steps)
        result = Result.REFUSED if not given.goes_on else Result.PASSED if last else None
        return replace(self, done=self.done + 1, shown=now, result=result)

    def over(self, result: Result) -> Run:
        """Return it with a result that no answer has brought."""
        return replace(self, result=result)

    # What stands in the ledger.

    def started(self) -> Entry:
        """Return the entry of its start."""
        return self._entry(Kind.PROCEDURE_STARTED, self.began, self._which() | {"section": self.section})

    def told(self, answer: str, now: Instant) -> Entry:
        """Return the entry of an answer to the next step."""
        step = self.step
        assert step is not None
        given = step.answer(answer)
        data: dict[str, Value] = {
            "step": step.id,
            "answer": answer,
            "goes_on": given is not None and given.goes_on,
            "ms": (now - self.shown) // MILLISECOND,
        }
        return self._entry(Kind.PROCEDURE_ANSWERED, now, data)

    def finished(self, now: Instant) -> Entry:
        """Return the entry of its end."""
        took = (now - self.began) // MILLISECOND
        data: dict[str, Value] = {"result": self.result, "answered": self.done, "ms": took}
        return self._entry(Kind.PROCEDURE_FINISHED, now, data | self._which())

    def _which(self) -> dict[str, Value]:
        return {"version": self.checklist.version, "digest": self.checklist.digest}

    def _entry(self, kind: Kind, at: Instant, data: dict[str, Value]) -> Entry:
        owner = self.session
        about: dict[str, Value] = {"run": self.id, "procedure": self.checklist.id}
        return Entry(
            kind,
            self.seat,
            owner.epoch,
            owner.subject,
            owner.id,
            at,
            grade=owner.evidence.grade,
            data=about | data,
        )
