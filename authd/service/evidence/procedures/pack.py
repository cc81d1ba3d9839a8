"""Procedure packs as files: a base, and overlays that may add steps and tighten them, never take one away.

`procedures/base/<id>.toml` is what came with authd; `procedures/city/<id>.toml` and
`procedures/section/<section>/<id>.toml` of a city's own bundle lie over it, in this order. Whatever is wrong is one
`BundleError`: file, line, and what is expected there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from authd.service.evidence.procedures.checklist import (
    FROM_CALLER,
    FROM_RECORD,
    Answer,
    Checklist,
    Step,
    StepKind,
    Words,
)
from authd.service.pdp.bundle import MAX_FILES, Source, text_of
from authd.service.pdp.errors import BundleError
from authd.service.toml import Path as Where
from authd.service.toml import Reader

FOLDER: Final = "procedures"
LANGUAGES: Final = ("ja", "en")
MOST_STEPS, MOST_ANSWERS, LONGEST, LONGEST_REFUSAL = 30, 9, 200, 400
"""Answers have a digit each; a sentence must be read at a counter."""
LONGEST_LEAST_S: Final = 60
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_VERSION: Final = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){0,2}")
_TICKED: Final = ("default", "checked", "ticked", "selected", "preset")


@dataclass(frozen=True, slots=True)
class Packs:
    """Every procedure of a bundle. `sections`: those that have an overlay of their own."""

    base: Mapping[str, Checklist]
    """By id, in the order in which they are offered; with the city's overlay, if there is one."""
    sections: Mapping[tuple[str, str], Checklist]
    """By section and id."""

    def of(self, section: str) -> Sequence[Checklist]:
        """Return what may be run in a section."""
        return [self.sections.get((section, each.id), each) for each in self.base.values()]

    def checklist(self, kind: str, section: str) -> Checklist | None:
        """Return the procedure of this id as it holds in the section."""
        return self.sections.get((section, kind)) or self.base.get(kind)


def read(source: Source) -> Packs:
    """Read every pack of a bundle. Raises `BundleError`."""
    base = {path.stem: _base(source.root, path) for path in _files(source.root, "base")}
    refusals = {tuple(sorted(each.refusal.items())): each.id for each in base.values()}
    if len(refusals) > 1:
        *_, last = refusals.values()
        file = f"{FOLDER}/base/{last}.toml"
        raise BundleError(file, 1, "the refusal must be word for word the same in every procedure")
    for path in _files(source.folder, "base"):
        if source.folder.resolve() != source.root.resolve() and not _same(source, path):
            raise BundleError(_name(source.folder, path), 1, "expected the installed text: a city adds in city/ only")
    for path in _files(source.folder, "city"):
        base[path.stem] = _over(source.folder, path, base, "city")
    sections: dict[tuple[str, str], Checklist] = {}
    for path in _files(source.folder, "section/*"):
        section = path.parent.name
        sections[section, path.stem] = _over(source.folder, path, base, f"section/{section}")
    return Packs(base, sections)


def _files(folder: Path, kind: str) -> Sequence[Path]:
    found = sorted((folder / FOLDER).glob(f"{kind}/*.toml"))
    if len(found) > MAX_FILES:
        raise BundleError(f"{FOLDER}/{kind}", 1, f"at most {MAX_FILES} files, got {len(found)}")
    return found


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _same(source: Source, path: Path) -> bool:
    ours = source.root / path.relative_to(source.folder)
    return ours.is_file() and text_of(source.folder, path) == text_of(source.root, ours)


def _reader(folder: Path, path: Path) -> Reader:
    text, name = text_of(folder, path), _name(folder, path)
    if not _NAME.fullmatch(path.stem):
        raise BundleError(name, 1, "a procedure is named by lower case letters, digits and _")
    return Reader(text, name)


def _base(folder: Path, path: Path) -> Checklist:
    toml = _reader(folder, path)
    toml.only((), ("version", "name", "refusal", "step"))
    steps = tuple(_step(toml, ("step", name), "base") for name in toml.names(("step",)))
    if not 0 < len(steps) <= MOST_STEPS:
        toml.fail(("step",), f"a procedure has 1 to {MOST_STEPS} steps, got {len(steps)}")
    if not any(step.kind is StepKind.CALL_BACK for step in steps):
        toml.fail(("step",), f'a base procedure has a step of the kind "{StepKind.CALL_BACK}"')
    name, refusal = _words(toml, ("name",), 40), _words(toml, ("refusal",), LONGEST_REFUSAL)
    return Checklist(path.stem, _version(toml), steps, name, refusal)


def _over(folder: Path, path: Path, under: Mapping[str, Checklist], layer: str) -> Checklist:
    """Lay one overlay over a checklist."""
    toml = _reader(folder, path)
    if path.stem not in under:
        toml.fail((), f"there is no base procedure {path.stem}, expected one of: {', '.join(under)}")
    base = under[path.stem]
    for name in ("refusal", "name", "remove"):
        if name in toml.names(()):
            toml.fail((name,), f"an overlay adds and tightens steps; it may not touch {name}")
    toml.only((), ("version", "step", "tighten"))
    steps = [_tightened(toml, step) for step in base.steps]
    for name in toml.names(("tighten",)):
        if base.step(name) is None:
            toml.fail(("tighten", name), f"there is no step {name} to tighten")
    for name in toml.names(("step",)):
        _put(toml, steps, name, layer)
    if len(steps) > MOST_STEPS:
        toml.fail(("step",), f"a procedure has at most {MOST_STEPS} steps, got {len(steps)}")
    return replace(base, version=f"{base.version}+{layer}.{_version(toml)}", steps=tuple(steps))


def _put(toml: Reader, steps: list[Step], name: str, layer: str) -> None:
    where = ("step", name)
    if name in (each.id for each in steps):
        toml.fail(where, f"there is a step {name} below: write [tighten.{name}] to tighten it")
    ids = [each.id for each in steps]
    after = toml.string((*where, "after"), ids[-1])
    if after not in ids:
        toml.fail((*where, "after"), f"after must name a step, one of: {', '.join(ids)}")
    steps.insert(ids.index(after) + 1, _step(toml, where, layer, "after"))


def _tightened(toml: Reader, step: Step) -> Step:
    where = ("tighten", step.id)
    if step.id not in toml.names(("tighten",)):
        return step
    toml.only(where, ("refuse", "least_s"))
    known = [answer.id for answer in step.answers]
    closed = toml.strings((*where, "refuse"), [], known.__contains__, f"answers of the step, of: {', '.join(known)}")
    answers = tuple(replace(each, goes_on=each.goes_on and each.id not in closed) for each in step.answers)
    if not any(answer.goes_on for answer in answers):
        toml.fail((*where, "refuse"), "at least one answer must go on")
    least = round(toml.number((*where, "least_s"), step.least_ms / 1000, 0, LONGEST_LEAST_S, "authd: a step") * 1000)
    if least < step.least_ms:
        toml.fail((*where, "least_s"), f"least_s may be raised only, and is {step.least_ms / 1000:g} below")
    return replace(step, answers=answers, least_ms=least)


def _step(toml: Reader, where: Where, layer: str, *more: str) -> Step:
    _never_ticked(toml, where)
    toml.only(where, ("ja", "en", "kind", "least_s", "answer", *more))
    if not _NAME.fullmatch(where[-1]):
        toml.fail(where, "a step is named by lower case letters, digits and _")
    kind = StepKind(toml.choice((*where, "kind"), StepKind.ASK, tuple(StepKind)))
    names = toml.names((*where, "answer"))
    if not 2 <= len(names) <= MOST_ANSWERS:
        toml.fail((*where, "answer"), f"a step has 2 to {MOST_ANSWERS} answers, got {len(names)}")
    answers = tuple(_answer(toml, (*where, "answer", name)) for name in names)
    _both_ways(toml, where, kind, answers)
    least = round(toml.number((*where, "least_s"), 0, 0, LONGEST_LEAST_S, "authd: a step") * 1000)
    return Step(where[-1], kind, _words(toml, where, LONGEST), answers, least, layer)


def _both_ways(toml: Reader, where: Where, kind: StepKind, answers: Sequence[Answer]) -> None:
    on = {answer.id for answer in answers if answer.goes_on}
    off = {answer.id for answer in answers} - on
    if kind is StepKind.CALL_BACK and (FROM_RECORD not in on or FROM_CALLER not in off):
        expected = f"a call-back has the answers {FROM_RECORD} (goes on) and {FROM_CALLER} (refuses)"
        toml.fail((*where, "answer"), f"{expected}: never ring the number that the caller gives")
    if not on or not off:
        toml.fail((*where, "answer"), "a step needs an answer that goes on and one that refuses")


def _answer(toml: Reader, where: Where) -> Answer:
    _never_ticked(toml, where)
    toml.only(where, ("ja", "en", "then"))
    if not _NAME.fullmatch(where[-1]):
        toml.fail(where, "an answer is named by lower case letters, digits and _")
    then = toml.choice((*where, "then"), "", ("go_on", "refuse"))
    return Answer(where[-1], _words(toml, where, LONGEST), then == "go_on")


def _never_ticked(toml: Reader, where: Where) -> None:
    for name in _TICKED:
        if name in toml.names(where):
            toml.fail((*where, name), f"{name} is not possible: no answer is ever ticked beforehand")


def _words(toml: Reader, where: Where, longest: int) -> Words:
    return {language: _sentence(toml, (*where, language), longest) for language in LANGUAGES}


def _sentence(toml: Reader, where: Where, longest: int) -> str:
    text = toml.string(where, "")
    if not 0 < len(text) <= longest or not text.isprintable():
        toml.fail(where, f"{where[-1]} must be one line of 1 to {longest} characters")
    if "{" in text or "}" in text:
        toml.fail(where, "no holes: a procedure says the same to everybody")
    return text


def _version(toml: Reader) -> str:
    version = toml.string(("version",), "")
    if not _VERSION.fullmatch(version):
        toml.fail(("version",), f'version must be numbers such as "2026.1", got {version!r}')
    return version
