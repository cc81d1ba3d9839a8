"""Retention: old months go, what still matters stays, and everything behind them verifies as before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from authd.core.complete import check
from authd.core.model import Instant, Kind
from authd.core.tlog import leaf_hash, verify_inclusion
from authd.service.ledger import Flaw, Reader, open_checkpoint, prove, prove_complete, published, verify
from authd.service.ledger.file import LedgerFile
from authd.service.ledger.retire import retire, sweep
from authd.service.ledger.retired import Retired, path_of, read, retired_segments
from authd.service.ledger.seals import read_seal
from authd.service.ledger.segment import segments
from authd.service.sqlite import connect
from tests.service.ledgers import BEGIN, SIGNER, HandClock, entry, opened

MONTH_MS = 31 * 86_400_000
ROWS = 40


async def months(folder: Path, many: int = 4) -> HandClock:
    """A ledger of some months, with an enrolment and views in each; sealed once a month."""
    clock = HandClock()
    async with opened(folder, clock) as ledger:
        for month in range(many):
            data = {"template": f"tpl_{month}@1", "digest": "aa", "finger": "right_index"}
            await ledger.append(entry(Kind.ENROLMENT_CREATED, None, None, f"sub_{month}", data=data))
            for number in range(ROWS):
                await ledger.append(entry(Kind.VIEW_OPENED, number, data={"record": f"rec_{number % 5}"}))
            await ledger.seal()
            clock.step(31 * 86_400)
    return clock


def let_go(folder: Path, clock: HandClock, before: int) -> Retired | None:
    file = LedgerFile(folder, SIGNER, "boot-1", connect)
    try:
        file.open(Instant(clock.at), clock.wall_ms)
        return retire(file, before, Instant(clock.at), lambda: clock.wall_ms)
    finally:
        file.close()


def names(folder: Path, pattern: str) -> list[str]:
    return [path.name for path in folder.glob(pattern)]


def flaws(folder: Path) -> set[Flaw]:
    return {found.flaw for found in verify(folder, SIGNER.name, SIGNER.public_key).findings}


async def test_old_months_go_and_the_rest_verifies_goes_on_and_proves(tmp_path: Path) -> None:
    clock = await months(tmp_path)
    anchor = published(tmp_path)
    before = Reader(tmp_path).after(0, 1_000)
    gone = let_go(tmp_path, clock, BEGIN + 2 * MONTH_MS)
    assert gone is not None
    assert (gone.segments, len(segments(tmp_path))) == (2, 2)
    assert flaws(tmp_path) == set()
    assert verify(tmp_path, SIGNER.name, SIGNER.public_key, anchor).anchored
    async with opened(tmp_path, clock) as ledger:
        assert set(await ledger.anchors()) == {f"tpl_{month}" for month in range(4)}
        rows = await ledger.entries("record:rec_2")
        assert [row.bytes for row in rows] == [
            row.bytes for row in before if row.entry.data.get("record") == "rec_2" and row.seq > gone.seq
        ]
        await ledger.append(entry(Kind.VIEW_OPENED, 1, data={"record": "rec_2"}))
        since = BEGIN + 3 * MONTH_MS - 1
        proof = await ledger.prove_complete("record:rec_2", since, 1 << 60)
        found = check(proof.proof, read_seal(proof.row, proof.seal.leaf).index)
        assert [leaf for leaf, _ in sorted(found)] == [
            row.seq - 1 for row in await ledger.entries("record:rec_2", since)
        ]
        with pytest.raises(LookupError, match="no longer kept"):
            await ledger.prove_complete("record:rec_2", BEGIN, 1 << 60)
        (said,) = await ledger.entries(f"kind:{Kind.LEDGER_RETIRED}")
        assert said.entry.data["last"] == gone.seq
    head = open_checkpoint(published(tmp_path) or "", SIGNER.name, SIGNER.public_key)
    reader = Reader(tmp_path)
    for leaf, raw in reader.leaves(gone.size, head.size):
        assert verify_inclusion(leaf_hash(raw), leaf, head.size, prove(reader, leaf, head.size).path, head.root)
    assert flaws(tmp_path) == set()


async def test_months_go_twice_and_what_was_kept_stays_kept(tmp_path: Path) -> None:
    clock = await months(tmp_path, 5)
    let_go(tmp_path, clock, BEGIN + 2 * MONTH_MS)
    gone = let_go(tmp_path, clock, BEGIN + 4 * MONTH_MS)
    assert gone is not None
    assert len(gone.closings) == 2
    assert sorted(Reader(tmp_path).anchors()) == [f"tpl_{month}" for month in range(5)]
    assert names(tmp_path, "retired-*") == ["retired-000004.json"]
    assert flaws(tmp_path) == set()


async def test_nothing_goes_that_is_not_old_and_never_the_last_month(tmp_path: Path) -> None:
    clock = await months(tmp_path, 2)
    assert let_go(tmp_path, clock, BEGIN) is None
    assert let_go(tmp_path, clock, BEGIN + 99 * MONTH_MS) is not None
    assert len(segments(tmp_path)) == 1
    assert let_go(tmp_path, clock, BEGIN + 99 * MONTH_MS) is None


def forge_the_file(folder: Path) -> None:
    path = path_of(folder, 2)
    path.write_bytes(path.read_bytes().replace(b"sub_0", b"sub_9"))
    shutil.copytree(folder, folder / "fresh")  # read under another name: what was read once is remembered


def forget_the_file(folder: Path) -> None:
    path_of(folder, 2).unlink()


def take_another_month(folder: Path) -> None:
    segments(folder)[0].unlink()


@pytest.mark.parametrize("attack", [forge_the_file, forget_the_file, take_another_month])
async def test_a_month_that_went_otherwise_is_found(tmp_path: Path, attack: Callable[[Path], None]) -> None:
    ledger = tmp_path / "a"
    clock = await months(ledger)
    let_go(ledger, clock, BEGIN + 2 * MONTH_MS)
    attack(ledger)
    assert flaws(ledger / "fresh" if attack is forge_the_file else ledger) & {Flaw.SEGMENT, Flaw.INDEX}


async def test_months_taken_away_with_a_made_up_file_are_found(tmp_path: Path) -> None:
    """The file alone lets nothing go: the ledger must say so, and it is signed."""
    clock = await months(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    let_go(tmp_path / "a", clock, BEGIN + 2 * MONTH_MS)
    shutil.copyfile(path_of(tmp_path / "a", 2), path_of(tmp_path / "b", 2))
    assert Flaw.SEGMENT in flaws(tmp_path / "b")


async def test_a_crash_on_the_way_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = await months(tmp_path)

    def crash(*_: object) -> None:
        raise OSError("power")

    for step in ("_put", "sweep"):
        with monkeypatch.context() as patch:
            patch.setattr(f"authd.service.ledger.retire.{step}", crash)
            with pytest.raises(OSError, match="power"):
                let_go(tmp_path, clock, BEGIN + 2 * MONTH_MS)
        assert flaws(tmp_path) == set()
        assert sorted(Reader(tmp_path).anchors()) == [f"tpl_{month}" for month in range(4)]
    assert retired_segments(tmp_path) == 2
    sweep(tmp_path)
    assert len(names(tmp_path, "*.sqlite")) == 2
    assert flaws(tmp_path) == set()
    assert read(tmp_path).segments == 2


async def test_what_is_kept_is_proved(tmp_path: Path) -> None:
    clock = await months(tmp_path)
    gone = let_go(tmp_path, clock, BEGIN + 2 * MONTH_MS)
    assert gone is not None
    assert gone.faults() == []
    assert [row.entry.kind for row in gone.rows()] == [Kind.ENROLMENT_CREATED] * 2
    head = open_checkpoint(published(tmp_path) or "", SIGNER.name, SIGNER.public_key)
    assert prove_complete(Reader(tmp_path), "record:rec_x", BEGIN + 3 * MONTH_MS, 1 << 60, head.size).proof.stretches
