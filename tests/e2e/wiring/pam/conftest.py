"""One daemon for all logins."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest_asyncio

from tests.tools.pam.stage import Machine, machine


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def counter() -> AsyncGenerator[Machine, None]:
    async with machine() as made:
        yield made
