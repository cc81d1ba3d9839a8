"""Opening a ledger that is damaged, changed, older, newer or shorter than it was: nothing is lost or passed over."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import apsw
import pytest

from authd.core.model import Kind
from authd.core.ports import LedgerDown
from authd.service.ledger import FORMAT, Flaw, LedgerDamaged, LedgerFormat, Reader, Recorded, migrate, presence, verify
from authd.service.ledger.file import GAP_MARGIN, LedgerFile
from authd.service.ledger.head import publish, published
from authd.service.ledger.narrow import numbers, told
from authd.service.ledger.record import decode, place
from authd.service.ledger.segment import SCHEMAS, segments
from authd.service.sqlite import Database, SqliteRefused, check_version
from tests.service.ledgers import BEGIN, SIGNER, HandClock, ended, entry, fill, opened, started
from tests.service.test_ledger_tampering import editing, flaws, only, verdict


async def refused(folder: Path, match: str) -> None:
    """It does not open, names the command, and not a byte has changed."""
    before = contents(folder)
    with pytest.raises(LedgerDamaged, match=f"{match}.*; run: authd ledger verify"):
        async with opened(folder):
            pass
    assert contents(folder) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(("-shm", "-wal"))}


def execute(statement: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with editing(segments(folder)[-1]) as db:
            db.execute(statement)

    return change


def overwrite(folder: Path) -> None:
    path = only(folder)
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 4] = bytes(4096 * 2)
    path.write_bytes(content)


def truncate(folder: Path) -> None:
    path = only(folder)
    path.write_bytes(path.read_bytes()[:10_000])


def replace_by_text(folder: Path) -> None:
    only(folder).write_bytes(b"This was a ledger once. " * 1000)


EDIT = "UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), 'sub_1', 'sub_2') AS BLOB) WHERE seq = 3"
HIDE = "UPDATE checkpoint SET open = '{}' WHERE size = (SELECT max(size) FROM checkpoint)"
TRIGGER = "CREATE TRIGGER t AFTER INSERT ON entry BEGIN SELECT 1; END"
DAMAGE: dict[str, tuple[Callable[[Path], None], str, Flaw]] = {
    "pages zeroed": (overwrite, "", Flaw.FILE),
    "file cut": (truncate, "", Flaw.FILE),
    "no database": (replace_by_text, "", Flaw.FILE),
    "row edited": (execute(EDIT), "changed", Flaw.CHANGED),
    "row deleted": (execute("DELETE FROM entry WHERE seq = 30"), "row 30 is missing", Flaw.ROW),
    "row made text": (execute("UPDATE entry SET bytes = 'text' WHERE seq = 30"), "row 30", Flaw.FILE),
    "row added": (execute("INSERT INTO entry SELECT 63, bytes FROM entry WHERE seq = 1"), "row 62", Flaw.ROW),
    "tail cut": (execute("DELETE FROM entry WHERE seq > 50"), "missing", Flaw.ROW),
    "trigger": (execute(TRIGGER), "other tables", Flaw.FILE),
    "view": (execute("CREATE VIEW v AS SELECT 1"), "other tables", Flaw.FILE),
    "unfinished hidden": (execute(HIDE), "changed", Flaw.INDEX),
    "unfinished garbled": (execute("UPDATE checkpoint SET open = '{'"), "checkpoint", Flaw.FILE),
    "peaks": (execute("UPDATE checkpoint SET peaks = zeroblob(length(peaks))"), "changed", Flaw.INDEX),
    "note": (execute("UPDATE checkpoint SET note = replace(note, 'a', 'b')"), "no good signature", Flaw.SIGNATURE),
    "no checkpoints": (execute("DELETE FROM checkpoint"), "no signed checkpoint", Flaw.SIGNATURE),
}


@pytest.mark.parametrize(("change", "match", "flaw"), DAMAGE.values(), ids=DAMAGE)
async def test_a_damaged_ledger_says_what_to_do(
    tmp_path: Path, change: Callable[[Path], None], match: str, flaw: Flaw
) -> None:
    folder = tmp_path / "ledger"
    await fill(folder, 61)
    change(folder)
    await refused(folder, match)
    assert flaw in flaws(folder)


LIES = {
    "block taken out": "DELETE FROM place WHERE of = {seat}",
    "sessions' block taken out": "DELETE FROM place WHERE of = {sitting}",
    "sessions told from another row on": "UPDATE meta SET value = 10 WHERE name = 'told'",
    "sessions told from no row on": "DELETE FROM meta WHERE name = 'told'",
    "block emptied": "UPDATE place SET pairs = x'' WHERE of = {seat}",
    "pair taken out": "UPDATE place SET pairs = substr(pairs, 1, length(pairs) - 16) WHERE of = {seat}",
    "block torn": "UPDATE place SET pairs = substr(pairs, 1, length(pairs) - 1) WHERE of = {seat}",
    "block of another": "UPDATE place SET of = of + 1 WHERE of = {seat}",
    "block at another time": "UPDATE place SET until = until + 86400000 WHERE of = {seat}",
    "rows kept out of it": "UPDATE meta SET value = 20 WHERE name = 'placed'",
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_an_index_that_would_hide_a_row_is_found(tmp_path: Path, lie: str) -> None:
    await fill(tmp_path, 40)
    with editing(only(tmp_path)) as db:
        db.execute(lie.format(seat=place("seat:counter-0"), sitting=place("sitting:counter-0")))
    assert flaws(tmp_path) & {Flaw.INDEX, Flaw.FILE}


async def three_months(folder: Path) -> HandClock:
    clock = HandClock()
    async with opened(folder, clock) as ledger:
        for number in range(3):
            await ledger.append(started(number))
            await ledger.append(ended(number))
            clock.step(31 * 86_400)
    return clock


async def test_a_missing_month_is_found(tmp_path: Path) -> None:
    await three_months(tmp_path)
    segments(tmp_path)[1].unlink()
    await refused(tmp_path, "segment 000002 is missing")
    assert Flaw.SEGMENT in flaws(tmp_path)


async def test_a_missing_last_month_becomes_a_gap(tmp_path: Path) -> None:
    clock = await three_months(tmp_path)
    anchor = published(tmp_path)
    segments(tmp_path)[-1].unlink()
    assert flaws(tmp_path) == {Flaw.TAIL}
    async with opened(tmp_path, clock) as ledger:
        assert ledger.head > 6
    assert flaws(tmp_path, anchor) == {Flaw.TAIL}


async def test_months_put_in_another_order_are_found(tmp_path: Path) -> None:
    await three_months(tmp_path)
    first, second, _ = segments(tmp_path)
    shutil.move(first, tmp_path / "x")
    shutil.move(second, first)
    shutil.move(tmp_path / "x", second)
    assert Flaw.CHANGED in flaws(tmp_path)


async def test_all_segments_gone_is_damage_not_a_new_ledger(tmp_path: Path) -> None:
    await fill(tmp_path, 10)
    only(tmp_path).unlink()
    await refused(tmp_path, "all segments are gone")


async def test_rows_rolled_back_become_a_gap_and_numbers_are_never_used_twice(tmp_path: Path) -> None:
    """A snapshot of the segments restored beneath a newer checkpoint file: what a rolled-back WAL looks like."""
    folder, before = tmp_path / "ledger", tmp_path / "before"
    await fill(folder, 20)
    shutil.copytree(folder, before)
    async with opened(folder) as ledger:
        for number in range(5):
            await ledger.append(started(90 + number))
        anchor = await ledger.checkpoint()
    publish(before, published(folder) or "")
    async with opened(before) as ledger:
        (gap,) = await ledger.entries(f"kind:{Kind.LEDGER_GAP}")
        assert gap.seq == ledger.head == 20 + 5 + GAP_MARGIN + 1
        assert {key: gap.entry.data[key] for key in ("lost", "size", "last")} == {"lost": 5, "size": 20, "last": 20}
        assert await ledger.append(started(1)) == gap.seq + 1
        assert [row.seq async for row in _first(ledger.follow(18), 4)] == [19, 20, gap.seq, gap.seq + 1]
    found = verdict(before)
    assert (found.ok, found.gaps, found.size) == (True, [gap.seq], 22)
    assert flaws(before, anchor) == {Flaw.TAIL}
    async with opened(before) as ledger:
        assert ledger.head == gap.seq + 1
        assert [row.seq for row in await ledger.entries("seat:counter-1")][-1] == gap.seq + 1


async def _first(rows: AsyncIterator[Recorded], many: int) -> AsyncIterator[Recorded]:
    async for row in rows:
        yield row
        many -= 1
        if not many:
            return


async def test_a_lost_checkpoint_file_is_a_gap_too(tmp_path: Path) -> None:
    await fill(tmp_path, 4)
    (tmp_path / "checkpoint").unlink()
    async with opened(tmp_path) as ledger:
        (gap,) = await ledger.entries(f"kind:{Kind.LEDGER_GAP}")
        assert gap.entry.data["lost"] == 0
    assert verdict(tmp_path).ok


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff" * 100])
async def test_a_garbled_checkpoint_file_is_damage(tmp_path: Path, content: bytes) -> None:
    await fill(tmp_path, 4)
    (tmp_path / "checkpoint").write_bytes(content)
    await refused(tmp_path, "the file checkpoint")


async def test_a_leftover_of_an_unfinished_new_month_is_nothing(tmp_path: Path) -> None:
    await fill(tmp_path, 4)
    (tmp_path / "000002-2025-12.new").write_bytes(b"half")
    clock = HandClock()
    clock.step(31 * 86_400)
    async with opened(tmp_path, clock) as ledger:
        await ledger.append(started(5))
    assert len(segments(tmp_path)) == 2
    assert verdict(tmp_path).ok


def forget_format_3(db: Database) -> None:
    """Take away what earlier formats did not have."""
    db.execute("DROP TABLE recent")
    db.execute("DROP TABLE tile")
    db.execute("DELETE FROM meta WHERE name IN ('pruned', 'told')")


def make_format_2(path: Path) -> None:
    """A segment as format 2 wrote it: blocks of everything, no tiles; its blocks are lost here, which is no matter."""
    with editing(path) as db:
        db.execute("DELETE FROM place")
        forget_format_3(db)
        db.pragma("user_version", 2)


async def make_format_1(folder: Path) -> None:
    """A ledger as format 1 wrote it: seats and subjects in the index, no kinds."""
    async with opened(folder) as ledger:
        enrolled = entry(Kind.ENROLMENT_CREATED, None, None, data={"template": "tpl_1@1", "digest": "aa"})
        await ledger.append(enrolled)
        await ledger.append(entry(Kind.POLICY_LOADED, None, None, None))
        await ledger.append(started(1))
    with editing(only(folder)) as db:
        db.execute("DROP TABLE place")
        db.execute(SCHEMAS[1][2])
        for of, seq in (("subject:sub_a", 1), ("seat:counter-1", 3), ("subject:sub_a", 3)):
            db.execute("INSERT INTO place VALUES(?, ?, ?)", (place(of), BEGIN, seq))
        forget_format_3(db)
        db.pragma("user_version", 1)


async def test_an_older_ledger_is_migrated_and_its_rows_stay_as_they_were_signed(tmp_path: Path) -> None:
    await make_format_1(tmp_path)
    before = rows(tmp_path)
    async with opened(tmp_path) as ledger:
        assert list(await ledger.anchors()) == ["tpl_1"]
        assert await ledger.unfinished() == [started(1)]
        assert [row.seq for row in await ledger.entries("subject:sub_a")] == [1, 3]
    assert rows(tmp_path) == before
    assert verdict(tmp_path).ok
    with editing(only(tmp_path)) as db:
        assert db.pragma("user_version") == FORMAT


async def test_all_months_of_format_2_are_migrated_and_can_be_read_before(tmp_path: Path) -> None:
    clock = await three_months(tmp_path)
    for path in segments(tmp_path):
        make_format_2(path)
    assert [row.seq for row in Reader(tmp_path).find("seat:counter-1")] == [1, 2, 3, 4, 5, 6]
    assert verdict(tmp_path).ok
    async with opened(tmp_path, clock) as ledger:
        assert [row.seq for row in await ledger.entries("subject:sub_a")] == [1, 2, 3, 4, 5, 6]
        assert (await ledger.prove(1, 6)).leaf == 1
    assert verdict(tmp_path).ok
    for path in segments(tmp_path):
        with editing(path) as db:
            assert db.pragma("user_version") == FORMAT


async def test_a_migration_goes_on_at_the_month_where_it_stopped(tmp_path: Path) -> None:
    clock = await three_months(tmp_path)
    make_format_2(segments(tmp_path)[2])
    async with opened(tmp_path, clock) as ledger:
        await ledger.append(started(9))
    assert verdict(tmp_path).ok


def rows(folder: Path) -> list[bytes]:
    reader = Reader(folder)
    try:
        return [row.bytes for row in reader.after(0)]
    finally:
        reader.close()


async def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_format_1(tmp_path)

    def fail(db: Database, *_: object) -> None:
        db.execute("DELETE FROM place")
        raise apsw.FullError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(migrate, "renew", fail)
        with pytest.raises(LedgerDown, match="full"):
            async with opened(tmp_path):
                pass
    async with opened(tmp_path) as ledger:
        assert list(await ledger.anchors()) == ["tpl_1"]


def make_format_3(path: Path) -> None:
    """A segment as format 3 wrote it: the sessions of a seat are not told from its other rows."""
    with editing(path) as db:
        seats = {row.entry.seat for row in map(decode, (raw for (raw,) in db.execute("SELECT bytes FROM entry")))}
        db.executemany("DELETE FROM place WHERE of = ?", [(place(f"sitting:{seat}"),) for seat in seats])
        db.execute("DELETE FROM meta WHERE name = 'told'")
        db.pragma("user_version", 3)


def version_of(path: Path) -> int:
    with editing(path) as db:
        return int(db.pragma("user_version"))


async def test_months_of_format_3_answer_as_they_did_and_only_the_last_goes_on(tmp_path: Path) -> None:
    clock = await three_months(tmp_path)
    begin, until = BEGIN - 1, clock.wall_ms + 86_400_000
    before = presence(Reader(tmp_path), "counter-1", begin, until)
    assert [stay.first for stay in before] == [1, 3, 5]
    for path in segments(tmp_path):
        make_format_3(path)
    assert presence(Reader(tmp_path), "counter-1", begin, until) == before
    assert verdict(tmp_path).ok
    async with opened(tmp_path, clock) as ledger:
        assert await ledger.presence("counter-1", begin, until) == before
        await ledger.append(started(7))
        await ledger.append(entry(Kind.VIEW_OPENED, 7))
        await ledger.append(ended(7))
        await ledger.checkpoint()
        assert [stay.first for stay in await ledger.presence("counter-1", begin, until)] == [1, 3, 5, 7]
    assert verdict(tmp_path).ok
    assert [version_of(path) for path in segments(tmp_path)] == [3, 3, FORMAT, FORMAT]
    assert [stay.last for stay in presence(Reader(tmp_path), "counter-1", begin, until)] == [2, 4, 6, 9]


async def test_an_end_far_behind_its_start_is_found_among_rows_of_format_3(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock) as ledger:
        await ledger.append(started(1))
        clock.step(60 * 3_600)
        await ledger.append(entry(Kind.VIEW_OPENED, 1))
        await ledger.append(ended(1, why="crash"))
    make_format_3(only(tmp_path))
    (before,) = presence(Reader(tmp_path), "counter-1", BEGIN, BEGIN + 1)
    async with opened(tmp_path, clock) as ledger:
        (after,) = await ledger.presence("counter-1", BEGIN, BEGIN + 1)
    assert (before.last, after) == (3, before)


async def test_a_month_that_goes_on_from_format_3_tells_sessions_from_there_on(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock) as ledger:
        await ledger.append(started(1))
    make_format_3(only(tmp_path))
    for number in range(2):  # what is known of where it goes on stays as it was
        async with opened(tmp_path, clock) as ledger:
            await ledger.append(entry(Kind.VIEW_OPENED, 1))
            await ledger.append(entry(Kind.SESSION_KEPT, 1))
            (stay,) = await ledger.presence("counter-1", BEGIN, BEGIN)
            assert len(stay.steps) == number + 1
    with editing(only(tmp_path)) as db:
        assert (told(db), db.pragma("user_version")) == (1, FORMAT)
        assert numbers(db, place("sitting:counter-1"), BEGIN, BEGIN) == [3, 5]
    assert verdict(tmp_path).ok


async def test_a_ledger_that_fails_to_go_on_from_format_3_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as ledger:
        await ledger.append(started(1))
    make_format_3(only(tmp_path))

    def fail(db: Database) -> int:
        db.execute("INSERT OR REPLACE INTO meta VALUES('told', 0)")
        raise apsw.FullError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(migrate, "placed", fail)
        with pytest.raises(LedgerDown, match="full"):
            async with opened(tmp_path):
                pass
    with editing(only(tmp_path)) as db:
        assert (told(db), db.pragma("user_version")) == (1 << 62, 3)
    async with opened(tmp_path) as ledger:
        assert await ledger.unfinished() == [started(1)]
    assert verdict(tmp_path).ok


@pytest.mark.real
async def test_a_ledger_that_is_killed_while_it_goes_on_from_format_3_is_the_old_or_the_new(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ledger.append(started(1))
    make_format_3(only(tmp_path))
    for where, version in (("segments", 3), ("placed", 3), ("opened", FORMAT)):
        open_and_kill(tmp_path, where)
        assert version_of(only(tmp_path)) == version
    async with opened(tmp_path) as ledger:
        await ledger.append(ended(1))
        (stay,) = await ledger.presence("counter-1", BEGIN, BEGIN)
    assert (stay.first, stay.last) == (1, 2)
    assert verdict(tmp_path).ok


def open_and_kill(folder: Path, where: str) -> None:
    command = [sys.executable, "-c", KILLED, str(folder), where]
    killed = subprocess.run(command, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL


KILLED = """
import os, signal, sys
from pathlib import Path
from authd.core.model import Instant
from authd.service.ledger import migrate
from authd.service.ledger.file import LedgerFile
from authd.service.sqlite import connect
from tests.service.ledgers import BEGIN, SIGNER
folder, where = Path(sys.argv[1]), sys.argv[2]
def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)
file = LedgerFile(folder, SIGNER, "boot-1", connect)
if hasattr(migrate, where):
    setattr(migrate, where, killed)
file.open(Instant(0), BEGIN)
killed()
"""


async def test_a_newer_ledger_is_not_touched(tmp_path: Path) -> None:
    await fill(tmp_path, 4)
    with editing(only(tmp_path)) as db:
        db.pragma("user_version", FORMAT + 1)
    before = contents(tmp_path)
    with pytest.raises(LedgerFormat, match="newer"):
        async with opened(tmp_path):
            pass
    assert contents(tmp_path) == before
    assert Flaw.FILE in flaws(tmp_path)


@pytest.mark.parametrize("version", ["3.40.1", "3.51.2", "3.7.0"])
def test_an_sqlite_that_can_corrupt_a_wal_is_refused(version: str) -> None:
    check_version()
    check_version("3.51.3")
    with pytest.raises(SqliteRefused, match=version):
        check_version(version)


async def test_a_running_ledger_can_be_read_and_verified_beside_it(tmp_path: Path) -> None:
    progress: list[int] = []
    async with opened(tmp_path) as ledger:
        for number in range(30):
            await ledger.append(started(number))
        found = verify(tmp_path, SIGNER.name, SIGNER.public_key, None, progress.append)
        assert (found.ok, found.size, found.unsigned) == (True, 30, 30)
        await ledger.checkpoint()
        assert verdict(tmp_path).unsigned == 0


async def copied_while_running(folder: Path, copy: Path) -> None:
    async with opened(folder) as ledger:
        for number in range(30):
            await ledger.append(started(number))
        await ledger.checkpoint()
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*-shm"))


@pytest.mark.real
def test_a_copy_on_a_medium_that_cannot_be_written_is_verified_with_its_wal(tmp_path: Path) -> None:
    """As an investigator has it: a running host's folder, copied, mounted read-only."""
    disc = tmp_path / "disc"
    disc.mkdir()
    asyncio.run(copied_while_running(tmp_path / "ledger", disc / "ledger"))
    if subprocess.run(["/bin/mount", "-o", "bind,ro", str(disc), str(disc)], check=False).returncode:
        pytest.skip("only root can mount")
    try:
        found = verdict(disc / "ledger")
    finally:
        subprocess.run(["/bin/umount", str(disc)], check=True)
    assert (found.ok, found.size, found.unsigned) == (True, 30, 0)


async def test_a_crash_while_a_gap_is_being_recorded_does_not_forget_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, before = tmp_path / "ledger", tmp_path / "before"
    await fill(folder, 20)
    shutil.copytree(folder, before)
    async with opened(folder) as ledger:
        await ledger.append(started(90))
    publish(before, published(folder) or "")

    def crash(*args: object) -> None:
        raise apsw.IOError("the power fails here")

    with monkeypatch.context() as patch:
        patch.setattr(LedgerFile, "encode", crash)
        with pytest.raises(LedgerDown):
            async with opened(before):
                pass
    async with opened(before) as ledger:
        (gap,) = await ledger.entries(f"kind:{Kind.LEDGER_GAP}")
        assert gap.entry.data["lost"] == 1
    assert verdict(before).ok
