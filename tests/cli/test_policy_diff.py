"""`authd policy diff`, `explain --row`, and the pages and objects that the verbs give."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from authd.cli import policy
from authd.core.model import Entry, Kind, Request, SeatId
from authd.service.ledger import Ledger
from authd.service.pdp import Bundle, read
from tests.service.ledgers import BEGIN, SIGNER, HandClock
from tests.service.pdp_help import LOGIN, OTHER, case, pdp, shipped, site

FROM, TO = "2025-11-21T00:00+00:00", "2025-11-30T00:00+00:00"


def authd(*words: object) -> int:
    parser = argparse.ArgumentParser(prog="authd")
    policy.register(parser.add_subparsers())
    args = parser.parse_args(["policy", *map(str, words)])
    return int(args.run(args))


def row(request: Request, kind: Kind) -> Entry:
    decision = pdp().decide(request)
    data = {"rules": ",".join(decision.rules), "policy": decision.bundle, "asked": decision.asked}
    return Entry(kind, SeatId("counter-1"), subject=request.subject, data=data)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncGenerator[Path, None]:
    """Three logins, one refused, one of an older authd, over three days; another one two months before."""
    clock = HandClock(wall_ms=BEGIN - 60 * 86_400_000)
    opened = await Ledger.open(tmp_path / "ledger", SIGNER, clock, clock.wall)
    await opened.append(row(LOGIN, Kind.GRANT))
    clock.step(60 * 86_400)
    for _ in range(3):
        await opened.append(row(LOGIN, Kind.GRANT))
        await opened.append(Entry(Kind.SESSION_STARTED, SeatId("counter-1"), subject=LOGIN.subject))
    clock.step(86_400)
    await opened.append(row(replace(LOGIN, subject=OTHER), Kind.ATTEMPT_REFUSED))
    await opened.append(Entry(Kind.GRANT, SeatId("counter-1"), subject=LOGIN.subject, data={"rules": "r"}))
    yield tmp_path / "ledger"
    await opened.close()


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A bundle whose one rule closes every seat."""
    rule = (
        '@id("site.closed")\n@ja("席は閉まっている。")\n@en("Seats are closed.")\nforbid (principal, action, resource);'
    )
    site(tmp_path / "closed", rule)
    return tmp_path / "closed"


def test_nothing_changes_under_the_same_rules(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert authd("diff", "--ledger", ledger, "--from", FROM, "--to", TO, "--lang", "en") == 0
    out = capsys.readouterr().out
    assert "4 decisions from " in out
    assert "1 rows do not say what was asked" in out
    assert "Nothing would come out otherwise." in out


def test_what_would_change_is_told_with_its_rule_and_its_rows(
    ledger: Path, closed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "diff.html"
    words = ("diff", "--ledger", ledger, "--bundle", closed, "--from", FROM, "--to", TO)
    assert authd(*words, "--lang", "en", "--html", page) == 1
    out = capsys.readouterr().out
    assert "would be refused: 3 (1 people), open_session; then base.seat.own-section, now site.closed" in out
    assert "site.closed: Seats are closed." in out
    assert "sub_clerk" in out
    assert "席は閉まっている。" in page.read_text(encoding="utf-8")
    assert authd(*words, "--json") == 1
    *changes, summed = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [(each["what"], each["count"]) for each in changes] == [("refused", 3)]
    assert (summed["decisions"], summed["same"], summed["without_question"]) == (4, 1, {"grant": 1})
    assert summed["against"] is None


def test_the_last_few_and_another_bundle(ledger: Path, closed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("diff", "--ledger", ledger, "--bundle", closed, "--from", FROM, "--to", TO, "--json")
    assert authd(*words, "--last", 3, "--against", closed) == 0
    (summed,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (summed["decisions"], summed["changed"], summed["against"]) == (2, 0, _read(closed).hash)


def test_a_longer_time_reaches_older_months(ledger: Path, closed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert authd("diff", "--ledger", ledger, "--bundle", closed, "--to", TO, "--days", 80, "--json") == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["decisions"] == 5


@pytest.mark.parametrize("words", [["--days", "0"], ["--last", "x"], ["--from", "noon"]])
def test_a_wrong_option_is_exit_2(words: list[str], ledger: Path) -> None:
    with pytest.raises(SystemExit) as left:
        authd("diff", "--ledger", ledger, *words)
    assert left.value.code == 2


@pytest.mark.parametrize("words", [["--ledger", "/nowhere"], ["--against", "/nowhere"], ["--html", "/nowhere/x.html"]])
def test_what_is_not_there_is_one_line_and_exit_2(
    words: list[str], ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert authd("diff", "--ledger", ledger, *words) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_row_is_explained_then_and_now(ledger: Path, closed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert authd("explain", "--row", 1, "--ledger", ledger, "--bundle", closed, "--lang", "en") == 0
    out = capsys.readouterr().out
    assert "it was permitted then, by base.seat.own-section of bundle " in out
    assert "refused (seat screen" in out
    assert "site.closed (forbid)" in out
    assert authd("explain", "--row", 1, "--ledger", ledger, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["permitted"], told["then"]["seq"], told["limits"]["idle_s"]) == (True, 1, 60)
    assert told["where"]["base.seat.own-section"].startswith("base/permit.cedar:")


def test_what_is_no_decision_is_not_explained(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, said in ((3, "does not say what was asked"), (99, "there is no row #99")):
        assert authd("explain", "--row", number, "--ledger", ledger, "--lang", "en") == 2
        assert said in capsys.readouterr().err


def test_every_verb_speaks_to_programs_and_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site(tmp_path, '@id("site.closed")\nforbid (principal, action, resource);', [case("closed", "allow", [])])
    pages = [tmp_path / "test.html", tmp_path / "rules.html"]
    assert authd("check", "--bundle", tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["bundle"] == _read(tmp_path).hash
    assert authd("test", "--bundle", tmp_path, "--json", "--html", pages[0]) == 1
    failed, summed = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (failed["case"], summed["failed"]) == ("closed", 1)
    assert authd("coverage", "--bundle", tmp_path, "--json", "--html", pages[1]) == 1
    gap, summed = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (gap["rule"], gap["never_decides"], summed["gaps"]) == ("site.closed", True, 1)
    tests, rules = (page.read_text(encoding="utf-8") for page in pages)
    assert "expected allow, got deny" in tests
    assert "無効にされた人は何もできない。" in rules
    assert "A disabled person may do nothing." in rules


@pytest.mark.parametrize("verb", ["check", "test", "coverage"])
def test_the_verbs_speak_japanese(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert authd(verb, "--lang", "ja") == 0
    assert "規則" in capsys.readouterr().out


def _read(folder: Path) -> Bundle:
    from authd.service.pdp import Source

    return read(Source(folder)) if folder.exists() else shipped()
