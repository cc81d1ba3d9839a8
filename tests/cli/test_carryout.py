"""`authd carryout` and `authd export`, through a real door, to the real part, with fingers on both seats."""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from authd.core.model import Kind
from authd.locale import text
from authd.service.evidence.carryout import SAID, Why
from authd.service.evidence.trace import Prints
from tests.cli.conftest import Authd
from tests.cli.hall import Hall, open_hall
from tests.service.desks import TWO

ROWS = [[f"{number:06d}", f"佐藤{number}", f"{number % 9 + 1}丁目"] for number in range(400)]


@pytest.fixture
async def hall(folder: Path, authd: Authd, tmp_path: Path, patient: None) -> AsyncGenerator[Hall, None]:
    async with open_hall(folder, tmp_path, authd) as made:
        yield made


@pytest.fixture
def rows(folder: Path) -> Path:
    path = folder / "rows.csv"
    with path.open("w", encoding="cp932", newline="") as file:
        csv.writer(file).writerows([["宛名番号", "氏名", "住所"], *ROWS])
    return path


async def test_an_export_from_the_wish_to_the_return(hall: Hall, rows: Path) -> None:
    out = hall.folder / "list.csv"
    id_, token = await hall.granted("--destination", out)
    done = await hall.authd("export", "--capability", token, "--in", rows, "--out", out)
    assert done.code == 0, done.err
    assert "400 rows and 2 canary rows" in done.out
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    found = list(csv.reader(out.read_text(encoding="cp932").splitlines()))
    strange = [row for row in found[1:] if row not in ROWS]
    assert [row for row in found[1:] if row in ROWS] == ROWS
    assert len(strange) == 2
    (row,) = await hall.desk.rows(Kind.CARRYOUT_EXPORTED)
    assert (row.entry.data["rows"], row.entry.data["canaries"]) == (400, 2)
    prints = hall.folder / "state" / "prints" / f"{id_}.prints"
    assert stat.S_IMODE(prints.stat().st_mode) == 0o600
    with Prints(prints) as known:
        assert known.about.rows == 402
        assert len(known.about.canaries) == 2
    listed = await hall.authd("carryout", "list")
    assert (listed.code, listed.out.split("\t")[:2]) == (0, [id_, "OUT"])
    back = await hall.desk.touching(TWO, "chief", hall.authd("carryout", "return", id_, "--seat", "counter-2"))
    assert back.code == 0
    assert "Nothing waits" in (await hall.authd("carryout", "list")).err


@pytest.mark.real
async def test_a_tenth_of_an_export_is_known_again_sorted_otherwise(hall: Hall, rows: Path) -> None:
    out, found = hall.folder / "list.csv", hall.folder / "found"
    id_, token = await hall.granted("--destination", out)
    assert (await hall.authd("export", "--capability", token, "--in", rows, "--out", out)).code == 0
    found.mkdir()
    some = [[name, number] for number, name, _ in sorted(ROWS, key=lambda row: row[1])[::10]]
    (found / "holiday.txt").write_text("\n".join(map("\t".join, some)), encoding="utf-8")
    (found / "other.txt").write_text("\n".join(f"山田{n}\t{n:06d}" for n in range(900_000, 900_040)), encoding="utf-8")
    said = await hall.authd("trace", found, "--config", hall.folder / "authd.toml")
    assert said.code in (0, 1), said.err
    assert id_ in said.out
    assert "holiday.txt" in said.out
    assert "other.txt" not in said.out


async def test_an_export_is_written_once_and_for_that_file(hall: Hall, rows: Path) -> None:
    out = hall.folder / "list.csv"
    _, token = await hall.granted("--destination", out)
    elsewhere = await hall.authd("export", "--capability", token, "--in", rows, "--out", hall.folder / "other.csv")
    assert (elsewhere.code, elsewhere.err) == (4, f"authd: {SAID[Why.DESTINATION]}\n")
    assert (await hall.authd("export", "--capability", token, "--in", rows, "--out", out)).code == 0
    out.unlink()
    again = await hall.authd("export", "--capability", token, "--in", rows, "--out", out)
    assert (again.code, again.err) == (4, f"authd: {SAID[Why.SPENT]}\n")
    assert not out.exists()


async def test_more_rows_than_were_allowed_are_not_written(hall: Hall, rows: Path) -> None:
    out = hall.folder / "list.csv"
    _, token = await hall.granted("--destination", out, "--rows", 399)
    said = await hall.authd("export", "--capability", token, "--in", rows, "--out", out)
    assert (said.code, said.err) == (4, f"authd: {SAID[Why.ROWS]}\n")
    assert not out.exists()


async def test_where_the_ledger_is_not_told_there_is_no_file(hall: Hall, rows: Path, monkeypatch: Any) -> None:
    out = hall.folder / "list.csv"
    id_, token = await hall.granted("--destination", out)

    async def down(_id: str, _what: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(hall.desk.carryouts, "exported", down)
    said = await hall.authd("export", "--capability", token, "--in", rows, "--out", out)
    assert said.code == 1
    assert f"The carry-out {id_} is spent and no file was made" in said.err
    assert [path.name for path in hall.folder.glob("*list*")] == []
    assert len(hall.desk.carryouts.book.out()) == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "expected a heading"),
        ("a,a\n1,2\n", "expected a heading"),
        ("a,b\n1\n", ":2: expected 2 cells"),
        ('a,b\n1,"2\n', "not CSV"),
        ("a,b\n\x81\n", ""),
    ],
)
async def test_a_file_that_is_no_table_spends_nothing(hall: Hall, content: str, expected: str) -> None:
    path, out = hall.folder / "bad.csv", hall.folder / "list.csv"
    path.write_bytes(content.encode("latin-1"))
    said = await hall.authd("export", "--capability", "cap_x", "--in", path, "--out", out)
    assert said.code == 2
    assert expected in said.err
    assert said.err.count("\n") == 1
    assert await hall.desk.rows(Kind.CARRYOUT_BLOCKED) == []


async def test_a_drive_is_named_where_it_is_refused_and_opens_once_it_is_allowed(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the environment that udev gives (`ID_*` of usb_id), not by udev itself."""
    monkeypatch.setenv("ID_VENDOR_ID", "0781")
    monkeypatch.setenv("ID_MODEL_ID", "5581")
    assert (await hall.authd("carryout", "check-usb")).code == 4  # no serial number
    monkeypatch.setenv("ID_SERIAL_SHORT", "4C530001")
    said = await hall.authd("carryout", "check-usb")
    assert said.code == 4
    assert "usb 0781:5581:4C530001" in said.err
    assert SAID[Why.UNKNOWN] in said.err
    await hall.granted("--destination", "usb 0781:5581:4C530001", kind="usb")
    assert (await hall.authd("carryout", "check-usb")).code == 0
    assert (await hall.authd("carryout", "check-usb")).code == 4


async def test_a_print_brings_its_capability_or_its_title(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ("carryout", "check-print", "--queue", "office", "--title", "list")
    assert (await hall.authd(*page)).code == 4
    await hall.granted("--destination", "office", "--title", "list", kind="print")
    assert (await hall.authd(*page, "--copies", 2)).code == 4
    assert (await hall.authd(*page, "--user", "ito")).code == 0
    (row,) = await hall.desk.rows(Kind.CARRYOUT_USED)
    assert row.entry.data["user"] == "ito"
    _, token = await hall.granted("--destination", "office", kind="print")
    assert (await hall.authd(*page)).code == 4
    monkeypatch.setenv("AUTHD_CAPABILITY", token)
    assert (await hall.authd(*page)).code == 0


async def test_a_print_whose_words_are_no_utf_8(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an old machine names it: a title and a user in Shift_JIS, an option of any bytes."""
    page = ("carryout", "check-print", "--queue", "office", "--user", os.fsdecode("伊藤".encode("cp932")))
    refused = await hall.authd(*page, "--title", os.fsdecode("名簿".encode("cp932")))
    assert (refused.code, SAID[Why.UNKNOWN] in refused.err) == (4, True)
    monkeypatch.setenv("AUTHD_CAPABILITY", os.fsdecode(b"\xff"))
    assert (await hall.authd(*page)).code == 4
    monkeypatch.delenv("AUTHD_CAPABILITY")
    await hall.granted("--destination", "office", "--title", "list", kind="print")
    assert (await hall.authd(*page, "--title", "list")).code == 0
    (row,) = await hall.desk.rows(Kind.CARRYOUT_USED)
    assert row.entry.data["user"] == "伊藤"


async def test_a_drive_whose_serial_number_is_no_utf_8(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("VENDOR_ID", b"0781"), ("MODEL_ID", b"5581"), ("SERIAL_SHORT", b"4C\xff")):
        monkeypatch.setenv(f"ID_{name}", os.fsdecode(value))
    said = await hall.authd("carryout", "check-usb")
    assert (said.code, "usb 0781:5581:4C\\xff" in said.err) == (4, True)


async def test_a_baseline_is_known_by_its_fingerprints(hall: Hall, rows: Path) -> None:
    said = await hall.authd("carryout", "baseline", rows, "--title", "voters 2026")
    assert said.code == 0, said.err
    (row,) = await hall.desk.rows(Kind.CARRYOUT_BASELINE)
    assert (row.entry.data["name"], row.entry.data["rows"]) == ("voters 2026", 400)
    assert (hall.folder / "state" / "prints" / f"{row.entry.data['carryout']}.prints").exists()


async def test_it_is_said_in_japanese_too(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")
    said = await hall.authd("carryout", "approve", "co_x", "--seat", "counter-2")
    assert said.code == 4
    assert said.err.splitlines()[-1].startswith("authd: そのような持ち出しはありません")


async def test_what_is_overdue_is_told_by_the_exit_code(hall: Hall, rows: Path, monkeypatch: Any) -> None:
    out = hall.folder / "list.csv"
    _, token = await hall.granted("--destination", out)
    await hall.authd("export", "--capability", token, "--in", rows, "--out", out)
    later = hall.desk.ground.clock.wall_ms() + 8 * 86_400_000
    monkeypatch.setattr(hall.desk.ground.clock, "wall_ms", lambda: later)
    listed = await hall.authd("carryout", "list")
    assert (listed.code, listed.out.split("\t")[1]) == (1, "OVERDUE")


@pytest.mark.parametrize("why", list(Why))
def test_the_terminal_says_what_the_door_says(why: Why) -> None:
    assert text(f"carryout_why.{why.value}", "en") == SAID[why]
    assert text(f"carryout_why.{why.value}", "ja").isascii() is False
