"""Power cuts and kills: no acknowledged row is ever lost, whatever the disk kept, dropped or tore."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from authd.core.model import Entry, Instant, Kind
from authd.service.ledger import Reader, verify
from authd.service.ledger.file import LedgerFile
from authd.service.sqlite import Database, connect
from tests.service.disk import Disk
from tests.service.ledgers import BEGIN, SIGNER, ended, opened, started

Cut = tuple[dict[str, bytes], int, int]
"""What was on the disk, last acknowledged number, last number that had been handed to SQLite."""


def run_and_cut(folder: Path, cuts: int, dice: random.Random, careless: bool = False) -> list[Cut]:
    """Write batches of rows, with checkpoints and new months on the way, and cut the power at random moments."""
    disk, found = Disk(), list[Cut]()

    def open_small(path: Path, read_only: bool) -> Database:
        db = disk.connect(path, read_only)
        db.connection.wal_autocheckpoint(dice.choice([4, 12, 40]))
        if careless:
            db.pragma("synchronous", 1)
        return db

    file = LedgerFile(folder, SIGNER, "boot-1", open_small)
    file.open(Instant(0), BEGIN)
    handed, wall = 0, BEGIN

    def before(what: str, path: str) -> None:
        if dice.random() < 0.25 and len(found) < cuts:
            found.append((disk.cut(folder, dice), file.head.seq, max(handed, file.head.seq)))

    disk.before = before
    while len(found) < cuts:
        wall += 3_600_000
        pending = [(some_entry(dice), wall) for _ in range(dice.randrange(1, 20))]
        rows = file.encode(pending)
        handed = rows[-1].seq
        file.commit(rows, sign=dice.random() < 0.3)
        file.publish()
        if dice.random() < 0.02:
            file.settle()
            file.roll(f"2026-{dice.randrange(1, 13):02d}")
        if file.head.seq > 400:
            break
    disk.before = lambda what, path: None
    file.close()
    return found


def some_entry(dice: random.Random) -> Entry:
    session = dice.randrange(9)
    return started(session) if dice.random() < 0.5 else ended(session)


def lost_after(cut: Cut, folder: Path) -> int:
    """Acknowledged rows that are not there when the power is back; the ledger must open and verify."""
    content, acknowledged, handed = cut
    folder.mkdir()
    for name, data in content.items():
        (folder / name).write_bytes(data)
    file = LedgerFile(folder, SIGNER, "boot-2", connect_hastily)
    file.open(Instant(0), BEGIN)
    head = file.head.seq
    file.close()
    assert head <= handed or head > 10_000, "rows that nobody wrote"
    verdict = verify(folder, SIGNER.name, SIGNER.public_key)
    assert verdict.ok, verdict.findings
    reader = Reader(folder)
    numbers = [row.seq for row in reader.after(0, 100_000) if row.entry.kind is not Kind.LEDGER_GAP]
    reader.close()
    assert numbers == list(range(1, len(numbers) + 1))
    return max(0, acknowledged - len(numbers))


@pytest.fixture(autouse=True)
def hasty(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real disk need not be waited for where the power fails only in the tests' own record of it."""
    if "cut" in request.node.name:
        monkeypatch.setattr("os.fsync", do_nothing)
        monkeypatch.setattr("os.fdatasync", do_nothing)


def do_nothing(descriptor: int) -> None:
    return


def connect_hastily(path: Path, read_only: bool) -> Database:
    """As always, but without waiting for the real disk: what is tested was cut already."""
    db = connect(path, read_only)
    db.pragma("synchronous", 0)
    return db


def cut_many(tmp_path: Path, cuts: int, seed: int) -> int:
    dice, lost, done = random.Random(seed), 0, 0
    while done < cuts:
        found = run_and_cut(tmp_path / f"run-{done}", min(100, cuts - done), dice)
        for number, cut in enumerate(found):
            lost += lost_after(cut, tmp_path / f"cut-{done + number}")
        done += len(found)
    return lost


def test_200_power_cuts_lose_no_acknowledged_row(tmp_path: Path) -> None:
    assert cut_many(tmp_path, 200, seed=1) == 0


@pytest.mark.real
def test_5000_power_cuts_lose_no_acknowledged_row(tmp_path: Path) -> None:
    assert cut_many(tmp_path, 5_000, seed=2) == 0


def test_without_full_synchronisation_the_same_cuts_do_lose_rows(tmp_path: Path) -> None:
    found = run_and_cut(tmp_path / "run", 60, random.Random(3), careless=True)
    assert any(lost_after(cut, tmp_path / f"cut-{number}") for number, cut in enumerate(found))


WRITER = """
import asyncio, sys
from pathlib import Path
from tests.service.ledgers import RealClock, opened, started

async def main():
    async with opened(Path(sys.argv[1]), RealClock()) as ledger:
        async def write(who):
            for number in range(10**9):
                print(await ledger.append(started(number, f"seat-{who}")), flush=True)
        async with asyncio.TaskGroup() as group:
            for who in range(8):
                group.create_task(write(who))

asyncio.run(main())
"""


def run_writer(folder: Path, rows: int) -> int:
    """Let a process write until it has acknowledged so many rows, kill it, and return the last it acknowledged."""
    command = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        last = 0
        for line in process.stdout:
            last = max(last, int(line))
            if last >= rows:
                process.send_signal(signal.SIGKILL)
                break
        rest = process.stdout.read().split("\n")[:-1]
    return max([last, *map(int, rest)])


@pytest.mark.real
async def test_a_killed_writer_loses_no_acknowledged_row(tmp_path: Path) -> None:
    acknowledged = 0
    for turn in range(5):
        acknowledged = run_writer(tmp_path, acknowledged + 50 * (turn + 1))
        async with opened(tmp_path) as ledger:
            assert ledger.head >= acknowledged
            acknowledged = ledger.head
    assert verify(tmp_path, SIGNER.name, SIGNER.public_key).ok
