"""`authd who`, `authd events` and `authd ledger`: what a person at a terminal, or a script, gets to read."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from authd.cli import events, files, ledger, who
from authd.core.model import Kind, SubjectId
from authd.service.ledger import published
from authd.service.ledger.segment import segments
from authd.service.seal import SealedTemplate, WrappedKey
from authd.service.sqlite import Database, connect
from authd.service.staff import PersonRecord
from authd.service.store_file import StoreFile
from tests.service.ledgers import HandClock, ended, entry, opened, started

SATO = PersonRecord(SubjectId("sub_a"), "1001", "佐藤 花子", "サトウ ハナコ", "住民課")
TEMPLATE = SealedTemplate("tpl_1", 1, "sub_a", "vein", "right-index", b"sealed")
FROM, TO = "2025-11-22T00:00:00+00:00", "2025-11-22T02:00:00+00:00"
Run = Callable[..., tuple[int, str, str]]


async def a_morning(state: Path) -> None:
    """Ten minutes of one person, then another's session that stays open; an enrolment; a key beside the ledger."""
    clock = HandClock()
    digest = hashlib.sha256(b"sealed").hexdigest()
    async with opened(state / "ledger", clock) as open_ledger:
        data = {"template": "tpl_1@1", "digest": digest}
        await open_ledger.append(entry(Kind.ENROLMENT_FOUNDED, None, None, data=dict(data)))
        await open_ledger.append(entry(Kind.GRANT, 1))
        await open_ledger.append(started(1, at=clock.at, reader="vein-1\n\x1b[2J"))
        clock.step(600)
        await open_ledger.append(ended(1, at=clock.at, why="absence"))
        clock.step(60)
        await open_ledger.append(started(2, subject="sub_b", at=clock.at))
    (state / "keys").mkdir()
    (state / "keys" / "ledger.key").write_bytes(bytes(range(32)))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    asyncio.run(a_morning(tmp_path))
    store = StoreFile.open(tmp_path / "store.sqlite")
    store.enrol(SATO, [WrappedKey("sub_a", b"key")], [TEMPLATE])
    store.close()
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], state: Path) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        parser = argparse.ArgumentParser()
        verbs = parser.add_subparsers(required=True)
        for module in (who, events, ledger):
            module.register(verbs)
        args = parser.parse_args([*words, "--ledger", str(state / "ledger")])
        code = args.run(args)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.mark.parametrize(("language", "absence"), [("ja", "離席"), ("en", "left the seat")])
def test_who_names_the_person_the_times_the_reason_and_the_grade(run: Run, language: str, absence: str) -> None:
    code, out, _ = run("who", "--seat", "counter-1", "--from", FROM, "--to", TO, "--lang", language)
    assert code == 0
    assert "佐藤 花子 (1001, 住民課)" in out
    assert absence in out
    assert out.count(" B: ") == 2
    assert "\x1b" not in out
    assert "vein-1\\u000a\\u001b[2J" in out


@pytest.mark.parametrize(
    ("said", "lang", "absence"),
    [
        ("ja_JP.UTF-8", "en_GB.UTF-8", "離席"),
        ("en_GB.UTF-8", "ja_JP.UTF-8", "left the seat"),
        ("", "ja_JP.UTF-8", "離席"),
    ],
    ids=["all-ja", "all-en", "lang-ja"],
)
def test_who_answers_in_the_callers_language_as_every_other_verb_does(
    run: Run, monkeypatch: pytest.MonkeyPatch, said: str, lang: str, absence: str
) -> None:
    for name, value in (("LC_ALL", said), ("LC_MESSAGES", ""), ("LANG", lang)):
        monkeypatch.setenv(name, value)
    assert absence in run("who", "--seat", "counter-1", "--from", FROM, "--to", TO)[1]


def test_who_says_when_nobody_was_there(run: Run) -> None:
    between = ("--from", "2025-11-22T00:10:05+00:00", "--to", "2025-11-22T00:10:50+00:00")
    code, out, _ = run("who", "--seat", "counter-1", *between, "--lang", "en")
    assert (code, out.count("nobody"), out.count("not known"), len(out.splitlines())) == (0, 1, 0, 2)


@pytest.mark.parametrize(
    ("since", "until", "why"),
    [
        ("2001-01-01T09:00", "2001-01-01T10:00", "the ledger, or what is kept of it, begins here (#1)"),
        ("2025-11-22T01:00:00+00:00", "2025-11-22T02:00:00+00:00", "nothing newer was heard"),
        ("2999-01-01T09:00", "2999-01-01T10:00", "still to come"),
    ],
)
def test_who_calls_nobodys_only_what_the_ledger_knows(run: Run, since: str, until: str, why: str) -> None:
    """A time before the ledger, one behind a copy's last row, and one that has not been yet."""
    code, out, _ = run("who", "--seat", "counter-1", "--from", since, "--to", until, "--lang", "en")
    assert (code, out.count("nobody"), out.count("not known")) == (0, 0, 1)
    assert why in out


def test_a_seat_that_nobody_knows_is_no_answer(run: Run) -> None:
    code, out, err = run("who", "--seat", "counter-9", "--from", FROM, "--to", TO, "--lang", "en")
    assert (code, out) == (2, "")
    assert "no seat counter-9" in err


def test_who_as_json_has_a_stay_a_line(run: Run) -> None:
    code, out, _ = run("who", "--seat", "counter-1", "--from", FROM, "--to", TO, "--json")
    first, second, unknown = (json.loads(line) for line in out.splitlines())
    assert code == 0
    assert first.keys() == second.keys() == unknown.keys()
    assert (first["unknown"], unknown["unknown"], unknown["subject"]) == (None, "after", None)
    assert (first["person"]["name"], first["grade"], first["reason"], first["seconds"]) == (
        "佐藤 花子",
        "B",
        "absence",
        600,
    )
    assert (first["rows"], second["rows"], second["until"], second["person"]) == ([3, 4], [5, None], None, None)


def test_who_wants_times_in_order_and_times_at_all(run: Run) -> None:
    code, _, err = run("who", "--seat", "counter-1", "--from", TO, "--to", FROM, "--lang", "en")
    assert (code, err) == (2, "--from is later than --to\n")
    with pytest.raises(SystemExit, match="2"):
        run("who", "--seat", "counter-1", "--from", "yesterday", "--to", TO)
    assert files.moment("13:20") - files.moment("13:05") == 15 * 60_000


@pytest.mark.parametrize("follow", [[], ["--follow"]], ids=["once", "follow"])
def test_a_number_that_is_not_there_yet_is_no_silence(run: Run, follow: list[str]) -> None:
    code, out, err = run("events", *follow, "--after", "99", "--lang", "en")
    assert (code, out) == (2, "")
    assert "no row 99 yet: the last one is 5" in err
    assert "99 番の行はまだありません" in run("events", *follow, "--after", "99", "--lang", "ja")[2]


def test_behind_the_last_row_there_is_nothing_and_that_is_no_fault(run: Run) -> None:
    assert run("events", "--after", "5") == (0, "", "")


def test_events_are_a_line_each_and_bytes_with_json(run: Run) -> None:
    code, out, _ = run("events", "--lang", "en")
    kinds = [line.split("  ")[3] for line in out.splitlines()]
    assert code == 0
    assert kinds == ["enrolment.founded", "session.started", "session.ended", "session.started"]
    assert len(run("events", "--all")[1].splitlines()) == 5
    assert len(run("events", "--after", "3", "--seat", "counter-1")[1].splitlines()) == 2
    assert json.loads(run("events", "--json")[1].splitlines()[1])["data"]["reader"] == "vein-1\n\x1b[2J"


@pytest.mark.real
async def test_events_are_followed_as_they_happen(tmp_path: Path) -> None:
    async with opened(tmp_path / "ledger") as open_ledger:
        await open_ledger.append(started(1))
        words = ["--follow", "--json", "--ledger", str(tmp_path / "ledger")]
        program = "import argparse; from authd.cli import events as e; p = argparse.ArgumentParser(); "
        program += "e.register(p.add_subparsers()); a = p.parse_args(['events', *__import__('sys').argv[1:]]); a.run(a)"
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, "--after", "0", *words, stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        try:
            async with asyncio.timeout(60):
                assert json.loads(await child.stdout.readline())["seq"] == 1
                await open_ledger.append(ended(1))
                assert json.loads(await child.stdout.readline())["seq"] == 2
        finally:
            child.kill()
            await child.wait()


def test_verify_is_content_with_what_was_signed(run: Run, state: Path) -> None:
    code, out, _ = run("ledger", "verify", "--lang", "en")
    assert (code, out.splitlines()[0]) == (0, "OK: 5 rows, all as they were signed (last number 5)")
    assert "no checkpoint from outside" in out
    code, note, key = run("ledger", "checkpoint", "--lang", "en")
    (state / "head.txt").write_text(note)
    assert (code, note) == (0, published(state / "ledger"))
    vkey = key.split()[-1]
    code, out, _ = run("ledger", "verify", "--anchor", str(state / "head.txt"), "--key", vkey, "--json")
    answer = json.loads(out)
    assert (code, answer["ok"], answer["anchored"], answer["size"], answer["store"]) == (0, True, True, 5, [])


@pytest.mark.parametrize(
    ("language", "first", "last"),
    [
        ("en", "[######........................]  20%  1 of 5 rows", "100%  5 of 5 rows"),
        ("ja", "[######........................]  20%  5 行中 1 行", "100%  5 行中 5 行"),
    ],
)
def test_a_person_who_waits_for_it_sees_how_much_is_done(
    run: Run, language: str, first: str, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["authd.service.ledger.verify"], "STEP", 1)
    assert run("ledger", "verify", "--lang", language)[2] == "", "for a script there is nothing to see"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code, out, err = run("ledger", "verify", "--lang", language)
    shown = [line.strip() for line in err.split("\r")]
    assert (code, shown[1]) == (0, first)
    assert shown[-2].endswith(last)
    assert shown[-1] == "\x1b[K", "the answer begins where the bar was"
    assert len(shown) == 7
    assert run("ledger", "verify", "--json")[2] == ""
    assert out.splitlines()[0].startswith("OK" if language == "en" else "正常")


def edit(path: Path, statement: str) -> None:
    db = Database(apsw.Connection(str(path)))
    db.execute(statement)
    db.close()


@pytest.mark.parametrize("language", ["ja", "en"])
def test_verify_says_where_it_is_wrong(run: Run, state: Path, language: str) -> None:
    edit(segments(state / "ledger")[0], "UPDATE entry SET bytes = CAST(replace(bytes, 'sub_b', 'sub_c') AS BLOB)")
    code, out, _ = run("ledger", "verify", "--lang", language)
    assert code == 1
    assert any(line.startswith("  #") and "000001-2025-11.sqlite" in line for line in out.splitlines())


def test_verify_finds_a_template_that_was_swapped_in_the_store(run: Run, state: Path) -> None:
    edit(state / "store.sqlite", "UPDATE template SET sealed = x'00'")
    code, out, _ = run("ledger", "verify", "--lang", "en")
    assert (code, out.splitlines()[-1]) == (1, "  store: template tpl_1@1 is not the one that the ledger anchors")


def test_a_missing_key_ledger_or_damage_is_one_line(run: Run, state: Path) -> None:
    assert run("ledger", "verify", "--key", "nonsense", "--lang", "en")[0] == 2
    assert run("ledger", "verify", str(state / "nowhere"), "--lang", "en")[0] == 2
    segments(state / "ledger")[0].write_bytes(b"no database" * 1000)
    code, _, err = run("events", "--lang", "en")
    assert code == 1
    assert err.endswith(f"run: authd ledger verify {state / 'ledger'}\n")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("page", range(12))
@pytest.mark.parametrize("what", ["store.sqlite", "ledger"])
def test_a_damaged_page_is_bad_news_and_no_traceback(run: Run, state: Path, what: str, page: int) -> None:
    """The very command that the daemon names when it does not begin."""
    path = segments(state / "ledger")[0] if what == "ledger" else state / what
    db = connect(path, False)
    db.empty_wal()
    db.close()
    good = path.read_bytes()
    at = page * 4_096 % len(good)
    path.write_bytes(good[:at] + b"\xa5" * 4_096 + good[at + 4_096 :])
    code, out, err = run("ledger", "verify", "--lang", "en")
    assert code == 1, (out, err)
    assert "Traceback" not in err
    assert "NOT OK" in out or path.name in err or str(path.parent) in err
