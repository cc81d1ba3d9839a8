"""Disks that are full, read-only, broken or slow: no grant, no lock lost, and well again by itself."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from io import FileIO
from pathlib import Path

import apsw
import pytest

from authd.core.model import Entry, Kind
from authd.core.ports import LedgerDown
from authd.service.ledger import Ledger, Reader, verify
from authd.service.ledger import ledger as module
from authd.service.ledger.inbox import CAPACITY, LOCK_RESERVE
from authd.service.ledger.ledger import APPEND_LIMIT
from authd.service.ledger.reserve import Reserve
from tests.service.disk import Disk
from tests.service.ledgers import SIGNER, HandClock, Health, RealClock, ended, entry, opened, started

WITHIN_S = 30


class Fault:
    """A disk with one switch, a ledger on it, and what its health said."""

    def __init__(self, folder: Path, error: Callable[[], Exception], on: tuple[str, ...]) -> None:
        self.folder, self.disk, self.health, self.clock = folder, Disk(), Health(), HandClock()
        self.broken = False
        self.error, self.on = error, on
        self.disk.before = self.before

    def before(self, what: str, path: str) -> None:
        if self.broken and what in self.on:
            raise self.error()

    async def healed(self) -> None:
        await until(lambda: bool(self.health.said) and self.health.said[-1][0])

    def rows(self) -> list[Entry]:
        return rows_of(self.folder)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not true():  # noqa: ASYNC110 (what is waited for happens in a thread that knows no event)
            await asyncio.sleep(0.01)


def rows_of(folder: Path) -> list[Entry]:
    reader = Reader(folder)
    try:
        return [row.entry for row in reader.after(0, 100_000)]
    finally:
        reader.close()


@asynccontextmanager
async def faulty(folder: Path, error: Callable[[], Exception], *on: str) -> AsyncGenerator[tuple[Ledger, Fault]]:
    fault = Fault(folder, error, on)
    async with opened(folder, fault.clock, fault.health, connect=fault.disk.connect) as ledger:
        yield ledger, fault
    assert verify(folder, SIGNER.name, SIGNER.public_key).ok


FAULTS = {
    "full": (apsw.FullError, "full", ("write",)),
    "read-only": (apsw.ReadOnlyError, "read_only", ("write",)),
    "error when writing": (apsw.IOError, "broken", ("write",)),
    "error when syncing": (apsw.IOError, "broken", ("sync",)),
}


@pytest.mark.parametrize(("error", "reason", "on"), FAULTS.values(), ids=FAULTS)
async def test_a_disk_that_fails_refuses_grants_keeps_locks_and_heals(
    tmp_path: Path, error: type[apsw.Error], reason: str, on: tuple[str, ...]
) -> None:
    async with faulty(tmp_path, lambda: error("injected"), *on) as (ledger, fault):
        await ledger.append(started(1))
        fault.broken = True
        with pytest.raises(LedgerDown, match=reason):
            await ledger.append(started(2))
        ledger.write(ended(1))
        ledger.write(entry(Kind.VOID, 2))
        with pytest.raises(LedgerDown, match=reason):
            await ledger.append(started(3))
        with pytest.raises(LedgerDown):
            await ledger.checkpoint()
        fault.broken = False
        await fault.healed()
        assert await ledger.append(started(4)) >= 4
    kept = [one for one in fault.rows() if one.session != "ses_2" or one.kind is Kind.VOID]
    assert kept == [started(1), ended(1), entry(Kind.VOID, 2), started(4)]
    assert fault.health.said == [(False, reason), (True, "")]


async def test_a_lock_whose_commit_is_in_doubt_is_written_once(tmp_path: Path) -> None:
    """The sync fails after the frames are written: when the file is opened again they may be there after all."""
    async with faulty(tmp_path, lambda: apsw.IOError("injected"), "sync") as (ledger, fault):
        await ledger.append(started(1))
        for number in range(2, 6):
            fault.broken = True
            ledger.write(ended(number - 1))
            ledger.write(started(number))
            await until(lambda: bool(fault.health.said) and not fault.health.said[-1][0])
            fault.broken = False
            await fault.healed()
    assert fault.rows() == [one for number in range(1, 6) for one in (started(number), ended(number))][:-1]


async def test_on_a_full_disk_locks_land_in_the_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = False

    def no_space() -> None:
        if full and (tmp_path / "reserve").stat().st_size:
            raise apsw.FullError("database or disk is full")

    def take(reserve: Reserve) -> None:
        if full:
            raise OSError(errno.ENOSPC, "no space")
        original(reserve)

    original = Reserve.take
    monkeypatch.setattr(Reserve, "take", take)
    fault = Fault(tmp_path, RuntimeError, ())
    fault.disk.before = lambda what, path: no_space()
    async with opened(tmp_path, fault.clock, fault.health, connect=fault.disk.connect) as ledger:
        await ledger.append(started(1))
        assert reserved(tmp_path) == 65_536
        full = True
        with pytest.raises(LedgerDown, match="full"):
            await ledger.append(started(2))
        ledger.write(ended(1))
        await until(lambda: ledger.head >= 2)
        assert reserved(tmp_path) == 0
        with pytest.raises(LedgerDown, match="full"):
            await ledger.append(started(3))
        full = False
        await fault.healed()
        assert reserved(tmp_path) == 65_536
        await ledger.append(started(4))
    assert [one for one in fault.rows() if one.session != "ses_2"] == [started(1), ended(1), started(4)]


def reserved(folder: Path) -> int:
    return (folder / "reserve").stat().st_size


class Slow:
    """Blocks every sync while `hold()` is on."""

    def __init__(self) -> None:
        self.disk, self.free = Disk(), threading.Event()
        self.free.set()
        self.disk.before = self.before
        self.blocked = threading.Event()

    def before(self, what: str, path: str) -> None:
        if what == "sync" and not self.free.is_set():
            self.blocked.set()
            self.free.wait(20)


async def test_a_disk_that_hangs_fails_after_two_seconds_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "APPEND_LIMIT", APPEND_LIMIT)
    slow, health, clock = Slow(), Health(), HandClock()
    async with opened(tmp_path, clock, health, connect=slow.disk.connect) as ledger:
        await ledger.append(started(1))
        slow.free.clear()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(failing(ledger, started(2)))
            await until(slow.blocked.is_set)
            second = group.create_task(failing(ledger, started(3)))
            ledger.write(ended(1))
            await asyncio.sleep(0.25)
            assert not first.done(), "two seconds have not passed on the clock that counts"
            clock.step(2.1)
        assert (first.result(), second.result()) == ("slow", "slow")
        assert health.said == [(False, "slow")]
        assert await failing(ledger, started(4)) == "slow"
        slow.free.set()
        await until(lambda: health.said[-1][0])
        ledger.write(entry(Kind.VOID, 2))
        assert await ledger.append(started(5)) == 5
    # The append that timed out became durable later; the one still in the queue was dropped.
    assert rows_of(tmp_path) == [started(1), started(2), ended(1), entry(Kind.VOID, 2), started(5)]


async def failing(ledger: Ledger, one: Entry) -> str:
    try:
        await ledger.append(one)
    except LedgerDown as error:
        return str(error)
    return ""


async def test_a_full_queue_refuses_grants_then_takes_locks_then_admits_a_gap(tmp_path: Path) -> None:
    slow, health, clock = Slow(), Health(), HandClock()
    async with opened(tmp_path, clock, health, connect=slow.disk.connect) as ledger:
        await ledger.append(started(0))
        slow.free.clear()
        ledger.write(ended(0))
        await until(slow.blocked.is_set)
        for number in range(CAPACITY):
            ledger.write(started(number))
        assert await failing(ledger, started(1)) == "busy"
        for number in range(LOCK_RESERVE + 7):
            ledger.write(ended(number))
        slow.free.set()
        await until(lambda: ledger.head == 2 + CAPACITY + LOCK_RESERVE + 1)
        assert await ledger.append(started(9)) == 2 + CAPACITY + LOCK_RESERVE + 2
    rows = rows_of(tmp_path)
    (gap,) = (one for one in rows if one.kind is Kind.LEDGER_GAP)
    assert gap.data == {"dropped": 7}


async def test_a_ledger_opens_on_a_full_disk_and_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as ledger:
        await ledger.append(started(1))
    full = True

    def take(reserve: Reserve) -> None:
        if full:
            raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(Reserve, "take", take)
    health = Health()
    async with opened(tmp_path, on_health=health) as ledger:
        await until(lambda: health.said == [(False, "full")])
        assert await ledger.unfinished() == [started(1)]
        full = False
        await until(lambda: ledger.trouble is None)
        assert await ledger.append(ended(1)) == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 24 MB; only root may make one."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = os.geteuid() == 0 and subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=24m", "authd-test", str(folder)], check=False, capture_output=True
    )
    if not made or made.returncode:
        pytest.skip("only root can mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["/bin/umount", str(folder)], check=True)


@pytest.mark.real
async def test_a_really_full_disk_lets_locks_through_and_heals(small_disk: Path) -> None:
    health = Health()
    async with opened(small_disk / "ledger", RealClock(), health, reserve=4 << 20) as ledger:
        await ledger.append(started(0))
        filler = fill_up(small_disk)
        number = 0
        while ledger.trouble is None:
            number += 1
            await failing(ledger, started(number))
        assert health.said == [(False, "full")]
        ledger.write(ended(0))
        head = ledger.head
        await until(lambda: ledger.head > head)
        assert await failing(ledger, started(9)) == "full"
        filler.unlink()
        await until(lambda: ledger.trouble is None)
        await ledger.append(started(10))
    assert health.said[-1] == (True, "")
    rows = rows_of(small_disk / "ledger")
    assert rows[-2:] == [ended(0), started(10)]
    assert verify(small_disk / "ledger", SIGNER.name, SIGNER.public_key).ok


def fill_up(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            with pytest.raises(OSError, match="No space"):
                write_for_ever(file, size)
    return filler


def write_for_ever(file: FileIO, size: int) -> None:
    while True:
        file.write(bytes(size))


@pytest.mark.real
async def test_a_really_read_only_disk_refuses_and_heals(small_disk: Path) -> None:
    def remount(how: str) -> None:
        subprocess.run(["/bin/mount", "-o", f"remount,{how}", str(small_disk)], check=True)

    async with opened(small_disk / "ledger", RealClock(), reserve=65_536) as ledger:
        await ledger.append(started(1))
    async with opened(small_disk / "ledger", RealClock(), reserve=65_536) as ledger:
        await ledger.append(started(2))
    remount("ro")
    with pytest.raises(LedgerDown):
        async with opened(small_disk / "ledger", RealClock(), reserve=65_536):
            pass
    remount("rw")
    async with opened(small_disk / "ledger", RealClock(), reserve=65_536) as ledger:
        assert await ledger.append(started(3)) == 3
