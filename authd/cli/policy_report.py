"""What `authd policy test` and `coverage` say: lines for people, objects for programs, pages to print."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from authd.cli.printed import Both, Column, Sheet, page, write
from authd.locale import text
from authd.service.evidence.procedures import cases as ways
from authd.service.pdp import Bundle, cases

Outcome = cases.Outcome | ways.Outcome


def failed(outcome: Outcome, *, as_json: bool) -> str:
    """Return a case that did not give what it should, as one line."""
    case = outcome.case
    if not as_json:
        return f"{case.file}:{case.line}: {case.name}: {outcome.wrong}"
    told = {"file": case.file, "line": case.line, "case": case.name, "wrong": outcome.wrong}
    return json.dumps(told, ensure_ascii=False)


def gap_lines(gap: cases.Gap, language: str, *, as_json: bool) -> Iterator[str]:
    """Yield what no case shows of a rule."""
    at, lacks = gap.rule.statement, {"never_decides": gap.never_decides, "never_silent": gap.never_silent}
    if as_json:
        yield json.dumps({"rule": gap.rule.id, "file": at.file, "line": at.line, **lacks})
        return
    for words in _lacks(gap, language):
        yield f"{at.file}:{at.line}: {gap.rule.id}: {words}"


def _lacks(gap: cases.Gap, language: str) -> Iterator[str]:
    effect, other = ("allow", "deny") if gap.rule.parsed.effect == "permit" else ("deny", "allow")
    if gap.never_decides:
        yield text("policy.never_decides", language, effect=effect)
    if gap.never_silent:
        yield text("policy.never_silent", language, effect=other)


def write_tests(path: Path, bundle: Bundle, outcomes: Sequence[Outcome]) -> None:
    """Write every case with what it gave, those that fail first. Raises OSError."""
    wrong = sum(bool(each.wrong) for each in outcomes)
    counts = {"passed": len(outcomes) - wrong, "failed": wrong}
    rows = [_case(each) for each in sorted(outcomes, key=lambda each: not each.wrong)]
    heads = [Column(_head("where"), "code"), Column(_head("case"), "words"), Column(_head("gave"))]
    _write(path, "tests", bundle, Both.of("policy.tested", **counts), heads, rows)


def write_rules(path: Path, bundle: Bundle, gaps: Sequence[cases.Gap]) -> None:
    """Write every rule with what it means, and whether the cases show it both ways. Raises OSError."""
    lacking = {gap.rule.id: gap for gap in gaps}
    rows = [_rule(bundle, index, lacking) for index in range(len(bundle.rules))]
    counts = {"covered": len(bundle.rules) - len(gaps), "gaps": len(gaps)}
    heads = [Column(_head("rule"), "code"), Column(_head("effect"), "short"), Column(_head("meaning"), "words")]
    _write(path, "rules", bundle, Both.of("policy.covered", **counts), [*heads, Column(_head("shown"))], rows)


def _case(outcome: Outcome) -> Sequence[Both]:
    case = outcome.case
    gave = Both(outcome.wrong) if outcome.wrong else _head("good")
    return [Both(f"{case.file}:{case.line}"), Both(case.name), gave]


def _rule(bundle: Bundle, index: int, lacking: dict[str, cases.Gap]) -> Sequence[Both]:
    rule = bundle.rules[index]
    at, gap = rule.statement, lacking.get(rule.id)
    shown = _head("yes")
    if gap is not None:
        shown = Both(*(" / ".join(_lacks(gap, language)) for language in ("ja", "en")))
    meaning = Both(rule.words.get("ja") or rule.words.get("en", ""), rule.words.get("en", ""))
    return [Both(f"{rule.id} {at.file}:{at.line}"), Both(rule.parsed.effect), meaning, shown]


def _write(
    path: Path, title: str, bundle: Bundle, result: Both, heads: Sequence[Column], rows: Sequence[Sequence[Both]]
) -> None:
    facts = [(_head("bundle"), Both(bundle.hash)), (_head("result"), result)]
    write(path, page(Sheet(_head(title), facts, heads, rows, _head("empty"), [])))


def _head(name: str) -> Both:
    return Both.of(f"policy_sheet.{name}")
