"""`authd views`, and `authd who` on paper: every line with its grade, and never more than it is."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from authd.cli import printed, rests, views, who
from authd.core.model import Entry, Grade, Kind, SeatId, SubjectId, Value
from authd.service.evidence.records import Pseudonyms
from authd.service.ledger import Recorded
from authd.service.staff import PersonRecord
from authd.service.store_file import StoreFile
from tests.service.ledgers import BEGIN, HandClock, ended, opened, started
from tests.tools.zone import standing_in

SATO = PersonRecord(SubjectId("sub_a"), "1001", "佐藤 <花子>", "サトウ ハナコ", "住民課")
KEY = bytes(range(32))
RECORD = Pseudonyms(KEY).record("20481")
TAKEN_BACK = Pseudonyms(KEY).record("8")
FROM, TO = "2025-11-22T00:00:00+00:00", "2025-11-22T02:00:00+00:00"
Run = Callable[..., tuple[int, str, str]]


def view(kind: Kind = Kind.VIEW_OPENED, grade: Grade | None = Grade.MATCHED, **data: Value) -> Entry:
    said: dict[str, Value] = {"record": RECORD, "system": "resident", "screen": "juminhyo", "purpose": "certificate"}
    act: dict[str, Value] = {"factor": "vein", "reader": "vein-1", "acted": BEGIN}
    entry = Entry(kind, SeatId("counter-1"), subject=SubjectId("sub_a"), grade=grade, data={**said, **act, **data})
    return replace(entry, subject=None) if kind is Kind.VIEW_REFUSED or grade is Grade.STATEMENT else entry


ROWS = (
    view(),
    view(grade=Grade.SIGNED, factor="key", helper="sub_b", ladder="break_glass"),
    view(grade=Grade.DEVICE),
    view(Kind.VIEW_REFUSED, None, why="replayed"),
    view(Kind.VIEW_REFUSED, None, why="nobody knows"),
    view(Kind.VIEW_ACKNOWLEDGED),
    view(grade=Grade.STATEMENT, system="authd", account="root"),
    view(grade=None),
    view(record=TAKEN_BACK),
    view(Kind.VIEW_REFUSED, None, record=TAKEN_BACK, why="ended", view=10),
    view(record=Pseudonyms(KEY).record("7"), screen="x\n\x1b[2J"),
)


async def a_morning(state: Path) -> None:
    clock = HandClock()
    async with opened(state / "ledger", clock) as ledger:
        await ledger.append(started(1, at=clock.at, reader="vein-1", factor="vein"))
        for row in ROWS:
            clock.step(60)
            await ledger.append(row)
        await ledger.append(ended(1, at=clock.at, why="lock"))
    (state / "keys").mkdir(mode=0o700)
    for name in ("ledger.key", "record.key"):
        (state / "keys" / name).write_bytes(KEY)
        (state / "keys" / name).chmod(0o600)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Generator[Run]:
    asyncio.run(a_morning(tmp_path))
    store = StoreFile.open(tmp_path / "store.sqlite")
    store.enrol(SATO, [], [])
    store.close()

    def call(*words: str) -> tuple[int, str, str]:
        parser = argparse.ArgumentParser()
        verbs = parser.add_subparsers()
        for verb in (views, who):
            verb.register(verbs)
        args = parser.parse_args([*words, "--ledger", str(tmp_path / "ledger")])
        code = args.run(args)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    with standing_in("UTC"):
        yield call


def test_every_line_states_its_grade_and_whose_word_the_rest_is(run: Run) -> None:
    code, out, _ = run("views", "--record", "20481", "--lang", "en")
    assert code == 0
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0] == f"Who opened this record: 20481 (resident), {RECORD}"
    rests = [line for line in lines if line[:3] in {"A  ", "B  ", "C  ", "D  ", "-  "}]
    told = "That the record was opened is what the system resident reported."
    matched = f"B  The person's finger vein was matched by this seat's reader vein-1 at 2025-11-22 00:00:00. {told}"
    assert rests == [
        matched,
        "A  Signed at 2025-11-22 00:00:00 by the person's own key. "
        f"{told} The seat was opened outside the rules by two people, with sub_b.",
        f"C  Rests on a device's word alone: no evidence of a person's act. {told}",
        "-  The report was refused (a report that was used before): if the system obeyed, nothing was shown.",
        "-  The report was refused (the recorded reason is nobody knows): if the system obeyed, nothing was shown.",
        f"{matched} A protected record, shown after a fresh act, a purpose and the checklist.",
        "D  The ledger was asked from the administrator's terminal, account root: that does not say which person.",
        f"-  A row without a grade: it says of nobody that they acted. {told}",
    ]


def test_by_pseudonym_by_person_and_by_seat(run: Run) -> None:
    everything = run("views", "--record", "20481", "--json")[1]
    assert run("views", "--record", RECORD, "--json")[1] == everything
    assert len(everything.splitlines()) == 8
    of_sato = run("views", "--subject", "1001", "--json")[1].splitlines()
    assert len(of_sato) == 7
    assert run("views", "--subject", " １００１", "--json")[1].splitlines() == of_sato, (
        "as a Japanese keyboard types it"
    )
    assert run("views", "--seat", "counter-9", "--from", FROM, "--to", TO)[0] == 2
    assert run("views", "--subject", "sub_a", "--json")[1].splitlines() == of_sato
    assert len(run("views", "--seat", "counter-1", "--from", FROM, "--to", TO, "--json")[1].splitlines()) == 11
    assert run("views", "--record", "20482", "--lang", "en")[1].splitlines()[1].strip().startswith("There is no row")


def test_a_view_that_was_taken_back_says_that_nothing_was_shown(run: Run, tmp_path: Path) -> None:
    told = run("views", "--record", "8", "--lang", "en")[1]
    opened = next(line for line in told.splitlines() if line.strip().startswith("B  "))
    assert opened.endswith("if the system obeyed, nothing was shown.")
    taken, refused = map(json.loads, run("views", "--record", "8", "--json")[1].splitlines())
    assert (taken["row"], taken["shown"], refused["why"]) == (10, False, "ended")
    alone = ("--to", taken["time"])  # the row that takes it back lies behind the interval
    (taken,) = map(json.loads, run("views", "--record", "8", "--json", *alone)[1].splitlines())
    assert taken["shown"] is False
    page = tmp_path / "answer.html"
    assert run("views", "--record", "8", "--html", str(page))[0] == 0
    assert "0 views, 1 refused reports" in page.read_text(encoding="utf-8")


def looked(**data: Any) -> list[str]:
    entry = view(system="authd", screen="views", account="root", **data)
    if "claimed" in data:
        entry = replace(entry, seat=None, subject=None, grade=Grade.STATEMENT)
    return [rests.of_view(Recorded(7, BEGIN, entry, b""), {"sub_a": SATO}, language) for language in ("en", "ja")]


def test_who_asked_the_ledger_is_a_person_only_with_their_touch() -> None:
    for told in looked(claimed="sub_a", claimed_seat="counter-1"):
        assert "佐藤" in told
        assert "counter-1" in told
        assert "root" in told
    assert "no touch came" in looked(claimed="sub_a", claimed_seat="counter-1")[0]
    assert "fresh touch" in looked(touched=BEGIN)[0]


def test_json_says_it_in_both_languages(run: Run) -> None:
    first = json.loads(run("views", "--record", "20481", "--json")[1].splitlines()[0])
    assert first["person"]["staff_number"] == "1001"
    assert (first["row"], first["grade"], first["record"]) == (2, "B", RECORD)
    assert "照合" in first["rests_on"]["ja"]
    assert "matched" in first["rests_on"]["en"]


def test_an_interval_is_kept(run: Run) -> None:
    out = run("views", "--record", "20481", "--from", "2025-11-22T00:02:00+00:00", "--to", "2025-11-22T00:03:00+00:00")
    assert [line.split()[0] for line in out[1].splitlines() if line.startswith("      #")] == ["#3", "#4"]


@pytest.mark.parametrize(
    "words",
    [
        ("--seat", "counter-1"),
        ("--record", "20481", "--from", TO, "--to", FROM),
        ("--record", "x" * 65),
        ("--subject", "9999"),
    ],
)
def test_what_cannot_be_asked(run: Run, words: tuple[str, ...]) -> None:
    code, out, err = run("views", *words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1


def test_no_row_steers_a_terminal(run: Run) -> None:
    _, out, _ = run("views", "--seat", "counter-1", "--from", FROM, "--to", TO)
    assert "\x1b" not in out


def test_the_page_is_in_both_languages_escaped_and_private(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "answer.html"
    code, out, _ = run("views", "--record", "20481", "--html", str(page))
    assert (code, out) == (0, "")
    html = page.read_text(encoding="utf-8")
    assert "佐藤 &lt;花子&gt;" in html
    assert "<花子>" not in html
    assert "この記録を開いた職員" in html
    assert "Who opened this record" in html
    assert html.count('<td class="grade">') == 8
    assert "size: A4" in html
    assert "(1001, 住民課): - 1, A 1, B 2, C 1<" in html, "above a long answer, each person with the grades"
    assert "<script" not in html
    assert page.stat().st_mode & 0o077 == 0


def test_who_on_paper(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "answer.html"
    assert run("who", "--seat", "counter-1", "--from", FROM, "--to", TO, "--html", str(page))[0] == 0
    html = page.read_text(encoding="utf-8")
    assert "この席にいた職員" in html
    assert html.count('<td class="grade">B</td>') == 1
    before = ("--from", "2001-01-01T09:00", "--to", "2001-01-01T10:00")
    assert run("who", "--seat", "counter-1", *before, "--html", str(page))[0] == 0
    html = page.read_text(encoding="utf-8")
    assert "Nobody was at this seat" not in html, "the ledger begins later"
    assert "The ledger names nobody at this seat" in html
    assert "not known: the ledger, or what is kept of it, begins here (#1)" in html


def test_without_a_browser_it_says_what_to_do(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printed, "BROWSERS", ("no-such-browser",))
    code, _, err = run("views", "--record", "20481", "--pdf", str(tmp_path / "answer.pdf"))
    assert code == 2
    assert "--html" in err


@pytest.mark.real
def test_a_pdf_has_the_answer_on_one_page(run: Run, tmp_path: Path) -> None:
    pdf = tmp_path / "answer.pdf"
    assert run("views", "--record", "20481", "--pdf", str(pdf))[0] == 0
    told = subprocess.run(["pdftotext", "-layout", pdf, "-"], check=True, capture_output=True, text=True).stdout
    assert told.count("\f") == 1, "one page"
    assert "佐藤" in told
    assert "1/1" in told.replace(" ", "")
