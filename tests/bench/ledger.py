"""Durable appends a second, with hashing, by 1 and by 64 appenders; beside raw write+fdatasync and PostgreSQL 15.

`python -m tests.bench.ledger [--seconds 0.5] [--rounds 12] [--folder DIR]`. The competitors take turns on one disk in
one run. The bars are on the median of the ratios of two turns that stand next to each other, so that what else the
machine did at the time weighs on both; the ratio of each one's best turn is printed beside.
PostgreSQL stores the same bytes in the same columns, hashes nothing, and commits with fsync on 32 connections.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from authd.core.model import Entry, Grade, Instant, Kind, SeatId, SessionId, SubjectId
from authd.service.ledger import KeySigner, Ledger, verify
from authd.service.ledger.record import encode
from tests.bench.report import Report

SIGNER = KeySigner("bench.example/ledger", bytes(range(32)))
POSTGRES = Path("/usr/lib/postgresql/15/bin")
CONNECTIONS = 32


class Clock:
    boot = "00000000-0000-4000-8000-000000000000"

    def now(self) -> Instant:
        return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME))


def wall() -> int:
    return time.time_ns() // 1_000_000


def some_entry(who: int, number: int) -> Entry:
    """A grant's row as the pipeline writes it: about 450 bytes."""
    started = number % 2 == 0
    return Entry(
        Kind.SESSION_STARTED if started else Kind.SESSION_ENDED,
        SeatId(f"counter-{who}"),
        subject=SubjectId("sub_" + hashlib.md5(b"%d" % ((who * 37 + number // 2) % 4000)).hexdigest()),
        session=SessionId(f"ses_{who:08x}{number // 2:024x}"),
        at=Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME)),
        grade=Grade.MATCHED,
        data={
            "reader": "vein-1",
            "factor": "vein",
            "reference": "tpl_5eb63bbbe01eeed093cb22bb8f5acdc3@1",
            "score": 0.93,
        }
        if started
        else {},
    )


POOL = [[some_entry(who, number) for number in range(256)] for who in range(64)]
"""Made beforehand: what is measured is storing them."""


async def append_for(ledger: Ledger, appenders: int, seconds: float) -> float:
    """Appends a second, each acknowledged as durable before its appender goes on."""
    done, over = 0, False

    def stop() -> None:
        nonlocal over
        over = True

    async def append(who: int) -> None:
        nonlocal done
        entries, number = POOL[who], 0
        while not over:
            await ledger.append(entries[number % 256])
            number += 1
        done += number

    asyncio.get_running_loop().call_later(seconds, stop)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for who in range(appenders):
            group.create_task(append(who))
    return done / (time.perf_counter() - began)


def raw_for(folder: Path, seconds: float) -> float:
    """Writes of one such row, each followed by fdatasync: what a careful program without group commit gets."""
    line = encode(1, wall(), Clock.boot, some_entry(1, 0))
    path = folder / "raw"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    began, done = time.perf_counter(), 0
    try:
        while time.perf_counter() - began < seconds:
            os.write(descriptor, line)
            os.fdatasync(descriptor)
            done += 1
        return done / (time.perf_counter() - began)
    finally:
        os.close(descriptor)
        path.unlink()


@contextmanager
def postgres(folder: Path) -> Generator[str]:
    """Yield the connection string of a private cluster on a Unix socket, fsync on, stopped afterwards."""
    shutil.chown(folder, "postgres") if os.geteuid() == 0 else None
    data = folder / "data"
    as_postgres("initdb", "-D", str(data), "-A", "trust", "-U", "bench", "--no-sync")
    options = f"-c listen_addresses='' -k {folder} -c fsync=on -c synchronous_commit=on -c max_connections=64"
    as_postgres("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"host={folder} user=bench dbname=postgres"
    finally:
        as_postgres("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")


def as_postgres(program: str, *arguments: str) -> None:
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*user, str(POSTGRES / program), *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/")


class Inserters:
    """32 connections, a thread each, that insert and commit while they may."""

    def __init__(self, where: str) -> None:
        import psycopg

        with psycopg.connect(where, autocommit=True) as first:
            first.execute(
                "CREATE TABLE entry(seq bigserial PRIMARY KEY, wall bigint, seat text, subject text, bytes bytea)"
            )
            first.execute("CREATE INDEX ON entry(seat, wall)")
            first.execute("CREATE INDEX ON entry(subject, wall)")
        self.connections = [psycopg.connect(where, autocommit=True) for _ in range(CONNECTIONS)]

    def run_for(self, seconds: float) -> float:
        end, counts = time.perf_counter() + seconds, [0] * CONNECTIONS

        def insert(who: int) -> None:
            cursor = self.connections[who].cursor()
            while time.perf_counter() < end:
                entry = POOL[who][counts[who] % 256]
                raw = encode(counts[who], wall(), Clock.boot, entry)
                statement = "INSERT INTO entry(wall, seat, subject, bytes) VALUES(%s, %s, %s, %s)"
                cursor.execute(statement, (wall(), entry.seat, entry.subject, raw), prepare=True)
                counts[who] += 1

        threads = [threading.Thread(target=insert, args=(who,)) for who in range(CONNECTIONS)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / (time.perf_counter() - began)

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


Rates = dict[str, list[float]]


async def take_turns(folder: Path, seconds: float, rounds: int, other: Callable[[float], float] | None) -> Rates:
    """Every round: raw, 64 appenders, PostgreSQL, 1 appender; 64 appenders stand next to both of their peers."""
    rates: Rates = {"one": [], "many": [], "raw": [], "postgres": []}
    ledger = await Ledger.open(folder / "ledger", SIGNER, Clock(), wall)
    try:
        await append_for(ledger, 64, seconds / 2)
        for _ in range(rounds):
            rates["raw"].append(raw_for(folder, seconds))
            rates["many"].append(await append_for(ledger, 64, seconds))
            if other is not None:
                rates["postgres"].append(await asyncio.to_thread(other, seconds))
            rates["one"].append(await append_for(ledger, 1, seconds))
    finally:
        await ledger.close()
    return rates


def paired(rates: Rates, ours: str, theirs: str) -> float:
    """Median over the rounds of our turn against theirs."""
    return statistics.median(mine / other for mine, other in zip(rates[ours], rates[theirs], strict=True))


def tell(report: Report, rates: Rates, folder: Path) -> None:
    middle = {name: statistics.median(values) for name, values in rates.items() if values}
    best = {name: max(values) for name, values in rates.items() if values}
    report.figure("load_average", os.getloadavg()[0], "")
    report.figure("ledger.appends_per_s.1", middle["one"], "1/s")
    report.figure("ledger.appends_per_s.64", middle["many"], "1/s")
    report.figure("ledger.appends_per_s.64.best", best["many"], "1/s")
    report.figure("raw.write_fdatasync_per_s", middle["raw"], "1/s")
    report.at_least("ledger.64_to_raw", paired(rates, "many", "raw"), "x", 10)
    report.figure("ledger.64_to_raw.best", best["many"] / best["raw"], "x")
    report.figure("ledger.1_to_raw", paired(rates, "one", "raw"), "x")
    if "postgres" in middle:
        report.figure("postgres.inserts_per_s.32", middle["postgres"], "1/s")
        report.at_least("ledger.64_to_postgres", paired(rates, "many", "postgres"), "x", 4)
        report.figure("ledger.64_to_postgres.best", best["many"] / best["postgres"], "x")
    else:
        report.figure("ledger.64_to_postgres", "PostgreSQL 15 or psycopg is not installed", "x", ">= 4", ok=False)
    began = time.perf_counter()
    verdict = verify(folder / "ledger", SIGNER.name, SIGNER.public_key)
    report.figure("ledger.verified", verdict.ok, "", "true", ok=verdict.ok and verdict.unsigned == 0)
    report.figure("ledger.verify_rows_per_s", verdict.size / (time.perf_counter() - began), "1/s")


def competitor() -> bool:
    try:
        import psycopg
    except ImportError:
        return False
    return bool(psycopg.__version__) and POSTGRES.is_dir()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each turn")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: the system's temporary folder")
    args, report = parser.parse_args(), Report()
    with tempfile.TemporaryDirectory(prefix="authd-bench-", dir=args.folder) as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "pg").mkdir()
        if competitor():
            with postgres(folder / "pg") as where:
                inserters = Inserters(where)
                rates = asyncio.run(take_turns(folder, args.seconds, args.rounds, inserters.run_for))
                inserters.close()
        else:
            rates = asyncio.run(take_turns(folder, args.seconds, args.rounds, None))
        tell(report, rates, folder)
    report.exit()


if __name__ == "__main__":
    main()
