"""The locker's process and all that it has started: nothing of it outlives it, whoever its parent is by then."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from authd.agent.locker import Locker, end_marked, marked
from tests.tools.desktop_stage import until

pytestmark = pytest.mark.real
# As xsecurelock's: one child, and one in a session of its own that is nobody's child any more.
SCRIPT = "sh -c 'setsid sleep 86400 &' ; sleep 86400 & echo > ready ; wait"


@pytest.fixture
def started() -> Iterator[list[str]]:
    marks: list[str] = []
    yield marks
    for mark in marks:
        end_marked(mark)


def locker(folder: Path, gone: asyncio.Event) -> Locker:
    words = ["sh", "-c", f"cd {folder}; {SCRIPT}"]
    return Locker(words, os.environ, folder, lambda: None, gone.set)


async def runs(folder: Path, started: list[str]) -> str:
    """Wait until it and its children are there; returns their mark."""
    await asyncio.to_thread(
        until, lambda: (folder / "ready").exists() and len(marked(_mark(folder))) == 3, "the locker and its children"
    )
    (folder / "ready").unlink()
    started.append(_mark(folder))
    return started[-1]


def _mark(folder: Path) -> str:
    """Which is written down once the process is there: its children may be quicker."""
    with suppress(FileNotFoundError, IndexError):
        return (folder / "locker").read_text("ascii").split()[1]
    return "none yet"


async def ended(mark: str) -> None:
    await asyncio.to_thread(until, lambda: not marked(mark), "the end of all that the locker had started")


async def test_whatever_a_killed_locker_leaves_is_ended_with_it(tmp_path: Path, started: list[str]) -> None:
    gone = asyncio.Event()
    there = locker(tmp_path, gone)
    async with asyncio.TaskGroup() as group:
        group.create_task(there.run())
        mark = await runs(tmp_path, started)
        there.kill()
        await gone.wait()
    await ended(mark)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # so it shall be
@pytest.mark.parametrize("leader", ["alive", "dead"])
async def test_the_next_agent_ends_what_is_left_of_the_last_ones(
    tmp_path: Path, started: list[str], leader: str
) -> None:
    first, second = locker(tmp_path, asyncio.Event()), locker(tmp_path, gone := asyncio.Event())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(first.run())
        left = await runs(tmp_path, started)
        pid = first.pid or 0
        task.cancel()
    gc.collect()  # its process may hang in a cycle, and would warn in another test
    assert len(marked(left)) == 3  # an agent that ends uncovers nothing
    if leader == "dead":
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, pid, 0)
    async with asyncio.TaskGroup() as group:
        group.create_task(second.run())
        mark = await runs(tmp_path, started)
        await ended(left)
        second.kill()
        await gone.wait()
    await ended(mark)
