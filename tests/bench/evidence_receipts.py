"""How fast a receipt comes, on the real daemon and its router; and that none lies, though the host is killed."""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from authd.client import Client, ClientError, Person, Receipt
from authd.core.tlog import leaf_hash
from authd.service.ledger import Reader, verify
from authd_simulators.stage import Application, Stage, free_ports
from tests.bench.evidence_host import SIGNER, running
from tests.bench.report import Report

APPLICATIONS, RATE = 100, 200
ASKING = 8
"""Reports under way when the host is killed."""


class City(Stage):
    """Two seats and a hundred applications, which together report more than two people's hands could."""

    def _toml(self) -> str:
        return super()._toml() + "[evidence]\nviews_per_session = 200\n"


def receipts(report: Report, seconds: float) -> None:
    """Print how long the real daemon takes from a report to its receipt, 200 a second, 100 applications at once.

    The median of the seconds' own 99th percentiles is printed beside, where a second in which the machine did something
    else does not decide; and what a receipt costs the daemon.
    """
    times, failed, spent = asyncio.run(_receipts(seconds))
    whole = statistics.quantiles([taken for _, taken in times], n=100)
    report.figure("receipt.load_average", os.getloadavg()[0], "")
    report.figure("receipt.count", len(times), "receipts")
    report.at_most("receipt.failed", failed, "reports", 0)
    report.figure("receipt.daemon_cpu_ms", 1e3 * spent / len(times), "ms")
    report.figure("receipt_ms.p50", whole[49], "ms")
    report.at_most("receipt_ms.p99", whole[98], "ms", 20)
    seconds_of = [[taken for turn, taken in times if turn == second] for second in {turn for turn, _ in times}]
    each = [statistics.quantiles(taken, n=100)[98] for taken in seconds_of if len(taken) >= RATE // 2]
    report.figure("receipt_ms.p99.of_seconds", statistics.median(each), "ms")


Times = list[tuple[int, float]]
"""Of each receipt: the second in which it was asked for, and how long it took, ms."""


async def _receipts(seconds: float) -> tuple[Times, int, float]:
    systems = [Application(f"system-{number}", f"業務{number}", f"System {number}") for number in range(APPLICATIONS)]
    async with City(free_ports(), people=2, systems=systems) as stage, stage.door() as door:
        people = [await stage.log_in(door, seat, who) for seat, who in zip(stage.seats, stage.people, strict=True)]
        async with _clients(stage) as clients, asyncio.TaskGroup() as group:
            awake = group.create_task(_stay_awake(stage))
            times, failed = Times(), list[str]()
            for each in clients:
                await each.ping()
            before = _spent(stage)
            reports = [
                group.create_task(_report(client, people[number % 2], number, seconds, times, failed))
                for number, client in enumerate(clients)
            ]
            await asyncio.wait(reports)
            spent = _spent(stage) - before
            awake.cancel()
    return times, len(failed), spent


def _spent(stage: Stage) -> float:
    """Return the daemon's processor time so far, seconds."""
    fields = Path(f"/proc/{stage.processes['daemon'].pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def _clients(stage: Stage) -> AsyncGenerator[list[Client], None]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(stage.application(each.name)) for each in stage.systems]


async def _stay_awake(stage: Stage) -> None:
    """Somebody works at each seat for as long as it lasts."""
    async with AsyncExitStack() as stack:
        screens = [await stack.enter_async_context(stage.screen(seat)) for seat in stage.seats]
        while True:
            for screen, seat in zip(screens, stage.seats, strict=True):
                await screen.activity(seat)
            await asyncio.sleep(5)


async def _report(client: Client, person: Person, number: int, seconds: float, times: Times, failed: list[str]) -> None:
    """One application's reports, at their times, whether or not the one before was answered quickly."""
    loop, every = asyncio.get_running_loop(), APPLICATIONS / RATE
    begin = loop.time() + 0.5 + every * number / APPLICATIONS
    for turn in range(int(seconds / every)):
        await asyncio.sleep(max(0, begin + turn * every - loop.time()))
        began = time.perf_counter()
        try:
            await client.view(person, str(20_000 + turn), screen="juminhyo", purpose="certificate")
        except ClientError as error:
            failed.append(str(error))
        else:
            times.append((int(turn * every), 1e3 * (time.perf_counter() - began)))


def kills(report: Report, rounds: int) -> None:
    """Print how many receipts were given, and for how many there is no such row once the host was killed."""
    rng, got = random.Random(11), list[Receipt]()
    with tempfile.TemporaryDirectory(prefix="ab", dir="/tmp") as name:
        folder = Path(name)
        for _ in range(rounds):
            with running(folder) as (where, host):
                lives = rng.uniform(0.02, 0.3)
                got += asyncio.run(_until_killed(where.client(), where.person, lives, host.kill))
        lies = _lies(folder / "ledger", got)
        sound = verify(folder / "ledger", SIGNER.name, SIGNER.public_key).ok
    report.figure("receipt.kills", rounds, "rounds")
    report.at_least("receipt.given", len(got), "receipts", rounds)
    report.at_most("receipt.without_row", lies, "receipts", 0)
    report.figure("receipt.ledger_verified", sound, "", "true", ok=sound)


async def _until_killed(client: Client, person: Person, lives: float, kill: object) -> list[Receipt]:
    got: list[Receipt] = []

    async def ask() -> None:
        with suppress(ClientError):
            while True:
                got.append(await client.view(person, "20481", screen="juminhyo", purpose="certificate"))

    async with client, asyncio.TaskGroup() as group:
        await client.ping()
        tasks = [group.create_task(ask()) for _ in range(ASKING)]
        await asyncio.sleep(lives)
        assert callable(kill)
        kill()
        await asyncio.sleep(0.05)  # what was answered before is still on its way
        for task in tasks:
            task.cancel()
    return got


def _lies(folder: Path, receipts: Sequence[Receipt]) -> int:
    """Count the receipts whose row is not there, or not the one it says, at the leaf it says."""
    reader = Reader(folder)
    try:
        rows = {row.seq: (leaf, row) for leaf, row in enumerate(reader.after(0, 10_000_000))}
    finally:
        reader.close()
    return sum(not _true(receipt, *rows.get(receipt.seq, (None, None))) for receipt in receipts)


def _true(receipt: Receipt, leaf: object, row: object) -> bool:
    return leaf == receipt.leaf and leaf_hash(getattr(row, "bytes", b"")) == receipt.row
