from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from tests.service.bus.fakes import World, world


@pytest.fixture
def folder() -> Generator[Path, None, None]:
    """A path short enough for a socket."""
    made = Path(tempfile.mkdtemp(prefix="ad", dir="/tmp"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def host(folder: Path) -> World:
    """A host whose doors are not open yet."""
    return world(folder, frozenset({os.geteuid()}))


@pytest.fixture
async def served(host: World) -> AsyncGenerator[World, None]:
    """A host whose doors are open."""
    async with host.serving():
        yield host
