"""`authd policy`: what a person who writes rules sees."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from authd.cli import policy
from tests.service.pdp_help import case, shipped, site

ASK = [
    "explain",
    "--subject",
    "sub_1",
    "--section",
    "resident",
    "--seat",
    "c1",
    "--seat-section",
    "resident",
    "--factor",
    "vein",
    "--factor",
    "seat_key",
    "--margin",
    "0.1",
]


def authd(*words: object) -> int:
    parser = argparse.ArgumentParser(prog="authd")
    policy.register(parser.add_subparsers())
    args = parser.parse_args(["policy", *map(str, words)])
    return int(args.run(args))


def test_the_shipped_bundle_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert [authd(verb) for verb in ("check", "test", "coverage")] == [0, 0, 0]
    out = capsys.readouterr().out
    assert f"bundle {shipped().hash}" in out
    assert " 0 failed" in out
    assert " 0 with gaps" in out


@pytest.mark.parametrize(
    ("days", "known"), [("", 0), ('"2001-01-01"', 0), ('"2001-01-01", "9998-01-01"', 1)], ids=["none", "past", "ahead"]
)
def test_a_calendar_without_holidays_to_come_is_noted_and_good(
    days: str, known: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site(tmp_path, settings=f"[calendar]\nholidays = [{days}]\n")
    for language, words in (("en", "no holiday from today on"), ("ja", "今日以降の祝日がありません")):
        assert authd("check", "--bundle", tmp_path, "--lang", language) == 0
        noted = capsys.readouterr().err
        assert (words in noted, noted == "") == (not known, bool(known))
    assert authd("check", "--bundle", tmp_path, "--json") == 0
    said = capsys.readouterr()
    assert (json.loads(said.out)["holidays"], said.err) == (known, "")


@pytest.mark.parametrize("verb", ["check", "test", "coverage"])
def test_a_bad_bundle_is_one_line_and_exit_2(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site(tmp_path, settings="[seat.counter]\nidle_s = 900\n")
    assert authd(verb, "--bundle", tmp_path) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("settings.toml:2: idle_s must be <= 300 (standard: ")
    assert found.err.count("\n") == 1


def test_other_settings_can_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text("[seat.counter]\nidle_s = 'x'\n")
    assert authd("check", "--settings", tmp_path / "mine.toml") == 2
    assert capsys.readouterr().err.startswith("mine.toml:2: idle_s must be a number")


def test_a_failing_case_is_named_and_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site(tmp_path, cases=[case("closed at noon", "deny", [])])
    assert authd("test", "--bundle", tmp_path) == 1
    out = capsys.readouterr().out
    assert "tests/own.json:3: closed at noon: expected deny, got allow" in out
    assert " 1 failed" in out


def test_a_gap_is_named_and_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site(tmp_path, '\n@id("site.closed")\nforbid (principal, action, resource);')
    assert authd("coverage", "--bundle", tmp_path) == 1
    out = capsys.readouterr().out
    assert "site/own.cedar:2: site.closed: no case gets deny from this rule alone" in out
    assert "site/own.cedar:2: site.closed: no case gets allow because this rule is silent" in out


def test_explain_says_which_rules_decided_and_where_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    rule = shipped().rule("base.seat.own-section")
    assert rule is not None
    assert authd(*ASK, "--at", "2026-11-24T12:00", "--lang", "en") == 0
    out = capsys.readouterr().out
    assert out.startswith("permitted\n")
    assert f"base/permit.cedar:{rule.statement.line}: base.seat.own-section (permit)\n    {rule.words['en']}\n" in out
    assert shipped().hash in out


def test_explain_speaks_japanese(capsys: pytest.CaptureFixture[str]) -> None:
    assert authd(*ASK, "--at", "2026-11-24T23:00", "--disabled", "--lang", "ja") == 0
    out = capsys.readouterr().out
    assert out.startswith("拒否")
    assert "無効にされた人は何もできない。" in out
    assert "勤務時間の外では席に着けない。" in out


@pytest.mark.parametrize("language", ["ja", "en"])
def test_explain_has_words_for_refusals_without_a_rule(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert authd(*ASK, "--at", "2026-11-24T12:00", "--section", "tax", "--lang", language) == 0
    assert authd(*ASK, "--at", "2026-11-24T12:00", "--action", "step_up", "--lang", language) == 0
    out = capsys.readouterr().out
    assert "pdp.no-permit: " in out
    assert "pdp.missing: " in out


def test_explain_reads_a_whole_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = {
        "action": "step_up", "at": "2026-11-24T12:00", "subject": {"id": "sub_1", "section": "tax"},
        "seat": {"id": "s", "section": "tax", "class": "office"}, "factors": ["key", "vein"], "fresh": ["key"],
        "grade": "A", "shift_open": True, "owner": "sub_1", "system": {"id": "portal"},
    }  # fmt: skip
    (tmp_path / "ask.json").write_text(json.dumps(request))
    assert authd("explain", "--request", tmp_path / "ask.json", "--lang", "en") == 0
    assert "base.system.section (permit)" in capsys.readouterr().out


def test_explain_reads_what_would_be_carried_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request: dict[str, object] = {
        "action": "carry_out", "at": "2026-11-24T12:00", "subject": {"id": "sub_1", "section": "tax"},
        "seat": {"id": "s", "section": "tax"}, "factors": ["vein"], "helper": {"id": "sub_2", "section": "tax"},
        "system": {"id": "portal"}, "purpose": "statistics", "load": {"kind": "export", "rows": 200},
    }  # fmt: skip
    for covered, said in ((True, "base.carry-out.section (permit)"), (False, "base.carry-out.flags (forbid)")):
        request["load"] = {"kind": "export", "rows": 200, "covered": covered}
        (tmp_path / "ask.json").write_text(json.dumps(request))
        assert authd("explain", "--request", tmp_path / "ask.json", "--lang", "en") == 0
        assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (ASK, "flags:1: expected a request: Object missing required field `at`"),
        ([*ASK, "--at", "noon"], "flags:1: expected a request: Invalid isoformat string"),
        (
            [*ASK, "--at", "2026-11-24T12:00", "--factor", "face"],
            "flags:1: expected a request: Invalid enum value 'face'",
        ),
        (["explain", "--request", "/nowhere.json"], "/nowhere.json:1: expected a readable file"),
    ],
)
def test_a_bad_request_is_one_line_and_exit_2(words: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert authd(*words) == 2
    found = capsys.readouterr().err
    assert found.startswith(error)
    assert found.count("\n") == 1


@pytest.mark.parametrize("verb", ["check", "test", "coverage", "explain"])
def test_help_shows_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        authd(verb, "--help")
    assert left.value.code == 0
    assert "authd policy explain --request request.json" in capsys.readouterr().out
