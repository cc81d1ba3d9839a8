"""Figures of the doors: round trips, followers, locks, and a live client beside hostile ones.

    python -m tests.bench.bus [--quick]

The doors run in a process of their own, in front of a house and a ledger in memory: what is measured is the bus alone.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import random
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import zmq

from authd.client import Client, ClientError, connect
from tests.bench.report import Report
from tests.service.bus.fakes import ONE, SATO, Pair, world

SPAWN = multiprocessing.get_context("spawn")
WHO = b'{"id":1,"verb":"who","seat":"counter-1"}'


@dataclass(frozen=True, slots=True)
class Place:
    """Where the doors are, and the keys to them."""

    folder: Path
    door: str
    resident: Pair
    tax: Pair

    def client(self) -> Client:
        """Return the resident application's client."""
        return connect(self.router, key=self.resident.secret, server_key=self.door)

    @property
    def local(self) -> Path:
        """The local door."""
        return self.folder / "door.sock"

    @property
    def router(self) -> str:
        """The router."""
        return f"ipc://{self.folder}/router.sock"


# The host, in its own process; orders come by a pipe.


def serve(pipe: Connection, folder: str, locked_at: Any) -> None:
    """Run the doors until told to end."""
    asyncio.run(_serve(pipe, Path(folder), locked_at))


async def _serve(pipe: Connection, folder: Path, locked_at: Any) -> None:
    host = world(folder, frozenset({os.geteuid()}))
    async with host.serving():
        host.house.open(ONE, SATO)
        pipe.send(Place(folder, host.door.public, host.resident, host.tax))
        while (order := await asyncio.to_thread(pipe.recv)) != "end":
            match order:
                case int(rows):
                    for _ in range(rows // 3):
                        host.house.open(ONE, SATO)
                        host.house.end(ONE)
                    host.house.open(ONE, SATO)
                    pipe.send(len(host.ledger.rows))
                case "lock":
                    locked_at.value = time.perf_counter_ns()
                    host.house.end(ONE)
                case "open":
                    host.house.open(ONE, SATO)
                case _:
                    pipe.send(host.tally.snapshot())


class Host:
    """The host as the bench orders it about."""

    def __init__(self, pipe: Connection, place: Place, pid: int, locked_at: Any) -> None:
        self.place = place
        self.pipe = pipe
        self.pid = pid
        self._locked_at = locked_at

    def ask(self, order: object) -> Any:
        """Give an order and wait for its answer."""
        self.pipe.send(order)
        return self.pipe.recv()

    def since_lock_ms(self) -> float:
        """Return how long ago the host locked; perf_counter is one clock for all processes."""
        return (time.perf_counter_ns() - int(self._locked_at.value)) / 1e6

    def rss_mb(self) -> float:
        """Return the host process's resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def descriptors(self) -> int:
        """Return how many descriptors the host process holds."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


@contextmanager
def running_host() -> Generator[Host, None, None]:
    """Start the host; end it on leaving."""
    folder = tempfile.mkdtemp(prefix="ab", dir="/tmp")
    ours, theirs = SPAWN.Pipe()
    locked_at = SPAWN.Value("q", 0)
    process = SPAWN.Process(target=serve, args=(theirs, folder, locked_at))
    process.start()
    try:
        place = ours.recv()
        yield Host(ours, place, process.pid or 0, locked_at)
        ours.send("end")
        process.join(20)
    finally:
        process.kill()
        shutil.rmtree(folder, ignore_errors=True)


# Round trips, by the plainest possible peers.


def local_round_trips(place: Place, count: int) -> list[float]:
    """Ask over the local socket, one after another; seconds each."""
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(str(place.local))
        return [_timed(lambda: door.send(WHO + b"\n") and door.recv(65_536)) for _ in range(count)]


def router_round_trips(place: Place, count: int) -> list[float]:
    """Ask over the router, one after another; seconds each."""
    context = zmq.Context()
    door = context.socket(zmq.DEALER)
    _identify(door, place.resident, place.door)
    door.connect(place.router)
    taken = [_timed(lambda: (door.send(WHO), door.recv())) for _ in range(count)]
    context.destroy(linger=0)
    return taken


def _timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _identify(door: zmq.Socket[bytes], pair: Pair, server: str) -> None:
    door.curve_secretkey, door.curve_publickey = pair.secret.encode(), pair.public.encode()
    door.curve_serverkey = server.encode()


# Hostile peers, each in its own process.


def flood_local(place: Place, count: int) -> None:
    """Send malformed lines, from a process that may speak: as many as the door takes."""
    rng, sent = random.Random(1), 0
    while sent < count:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(5)
            try:
                door.connect(str(place.local))
                while sent < count:
                    lines = [_nonsense(rng) for _ in range(50)]
                    door.sendall(b"\n".join(lines) + b"\n")
                    sent += len(lines)
                    answers = 0
                    while answers < len(lines):
                        answers += door.recv(1 << 20).count(b"\n")
            except OSError:
                continue


def flood_router(place: Place, count: int) -> None:
    """Send malformed messages under a key that is known, and read no answer."""
    rng = random.Random(2)
    context = zmq.Context()
    door = context.socket(zmq.DEALER)
    _identify(door, place.tax, place.door)
    door.rcvhwm = 10
    door.connect(place.router)
    for _ in range(count):
        door.send(_nonsense(rng))
    context.destroy(linger=2_000)


def flood_handshake(place: Place, count: int) -> None:
    """Send what is no ZMTP, and CURVE under keys that nobody knows, to the router's socket."""
    rng = random.Random(3)
    for _ in range(count):
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(1)
            try:
                door.connect(str(place.folder / "router.sock"))
                door.sendall(rng.randbytes(rng.randrange(1, 300)))
            except OSError:
                continue


def _nonsense(rng: random.Random) -> bytes:
    """Return half a request, a changed one, or noise; never a newline."""
    match rng.randrange(4):
        case 0:
            return WHO[: rng.randrange(1, len(WHO))]
        case 1:
            return WHO.replace(b"who", rng.randbytes(3).hex().encode())
        case 2:
            return b'{"id":1,"verb":"press","seat":"counter-1","button":"%d"}' % rng.randrange(9)
        case _:
            return rng.randbytes(rng.randrange(1, 100)).replace(b"\n", b".")


@contextmanager
def silent_connections(place: Place, count: int) -> Generator[None, None, None]:
    """Hold connections to both doors that say nothing."""
    with ExitStack() as stack:
        for number in range(count):
            path = place.local if number % 2 else place.folder / "router.sock"
            door = stack.enter_context(socket.socket(socket.AF_UNIX))
            door.settimeout(1)
            door.connect(str(path))
        yield


# Figures.


def round_trips(host: Host, report: Report, count: int) -> None:
    """Print p50 and p99 of both doors."""
    for name, ask in (("local", local_round_trips), ("router", router_round_trips)):
        ask(host.place, count // 10)
        taken = [1e6 * each for each in ask(host.place, count)]
        report.figure(f"bus.{name}_p50_us", statistics.median(taken), "us")
        report.figure(f"bus.{name}_p99_us", statistics.quantiles(taken, n=100)[98], "us")


async def replay(host: Host, report: Report, rows: int) -> None:
    """Print how fast a follower catches up, its signatures checked, and what it lost."""
    head = host.ask(rows)
    seen: list[int] = []
    async with host.place.client() as client, aclosing(client.follow(after=0)) as events:
        started = time.perf_counter()
        async for event in events:
            seen.append(event.seq)
            if event.seq >= head:
                break
        taken = time.perf_counter() - started
    expected = [seq for seq in range(1, head + 1) if _told(seq, head)]
    report.figure("bus.follow_events", len(seen), "events")
    report.figure("bus.follow_per_s", len(seen) / taken, "events/s")
    report.at_most("bus.follow_lost", len(set(expected) - set(seen)), "events", 0)
    report.at_most("bus.follow_twice", len(seen) - len(set(seen)), "events", 0)


def _told(seq: int, head: int) -> bool:
    """Rows come as grant, started, then (grant, started, ended)*, grant, started: grants are told to nobody."""
    return seq == 2 or (seq > 2 and (seq - 3) % 3 != 0)


async def locks(host: Host, report: Report, count: int) -> None:
    """Print how long after a lock the application's `changes` says nobody."""
    taken: list[float] = []
    async with host.place.client() as client, aclosing(client.changes(ONE)) as changes:
        while len(taken) < count:
            person = await anext(changes)
            if person is not None:
                host.pipe.send("lock")
            else:
                taken.append(host.since_lock_ms())
                host.pipe.send("open")
    report.figure("bus.lock_seen_p50_ms", statistics.median(taken), "ms")
    report.at_most("bus.lock_seen_p99_ms", statistics.quantiles(taken, n=100)[98], "ms", 200)


async def hostile(host: Host, report: Report, messages: int, silent: int) -> None:
    """Print what a live client noticed of a flood and of silent connections, and what the host kept of them."""
    before_mb, before_fds = host.rss_mb(), host.descriptors()
    floods = [
        SPAWN.Process(target=flood_local, args=(host.place, messages * 45 // 100)),
        SPAWN.Process(target=flood_router, args=(host.place, messages * 45 // 100)),
        SPAWN.Process(target=flood_handshake, args=(host.place, messages // 10)),
    ]
    with silent_connections(host.place, silent):
        taken, failures = await _beside(host, floods)
        during_fds = host.descriptors()
    report.figure("bus.hostile_messages", messages, "messages")
    report.figure("bus.silent_connections", silent, "connections")
    report.figure("bus.live_requests", len(taken), "requests")
    report.at_most("bus.live_failures", failures, "requests", 0)
    report.at_most("bus.live_p99_ms", 1e3 * statistics.quantiles(taken, n=100)[98], "ms", 250)
    report.figure("bus.live_max_ms", 1e3 * max(taken), "ms")
    report.at_most("bus.descriptors_during", during_fds - before_fds, "descriptors", silent + 50)
    report.at_most("bus.rss_growth_mb", host.rss_mb() - before_mb, "MB", 64)
    await asyncio.sleep(4)  # what was silent has been closed by now
    report.at_most("bus.descriptors_left", host.descriptors() - before_fds, "descriptors", 5)
    tally = host.ask("tally")
    for name in ("malformed", "busy", "unauthenticated"):
        report.figure(f"bus.hostile_{name}", tally[name], "messages")


async def _beside(host: Host, floods: Sequence[BaseProcess]) -> tuple[list[float], int]:
    """Ask over both doors for as long as the floods last."""
    taken: list[float] = []
    failures = 0
    async with host.place.client() as router, connect(f"unix:{host.place.local}") as local:
        for client in (router, local):
            await client.ping()
        for flood in floods:
            flood.start()
        while any(flood.is_alive() for flood in floods):
            for ask in (router.ping, local.ping):
                failures += not await _asked(ask, taken)
            failures += await router.who(ONE) is None
            await asyncio.sleep(0.002)
    return taken, failures


async def _asked(ask: Callable[[], Awaitable[None]], taken: list[float]) -> bool:
    started = time.perf_counter()
    try:
        await ask()
    except ClientError:
        return False
    taken.append(time.perf_counter() - started)
    return True


def main() -> None:
    """Print every figure; exit 1 if one is not ok."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    part = 10 if parser.parse_args().quick else 1
    report = Report()
    with running_host() as host:
        round_trips(host, report, 20_000 // part)
        asyncio.run(locks(host, report, 500 // part))
    with running_host() as host:
        asyncio.run(replay(host, report, 30_000 // part))
    with running_host() as host:
        asyncio.run(hostile(host, report, 100_000 // part, 300))
    report.exit()


if __name__ == "__main__":
    main()
