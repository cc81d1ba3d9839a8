"""A scripted day through the real processes: nothing may go wrong in it. How fast it goes is for `make figures`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

TIMINGS = frozenset({"ms", "s", "MB"})
"""Units that a busy machine decides about."""
NEVER = frozenset({"unattributed_active_s"})
"""Seconds that may not be, however slow the machine."""


def test_a_day_of_twenty_logins_goes_without_a_fault() -> None:
    command = [str(Path(sys.executable).with_name("authd")), "demo", "--once", "--json", "--logins", "20"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)
    figures = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    judged = {name: each for name, each in figures.items() if each["unit"] not in TIMINGS or name in NEVER}
    assert [each for each in judged.values() if each["ok"] is False] == [], done.stderr
    assert figures["logins"]["value"] == 20
    assert {name for name, each in judged.items() if each["ok"]} >= {
        "wrong_person",
        "strangers_in",
        "sessions_lost_with_a_child",
        "unattributed_active_s",
        "follow_lost",
        "ledger_verified",
    }
    assert {"ready_s", "touch_to_active_ms.p99", "lock_ms.p99", "rss_mb"} <= set(figures)
    assert "Traceback" not in done.stderr
