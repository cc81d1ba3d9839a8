"""What holds for every test: it is judged by what is said and done, never by how busy the machine is.

The examples of a property are the same in every run, so that a red run is about the change and not about the dice; who
wants new ones says `--hypothesis-profile=default`.
"""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from authd.service.ledger import ledger

settings.register_profile("authd", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("authd")

FOREVER: Final = 1 << 62


@pytest.fixture(autouse=True)
def patient_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take no disk for slow: CI's needs over 2 s now and then, and a clock set by hand jumps while a row is signed.

    A test of slow disks sets the limit itself.
    """
    monkeypatch.setattr(ledger, "APPEND_LIMIT", FOREVER)
