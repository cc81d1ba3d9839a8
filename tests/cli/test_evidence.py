"""`authd evidence`: what a person at a terminal makes of it, and what it refuses to make."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from authd.cli import main
from authd.core.model import SubjectId
from authd.core.tlog import cosign
from authd.locale import text
from authd.service.evidence.bundle import verify_evidence as face
from authd.service.evidence.bundle.build import VERIFIER
from authd.service.evidence.records import Pseudonyms
from authd.service.ledger import KeySigner, published
from authd.service.ledger.head import WITNESSED_FILE, keep_witnessed
from authd.service.staff import PersonRecord
from authd.service.store_file import StoreFile
from tests.service.evidence.bundle import hall
from tests.service.evidence.bundle.hall import ITO, KEY, SATO
from tests.tools.zone import standing_in

NUMBER, KEY_OF_RECORDS = "20481", bytes(range(7, 39))
FROM, TO = "2025-11-22T09:00+00:00", "2025-11-22T11:00+00:00"
PEOPLE = (
    PersonRecord(SubjectId(SATO), "1001", "佐藤 花子", "サトウ ハナコ", "resident"),
    PersonRecord(SubjectId(ITO), "1002", "伊藤 次郎", "イトウ ジロウ", "tax", officer=True),
)
TOML = """
[host]
name = "desk"
state = "{state}"
[seat.counter-1]
name_ja = "窓口1"
[section.resident]
name_ja = "市民課"
[application.resident]
name_ja = "住民記録"
url = "http://127.0.0.1:8790/"
[evidence]
names = "{names}"
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder: ledger, store, keys. The resident's record has a number."""
    state = tmp_path_factory.mktemp("state")
    hall.HERS, before = Pseudonyms(KEY_OF_RECORDS).record(NUMBER), hall.HERS
    try:
        asyncio.run(hall.a_day(state / "ledger"))
    finally:
        hall.HERS = before
    (state / "keys").mkdir(mode=0o700)
    for name, key in (("ledger.key", bytes(range(32))), ("record.key", KEY_OF_RECORDS)):
        (state / "keys" / name).write_bytes(key)
        (state / "keys" / name).chmod(0o600)
    store = StoreFile.open(state / "store.sqlite")
    for person in PEOPLE:
        store.enrol(person, [], [])
    store.close()
    return state


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], state: Path, tmp_path: Path) -> Run:
    """Run the verb over a copy's files, in English."""

    def call(*words: str, names: str = "section") -> tuple[int, str, str]:
        config = tmp_path / "authd.toml"
        config.write_text(TOML.format(state=state, names=names))
        whole = ["evidence", "--case", "17", "--ledger", str(state / "ledger"), "--config", str(config), "--lang", "en"]
        code = main([*whole, *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture(autouse=True)
def japan() -> Generator[None]:
    """Where the terminal stands."""
    with standing_in("Asia/Tokyo"):
        yield


def test_a_bundle_that_the_stand_alone_file_verifies(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "case.zip"
    code, said, _ = run("--seat", "counter-1", "--from", FROM, "--to", TO, "--out", str(out))
    verdict = face.verify(out.read_bytes(), face.Trust(face.read_key(KEY)), VERIFIER.read_bytes())
    assert (code, verdict.faults) == (0, [])
    assert verdict.fingerprint in said
    assert verdict.found is not None
    assert verdict.found.person(SATO) == "佐藤 花子 (市民課, 1001)"
    assert verdict.found.seat("counter-1") == "窓口1"


def test_the_number_of_a_record_stays_at_home(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "case.zip"
    assert run("--record", NUMBER, "--from", FROM, "--to", TO, "--out", str(out))[0] == 0
    data = out.read_bytes()
    assert NUMBER.encode() not in data
    assert Pseudonyms(KEY_OF_RECORDS).record(NUMBER).encode() in data


def test_a_resident_is_told_section_and_role(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    code, _, _ = run("--statement", "resident", "--record", NUMBER, "--html", str(page))
    told = page.read_text(encoding="utf-8")
    assert code == 0
    assert "市民課 職員" in told
    assert "佐藤" not in told


def test_a_resident_is_told_names_only_where_the_city_has_set_it(run: Run, tmp_path: Path) -> None:
    words = ("--statement", "resident", "--record", NUMBER, "--names", "name")
    code, _, said = run(*words, "--html", str(tmp_path / "no.html"))
    assert (code, said.strip()) == (2, text("evidence.names_not_allowed", "en", most="section"))
    assert not (tmp_path / "no.html").exists()
    assert run(*words, "--html", str(tmp_path / "yes.html"), names="name")[0] == 0
    assert "佐藤 花子" in (tmp_path / "yes.html").read_text(encoding="utf-8")


def test_who_was_not_there_is_cleared(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "clear.zip"
    words = ("--subject", "1002", "--record", NUMBER, "--seat", "counter-1", "--from", FROM, "--to", TO)
    code, said, _ = run("--statement", "clear", *words, "--out", str(out))
    assert code == 0
    assert "伊藤 次郎" in face.unpack(out.read_bytes(), [])["answer.ja.html"].decode()
    assert face.say("clear_record", "en") in said
    assert face.say("clear_seat", "en") in said


def test_who_was_there_is_not_cleared_and_nothing_is_written(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "clear.zip"
    words = ("--subject", "1001", "--record", NUMBER, "--from", FROM, "--to", TO, "--out", str(out))
    code, _, said = run("--statement", "clear", *words)
    assert code == 1
    assert "absence cannot be said" in said
    assert not out.exists()


def test_absence_without_completeness_is_not_stated(run: Run, tmp_path: Path) -> None:
    words = ("--subject", "1002", "--record", NUMBER, "--from", FROM, "--to", TO, "--out", str(tmp_path / "c.zip"))
    assert run("--statement", "clear", "--rows-only", *words)[0] == 1


def test_the_answer_ends_where_the_ledger_does(run: Run, tmp_path: Path) -> None:
    until = "2030-01-01T00:00+00:00"
    code, _, said = run("--seat", "counter-1", "--from", FROM, "--to", until, "--out", str(tmp_path / "c.zip"))
    assert code == 0
    assert "the ledger ends at 2025-11-23" in said


@pytest.mark.parametrize(
    ("words", "id_"),
    [
        (["--out", "x.zip"], "one_of"),
        (["--seat", "counter-1", "--out", "x.zip"], "interval"),
        (["--record", "rec_x", "--statement", "clear", "--out", "x.zip"], "clear_needs"),
        (["--record", "rec_x", "--seat", "s", "--statement", "resident", "--out", "x.zip"], "resident_needs"),
        (["--record", "rec_x", "--statement", "resident", "--html", "x.html", "--out", "x.zip"], "resident_paper"),
        (["--seat", "counter-1", "--from", TO, "--to", FROM, "--out", "x.zip"], "backwards"),
        (["--record", NUMBER], "nothing_to_write"),
    ],
)
def test_what_is_missing_is_said(run: Run, words: list[str], id_: str) -> None:
    code, out, err = run(*words)
    assert (code, out, err.strip()) == (2, "", text(f"evidence.{id_}", "en"))


@pytest.mark.parametrize("name", ["--out", "--html", "--pdf"])
def test_what_is_there_is_not_overwritten(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / "there"
    path.write_text("mine")
    code, _, said = run("--record", NUMBER, name, str(path))
    assert (code, said.strip()) == (2, text("evidence.exists", "en", path=path))
    assert path.read_text() == "mine"


def test_nobody_of_that_number(run: Run) -> None:
    code, _, said = run("--subject", "9999", "--from", FROM, "--to", TO, "--out", "x.zip")
    assert (code, said.strip()) == (2, text("evidence.nobody", "en", who="9999"))


@pytest.mark.parametrize("key", ["nonsense", "city.example/desk+00000000+AAAA"])
def test_a_key_that_is_none(run: Run, key: str) -> None:
    assert run("--record", NUMBER, "--out", "x.zip", "--key", key)[0] == 2


@pytest.mark.real
def test_a_court_runs_the_file_that_lies_in_the_bundle(run: Run, tmp_path: Path) -> None:
    """With nothing but Python: no site packages, another folder, a terminal that knows ASCII only."""
    out, alone = tmp_path / "case.zip", tmp_path / "court" / "verify_evidence.py"
    assert run("--seat", "counter-1", "--from", FROM, "--to", TO, "--out", str(out))[0] == 0
    alone.parent.mkdir()
    faults: list[face.Fault] = []
    alone.write_bytes(face.unpack(out.read_bytes(), faults)["verify_evidence.py"])

    def court(*words: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-I", "-S", str(alone), *words]
        environment = {"PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
        return subprocess.run(command, check=False, capture_output=True, timeout=60, env=environment, cwd=alone.parent)

    good = court(str(out), "--key", KEY, "--lang", "en")
    assert (good.returncode, good.stderr) == (0, b"")
    assert b"RESULT: nothing in the bundle was found changed" in good.stdout
    spoiled = bytearray(out.read_bytes())
    spoiled[spoiled.index(b"view.opened")] ^= 1
    (alone.parent / "bad.zip").write_bytes(spoiled)
    bad = court("bad.zip")
    assert bad.returncode == 1
    assert b"events.jsonl / leaves.txt, line 5" in bad.stdout
    assert court("nothing.zip").returncode == 2
    assert sorted(path.name for path in alone.parent.iterdir()) == ["bad.zip", "verify_evidence.py"]


@pytest.mark.real
def test_the_answer_is_printed(run: Run, tmp_path: Path) -> None:
    assert run("--statement", "resident", "--record", NUMBER, "--pdf", str(tmp_path / "a.pdf"))[0] == 0
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_what_a_witness_has_cosigned_comes_along(run: Run, state: Path, tmp_path: Path) -> None:
    witness = KeySigner("city.example/witness", bytes(range(3, 35)))
    key = face.write_key(face.Key(witness.name, 4, witness.public_key))
    ledger = state / "ledger"
    keep_witnessed(ledger, cosign(published(ledger) or "", witness, 1_764_000_000))
    try:
        out = tmp_path / "case.zip"
        assert run("--record", NUMBER, "--out", str(out), "--witness", key)[0] == 0
    finally:
        (ledger / WITNESSED_FILE).unlink()
    verdict = face.verify(out.read_bytes(), face.Trust(face.read_key(KEY), (face.read_key(key),)))
    assert verdict.found is not None
    assert verdict.found.head.seen == ((witness.name, 1_764_000_000),)


def test_that_it_was_asked_stands_in_the_ledger_first(run: Run, tmp_path: Path, mocker: MockerFixture) -> None:
    told = mocker.patch("authd.cli.evidence.look_up")
    made = mocker.patch("authd.cli.evidence.build", side_effect=OSError("stop here"))
    assert run("--record", NUMBER, "--out", str(tmp_path / "case.zip"))[0] == 2
    (args, about), _ = told.call_args
    assert (args.purpose, about) == ("17", f"record:{Pseudonyms(KEY_OF_RECORDS).record(NUMBER)}")
    made.assert_called_once()
