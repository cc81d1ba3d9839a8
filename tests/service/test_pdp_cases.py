"""`pdp.cases`: the tests of rules are themselves right, complete, and able to fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from authd.service.pdp import BundleError, Source, bundle, cases, installed, read
from tests.service.pdp_help import case, shipped, site

NIGHT = {"duty": {"open": True, "from": 420, "until": 430}}


def wrongs(source: Source) -> list[str]:
    return [outcome.wrong for outcome in cases.run(source, read(source)) if outcome.wrong]


def test_the_shipped_cases_pass_and_cover_every_rule_both_ways() -> None:
    outcomes = cases.run(Source(installed()), shipped())
    assert [outcome.wrong for outcome in outcomes if outcome.wrong] == []
    assert cases.gaps(shipped(), outcomes) == []


@pytest.mark.parametrize("rule", [rule.id for rule in shipped().rules])
def test_without_any_one_rule_a_shipped_case_fails(rule: str) -> None:
    less = shipped().only(lambda kept: kept.id != rule)
    assert any(outcome.wrong for outcome in cases.run(Source(installed()), less))


def test_what_a_case_expects_is_compared(tmp_path: Path) -> None:
    own, night = "base.seat.own-section", "base.hours.duty"
    written = [
        case("right", "allow", [own]),
        case("other decision", "deny", []),
        case("other reason", "allow", ["base.seat.granted"]),
        {**case("errors", "allow", [own]), "num_errors": 1},
        case("night", "deny", [night], **NIGHT),
        case("night allowed", "allow", [], **NIGHT),
        case("no such context", "allow", [], colour="red"),
    ]
    found = wrongs(site(tmp_path, cases=written))
    assert found[:4] == [
        f"expected deny, got allow ({own})",
        f"expected reason base.seat.granted, got {own}",
        "expected 1 errors, got 0",
        f"expected allow, got deny ({night})",
    ]
    assert "colour" in found[4]


def test_base_cases_do_not_see_a_sites_rules(tmp_path: Path) -> None:
    assert wrongs(site(tmp_path, '@id("site.none")\nforbid (principal, action, resource);')) == []


def test_entities_may_stand_in_a_file_beside_the_cases(tmp_path: Path) -> None:
    written: Any = case("by name", "allow", ["base.seat.own-section"])
    people = written["entities"]
    source = site(tmp_path, cases=[{**written, "entities": "hall.entities.json"}])
    (tmp_path / "tests" / "hall.entities.json").write_text(json.dumps(people))
    assert wrongs(source) == []
    site(tmp_path, cases=[{**written, "entities": "../../secret.entities.json"}])
    with pytest.raises(BundleError, match=r"tests/secret\.entities\.json:1: expected a readable file"):
        wrongs(source)


@pytest.mark.parametrize(
    ("written", "error"),
    [
        ("[\n\n{", "tests/own.json:3: expected JSON"),
        ("{}", "tests/own.json:1: expected a list of cases"),
        ("[[]]", "tests/own.json:1: expected a case with exactly name, request"),
        ([{"name": "half"}], "tests/own.json:1: expected a case with exactly"),
        ([case("first", "allow", []), {**case("second", "allow", []), "decision": "maybe"}], "tests/own.json:5"),
        ([{**case("a", "allow", []), "request": {"principal": 1}}], "tests/own.json:3: expected a request with"),
        ([{**case("a", "allow", []), "entities": [{"uid": 1}]}], "tests/own.json:3: expected entities of the schema"),
        ([{**case("a", "allow", []), "entities": None}], "tests/own.json:3: expected a list of entities"),
        ("[" * 100_000, "tests/own.json:1: expected JSON"),
    ],
)
def test_malformed_cases_are_named_with_file_and_line(tmp_path: Path, written: object, error: str) -> None:
    with pytest.raises(BundleError) as caught:
        wrongs(site(tmp_path, cases=written))
    if error.endswith(":5"):
        assert caught.value.line > 5
    else:
        assert str(caught.value).startswith(error)


def test_coverage_finds_a_rule_that_never_decides(tmp_path: Path) -> None:
    rules = (
        '@id("site.never")\nforbid (principal, action, resource) when { principal.disabled };\n'
        '@id("site.always")\nforbid (principal, action == Action::"open_session", resource);'
    )
    written = [case("closed", "deny", ["site.always"]), case("also", "deny", ["site.always"], **NIGHT)]
    source = site(tmp_path, rules, written)
    loaded = read(source)
    found = {gap.rule.id: gap for gap in cases.gaps(loaded, cases.run(source, loaded))}
    assert found.keys() == {"site.never", "site.always"}
    assert found["site.never"].never_decides
    assert not found["site.always"].never_decides
    assert found["site.always"].never_silent


def test_a_rule_that_only_fires_beside_another_decides_nothing(tmp_path: Path) -> None:
    rules = '@id("site.echo")\nforbid (principal, action, resource) when { context.minute < 500 };'
    beside = case("beside", "deny", ["site.echo", "base.hours.duty"], minute=10)
    silent = case("silent", "allow", [])
    source = site(tmp_path, rules, [beside, silent])
    loaded = read(source)
    (gap,) = cases.gaps(loaded, cases.run(source, loaded))
    assert (gap.rule.id, gap.never_decides, gap.never_silent) == ("site.echo", True, False)
    site(tmp_path, rules, [beside, silent, case("alone", "deny", ["site.echo"], minute=450)])
    assert cases.gaps(loaded, cases.run(source, loaded)) == []


def test_a_forbid_decides_nothing_where_nothing_was_permitted(tmp_path: Path) -> None:
    rules = '@id("site.late")\nforbid (principal, action, resource) when { context.minute > 900 };'
    nobody: Any = case("of another section", "deny", ["site.late"], minute=1000)
    nobody["entities"][0]["attrs"]["section"] = "tax"
    source = site(tmp_path, rules, [nobody, case("silent", "allow", [])])
    loaded = read(source)
    (gap,) = cases.gaps(loaded, cases.run(source, loaded))
    assert (gap.rule.id, gap.never_decides) == ("site.late", True)


def test_too_many_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "MAX_CASES", 10)
    with pytest.raises(BundleError, match="at most 10 cases"):
        wrongs(site(tmp_path))
    assert bundle.MAX_FILES
