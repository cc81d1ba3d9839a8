"""Hints to the disk: they ask for the pages that hold the rows, change no answer, and do no harm where they lie."""

from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from authd.service.ledger import Reader, ahead
from authd.service.ledger.ahead import AT_ONCE, FEW, MOST_KNOWN, Pages, descriptors, read_all
from authd.service.sqlite import Database
from tests.service.ledgers import fill
from tests.service.test_ledger_tampering import only

SIZE = 512


def small_pages(path: Path, rows: int) -> Database:
    """A table like a segment's, deep for its few rows; with holes among the numbers, as lost rows leave them."""
    db = Database(apsw.Connection(str(path)))
    db.pragma("page_size", SIZE)
    db.execute("CREATE TABLE entry(seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL)")
    with db.transaction():
        db.executemany(
            "INSERT INTO entry VALUES(?, ?)", ((number * 3, row_of(number * 3)) for number in range(1, rows))
        )
    return db


def row_of(number: int) -> bytes:
    return b"<row %d>" % number + b"." * 90


@pytest.fixture
def asked(mocker: MockerFixture) -> list[int]:
    """The pages that the disk is asked for."""
    found: list[int] = []

    def ask(_: int, at: int, length: int) -> None:
        found.append(at // length + 1)

    mocker.patch.object(ahead, "_soon", side_effect=ask)
    return found


def test_the_pages_asked_for_hold_the_rows(tmp_path: Path, asked: list[int]) -> None:
    path, dice = tmp_path / "table", random.Random(3)
    db = small_pages(path, 40_000)
    with path.open("rb") as file:
        pages = Pages(db, file.fileno())
        for many in (FEW + 1, 30, 250):
            asked.clear()
            numbers = sorted(dice.sample(range(3, 120_000, 3), many))
            pages.soon(numbers)
            held = b"".join(os.pread(file.fileno(), SIZE, (page - 1) * SIZE) for page in asked)
            assert all(b"<row %d>" % number in held for number in numbers)
            assert len(asked) < 5 * many  # a path down for each, not the table
    db.close()


def test_few_rows_are_read_without_asking(tmp_path: Path, asked: list[int]) -> None:
    db = small_pages(tmp_path / "table", 100)
    with (tmp_path / "table").open("rb") as file:
        Pages(db, file.fileno()).soon([3, 6, 9])
    assert not asked
    db.close()


def test_a_table_that_grows_and_becomes_deeper_is_followed(tmp_path: Path, asked: list[int]) -> None:
    path = tmp_path / "table"
    db = small_pages(path, 30)
    with path.open("rb") as file:
        pages = Pages(db, file.fileno())
        for rows in range(30, 6_000, 470):
            with db.transaction():
                new = ((number * 3, row_of(number * 3)) for number in range(rows, rows + 470))
                db.executemany("INSERT INTO entry VALUES(?, ?)", new)
            asked.clear()
            numbers = [3 * number for number in range(1, rows + 470, 37)]
            pages.soon(numbers)
            held = b"".join(os.pread(file.fileno(), SIZE, (page - 1) * SIZE) for page in asked)
            assert all(b"<row %d>" % number in held for number in numbers)
    db.close()


@given(st.binary(max_size=SIZE), st.lists(st.integers(0, 1 << 62), min_size=FEW + 1, max_size=9).map(sorted))
def test_pages_that_lie_do_no_harm(page: bytes, numbers: list[int]) -> None:
    table = os.memfd_create("table")
    try:
        os.pwrite(table, b"\x05" + page, SIZE)
        pages = Pages.__new__(Pages)
        pages._descriptor, pages._size, pages._root, pages._known = table, SIZE, 2, {}  # pyright: ignore[reportPrivateUsage] (no table)
        pages.soon(numbers)
    finally:
        os.close(table)


@pytest.mark.parametrize("descriptor", [-1, 10_000])
def test_a_descriptor_that_is_gone_does_no_harm(tmp_path: Path, descriptor: int) -> None:
    db = small_pages(tmp_path / "table", 100)
    Pages(db, descriptor).soon(list(range(3, 100, 3)))
    db.close()


def test_parts_of_files_are_what_they_are_in_memory_or_not(tmp_path: Path) -> None:
    dice, parts, wanted = random.Random(4), list[tuple[Path, int, int]](), list[bytes | None]()
    for number in range(2 * AT_ONCE + 7):
        path, at = tmp_path / f"{number}.span", dice.randrange(50_000)
        content = dice.randbytes(90_000)
        if number % 9:
            path.write_bytes(content)
        parts.append((path, at, 8_192))
        wanted.append(content[at : at + 8_192] if number % 9 else None)
    for path, _, _ in parts[::2]:
        with suppress(FileNotFoundError), path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert list(read_all(parts)) == wanted
    assert not any(descriptors(path) for path, _, _ in parts)
    path, content = parts[1][0], parts[1][0].read_bytes()
    assert list(read_all([(path, 89_000, 8_192), (path, 0, 10)])) == [content[89_000:], content[:10]]


@pytest.mark.parametrize("refused", ["preadv", "posix_fadvise"])
def test_a_system_that_takes_no_hints_answers_the_same(tmp_path: Path, mocker: MockerFixture, refused: str) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    mocker.patch.object(os, refused, side_effect=OSError(95, "not supported"))
    assert list(read_all([(tmp_path / "a", 2, 3), (tmp_path / "b", 2, 3)])) == [b"234", None]


async def test_a_segment_is_opened_by_sqlite_alone(tmp_path: Path, mocker: MockerFixture) -> None:
    """Whoever opens it a second time and closes it would take SQLite's locks from it."""
    await fill(tmp_path, 300)
    opened = mocker.spy(os, "open")
    soon = mocker.spy(ahead, "_soon")
    reader = Reader(tmp_path)
    assert len(reader.find("seat:counter-1")) == 60
    assert soon.call_count > 0
    assert {call.args[0] for call in soon.call_args_list} <= descriptors(only(tmp_path))
    assert only(tmp_path) not in {call.args[0] for call in opened.call_args_list}
    reader.close()
    assert not descriptors(only(tmp_path))


def test_a_process_that_cannot_see_its_descriptors_has_none(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(ahead, "_DESCRIPTORS", tmp_path / "none")
    assert descriptors(tmp_path / "a") == set()


def test_what_is_kept_of_a_table_is_bounded(tmp_path: Path) -> None:
    db = small_pages(tmp_path / "table", 20_000)
    with (tmp_path / "table").open("rb") as file:
        pages = Pages(db, file.fileno())
        pages.soon(range(3, 60_000, 3))
        assert 0 < len(pages._known) <= MOST_KNOWN  # pyright: ignore[reportPrivateUsage] (memory is what is tested)
    db.close()
