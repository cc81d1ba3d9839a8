"""Tests of rules, in the JSON format of the Cedar CLI's `run-tests`, and what they cover.

A case is `{"name", "request": {"principal", "action", "resource", "context"}, "entities", "decision", "reason",
"num_errors"}`; `entities` is a list, or the name of an `*.entities.json` beside the file; `reason` holds `@id`s that
must be among the determining ones. Base cases run against the base rules alone, a site's against all rules.

Covered means more than fired: a rule *decides* a case if the decision would be the other one without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from authd.service.pdp import cedar
from authd.service.pdp.bundle import Bundle, Rule, Source, files, text_of
from authd.service.pdp.errors import BundleError

KEYS = ("name", "request", "entities", "decision", "reason", "num_errors")
PARTS = ("principal", "action", "resource", "context")
MAX_CASES = 2_000


@dataclass(frozen=True, slots=True)
class Case:
    """One tested request and what is expected of it."""

    name: str
    file: str
    line: int
    question: Mapping[str, object]
    action: str
    entities: cedar.Entities
    allow: bool
    reason: frozenset[str]
    num_errors: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case gave. `wrong` is empty if all was as expected. `bundle`: the rules it ran against."""

    case: Case
    bundle: Bundle
    allow: bool
    rules: tuple[str, ...]
    wrong: str


@dataclass(frozen=True, slots=True)
class Gap:
    """What no case shows of a rule. `never_decides`, or else `never_silent`: no case that it lets be."""

    rule: Rule
    never_decides: bool
    never_silent: bool


def run(source: Source, bundle: Bundle) -> Sequence[Outcome]:
    """Run the installed base cases and the folder's own. Raises `BundleError` for a malformed file of cases."""
    base = bundle.only(lambda rule: rule.id.startswith("base."))
    cases = [(base, case) for case in _load(source.root, "tests/base", bundle.schema)]
    if source.folder.joinpath("tests").is_dir():
        own = _load(source.folder, "tests", bundle.schema)
        cases += [(bundle, case) for case in own if not case.file.startswith("tests/base/")]
    if len(cases) > MAX_CASES:
        raise BundleError("tests", 1, f"expected at most {MAX_CASES} cases, got {len(cases)}")
    return [_run(rules, case) for rules, case in cases]


def gaps(bundle: Bundle, outcomes: Sequence[Outcome]) -> Sequence[Gap]:
    """Rules that the cases do not show both ways."""
    good = [outcome for outcome in outcomes if not outcome.wrong]
    decided = {_decides(outcome) for outcome in good}
    found = [
        Gap(rule, rule.id not in decided, not any(_silent(rule, outcome) for outcome in good)) for rule in bundle.rules
    ]
    return [gap for gap in found if gap.never_decides or gap.never_silent]


def _run(bundle: Bundle, case: Case) -> Outcome:
    answer = cedar.ask(case.question, bundle.policies, case.entities, bundle.schema)
    rules = bundle.named(answer.reasons)
    return Outcome(case, bundle, answer.allow, rules, answer.failure or _wrong(case, answer, rules))


def _wrong(case: Case, answer: cedar.Answer, rules: Sequence[str]) -> str:
    if answer.allow != case.allow:
        by = ", ".join(rules) or "no rule"
        return f"expected {_word(case.allow)}, got {_word(answer.allow)} ({by})"
    if missing := case.reason - set(rules):
        return f"expected reason {', '.join(sorted(missing))}, got {', '.join(rules) or 'none'}"
    if len(answer.errors) != case.num_errors:
        return f"expected {case.num_errors} errors, got {len(answer.errors)}"
    return ""


def _word(allow: bool) -> str:
    return "allow" if allow else "deny"


def _decides(outcome: Outcome) -> str:
    """The rule without which the decision would be the other one, if there is one: it stands alone."""
    if len(outcome.rules) != 1:
        return ""
    without = outcome.bundle.only(lambda rule: rule.id != outcome.rules[0])
    answer = cedar.ask(outcome.case.question, without.policies, outcome.case.entities)
    return outcome.rules[0] if answer.allow != outcome.allow else ""


def _silent(rule: Rule, outcome: Outcome) -> bool:
    """Whether the case shows the rule letting things be: a forbid an allow, a permit a deny by no rule."""
    if rule not in outcome.bundle.rules:
        return False  # a base case says nothing of a site's rule
    actions = rule.parsed.actions
    if rule.parsed.conditional and actions is not None and outcome.case.action not in actions:
        return False
    return outcome.allow if rule.parsed.effect == "forbid" else not outcome.allow and not outcome.rules


def _load(folder: Path, kind: str, schema: cedar.Schema) -> Iterator[Case]:
    for path in files(folder, kind, "*.json"):
        if path.name.endswith(".entities.json"):
            continue
        name, text = path.relative_to(folder).as_posix(), text_of(folder, path)
        reader = _File(folder, path, name, text, schema)
        for data in reader.list():
            yield reader.case(data)


@dataclass(frozen=True, slots=True)
class _File:
    folder: Path
    path: Path
    name: str
    text: str
    schema: cedar.Schema

    def list(self) -> Sequence[object]:
        data = _json(self.text, self.name)
        if not isinstance(data, list):
            raise BundleError(self.name, 1, "expected a list of cases")
        return cast("list[object]", data)

    def case(self, data: object) -> Case:
        case = _table(data, KEYS)
        line = self._line(case)
        if case is None:
            raise BundleError(self.name, line, f"expected a case with exactly {', '.join(KEYS)}")
        request = _table(case["request"], PARTS)
        good = request is not None and all(isinstance(request[part], str) for part in PARTS[:3])
        if request is None or not good or not isinstance(request["context"], dict):
            raise BundleError(self.name, line, f"expected a request with exactly {', '.join(PARTS)}")
        expected = _expected(case)
        if expected is None:
            raise BundleError(
                self.name, line, 'expected decision "allow" or "deny", a list of reasons, a number of errors'
            )
        question = {**request, "context": json.dumps(request["context"])}
        action = str(request["action"]).split('"')[1::2]
        return Case(
            str(case["name"]),
            self.name,
            line,
            question,
            action[0] if action else "",
            self._entities(case, line),
            *expected,
        )

    def _entities(self, case: Mapping[str, Any], line: int) -> cedar.Entities:
        named, name, text = case["entities"], self.name, ""
        if isinstance(named, str):
            path = self.path.parent / Path(named).name  # beside the file of cases, nowhere else
            name, line, text = path.relative_to(self.folder).as_posix(), 1, text_of(self.folder, path)
        found = _json(text, name) if text else named
        if not isinstance(found, list):
            raise BundleError(name, line, "expected a list of entities")
        try:
            return cedar.entities([json.dumps(entity) for entity in cast("list[object]", found)], schema=self.schema)
        except ValueError as error:
            raise BundleError(name, line, f"expected entities of the schema: {error}") from error

    def _line(self, case: Mapping[str, Any] | None) -> int:
        """Line of the case's name, which is what a person looks for."""
        name = json.dumps(case["name"], ensure_ascii=False) if case else ""
        return self.text[: self.text.find(name)].count("\n") + 1 if name and name in self.text else 1


def _json(text: str, name: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BundleError(name, error.lineno, f"expected JSON: {error.msg}") from error
    except RecursionError as error:
        raise BundleError(name, 1, "expected JSON that is not nested without end") from error


def _table(data: object, keys: Sequence[str]) -> Mapping[str, Any] | None:
    if not isinstance(data, dict):
        return None
    table = cast("dict[str, Any]", data)
    return table if set(table) == set(keys) else None


def _expected(case: Mapping[str, Any]) -> tuple[bool, frozenset[str], int] | None:
    reason, errors = case["reason"], case["num_errors"]
    if case["decision"] not in {"allow", "deny"} or not isinstance(reason, list) or not isinstance(errors, int):
        return None
    return case["decision"] == "allow", frozenset(str(rule_id) for rule_id in cast("list[object]", reason)), errors
