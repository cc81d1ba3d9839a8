"""PostgreSQL behind a seat: how soon a lock refuses every way in, and what the broker costs beside its peers.

Refused: four programs go on asking as fast as they can, over an open connection and over new ones, through the broker
and with the session's certificate; what counts is the last answer that any of them got after the button was pressed.
Cost: pgbench's own select, simple and prepared, to the server itself, through pgbouncer (session mode) and through the
broker by turns; latency of one client, rate of eight, and how many queries the broker passes in a second of processor
time. Hostile: what one query takes while one program floods the broker with rubbish and another one with queries.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psycopg

from authd.client import Person
from tests.bench.report import Report
from tests.tools.gateway_stage import free_port
from tests.tools.postgres import Cluster
from tests.tools.postgres_stage import HBA, World, world

REFUSED_MS, ADDED_MS, QUERIES, HOSTILE_MS = 50.0, 0.7, 5_000.0, 250.0
MODES = ("simple", "prepared")
BENCH = ("local all bench trust", "host resident bench 127.0.0.1/32 trust")
CLIENTS = 8


def run(report: Report, *, full: bool) -> None:
    """Measure both."""
    asyncio.run(_run(report, full))


async def _run(report: Report, full: bool) -> None:
    async with world("max_connections=200", "shared_buffers=64MB") as city:
        await asyncio.to_thread(_prepare, city.server)
        await _refused(report, city, 200 if full else 10)
        await _cost(report, city, 12 if full else 2)
        await _hostile(report, city, 20.0 if full else 2.0)


# How soon a lock refuses.


class Hammer(threading.Thread):
    """Asks again and again until it is refused, and remembers when it was last answered."""

    def __init__(self, ask: Callable[[], None], every_s: float) -> None:
        super().__init__(daemon=True)
        self._ask = ask
        self._every_s = every_s
        self.answered = threading.Event()
        self.last = 0.0
        self.over = 0.0
        """When it was refused, and why."""
        self.why = ""

    def run(self) -> None:
        """Ask."""
        try:
            while True:
                self._ask()
                self.last = time.perf_counter()
                self.answered.set()
                time.sleep(self._every_s)
        except (psycopg.Error, OSError) as error:
            self.over, self.why = time.perf_counter(), str(error)


async def _refused(report: Report, city: World, cycles: int) -> None:
    """Lock under fire, so many times. Who asks is another process: the button waits for none of its threads."""
    found: dict[str, list[float]] = {}
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    asking = spawn.Process(target=_asked, args=(there,), daemon=True)
    asking.start()
    try:
        for number in range(cycles):
            person = await city.log_in(city.people[number % 2])
            await _lock(city, person, here, found)
    finally:
        here.send(None)
        await asyncio.to_thread(asking.join, 30)
    every = [max(values) for values in zip(*found.values(), strict=True)]
    for name, values in found.items():
        report.figure(f"refused_ms.postgresql.{name}.p99", _p99(values), "ms")
    report.at_most("refused_ms.postgresql.p99", _p99(every), "ms", REFUSED_MS)
    report.figure("refused_ms.postgresql.p50", statistics.median(every), "ms")
    report.figure("refused_ms.postgresql.locks", cycles, "")


async def _lock(city: World, person: Person, asking: Connection, found: dict[str, list[float]]) -> None:
    certificate = await city.application.certificate(person.session)
    asking.send((city.dsn(), city.direct_dsn(certificate)))
    assert await asyncio.to_thread(asking.poll, 30), "nobody asks"
    asking.recv()
    began = time.perf_counter()
    await city.lock()
    assert await asyncio.to_thread(asking.poll, 30), "is still answered"
    for name, (last, over, why) in asking.recv().items():
        assert last > 0, f"{name}: was never answered: {why}"
        assert over > began, f"{name}: was over before the lock: {why}"
        found.setdefault(name, []).append(max(0.0, last - began) * 1_000)
    while city.backends(person.account):  # noqa: ASYNC110 - the state of another process, which tells nobody
        await asyncio.sleep(0.001)


def _asked(line: Connection) -> None:
    """Ask in every way until all are refused; then say when each was last answered. Both clocks are the kernel's."""
    sys.setswitchinterval(0.000_5)
    for through, directly in iter(line.recv, None):
        hammers = _begin(through, directly)
        line.send("begun")
        for each in hammers.values():
            each.join()
        line.send({name: (each.last, each.over, each.why) for name, each in hammers.items()})


def _begin(through: dict[str, Any], directly: dict[str, Any]) -> dict[str, Hammer]:
    # Through the broker first: it waits until the server lets the role in.
    open_, certified = _connect(through), _connect(directly)
    asks: dict[str, Callable[[], None]] = {
        "broker": lambda: _ask(open_),
        "certificate": lambda: _ask(certified),
        "broker_new": lambda: _once(through),
        "certificate_new": lambda: _once(directly),
    }
    hammers = {name: Hammer(ask, 0.01 if name.endswith("_new") else 0.001) for name, ask in asks.items()}
    for each in hammers.values():
        each.start()
    for each in hammers.values():
        each.answered.wait(30)
    return hammers


def _connect(dsn: dict[str, Any]) -> psycopg.Connection[Any]:
    return psycopg.connect(**dsn, autocommit=True)


def _ask(connection: psycopg.Connection[Any]) -> None:
    connection.execute("SELECT 1")


def _once(dsn: dict[str, Any]) -> None:
    with _connect(dsn) as connection:
        connection.execute("SELECT 1")


def _p99(values: list[float]) -> float:
    return sorted(values)[max(0, round(0.99 * len(values)) - 1)] if len(values) >= 100 else max(values)


# What it costs.


def _prepare(server: Cluster) -> None:
    """Give pgbench its tables, and an account that needs no password for the peers."""
    server.allow([*BENCH, *HBA])
    server.run("CREATE ROLE bench LOGIN SUPERUSER")
    where = ["-h", str(server.folder), "-p", str(server.port), "-U", "bench", "resident"]
    subprocess.run(["pgbench", "-i", "-q", "-s", "1", *where], check=True, stderr=subprocess.DEVNULL, timeout=60)
    server.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO authd_staff", "resident")
    server.run("VACUUM ANALYZE", "resident")


async def _cost(report: Report, city: World, rounds: int) -> None:
    """Take turns."""
    await city.log_in()
    broker = city.stage.processes["pgproxy"].pid
    latency: dict[tuple[str, str], list[float]] = {}
    rate: dict[tuple[str, str], list[float]] = {}
    passed, cpu = dict.fromkeys(MODES, 0), dict.fromkeys(MODES, 0.0)
    with _pgbouncer(city.server) as bouncer:
        ports = {"direct": city.server.port, "pgbouncer": bouncer, "broker": city.ports["plain"]}
        for mode in MODES * rounds:
            for name, port in ports.items():
                before = _cpu_s(broker)
                one = await asyncio.to_thread(_pgbench, port, mode, 1, 1_000)
                many = await asyncio.to_thread(_pgbench, port, mode, CLIENTS, 1_000)
                latency.setdefault((name, mode), []).append(statistics.median(one.latencies_ms))
                rate.setdefault((name, mode), []).append(many.rate)
                if name == "broker":
                    passed[mode] += len(one.latencies_ms) + len(many.latencies_ms)
                    cpu[mode] += _cpu_s(broker) - before
    for mode in MODES:
        for name in ports:
            report.figure(f"pg.p50_ms.{mode}.{name}", statistics.median(latency[name, mode]), "ms")
            report.figure(f"pg.queries_per_s.{mode}.{name}", statistics.median(rate[name, mode]), "1/s")
        report.at_most(f"pg.added_ms.{mode}.p50", _added(latency, "broker", mode), "ms", ADDED_MS)
        report.figure(f"pg.added_ms.{mode}.pgbouncer.p50", _added(latency, "pgbouncer", mode), "ms")
        report.at_least(f"pg.queries_per_s_core.{mode}", passed[mode] / cpu[mode], "1/s", QUERIES)


def _added(latency: dict[tuple[str, str], list[float]], name: str, mode: str) -> float:
    """Median over the rounds of a turn against the direct one that stands next to it."""
    pairs = zip(latency[name, mode], latency["direct", mode], strict=True)
    return statistics.median(through - direct for through, direct in pairs)


class Turn:
    """What one run of pgbench came to."""

    def __init__(self, latencies_ms: list[float], seconds: float) -> None:
        self.latencies_ms = latencies_ms
        self.rate = len(latencies_ms) / seconds


def _pgbench(port: int, mode: str, clients: int, each: int) -> Turn:
    """Run it; every query's own time is in its logs."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["pgbench", "-n", "-S", "-M", mode, "-c", str(clients), "-t", str(each), "-l"]
        words += ["--log-prefix", f"{folder}/log", "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "resident"]
        environment = {**os.environ, "PGPASSWORD": "shared-by-everybody", "PGSSLMODE": "disable"}
        subprocess.run(words, check=True, env=environment, timeout=120, stdout=subprocess.DEVNULL)
        rows = [line.split() for log in Path(folder).iterdir() for line in log.read_text().splitlines()]
    ends = [int(row[4]) + int(row[5]) / 1e6 for row in rows]
    first = min(end - int(row[2]) / 1e6 for end, row in zip(ends, rows, strict=True))
    return Turn([int(row[2]) / 1_000 for row in rows], max(ends) - first)


ATTACK = """
import os, socket, sys, time
port, end, sent = int(sys.argv[1]), time.perf_counter() + float(sys.argv[2]), 0
while time.perf_counter() < end:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\\1" + bytes(7))  # leaves no port
            line.sendall(os.urandom(64) if sent % 2 else bytes((0, 0, 0, 8, 4, 210, 22, 47)) * 8)
            sent += 1
    except OSError:
        pass
print(sent)
"""


async def _hostile(report: Report, city: World, seconds: float) -> None:
    """Ask, while one program floods the broker with rubbish and another one with queries."""
    words = [sys.executable, "-I", "-c", ATTACK, str(city.ports["plain"]), str(seconds + 1)]
    attacker = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE)
    flood = asyncio.to_thread(_pgbench, city.ports["plain"], "simple", CLIENTS, round(1_500 * seconds))
    taken, turn = await asyncio.gather(asyncio.to_thread(_asking, city, seconds), flood)
    sent, _ = await attacker.communicate()
    report.figure("pg.hostile.connections_per_s", int(sent) / (seconds + 1), "1/s")
    report.figure("pg.hostile.queries_per_s", turn.rate, "1/s")
    report.at_most("pg.hostile.p99", statistics.quantiles(taken, n=100)[98], "ms", HOSTILE_MS)


def _asking(city: World, seconds: float) -> list[float]:
    """Return how long each query took, in ms."""
    taken: list[float] = []
    with city.connect() as connection:
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            connection.execute("SELECT 1")
            taken.append((time.perf_counter() - began) * 1_000)
    return taken


@contextmanager
def _pgbouncer(server: Cluster) -> Generator[int, None, None]:
    """Yield the port of a pgbouncer in session mode, over the same kinds of sockets as the broker."""
    folder, port = Path(tempfile.mkdtemp(prefix="bouncer-")), free_port()
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\nresident = host={server.folder} port={server.port} user=bench\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\npool_mode = session\nunix_socket_dir =\n"
        "max_client_conn = 100\ndefault_pool_size = 50\n"
    )
    user: list[str] = []
    if os.geteuid() == 0:
        user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
    words = [*user, "/usr/sbin/pgbouncer", "-q", str(config)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_port(port)
        yield port
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _await_port(port: int) -> None:
    for _ in range(500):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise TimeoutError("pgbouncer does not listen: install the package pgbouncer")


def _cpu_s(pid: int) -> float:
    """Processor time of a process, in seconds."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
