"""Figures of the protections: how fast a change is held everywhere, and whether a refusal tells anything.

A real ledger, real seats and real doors (router, CURVE); 15 linked systems are as many clients. The refusals are timed
by a process of its own that does nothing else, over 16 connections: residents with and without a protection in pairs.
`leak_ks` is the same measurement, over one connection, of a guard that was spoilt on purpose: 1 ms more work for who is
protected, and no beat; it shows that the bars would be missed.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import zmq

from authd.client import Client, connect
from authd.client.flags import Protection
from authd.core.model import Entry, Kind
from authd.core.seat import Activity
from authd.service.bus.house import Error, Peer, Refused, Role
from authd.service.evidence.flags import By, Look
from authd.service.evidence.views import Said, bounds, views
from tests.bench.report import Report
from tests.service.bus.fakes import ONE, TWO, Pair, World, new_pair, world
from tests.service.evidence.flags.office import Office, jobs, office

SYSTEMS = 15
CHANGES, CHANGES_FULL = 60, 400
EACH = 10_000
LEAKED = 1_500
LANES = 16
PRIORITY = -10
"""Where it may: other work on the machine is noise, the same for everybody, and it hides what is looked for."""
RESIDENTS = 64
PUSH_BAR_MS, SILENT_BAR_S, MEDIANS_BAR_US, KS_BAR = 2_000, 10, 50, 0.03

TOML = """\
[host]
name = "ward-1"
[seat.counter-1]
section = "resident"
applications = ["resident"]
[seat.counter-2]
section = "tax"
[application.resident]
url = "http://127.0.0.1:8790/"
linked = true
"""


def run(report: Report, *, full: bool) -> None:
    """Print the figures of part `flags`."""
    asyncio.run(_run(report, CHANGES_FULL if full else CHANGES))


async def _run(report: Report, changes: int) -> None:
    with tempfile.TemporaryDirectory(prefix="ab", dir="/tmp") as folder:
        async with hall(Path(folder)) as (host, desk, systems):
            await push(report, host, desk, systems, changes)
            await refusals(report, host, desk)


@dataclass
class System:
    """A linked system: what it holds, and when it held it."""

    name: str
    pair: Pair
    heard: list[int] = field(default_factory=list[int])

    async def apply(self, changes: Sequence[Protection]) -> None:
        """Hold one version."""
        self.heard.append(changes[-1].version)


@asynccontextmanager
async def hall(folder: Path) -> AsyncGenerator[tuple[World, Office, list[System]]]:
    """Doors, an office of two, and the keys of the linked systems."""
    systems = [System(f"system-{number}", new_pair()) for number in range(SYSTEMS)]
    linked = "".join(f'[application.{each.name}]\nurl = "http://127.0.0.1/"\nlinked = true\n' for each in systems)
    host = world(folder, frozenset({os.geteuid()}))
    for each in systems:
        host.directory.allow(each.pair.public, Peer(Role.APPLICATION, each.name))
    with unbounded():
        async with office(folder, TOML + linked) as desk:
            parts: Any = SimpleNamespace(flags=desk.flags, views=desk.views, procedures=desk.procedures)
            host.house.evidence = parts
            async with host.serving(), jobs(desk.flags), awake(desk):
                yield host, desk, systems


@contextmanager
def unbounded() -> Generator[None]:
    """One session asks 20,000 times here, as fast as it can: what is measured is the guard, and not its rates."""
    many = 10**9
    with (
        patch.multiple(views, SESSION_BURST=many, APPLICATION_BURST=many),
        patch.object(bounds, "MOST_VIEWS", many),
    ):
        yield


@asynccontextmanager
async def awake(desk: Office) -> AsyncGenerator[None]:
    """Both go on working: a seat that is left locks."""

    async def work() -> None:
        while True:
            for seat in (ONE, TWO):
                desk.world.pipeline.feed(seat, Activity())
            await asyncio.sleep(5)

    task = asyncio.get_running_loop().create_task(work())
    yield
    task.cancel()


# Pushing a change to everybody.


async def push(report: Report, host: World, desk: Office, systems: list[System], changes: int) -> None:
    """From the moment before the change is written until every system's acknowledgement is durable."""
    clients = {each.name: connect(host.router, key=each.pair.secret, server_key=host.door.public) for each in systems}
    written: list[int] = []
    append = desk.world.ledger.append

    async def noted(entry: Entry) -> int:
        if entry.kind in (Kind.FLAG_SET, Kind.FLAG_RENEWED):
            written.append(time.perf_counter_ns())
        return await append(entry)

    desk.world.ledger.append = noted  # type: ignore[method-assign]  # what is measured begins there
    async with asyncio.TaskGroup() as group:
        for each in systems:
            group.create_task(hold(clients[each.name], each), name=each.name)
        await until(lambda: all(desk.flags.covered(each.name) for each in systems))
        took: list[float] = []
        for number in range(changes):
            await desk.set(f"9{number % 20}")
            await until(lambda: all(desk.flags.covered(each.name) for each in systems))
            took.append((time.perf_counter_ns() - written[-1]) / 1e6)
        report.figure("flags_push_changes", changes * len(systems), f"acknowledgements of {len(systems)} systems")
        report.figure("flags_push_ms.p50", statistics.median(took), "ms to all linked systems, acknowledged")
        report.at_most("flags_push_ms.p99", p99(took), "ms to all linked systems, acknowledged", PUSH_BAR_MS)
        await silence(report, desk, systems[0], group)
        for task in asyncio.all_tasks():
            if task.get_name().startswith("system-"):
                task.cancel()
    desk.world.ledger.append = append  # type: ignore[method-assign]


async def hold(client: Client, system: System) -> None:
    """One linked system, until it is cut."""
    async with client:
        await client.hold(system.apply, 0)


async def silence(report: Report, desk: Office, system: System, group: asyncio.TaskGroup) -> None:
    """One system stops; how long until the board shows it, nothing leaves it, and the ledger says so."""
    del group
    for task in asyncio.all_tasks():
        if task.get_name() == system.name:
            task.cancel()
    began, head = time.perf_counter_ns(), desk.world.ledger.head
    await until(lambda: not desk.flags.covered(system.name))
    shown = next(each for each in desk.flags.coverage() if each.system == system.name)
    report.at_most("flags_silent_visible_s", (time.perf_counter_ns() - began) / 1e9, "s", SILENT_BAR_S)
    report.figure("flags_silent_shown", shown.silent, "bool", "true", shown.silent)
    async for row in desk.world.ledger.follow(head):
        if (
            row.entry.kind is Kind.FLAG_HELD
            and row.entry.data.get("silent")
            and row.entry.data["system"] == system.name
        ):
            break
    report.at_most("flags_silent_recorded_s", (time.perf_counter_ns() - began) / 1e9, "s", SILENT_BAR_S)


async def until(good: Any) -> None:
    """Look every millisecond."""
    async with asyncio.timeout(30):
        while not good():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.001)


# Refusals.


async def refusals(report: Report, host: World, desk: Office) -> None:
    """Telephone enquiries about residents with and without a protection, by a process of its own."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)  # the caller's process inherits it
    flagged = [f"{1_000 + number}" for number in range(RESIDENTS)]
    plain = [f"{5_000 + number}" for number in range(RESIDENTS)]
    for start in range(0, RESIDENTS, 8):
        await desk.set(*flagged[start : start + 8])
    assert all(desk.protected(each) for each in flagged)
    assert not any(desk.protected(each) for each in plain)
    await call(host, desk, flagged, plain, 200)  # warm
    found = await call(host, desk, flagged, plain, EACH)
    one, other = found["flagged"], found["plain"]
    report.figure("refusals", len(one) + len(other), "answered by telephone")
    report.figure("refusal_bytes", len(found["frames"]), "different answers", "1", len(found["frames"]) == 1)
    report.figure("refusal_us.p50", statistics.median(one + other) / 1e3, "us")
    apart = abs(statistics.median(one) - statistics.median(other)) / 1e3
    report.at_most("refusal_medians_apart_us", apart, "us", MEDIANS_BAR_US)
    halves = abs(statistics.median(one[::2]) - statistics.median(one[1::2])) / 1e3
    report.figure("refusal_medians_noise_us", halves, "us between two halves of the same residents' answers")
    report.at_most("refusal_ks", ks(one, other), "largest distance of the distributions", KS_BAR)
    spoil(desk)
    leak = await call(host, desk, flagged, plain, LEAKED, lanes=1)
    leaked = ks(leak["flagged"], leak["plain"])
    report.figure("leak_ks", leaked, "the same, of a guard that is spoilt on purpose", f"> {KS_BAR}", leaked > KS_BAR)


async def call(host: World, desk: Office, flagged: list[str], plain: list[str], each: int, lanes: int = LANES) -> Any:
    """Let the caller ask; it sees what any peer sees."""
    told = {
        "router": host.router,
        "door": host.door.public,
        "public": host.resident.public,
        "secret": host.resident.secret,
        "session": desk.one,
        "flagged": flagged,
        "plain": plain,
        "each": each,
        "nonce": secrets.token_hex(8),
        "lanes": lanes,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.evidence_flags"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    out, _ = await process.communicate(json.dumps(told).encode())
    assert process.returncode == 0
    return json.loads(out)


def spoil(desk: Office) -> None:
    """A guard as one might write it: it looks the protection up only where there is one, and answers at once."""

    async def look(said: Said, seats: Any, by: By) -> Look:
        if desk.flags.protected(said.record):
            time.sleep(0.001)  # noqa: ASYNC251 - it is the bug
        raise Refused(Error.REFUSED, "no")

    desk.flags.guard.look = look  # type: ignore[method-assign]


def ks(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the two-sample Kolmogorov-Smirnov distance."""
    first, second = sorted(one), sorted(other)
    points = (*first, *second)
    return max(abs(bisect_right(first, at) / len(first) - bisect_right(second, at) / len(second)) for at in points)


def p99(values: Sequence[float]) -> float:
    """Return the value that 99 in 100 do not exceed."""
    return sorted(values)[min(len(values) - 1, round(0.99 * len(values)))]


# The caller's process.


def caller() -> None:
    """Ask about everybody, one question at a time on each connection, and time each answer."""
    told = json.loads(sys.stdin.buffer.read())
    context = zmq.Context()
    lanes = [_lane(context, told) for _ in range(told["lanes"])]
    poller = zmq.Poller()
    for lane in lanes:
        poller.register(lane, zmq.POLLIN)
    dice = random.Random(5)
    pairs = [("flagged", "plain"), ("plain", "flagged")]
    order = [kind for _ in range(told["each"]) for kind in dice.choice(pairs)]
    asked: dict[Any, tuple[str, int, int]] = {}
    took: dict[str, list[int]] = {"flagged": [], "plain": []}
    frames: set[str] = set()
    number = 0

    def ask(lane: Any) -> None:
        nonlocal number
        if number < len(order):
            kind = order[number]
            number += 1
            raw = _question(told, number, dice.choice(told[kind]))
            asked[lane] = (kind, number, time.perf_counter_ns())
            lane.send(raw)

    for lane in lanes:
        ask(lane)
    while asked:
        for lane, _ in poller.poll(10_000):
            answer = lane.recv()
            kind, id_, at = asked.pop(lane)
            took[kind].append(time.perf_counter_ns() - at)
            frames.add(answer.decode().replace(f'"id":{id_},', '"id":0,'))
            ask(lane)
    context.destroy(linger=0)
    sys.stdout.write(json.dumps({**took, "frames": sorted(frames)}))


def _lane(context: zmq.Context[Any], told: Mapping[str, str]) -> Any:
    socket = context.socket(zmq.DEALER)
    socket.curve_secretkey, socket.curve_publickey = told["secret"].encode(), told["public"].encode()
    socket.curve_serverkey = told["door"].encode()
    socket.connect(told["router"])
    return socket


def _question(told: Mapping[str, str], number: int, record: str) -> bytes:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    words = {"session": told["session"], "record": record, "nonce": f"{told['nonce']}-{number:09d}", "at": at}
    question = {"id": number, "verb": "look", "by": "phone", "screen": "enquiry", "purpose": "enquiry", **words}
    return json.dumps(question).encode()


if __name__ == "__main__":
    caller()
