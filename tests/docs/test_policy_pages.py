"""The pages about rules and about shared sessions, as written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from authd.broker.unattributed.settings import read
from authd.core.model import Entry, Kind, SeatId
from authd.service.ledger import Ledger
from authd.service.pdp import settings
from tests.service.ledgers import SIGNER, RealClock
from tests.service.pdp_help import LOGIN, pdp
from tests.tools.howto import Page, how_to, shell


@pytest.fixture
def page(tmp_path: Path) -> Page:
    """The page about rules, its files in place."""
    shown = how_to("policy")
    for block in shown.blocks:
        if block.name:
            path = tmp_path / "policy" / block.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    return shown


def test_the_rule_and_its_cases_are_good(page: Page, tmp_path: Path) -> None:
    checks = page.commands()[0]
    said = shell(checks, tmp_path).stdout
    assert "2 passed" not in said  # the base's cases run as well
    assert " 0 failed" in said
    assert " 0 with gaps" in said
    assert "Trainees do not sit at a counter before nine." in (tmp_path / "rules.html").read_text(encoding="utf-8")
    assert "a trainee before nine" in (tmp_path / "tests.html").read_text(encoding="utf-8")


def test_without_its_cases_it_is_not_covered(page: Page, tmp_path: Path) -> None:
    (tmp_path / "policy" / "tests" / "site" / "trainees.json").write_text("[]")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        shell(page.commands()[0], tmp_path)
    assert failed.value.returncode == 1
    assert "site.trainees.early" in failed.value.stdout


def test_the_decision_is_explained(page: Page, tmp_path: Path) -> None:
    said = shell(page.commands()[1], tmp_path).stdout
    assert "site.trainees.early (forbid)" in said


async def test_the_last_month_is_asked(page: Page, tmp_path: Path) -> None:
    clock = RealClock()
    ledger = await Ledger.open(tmp_path / "ledger", SIGNER, clock, clock.wall)
    decision = pdp().decide(LOGIN)
    data = {"asked": decision.asked, "rules": ",".join(decision.rules)}
    await ledger.append(Entry(Kind.GRANT, SeatId("counter-1"), subject=LOGIN.subject, data=data))
    await ledger.close()
    here = {"authd policy diff": f"authd policy diff --ledger {tmp_path / 'ledger'}"}
    said = shell(page.commands()[2], tmp_path, here).stdout
    assert "変わる判断はない" in said or "Nothing would come out otherwise." in said
    assert (tmp_path / "diff.html").exists()


def test_the_files_about_shared_sessions_can_be_read(tmp_path: Path) -> None:
    shown = how_to("unattributed-access")
    here = read(shown.file("/etc/authd-seat/unattributed.toml").encode(), tmp_path)
    assert [each.source for each in here.systems] == ["postgresql", "weblog"]
    elsewhere = read(shown.file("elsewhere.toml").encode(), tmp_path)
    assert elsewhere.address.startswith("tcp://")
    rules = settings.parse(shown.file("settings.toml")).unattributed
    assert (rules.ends("resident"), rules.grace_s) == (True, 3)
