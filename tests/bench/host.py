"""How soon a dead, stopped or hung child is seen, how soon a child is ready, and what it weighs.

`python -m tests.bench.host [--rounds 40]`, on real children of the `presence` driver and of the verifier.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from authd.core.model import Fault
from authd.driver import Watch
from authd.service.host.frames import Frame, Start
from authd.service.host.grants import Grants
from authd.service.host.manifest import fill
from authd.service.host.process import Plan
from authd.service.host.supervisor import Keeper
from authd.service.registry import find_driver
from authd.service.verifier import LIMITS
from tests.bench.report import Report


def now_ms() -> float:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1e6


class Clock:
    """A handler that stamps what it is told."""

    def __init__(self) -> None:
        self.ups: asyncio.Queue[float] = asyncio.Queue()
        self.downs: asyncio.Queue[float] = asyncio.Queue()

    def up(self, keeper: Keeper) -> None:
        del keeper
        self.ups.put_nowait(now_ms())

    def frame(self, frame: Frame) -> None:
        del frame

    def down(self, fault: Fault, detail: str) -> None:
        del fault, detail
        self.downs.put_nowait(now_ms())


@contextlib.asynccontextmanager
async def kept(plan: Plan) -> AsyncGenerator[tuple[Keeper, Clock], None]:
    clock = Clock()
    keeper = Keeper(plan, clock)
    task = asyncio.ensure_future(keeper.run())
    try:
        yield keeper, clock
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


async def seen(plan: Plan, rounds: int, number: signal.Signals | None) -> list[float]:
    """Return how long each trouble went unseen: a signal, or an operation that blocks the child's loop."""
    found: list[float] = []
    async with kept(plan) as (keeper, clock):
        for turn in range(rounds):
            await clock.ups.get()
            await asyncio.sleep(0.05 + turn % 7 * 0.03)  # anywhere between two ticks and two beats
            assert keeper.pid is not None
            begun = now_ms()
            if number is None:
                keeper.send(1, Watch())
            else:
                os.kill(keeper.pid, number)
            found.append(await clock.downs.get() - begun)
            keeper.nudge()
            await asyncio.sleep(0)
    return found


async def ready(plan: Plan, rounds: int) -> list[float]:
    """Return the time from the start of a child to its first beat of service."""
    found: list[float] = []
    for _ in range(rounds):
        begun = now_ms()
        async with kept(plan) as (_keeper, clock):
            found.append(await clock.ups.get() - begun)
    return found


async def weight(plans: list[Plan]) -> list[float]:
    """Return the proportional set size of each child at rest, in MB, all of them running."""
    async with contextlib.AsyncExitStack() as stack:
        keepers = [await stack.enter_async_context(kept(plan)) for plan in plans]
        for _, clock in keepers:
            await clock.ups.get()
        await asyncio.sleep(0.5)
        return [_pss(keeper.pid) for keeper, _ in keepers]


def _pss(pid: int | None) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:"))


async def run(rounds: int) -> Report:
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        fifo = Path(folder, "presence")
        os.mkfifo(fifo)
        key = Path(folder, "host.key")
        key.write_bytes(bytes(32))  # noqa: ASYNC240  # nothing else runs yet
        settings = {"source": f"fifo:{fifo}"}
        grants = fill(find_driver("presence").manifest, settings)
        presence = Plan("presence", "reader", Start(0, grants, target="authd_drivers.presence", settings=settings))
        hanging = Plan("hanging", "reader", Start(0, grants, target="tests.service.host.bad_driver"))
        comparators = {"example": "authd_drivers.example.comparator:ExactComparator"}
        verifier = Plan(
            "verifier", "verifier", Start(0, Grants(limits=LIMITS), comparators=comparators, store="s"), key
        )
        report.at_most("seen_ms.dead.p99", p99(await seen(presence, rounds, signal.SIGKILL)), "ms", 300)
        report.at_most("seen_ms.stopped.p99", p99(await seen(presence, rounds, signal.SIGSTOP)), "ms", 300)
        report.at_most("seen_ms.hung.p99", p99(await seen(hanging, max(5, rounds // 4), None)), "ms", 1000)
        times = await ready(presence, rounds)
        report.figure("child_ready_ms.p50", p99(sorted(times)[: len(times) // 2 + 1]), "ms")
        report.at_most("child_ready_ms.p99", p99(times), "ms", 300)
        reader, of_verifier = await weight([presence, verifier])
        report.at_most("child_pss_mb.presence", reader, "MB", 15)
        report.figure("child_pss_mb.verifier", of_verifier, "MB")
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    asyncio.run(run(parser.parse_args().rounds)).exit()


if __name__ == "__main__":
    main()
