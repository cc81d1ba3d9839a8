"""What a bundle's procedures must come to, as its own tests say: `tests/procedures/*.toml`, run by `authd policy test`.

[case.the_number_that_the_caller_gave]
procedure = "phone"
section = "tax"
answers = ["nothing_told", "authority", "noted", "ended", "caller"]
result = "refused"
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from authd.service.evidence.procedures.checklist import Checklist
from authd.service.evidence.procedures.pack import MOST_STEPS, Packs
from authd.service.pdp.bundle import Source, files, text_of
from authd.service.toml import Reader

RESULTS = ("passed", "refused", "open")
"""`open`: more steps are to be answered."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way through a procedure, and how it must end."""

    name: str
    file: str
    line: int
    procedure: str
    section: str
    answers: tuple[str, ...]
    result: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case that was run; `wrong` is empty where it ended as it must."""

    case: Case
    wrong: str = ""


def run(source: Source, packs: Packs) -> list[Outcome]:
    """Run every case of the bundle. Raises `BundleError`."""
    folder = source.folder
    return [
        Outcome(case, _wrong(case, packs))
        for path in files(folder, "tests/procedures", "*.toml")
        for case in _cases(Reader(text_of(folder, path), path.relative_to(folder).as_posix()))
    ]


def _cases(toml: Reader) -> Sequence[Case]:
    toml.only((), ("case",))
    return [_case(toml, name) for name in toml.names(("case",))]


def _case(toml: Reader, name: str) -> Case:
    where = ("case", name)
    toml.only(where, ("procedure", "section", "answers", "result"))
    answers = toml.strings((*where, "answers"), [], bool, "the ids of answers")
    if len(answers) > MOST_STEPS:
        toml.fail((*where, "answers"), f"at most {MOST_STEPS} answers")
    return Case(
        name,
        toml.file,
        toml.line(where),
        toml.string((*where, "procedure"), ""),
        toml.string((*where, "section"), ""),
        tuple(answers),
        toml.choice((*where, "result"), "", RESULTS),
    )


def _wrong(case: Case, packs: Packs) -> str:
    found = packs.checklist(case.procedure, case.section)
    if found is None:
        return f"there is no procedure {case.procedure}"
    result = _result(found, case.answers)
    return "" if result == case.result else f"expected {case.result}, got {result}"


def _result(checklist: Checklist, answers: Sequence[str]) -> str:
    """Go through it; says where an answer is not one of the step's."""
    for number, (step, name) in enumerate(zip(checklist.steps, answers, strict=False), 1):
        answer = step.answer(name)
        if answer is None:
            return f"no answer {name} to step {number}, {step.id}"
        if not answer.goes_on:
            return "refused" if number == len(answers) else f"refused at step {number}, {step.id}"
    if len(answers) > len(checklist.steps):
        return f"passed at step {len(checklist.steps)}"
    return "passed" if len(answers) == len(checklist.steps) else "open"
