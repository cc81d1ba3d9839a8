"""CLOCK_BOOTTIME goes on in a suspend, the event loop's clock does not: nothing may sleep on the loop's word alone."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from authd.core.model import MILLISECOND, SECOND, Instant
from authd.service import clock
from authd.service.clock import BootClock, Dice


class Jumping(BootClock):
    """A boot clock that a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0

    def now(self) -> Instant:
        return Instant(self.at)


async def asleep(jumping: BootClock, until: Instant | None, woken: asyncio.Event) -> asyncio.Task[None]:
    task = asyncio.get_running_loop().create_task(jumping.sleep_until(until, woken))
    await asyncio.sleep(0.01)
    return task


def test_it_is_the_boot_clock_and_the_kernels_boot() -> None:
    found = BootClock()
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert before <= found.now() <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert re.fullmatch(r"[0-9a-f-]{36}", found.boot)
    assert abs(found.wall_ms() - time.time() * 1000) < 10_000


@pytest.mark.parametrize("past", [0, -SECOND])
async def test_an_instant_that_has_passed_is_not_waited_for(past: int) -> None:
    found = BootClock()
    await found.sleep_until(Instant(found.now() + past), asyncio.Event())


async def test_it_returns_at_the_instant() -> None:
    found = BootClock()
    until = Instant(found.now() + 20 * MILLISECOND)
    await found.sleep_until(until, asyncio.Event())
    assert found.now() >= until


@pytest.mark.parametrize("until", [None, Instant(3_600 * SECOND)])
async def test_it_returns_when_woken(until: Instant | None) -> None:
    woken = asyncio.Event()
    task = await asleep(Jumping(), until, woken)
    assert not task.done()
    woken.set()
    await task


async def test_a_suspend_that_passed_the_instant_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_LOOK_AGAIN_S", 0.02)
    jumping = Jumping()
    task = await asleep(jumping, Instant(3_600 * SECOND), asyncio.Event())
    jumping.at = 3_600 * SECOND  # the loop has slept for an hour less than the machine
    async with asyncio.timeout(60):
        await task


async def test_without_an_instant_it_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_LOOK_AGAIN_S", 0.005)
    jumping = Jumping()
    task = await asleep(jumping, None, asyncio.Event())
    jumping.at = 10**18
    await asyncio.sleep(0.02)
    assert not task.done()
    task.cancel()
    await asyncio.wait({task})


def test_names_are_unpredictable() -> None:
    dice = Dice()
    assert len({dice.nonce() for _ in range(1_000)}) == len({dice.session() for _ in range(1_000)}) == 1_000
    assert re.fullmatch(r"[0-9a-f]{32}", dice.nonce())
    assert re.fullmatch(r"ses_[0-9a-f]{32}", dice.session())


async def test_it_notices_that_the_machine_has_slept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_LOOK_AGAIN_S", 0.001)
    sleeps = iter([0, 0, SECOND // 2, 3600 * SECOND])
    slept = BootClock()
    monkeypatch.setattr(slept, "asleep", lambda: next(sleeps))
    await asyncio.wait_for(slept.woken(), 5)
    assert next(sleeps, None) is None
