"""`authd roster` and `authd review`, through a real door to a real ledger and store."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from authd.cli.review import item_line, sighting
from authd.client.supervision import ReviewItem
from authd.core.model import EndReason, Entry, Grade, Kind, SessionId
from authd.locale import text
from tests.cli.conftest import Authd
from tests.service.bus.fakes import FakePerson, World, world
from tests.service.evidence.supervision.office import CHIEF, HEAD, ITO, ONE, SATO, Office, office

HEADER = "職員番号,氏名,ふりがな,所属,発令日,勤務開始,勤務終了,勤務日,監督者,上司"
ROWS = (
    "1,登録 係長,,市民課,2026-04-01,,,,,",
    "1001,課長 一郎,,市民課,2026-04-01,8:30,17:15,月-金,○,1",
    "1003,佐藤 花子,さとう はなこ,市民課,2026-04-01,8:30,17:15,月-金,,1001",
    "1004,伊藤 健,,tax,2026-04-01,,,,,",
)
CONFIG = """\
[host]
state = "state"
run = "."
[section.resident]
name_ja = "市民課"
[seat.counter-1]
section = "resident"
[seat.counter-2]
section = "tax"
"""


@pytest.fixture
def host(folder: Path) -> World:
    return world(folder, frozenset({os.geteuid()}))


@pytest.fixture
def config(toml: Path) -> None:
    toml.write_text(CONFIG, encoding="utf-8")


@pytest.fixture
async def desk(tmp_path: Path, host: World, config: None) -> AsyncIterator[Office]:
    async with office(tmp_path, "2027-03-01T09:00") as made:
        supervision: Any = SimpleNamespace(supervision=made.part)
        host.house.evidence = supervision
        for person in made.store.people.values():
            host.house.people_known[person.subject] = FakePerson(
                person.subject, person.staff_number, person.name, person.kana, person.section, person.officer
            )
        yield made


@asynccontextmanager
async def csv(tmp_path: Path, *rows: str, encoding: str = "cp932") -> AsyncGenerator[Path]:
    path = tmp_path / "2027-04.csv"
    path.write_bytes("\r\n".join([HEADER, *rows, ""]).encode(encoding))
    yield path


async def test_a_dry_run_tells_the_difference_and_changes_nothing(
    desk: Office, host: World, authd: Authd, tmp_path: Path
) -> None:
    async with host.serving(), csv(tmp_path, *ROWS) as file:
        said = await authd("roster", "import", file)
        again = await authd("roster", "show")
    assert said.code == 0
    assert said.out.splitlines()[-1] == "4 lines: 4 new, 0 changed, 0 without change, 0 faults"
    assert "new\t2026-04-01\t1003\t佐藤 花子\tsection: resident" in said.out
    assert "a look only" in said.err
    assert again.out == ""
    assert desk.part.roll.roster is None


async def test_an_officer_takes_it_in_and_the_next_file_shows_what_it_changes(
    desk: Office, host: World, authd: Authd, tmp_path: Path
) -> None:
    desk.pipeline.sit(ONE, CHIEF)
    async with host.serving():
        async with csv(tmp_path, *ROWS, encoding="utf-8-sig") as file:
            said = await authd("roster", "import", file, "--apply", "--seat", "counter-1")
        assert (said.code, "Taken in" in said.err) == (0, True)
        async with csv(tmp_path, "1003,佐藤 花子,さとう はなこ,tax,2027-05-01,9:00,17:15,月-木,,1001") as file:
            next_one = await authd("roster", "import", file)
        shown = await authd("roster", "show", "--on", "2027-04-01")
        as_json = await authd("roster", "show", "--json")
    assert next_one.out.splitlines()[0].split("\t") == [
        "changed", "2027-05-01", "1003", "佐藤 花子",
        "section: resident → tax", "shift begins: 8:30 → 9:00", "days: MoTuWeThFr → MoTuWeTh",
    ]  # fmt: skip
    assert [line.split("\t")[1] for line in shown.out.splitlines()] == ["1", "1001", "1003", "1004"]
    assert json.loads(as_json.out.splitlines()[0])["section"] == "resident"


async def test_every_fault_is_one_clear_line_and_nothing_is_taken_in(
    desk: Office, host: World, authd: Authd, tmp_path: Path
) -> None:
    bad = (
        "=1+1,悪意,,市民課,2027-04-01",
        "1005,田中,,宇宙課,2027-02-30",
        "x" * 10_000_000,
        "1006,高橋,,市民課,2027-04-01,,,,,9999",
    )
    desk.pipeline.sit(ONE, CHIEF)
    async with host.serving(), csv(tmp_path, *ROWS, *bad) as file:
        said = await authd("roster", "import", file, "--apply", "--seat", "counter-1")
        as_json = await authd("roster", "import", file, "--json")
    assert said.code == 1
    assert said.out.splitlines()[:5] == [
        'line 6 column 1: A spreadsheet runs what begins with "=": leave the value alone',
        'line 7 column 4: No section is called "宇宙課": correct it, or name a new one with --new-section',
        'line 7 column 5: There is no such day as "2027-02-30"',
        "line 8: The line is longer than 4096 bytes: see whether line breaks were lost",
        "line 9: Nobody has the staff number 9999 that they report to",
    ]
    assert len(as_json.out.splitlines()) == 5 + 5
    assert await desk.rows(Kind.ROSTER_IMPORTED) == []


async def test_a_new_section_is_named_on_purpose(desk: Office, host: World, authd: Authd, tmp_path: Path) -> None:
    async with host.serving(), csv(tmp_path, "1005,田中,,宇宙課,2027-04-01") as file:
        assert (await authd("roster", "import", file)).code == 1
        assert (await authd("roster", "import", file, "--new-section", "宇宙課")).code == 0


@pytest.mark.parametrize("words", [("import", "nowhere.csv"), ("import", "x.csv", "--apply")])
async def test_what_cannot_be_done_is_one_line(words: tuple[str, ...], toml: Path, authd: Authd) -> None:
    said = await authd("roster", *words)
    assert (said.code, said.err.count("\n")) == (2, 1)


async def test_a_month_is_listed_shown_and_signed(desk: Office, host: World, authd: Authd) -> None:
    await desk.hire()
    desk.clock.set("2027-03-04T10:00")
    session = SessionId("ses_1")
    await desk.ledger.append(Entry(Kind.SESSION_STARTED, ONE, subject=SATO, session=session, grade=Grade.MATCHED))
    await desk.ledger.append(Entry(Kind.SESSION_ENDED, ONE, subject=SATO, session=session, reason=EndReason.IDLE))
    desk.clock.set("2027-04-20T09:00")
    await desk.hear()
    desk.pipeline.sit(ONE, HEAD)
    async with host.serving():
        listed = await authd("review", "list")
        shown = await authd("review", "show", "resident", "2027-03")
        signed = await authd("review", "sign", "resident", "2027-03", "--seat", "counter-1")
        refused = await authd("review", "sign", "tax", "2027-03", "--seat", "counter-1")
        after = await authd("review", "list", "--json")
    assert listed.code == 1
    assert listed.out.splitlines()[0] == (
        "2027-03\tResident Affairs\tresident\tlate\t1 of 1 to look at\tdue 2027-04-12\ttold 2 up"
    )
    assert "Seat left open\tcounter-1\t佐藤 花子 (1003)\tidle=1\tof=1" in shown.out
    assert "how sessions ended\tcounter-1\t佐藤 花子 (1003)\tno activity 1" in shown.out
    assert (signed.code, signed.out.startswith("Signed\t2027-03")) == (0, True)
    assert (refused.code, "only the section's supervisors" in refused.err) == (4, True)
    done = {(each["section"], each["month"]): each["done"] for each in map(json.loads, after.out.splitlines())}
    assert (done["resident", "2027-03"], done["tax", "2027-03"]) == (True, False)


async def test_a_feed_of_doors_is_taken_line_by_line(desk: Office, host: World, authd: Authd, tmp_path: Path) -> None:
    desk.clock.set("2027-04-02T09:00")
    await desk.ledger.append(Entry(Kind.SESSION_STARTED, ONE, subject=ITO, session=SessionId("s"), grade=Grade.MATCHED))
    desk.clock.set("2027-04-02T09:30")
    await desk.hear()
    feed = tmp_path / "door.csv"
    lines = ["2027-04-02T09:10,1004,裏口,out", "nonsense", "x" * 5_000]
    lines += ["2027-04-02T09:10,1003,裏口", "2027-04-02T09:10,../,x"]
    feed.write_text("\n".join(lines), encoding="utf-8")
    async with host.serving():
        said = await authd("review", "seen", feed)
    assert (said.code, said.out) == (1, "1 noted, 0 of nobody here or too old\n")
    assert [line.split(":")[0] for line in said.err.splitlines()] == ["line 2", "line 3", "5"]


@pytest.mark.parametrize("raw", [b"", b"2027-04-02T09:10,1", b"x,1,y", b"2027-04-02T09:10,1,y,maybe", b"\xff,1,y"])
def test_what_is_no_line_of_a_feed(raw: bytes) -> None:
    assert sighting(raw, "door") is None


@pytest.mark.parametrize(
    ("language", "said"),
    [("ja", "個人のものでないアカウントで"), ("en", "Access to a system that belongs to no session")],
)
def test_an_access_that_belongs_to_no_session_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, language: str, said: str
) -> None:
    monkeypatch.setattr("authd.cli.review.language", lambda: language)
    detail = {"system": "residents", "source": "postgresql", "why": "shared", "account": "kokuho"}
    line = item_line(msgspec.convert({"what": "unattributed", "at": "t", "count": 3, "detail": detail}, ReviewItem))
    assert said in line
    assert "account=kokuho" in line
    assert text("unattributed_why.shared", language) in line
