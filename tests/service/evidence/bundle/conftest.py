"""One ledger of one day for all tests of a run: none of them writes to it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.service.evidence.bundle.hall import a_day


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ledger's folder."""
    folder = tmp_path_factory.mktemp("hall") / "ledger"
    asyncio.run(a_day(folder))
    return folder
