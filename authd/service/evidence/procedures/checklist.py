"""What a procedure is made of: steps with answers, none chosen beforehand, and one refusal for everybody."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

Words = Mapping[str, str]
"""A sentence by language: `ja` and `en`, both always there."""


class StepKind(StrEnum):
    """What a step asks."""

    ASK = "ask"
    """One of its answers, as it was."""
    CALL_BACK = "call_back"
    """The number that was rung: it comes from the record, never from the caller."""


FROM_RECORD, FROM_CALLER = "record", "caller"
"""Answers that every call-back has: the number in the record goes on, the number that the caller gave never does."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a step. Not `goes_on`: the procedure ends here, with the refusal."""

    id: str
    words: Words
    goes_on: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to be done and said so. `least_ms`: it is not believed any sooner after it was shown."""

    id: str
    kind: StepKind
    words: Words
    answers: tuple[Answer, ...]
    least_ms: int = 0
    layer: str = "base"
    """Who asks for it: `base`, `city`, or `section/<name>`."""

    def answer(self, name: str) -> Answer | None:
        """Return the answer of this name."""
        return next((each for each in self.answers if each.id == name), None)


@dataclass(frozen=True, slots=True)
class Checklist:
    """A procedure as it holds in one section: the base, with what city and section have added or tightened."""

    id: str
    version: str
    """Of each layer that it is made of, such as `2026.1+section/tax.2026.1`."""
    steps: tuple[Step, ...]
    name: Words
    refusal: Words
    """What is said whatever the reason: the same for every resident, and for every procedure of a base."""

    def step(self, name: str) -> Step | None:
        """Return the step of this name."""
        return next((each for each in self.steps if each.id == name), None)

    @property
    def digest(self) -> str:
        """sha256 (hex) over every word of it: what stands in the ledger beside the version."""
        plain = json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(plain.encode()).hexdigest()


def check(checklist: Checklist, answers: Mapping[str, str]) -> bool:
    """Whether every step has an answer that goes on, and nothing else was answered."""
    if set(answers) != {step.id for step in checklist.steps}:
        return False
    given = (step.answer(answers[step.id]) for step in checklist.steps)
    return all(answer is not None and answer.goes_on for answer in given)
