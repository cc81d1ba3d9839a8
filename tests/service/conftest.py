from __future__ import annotations

import pytest

from authd.core import doors, pipeline


@pytest.fixture(autouse=True)
def patient_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `patient_ledger`, for who waits for it: a touch is not turned down because CI's disk needs more than 2 s."""
    for module in (doors, pipeline):
        monkeypatch.setattr(module, "APPEND_WITHIN_S", 60.0)
