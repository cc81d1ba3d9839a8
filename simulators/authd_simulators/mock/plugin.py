"""The pytest plugin: one fixture. Nothing of authd is loaded for tests that do not ask for it."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from authd_simulators.mock.daemon import MockDaemon


@pytest.fixture
def mock_authd() -> Generator[MockDaemon, None, None]:
    """A mock daemon of two seats, `counter-1` and `counter-2`, whose doors are open."""
    from authd_simulators.mock.daemon import MockDaemon

    with MockDaemon() as daemon:
        yield daemon
