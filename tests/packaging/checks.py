"""What every unit is held to, asked of systemd itself: that it is closed, and that systemd understands each line."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

HIGHEST_EXPOSURE = 2.0
systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def exposure(unit: Path) -> float:
    """How open a unit is, as systemd counts: 0 to 10."""
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = re.search(rf"Overall exposure level for {re.escape(unit.stem)}\w*\.service: ([0-9.]+)", said)
    assert found is not None, said
    return float(found[1])


def complaints(unit: Path, *more: str) -> Sequence[str]:
    """What systemd does not understand of a unit, but that nothing is in /opt here."""
    words = ["systemd-analyze", "verify", *more, str(unit)]
    said = subprocess.run(words, capture_output=True, text=True, check=False).stderr.splitlines()
    return [line for line in said if unit.stem.rstrip("@") in line and "is not executable" not in line]
