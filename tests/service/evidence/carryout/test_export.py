"""Tables as city halls write them, and what an export makes of them."""

from __future__ import annotations

import csv
import hashlib
import os
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authd.service.evidence.carryout.export import Written, export
from authd.service.evidence.carryout.table import BadTable, look
from authd.service.evidence.trace import About, Prints

KEY = bytes(range(32))
ABOUT = About(id="co_000000000001", kind="export", title="t", made="2026-11-24T12:00:00+00:00")
HEAD = ["宛名番号", "氏名", "備考"]
NOTE = 'a "quoted", cell\nof two lines'
ROWS = [[f"{n:08d}", f"髙橋{n % 50}" if n % 2 else f"佐藤{n}", "" if n % 7 else NOTE] for n in range(500)]


def written(path: Path, encoding: str, newline: str = "\r\n", delimiter: str = ",") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, lineterminator=newline, delimiter=delimiter).writerows([HEAD, *ROWS])
    return path


def read(path: Path, encoding: str, delimiter: str = ",") -> list[list[str]]:
    with path.open(encoding=encoding, newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


def made(path: Path, out: Path, told: list[Written] | None = None) -> Written:
    table = look(path)
    note = told if told is not None else []
    return export(KEY, table, out, out.parent, ABOUT, table.number(None), note.append)


@pytest.mark.parametrize(
    ("encoding", "delimiter"), [("cp932", ","), ("utf-8", ","), ("utf-8-sig", ","), ("utf-16", "\t"), ("cp932", "\t")]
)
def test_an_export_is_written_as_its_source_is(tmp_path: Path, encoding: str, delimiter: str) -> None:
    out = tmp_path / "out.csv"
    done = made(written(tmp_path / "in.csv", encoding, delimiter=delimiter), out)
    rows = read(out, encoding, delimiter)
    assert rows[0] == HEAD
    assert [row for row in rows[1:] if row in ROWS] == ROWS
    assert len(rows) == 1 + 500 + done.canaries
    assert done.canaries == 2
    assert done.file == hashlib.sha256(out.read_bytes()).hexdigest()
    assert b"\r\n" in out.read_bytes().replace(b"\x00", b"")


def test_the_canaries_are_the_prints_strangers(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    made(written(tmp_path / "in.csv", "utf-8"), out)
    rows = read(out, "utf-8")[1:]
    with Prints(tmp_path / "prints" / f"{ABOUT.id}.prints") as known:
        strangers = {number for number, row in enumerate(rows) if row not in ROWS}
        assert set(known.about.canaries) == strangers
        assert known.about.columns == tuple(HEAD)


def test_the_same_export_has_the_same_canaries_and_another_has_others(tmp_path: Path) -> None:
    path = written(tmp_path / "in.csv", "utf-8")
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    made(path, folders[0] / "out.csv")
    made(path, folders[1] / "out.csv")
    table = look(path)
    export(KEY, table, folders[2] / "out.csv", folders[2], About(id="co_2", kind="export"), None, lambda _: None)
    same, again, other = ((folder / "out.csv").read_bytes() for folder in folders)
    assert same == again != other


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("mine")
    with pytest.raises(FileExistsError):
        made(written(tmp_path / "in.csv", "utf-8"), out)
    assert out.read_text() == "mine"
    assert not list(tmp_path.glob(".*.part"))


def test_where_the_ledger_is_not_told_the_file_gets_no_name(tmp_path: Path) -> None:
    out, table = tmp_path / "out.csv", look(written(tmp_path / "in.csv", "utf-8"))

    def down(_made: Written) -> None:
        raise OSError("down")

    with pytest.raises(OSError, match="down"):
        export(KEY, table, out, tmp_path, ABOUT, None, down)
    assert not out.exists()
    assert not list(tmp_path.glob(".*.part"))


def test_a_source_that_changes_meanwhile_is_found(tmp_path: Path) -> None:
    path = written(tmp_path / "in.csv", "utf-8")
    table = look(path)
    path.write_text("a,b,c\n1,2,3\n", encoding="utf-8")
    with pytest.raises(BadTable, match="changed while it was read"):
        export(KEY, table, tmp_path / "out.csv", tmp_path, ABOUT, None, lambda _: None)


def test_one_row_has_no_room_for_canaries_and_is_written_all_the_same(tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text("number,name\n1,x\n", encoding="utf-8")
    assert made(path, out).canaries == 0
    assert out.read_text(encoding="utf-8") == "number,name\n1,x\n"


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"", ":1: expected a heading"),
        (b"a,a\n", ":1: expected a heading"),
        (b"a,\n1,2\n", ":1: expected a heading"),
        (b"a,b\n1,2\n1,2,3\n", ":3: expected 2 cells"),
        (b'a,b\n"1,2\n', "not CSV"),
        (b"a,b\n\x81 ,2\n", "neither UTF-8, CP932 nor UTF-16"),
        (b"a,b\n1," + b"x" * 100_001 + b"\n", "not CSV"),
        (b"a,b\n1,\x00\n", ""),
    ],
)
def test_what_is_no_table_is_named_with_its_line(tmp_path: Path, raw: bytes, where: str) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(raw)
    if not where:
        look(path)
        return
    with pytest.raises(BadTable) as caught:
        look(path)
    assert where in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(raw=st.binary(max_size=200) | st.text(max_size=60).map(lambda text: text.encode("utf-16", "surrogatepass")))
def test_any_bytes_are_a_table_or_are_not(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(raw)
    with suppress(BadTable):
        table = look(path)
        assert len(list(table.each())) == table.rows


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n")
        file.truncate(200_000_000)
    tracemalloc.start()
    with pytest.raises(BadTable):
        look(path)
    assert tracemalloc.get_traced_memory()[1] < 60_000_000
    tracemalloc.stop()


def test_a_pipe_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in.csv")
    with pytest.raises(BadTable, match="plain file"):
        look(tmp_path / "in.csv")


def test_the_column_of_numbers_is_found_or_named(tmp_path: Path) -> None:
    table = look(written(tmp_path / "in.csv", "utf-8"))
    assert table.number(None) == "宛名番号"
    assert table.number("氏名") == "氏名"
    with pytest.raises(BadTable, match="there are: 宛名番号, 氏名, 備考"):
        table.number("nothing")
