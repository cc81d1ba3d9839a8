"""What other rules would have done to a day of a real daemon: its own rows hold what was asked."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from authd_simulators import stage as stages
from authd_simulators.stage import Stage, free_ports

pytestmark = pytest.mark.real
SEAT = "counter-1"
WORDS = '@ja("席は閉まっている。")\n@en("Seats are closed.")'
RULE = f'@id("site.closed")\n{WORDS}\nforbid (principal, action, resource);\n'
SHIPPED = Path(stages.__file__).parent / "demo_policy"


async def authd(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-m", "authd", "policy", *map(str, words)]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)


async def test_a_day_under_other_rules(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "closed.cedar").write_text(RULE, encoding="utf-8")
    shutil.copy(SHIPPED / "settings.toml", tmp_path)
    async with Stage(free_ports(), seats=(SEAT,), people=2) as stage, stage.door() as door:
        for person in stage.people:
            await stage.log_in(door, SEAT, person)
            await stage.log_out(SEAT)
        status: Any = await door.status()
        rows = [each async for each in door.follow(after=0, until=status["ledger"]["rows"])]
        started = [each for each in rows if each.kind == "session.started"]
        ledger = ("--ledger", stage.ledger, "--lang", "en")
        same = await authd("diff", *ledger, "--bundle", SHIPPED)
        other = await authd("diff", *ledger, "--bundle", tmp_path, "--json")
        row = json.loads(other.stdout.splitlines()[0])["examples"][0]["seq"]
        told = await authd("explain", *ledger, "--bundle", tmp_path, "--row", row)
    assert (same.returncode, same.stderr) == (0, "")
    assert "Nothing would come out otherwise." in same.stdout
    *changes, summed = (json.loads(line) for line in other.stdout.splitlines())
    assert (other.returncode, summed["without_question"], summed["unreadable"]) == (1, {}, 0)
    logins = [each for each in changes if each["action"] == "open_session"]
    assert sum(each["count"] for each in logins) == len(started) >= 2
    assert {rule for each in changes for rule in each["after"]} == {"site.closed"}
    assert "it was permitted then" in told.stdout
    assert "site.closed (forbid)" in told.stdout
