"""Real children of the example driver: killed, stopped, hung, replaced."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from authd.core.model import Fault
from authd.driver import Capture, Watch
from authd.service.host.frames import Frame, Start
from authd.service.host.grants import Grants, Limits
from authd.service.host.process import Plan
from authd.service.host.supervisor import FIRST_DELAY, LAST_DELAY, LAST_DELAY_OF_DEVICE, Backoff, Keeper

PATIENCE = 60.0


@pytest.mark.parametrize(("fault", "last"), [(Fault.CRASHED, LAST_DELAY), (Fault.REMOVED, LAST_DELAY_OF_DEVICE)])
def test_the_delay_doubles_up_to_its_bound(fault: Fault, last: float) -> None:
    delays, backoff = list[float](), Backoff()
    for _ in range(10):
        backoff = backoff.after(fault, served=1.0)
        delays.append(backoff.delay)
    assert delays[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert delays[-1] == last


def test_good_service_begins_the_delay_anew() -> None:
    assert Backoff(8.0).after(Fault.CRASHED, served=60.0) == Backoff(FIRST_DELAY)


class Watcher:
    """A handler that keeps what it is told."""

    def __init__(self) -> None:
        self.ups: asyncio.Queue[int] = asyncio.Queue()
        self.downs: asyncio.Queue[tuple[Fault, str]] = asyncio.Queue()
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()

    def up(self, keeper: Keeper) -> None:
        assert keeper.pid is not None
        self.ups.put_nowait(keeper.pid)

    def frame(self, frame: Frame) -> None:
        self.frames.put_nowait(frame)

    def down(self, fault: Fault, detail: str) -> None:
        self.downs.put_nowait((fault, detail))


T = TypeVar("T")


async def soon(queue: asyncio.Queue[T]) -> T:
    async with asyncio.timeout(PATIENCE):
        return await queue.get()


@contextlib.asynccontextmanager
async def kept(plan: Plan, watcher: Watcher) -> AsyncGenerator[Keeper, None]:
    keeper = Keeper(plan, watcher)
    task = asyncio.ensure_future(keeper.run())
    try:
        yield keeper
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def button() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "b")
        os.mkfifo(path)
        yield path


def plan(path: Path, target: str = "authd_drivers.example", **limits: int) -> Plan:
    grants = Grants(read=(str(path),), limits=Limits(**{"memory_mb": 128, "files": 16, **limits}))
    return Plan("button", "reader", Start(0, grants, target=target, settings={"source": f"fifo:{path}"}))


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208  # names, not paths that are gone when looked at


@pytest.mark.real
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGSTOP])
async def test_a_child_that_is_killed_or_stopped_is_seen_and_replaced(button: Path, number: signal.Signals) -> None:
    watcher = Watcher()
    async with kept(plan(button), watcher) as keeper:
        first = await soon(watcher.ups)
        os.kill(first, number)
        fault, _ = await soon(watcher.downs)  # how soon: tests/bench/host.py
        assert fault is Fault.CRASHED
        second = await soon(watcher.ups)
        assert second != first
        assert gone(first)
        assert keeper.gone == {Fault.CRASHED: 1}


@pytest.mark.real
async def test_a_child_that_hangs_is_seen_and_replaced(button: Path) -> None:
    """`tests.service.host.bad_driver` blocks the event loop at its first operation."""
    watcher = Watcher()
    async with kept(plan(button, "tests.service.host.bad_driver"), watcher) as keeper:
        first = await soon(watcher.ups)
        keeper.send(1, Watch())
        assert await soon(watcher.downs) == (Fault.TIMEOUT, "hung")
        await soon(watcher.ups)
        assert gone(first)


@pytest.mark.real
async def test_the_end_of_the_keeper_is_the_end_of_the_child(button: Path) -> None:
    watcher = Watcher()
    before = descriptors()
    async with kept(plan(button), watcher):
        pid = await soon(watcher.ups)
    assert gone(pid)
    assert descriptors() == before


@pytest.mark.real
async def test_a_device_that_is_not_there_is_removed_and_heals(button: Path) -> None:
    watcher = Watcher()
    os.unlink(button)  # noqa: PTH108  # the rule for async code forbids Path's
    async with kept(plan(button), watcher) as keeper:
        assert (await soon(watcher.downs))[0] is Fault.REMOVED
        os.mkfifo(button)
        keeper.nudge()
        await soon(watcher.ups)


@pytest.mark.real
async def test_a_driver_that_does_not_exist_is_a_crash(button: Path) -> None:
    watcher = Watcher()
    async with kept(plan(button, "authd_drivers.nowhere"), watcher):
        assert (await soon(watcher.downs))[0] is Fault.CRASHED


@pytest.mark.real
async def test_a_recycled_child_is_replaced(button: Path) -> None:
    watcher = Watcher()
    async with kept(plan(button), watcher) as keeper:
        first = await soon(watcher.ups)
        keeper.recycle(Fault.PROTOCOL, "said what it must not")
        assert await soon(watcher.downs) == (Fault.PROTOCOL, "said what it must not")
        assert await soon(watcher.ups) != first


@pytest.mark.real
async def test_an_endless_babbler_costs_its_child_and_no_more(button: Path) -> None:
    watcher = Watcher()
    async with kept(plan(button, "tests.service.host.bad_driver"), watcher) as keeper:
        await soon(watcher.ups)
        keeper.send(1, Capture("01" * 16))
        # Core's bound or the child's own (nobody reads what it writes), whichever comes first.
        assert (await soon(watcher.downs))[0] in (Fault.PROTOCOL, Fault.CRASHED)
        assert watcher.frames.qsize() <= 1000
