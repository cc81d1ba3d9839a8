"""Whoever changes the files behind the daemon's back is found: every edit, deletion, swap, insertion, cut tail."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path

import apsw
import pytest

from authd.core.model import Instant
from authd.service.ledger import Flaw, Verdict, verify
from authd.service.ledger.file import LedgerFile
from authd.service.ledger.head import Head, open_checkpoint, published
from authd.service.ledger.record import BadRow, decode, encode
from authd.service.ledger.segment import checkpoints, segments
from authd.service.ledger.walk import Walk
from authd.service.sqlite import Database, connect
from tests.service.ledgers import BEGIN, OTHER, SIGNER, ended, fill, opened, started

Row = tuple[int, bytes]
ROWS, STRETCH = 10_000, 10


@contextmanager
def editing(path: Path) -> Generator[Database]:
    """A connection such as an attacker opens, with everything brought into the one file afterwards."""
    db = Database(apsw.Connection(str(path)))
    try:
        yield db
        db.empty_wal()
    finally:
        db.close()


def verdict(folder: Path, anchor: str | None = None) -> Verdict:
    return verify(folder, SIGNER.name, SIGNER.public_key, anchor)


def flaws(folder: Path, anchor: str | None = None) -> set[Flaw]:
    return {found.flaw for found in verdict(folder, anchor).findings}


def only(folder: Path) -> Path:
    (path,) = segments(folder)
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10,000 rows; a signed checkpoint every 10 rows."""
    folder = tmp_path_factory.mktemp("large")
    make_large(folder)
    return folder


def make_large(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("authd.service.ledger.file.MILESTONE", STRETCH)
        file = LedgerFile(folder, SIGNER, "boot-1", connect)
        file.open(Instant(0), BEGIN)
        for at in range(0, ROWS, STRETCH):
            entries = [ended(number // 2) if number % 2 else started(number // 2) for number in range(at, at + STRETCH)]
            file.commit(file.encode([(one, BEGIN + at) for one in entries]), sign=True)
        file.close()


def test_every_single_row_change_in_10000_rows_is_found(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of six changes at each row, judged by the very walk that `verify` makes, over the stretch it lies in."""
    monkeypatch.setattr("authd.service.ledger.walk.open_checkpoint", cache(open_checkpoint))
    db = connect(only(large), True)
    stored = list(checkpoints(db, large))
    rows: list[Row] = [(int(seq), bytes(raw)) for seq, raw in db.execute("SELECT seq, bytes FROM entry ORDER BY seq")]
    db.close()
    assert len(rows) == ROWS
    assert len(stored) == ROWS // STRETCH + 1
    tried = 0
    for (start, _), end in pairwise(stored):
        stretch = rows[start.tree.size : end[0].tree.size]
        assert not found(start, stretch, end), "nothing was changed"
        for at in range(len(stretch)):
            for name, change in CHANGES.items():
                assert found(start, change(stretch, at), end), f"{name} of row {stretch[at][0]} was missed"
                tried += 1
    assert tried == ROWS * len(CHANGES)


def found(start: Head, rows: list[Row], end: tuple[Head, str]) -> bool:
    walk = Walk(SIGNER.name, SIGNER.public_key, start.copy())
    try:
        for _ in walk.rows("", rows, iter([end])):
            pass
    except BadRow:
        return True
    return not walk.end().ok or walk.signed != end[0].tree.size


def edited(rows: list[Row], at: int) -> list[Row]:
    """One character of the content, chosen by the row's number; most of the results are still good rows."""
    seq, raw = rows[at]
    where = seq * 7919 % len(raw)
    return [*rows[:at], (seq, raw[:where] + bytes([raw[where] ^ 1]) + raw[where + 1 :]), *rows[at + 1 :]]


def renamed(rows: list[Row], at: int) -> list[Row]:
    """Somebody else in the place of the person: a perfect row otherwise."""
    seq, raw = rows[at]
    return [*rows[:at], (seq, raw.replace(b'"sub_a"', b'"sub_b"')), *rows[at + 1 :]]


def deleted(rows: list[Row], at: int) -> list[Row]:
    return rows[:at] + rows[at + 1 :]


def deleted_and_renumbered(rows: list[Row], at: int) -> list[Row]:
    return renumbered(rows[:at] + rows[at + 1 :], rows[0][0])


def swapped(rows: list[Row], at: int) -> list[Row]:
    """With the next, or the one before; numbers put right, as a careful forger would."""
    order = list(rows)
    other = at + 1 if at + 1 < len(rows) else at - 1
    order[at], order[other] = order[other], order[at]
    return renumbered(order, rows[0][0])


def inserted(rows: list[Row], at: int) -> list[Row]:
    return renumbered([*rows[:at], (0, encode(0, BEGIN, "boot-1", started(77))), *rows[at:]], rows[0][0])


def renumbered(rows: list[Row], first: int) -> list[Row]:
    again: list[Row] = []
    for seq, (_, raw) in enumerate(rows, first):
        row = decode(raw)
        again.append((seq, raw if row.seq == seq else encode(seq, row.wall_ms, row.boot, row.entry)))
    return again


CHANGES: dict[str, Callable[[list[Row], int], list[Row]]] = {
    "edit": edited,
    "renaming": renamed,
    "deletion": deleted,
    "deletion, renumbered": deleted_and_renumbered,
    "swap": swapped,
    "insertion": inserted,
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_in_the_file_itself_are_found_by_verify(large: Path, tmp_path: Path, name: str) -> None:
    assert verdict(large).ok
    dice = random.Random(name)
    for number in range(3):
        copy = tmp_path / str(number)
        shutil.copytree(large, copy)
        rewrite(copy, CHANGES[name], dice.randrange(ROWS))
        assert not verdict(copy).ok


def rewrite(folder: Path, change: Callable[[list[Row], int], list[Row]], at: int) -> None:
    """Make the change in the file, index included, by the book."""
    with editing(only(folder)) as db, db.transaction():
        rows: list[Row] = [(int(seq), bytes(raw)) for seq, raw in db.execute("SELECT seq, bytes FROM entry")]
        rows = change(rows, at)
        db.execute("DELETE FROM entry")
        db.executemany("INSERT INTO entry VALUES(?, ?)", rows)


async def test_the_place_of_an_edit_is_named_to_a_stretch(large: Path, tmp_path: Path) -> None:
    shutil.copytree(large, tmp_path / "copy")
    rewrite(tmp_path / "copy", renamed, 5_015)
    (first, *_) = verdict(tmp_path / "copy").findings
    assert (first.flaw, first.first, first.last) == (Flaw.CHANGED, 5_011, 5_020)


async def test_a_cut_tail_is_found_against_the_checkpoint_outside(tmp_path: Path) -> None:
    await fill(tmp_path / "ledger", 40)
    before = tmp_path / "before"
    shutil.copytree(tmp_path / "ledger", before)
    async with opened(tmp_path / "ledger") as ledger:
        await ledger.append(started(90))
        anchor = await ledger.checkpoint()
        await ledger.append(ended(90))
    assert verdict(tmp_path / "ledger", anchor).anchored
    # The whole folder put back as it was, checkpoint file and all: only somebody outside can tell.
    assert verdict(before).ok
    assert not verdict(before).anchored
    assert flaws(before, anchor) == {Flaw.TAIL}
    # Another history of the same length, signed by the same key.
    async with opened(before) as ledger:
        await ledger.append(started(91))
        await ledger.append(ended(91))
    assert verdict(before).ok
    assert flaws(before, anchor) == {Flaw.ANCHOR}


async def test_an_anchor_signed_by_somebody_else_is_no_anchor(tmp_path: Path) -> None:
    await fill(tmp_path / "ledger", 4)
    note = published(tmp_path / "ledger") or ""
    assert verdict(tmp_path / "ledger", note).anchored
    assert flaws(tmp_path / "ledger", note.replace("\n4\n", "\n5\n")) == {Flaw.ANCHOR}
    assert flaws(tmp_path / "ledger", "hello") == {Flaw.ANCHOR}
    other = verify(tmp_path / "ledger", OTHER.name, OTHER.public_key)
    assert {one.flaw for one in other.findings} == {Flaw.SIGNATURE}
