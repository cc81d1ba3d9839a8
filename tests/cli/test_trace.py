"""`authd trace`: the answer as people and scripts read it, with the names from the ledger."""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from authd.cli import trace
from authd.core.model import Entry, Kind, SeatId, SessionId, SubjectId, Value
from authd.service.evidence.trace import About, PrintsMaker, canaries
from authd.service.keys import Keys
from authd.service.seal import SealedTemplate, WrappedKey
from authd.service.staff import PersonRecord
from authd.service.store_file import StoreFile
from authd_simulators.leak import formats
from authd_simulators.leak.residents import COLUMNS, residents
from tests.service.ledgers import HandClock, opened

SATO = PersonRecord(SubjectId("sub_a"), "1001", "佐藤 花子", "サトウ ハナコ", "選挙管理委員会")
TEMPLATE = SealedTemplate("tpl_1", 1, "sub_a", "vein", "right-index", b"sealed")
PEOPLE = list(residents(400, 3))
Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.real


def of_sato(kind: Kind, **data: Value) -> Entry:
    return Entry(
        kind, SeatId("counter-1"), subject=SATO.subject, session=SessionId("ses_1"), data={"carryout": "co_1", **data}
    )


async def tell(state: Path, digest: str) -> None:
    """An export that was asked for, allowed and made."""
    async with opened(state / "ledger", HandClock()) as ledger:
        asked = {"system": "voters", "purpose": "名簿更新", "destination": "usb"}
        await ledger.append(of_sato(Kind.CARRYOUT_REQUESTED, rows=400, **asked))
        await ledger.append(Entry(Kind.CARRYOUT_GRANTED, subject=SubjectId("sub_b"), data={"carryout": "co_1"}))
        await ledger.append(of_sato(Kind.CARRYOUT_EXPORTED, rows=400, canaries=2, file="0", prints=digest))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    state = tmp_path / "state"
    Keys(state).create()
    key = Keys(state).record_key()
    maker = PrintsMaker(key, COLUMNS, number="宛名番号")
    for row in PEOPLE:
        maker.add(row)
    for row in canaries(key, "co_1", COLUMNS, PEOPLE, 2):
        maker.add(row, canary=True)
    written = maker.write(state / "prints", About(id="co_1", kind="export", title="有権者名簿"))
    asyncio.run(tell(state, written.digest))
    store = StoreFile.open(state / "store.sqlite")
    store.enrol(SATO, [WrappedKey("sub_a", b"key")], [TEMPLATE])
    store.close()
    return state


@pytest.fixture
def found(tmp_path: Path) -> Path:
    found = tmp_path / "found"
    (found / "backup").mkdir(parents=True)
    (found / "backup/x.dat").write_bytes(formats.listed(reversed(PEOPLE[100:110]), "utf-16"))
    (found / "minutes.txt").write_text("定例会 山田 花子 1980-03-02", "cp932")
    (found / "old.xls").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600))
    (found / "evil\x1b[2J.csv").symlink_to("/etc/passwd")
    return found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], state: Path, found: Path) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        parser = argparse.ArgumentParser()
        trace.register(parser.add_subparsers())
        args = parser.parse_args(["trace", str(found), "--ledger", str(state / "ledger"), "--workers", "1", *words])
        code = args.run(args)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_the_answer_names_file_export_person_and_session(run: Run) -> None:
    code, out, _ = run("--lang", "en")
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == "2 of 4 files read against 1 data sets: 1 have residents' data, of 10 residents."
    assert "1. backup/x.dat (text): 10 rows" in lines
    assert "from the export 有権者名簿 [co_1]: 10 of its 402 rows (2.5%)" in out
    assert "佐藤 花子 (1001, 選挙管理委員会)" in out
    assert "session ses_1" in out
    assert "no return and no erasure is recorded" in out
    assert "Who put the file where it was found, this does not say" in out
    assert "old.xls" in out
    assert "\x1b" not in out
    assert "minutes" not in out


def test_the_answer_in_japanese(run: Run) -> None:
    _, out, _ = run("--lang", "ja")
    assert "持ち出し 有権者名簿 [co_1]: 全 402 行のうち 10 行" in out
    assert "シンボリックリンク" in out


def test_the_answer_for_scripts(run: Run) -> None:
    code, out, err = run("--json")
    assert (code, err) == (1, "")
    lines = [json.loads(line) for line in out.splitlines()]
    summary = lines[0]["summary"]
    assert (summary["files"], summary["found"], summary["residents"]) == (4, 1, 10)
    assert summary["not_read"] == {"old_office": 1, "symlink": 1}
    (leak,) = (line["found"] for line in lines if "found" in line)
    (origin,) = leak["origins"]
    assert (origin["data_set"], origin["rows"], origin["of"], origin["canaries"]) == ("co_1", 10, 402, 0)
    assert origin["ledger"]["person"]["staff_number"] == "1001"
    assert origin["ledger"]["approver"]["subject"] == "sub_b"
    assert (origin["ledger"]["session"], origin["ledger"]["seat"]) == ("ses_1", "counter-1")


def test_the_list_of_residents(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "who.csv"
    run("--residents", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    assert [row["row"] for row in rows] == [str(number) for number in range(101, 111)]
    assert len({row["record"] for row in rows}) == 10
    assert all(row["record"].startswith("rec_") for row in rows)
    assert not any(name in path.read_text("utf-8") for row in PEOPLE for name in row[:2])


def test_prints_that_were_exchanged_are_not_believed(run: Run, state: Path) -> None:
    maker = PrintsMaker(Keys(state).record_key(), COLUMNS)
    for row in PEOPLE[:5]:
        maker.add(row)
    maker.write(state / "prints", About(id="co_1", kind="export"))
    code, _, err = run("--lang", "en")
    assert code == 2
    assert "is another file than the ledger tells of" in err
    assert "There is nothing to look for" in err


def test_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str], state: Path) -> None:
    parser = argparse.ArgumentParser()
    trace.register(parser.add_subparsers())
    args = parser.parse_args(["trace", "/nowhere", "--ledger", str(state / "ledger"), "--lang", "en"])
    assert args.run(args) == 2
    assert "give the folder" in capsys.readouterr().err
