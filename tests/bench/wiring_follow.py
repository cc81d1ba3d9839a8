"""Figures of following: 200 followers while the daemon is killed again and again under a load of events (E8).

    python -m tests.bench.wiring follow [--full]

Forty applications of two seats each, five followers an application, all of them the SDK's `Client.follow`. What each of
them must have been told is read from the ledger's files afterwards.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from authd.client import connect
from authd.service.keys import ROUTER
from authd.service.ledger import Reader
from tests.bench.follow_host import City, serve
from tests.bench.report import Report

FORK = multiprocessing.get_context("forkserver")
APPLICATIONS, SEATS, FOLLOWERS, RATE, KILLS = 40, 2, 200, 660, 20
LOAD_S = (0.1, 0.5)
"""How long the load lasts before a kill: short, so the rate begins above what is asked for."""
PATIENCE_S = 60.0


@dataclass(slots=True)
class Follower:
    """What one follower was told."""

    application: int
    got: list[int] = field(default_factory=list[int])

    @property
    def at(self) -> int:
        """The last number."""
        return self.got[-1] if self.got else 0


class Host:
    """The host's process, and the next one in its place."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.last: Mapping[str, int] = {}
        """Number of the last row of each seat, as the last answer told."""
        self.start()

    def start(self) -> None:
        """Start; returns when the doors are open."""
        self._pipe, theirs = FORK.Pipe()
        self._process = FORK.Process(target=serve, args=(theirs, self.city))
        self._process.start()
        theirs.close()
        self.last = self._pipe.recv()

    def order(self, word: str) -> None:
        """Give an order and wait for its answer."""
        self._pipe.send(word)
        answer = self._pipe.recv()
        self.last = answer or self.last

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


@asynccontextmanager
async def followers(city: City, count: int) -> AsyncGenerator[Sequence[Follower], None]:
    """Follow from the first row on."""
    all_ = [Follower(number % city.applications) for number in range(count)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_follow(city, each)) for each in all_]
        try:
            yield all_
        finally:
            for task in tasks:
                task.cancel()


async def _follow(city: City, follower: Follower) -> None:
    key, server = city.keys.curve(f"app-{follower.application}").secret, city.keys.curve(ROUTER).public
    async with (
        connect(city.router, key=key, server_key=server) as client,
        aclosing(client.follow(0)) as events,
    ):
        async for event in events:
            follower.got.append(event.seq)


async def caught_up(host: Host, all_: Sequence[Follower]) -> float:
    """Wait until everybody has what there was when the host was asked last; seconds."""
    wanted = [
        max((host.last.get(seat, 0) for seat in host.city.of(number)), default=0)
        for number in range(host.city.applications)
    ]
    began = time.perf_counter()
    async with asyncio.timeout(PATIENCE_S):
        while not all(each.at >= wanted[each.application] for each in all_):  # noqa: ASYNC110 - nothing is added to what is measured
            await asyncio.sleep(0.005)
    return time.perf_counter() - began


async def rounds(host: Host, all_: Sequence[Follower], kills: int) -> tuple[list[float], float]:
    """Kill the host under load, again and again.

    Returns the seconds until all had caught up, from the moment that the doors were open again, each time; and the
    seconds of load.
    """
    rng, taken, load = random.Random(1), list[float](), 0.0
    for _ in range(kills):
        load += await _load(host, rng.uniform(*LOAD_S))
        await asyncio.to_thread(host.kill)
        await asyncio.to_thread(host.start)
        taken.append(await caught_up(host, all_))
    load += await _load(host, LOAD_S[0])
    await asyncio.to_thread(host.order, "end")
    await caught_up(host, all_)
    return taken, load


async def _load(host: Host, seconds: float) -> float:
    """Let rows be written for a while; the host goes on until it is killed or told to end."""
    await asyncio.to_thread(host.order, "begin")
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    return time.perf_counter() - began


def told(city: City) -> list[list[int]]:
    """Return what followers of each application must have been told, by the ledger's files."""
    reader = Reader(city.folder / "ledger")
    numbers: dict[str, list[int]] = {seat: [] for seat in city.everywhere()}
    after = 0
    try:
        while rows := reader.after(after):
            after = rows[-1].seq
            for row in rows:
                if row.entry.seat is not None:
                    numbers[row.entry.seat].append(row.seq)
    finally:
        reader.close()
    return [sorted(seq for seat in city.of(number) for seq in numbers[seat]) for number in range(city.applications)]


async def measure(report: Report, city: City, kills: int) -> None:
    """Print what was lost, told twice, told out of order or never written, and how soon all had caught up."""
    host = await asyncio.to_thread(Host, city)
    try:
        async with followers(city, FOLLOWERS) as all_:
            taken, load = await rounds(host, all_, kills)
    finally:
        host.kill()
    due = told(city)
    count: Callable[[Callable[[Follower], int]], int] = lambda of: sum(of(each) for each in all_)  # noqa: E731
    report.figure("follow_followers", FOLLOWERS, "followers")
    report.figure("follow_kills", kills, "kills")
    rows = sum(map(len, due))
    report.figure("follow_rows", rows, "rows")
    report.at_least("follow_rows_per_s", rows / load, "1/s", 500)
    report.figure("follow_events", count(lambda each: len(each.got)), "events")
    report.at_most("follow_lost", count(lambda each: len(set(due[each.application]) - set(each.got))), "events", 0)
    report.at_most("follow_twice", count(lambda each: len(each.got) - len(set(each.got))), "events", 0)
    report.at_most("follow_unwritten", count(lambda each: len(set(each.got) - set(due[each.application]))), "events", 0)
    report.at_most("follow_unordered", sum(each.got != sorted(each.got) for each in all_), "followers", 0)
    report.figure("follow_caught_up_s.p50", statistics.median(taken), "s")
    report.at_most("follow_caught_up_s", max(taken), "s", 2)


def run(report: Report, *, full: bool) -> None:
    """Print the figures; a quick run kills as often, and only its load is shorter."""
    FORK.set_forkserver_preload(["tests.bench.follow_host"])
    folder = Path(tempfile.mkdtemp(prefix="af", dir="/tmp"))
    city = City(folder, APPLICATIONS, SEATS, RATE)
    city.keys.create()
    for number in range(city.applications):
        city.keys.create_curve(f"app-{number}")
    try:
        asyncio.run(measure(report, city, KILLS * (5 if full else 1)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
