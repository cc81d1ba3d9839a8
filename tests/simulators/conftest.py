import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from authd_simulators.bench import Bench


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A folder with a short path: a Unix socket's is at most 108 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="as-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest_asyncio.fixture
async def bench(run_dir: Path) -> AsyncIterator[Bench]:
    async with Bench(run_dir, ["vein-1", "vein-2"], ["presence-1"], seed=7) as made:
        yield made
