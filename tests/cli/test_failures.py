"""What every verb says when it cannot do what was asked: in the caller's language, on one line, never a trace."""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

import authd
from authd.broker.vault import Vault
from authd.cli import carryout, codes, failures, parser
from authd.client import ClientError, DoorError
from authd.client.tables import BadSettings
from authd.core.ports import LedgerDown
from authd.locale import LANGUAGES, catalogue
from authd.service.bus.house import Error
from authd.service.ledger import Trouble
from tests.cli.conftest import Authd, Said

JAPANESE = re.compile(r"[\u3041-\u30fe]")
KEY = "0123456789abcdefghijABCDEFGHIJ.-:+=^!/*?"
INSTALLED_APART = {"demo", "drill", "sim", "vein"}
"""Other packages' verbs."""
SERVICE = Path(authd.__file__).parent / "service"


@pytest.fixture(autouse=True)
def japanese(authd: Authd, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a member of staff calls it."""
    monkeypatch.delenv("LC_ALL")
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")


def told(said: Said) -> str:
    """What stands on standard error, which is Japanese and no trace."""
    assert said.out == ""
    assert "Traceback" not in said.err
    assert JAPANESE.search(said.err.splitlines()[-1]), said.err
    return said.err


def write(path: Path, text: str) -> None:
    """Write a file."""
    path.write_text(text, encoding="utf-8")


def allow(folder: Path, mode: int) -> None:
    """Set who may do what in a folder."""
    folder.chmod(mode)


def leaves(of: argparse.ArgumentParser) -> Iterator[str]:
    """Every verb that has no verbs of its own, as it is called."""
    verbs: list[Any] = [action.choices for action in of._actions if action.nargs == argparse.PARSER]  # pyright: ignore[reportPrivateUsage] - argparse has no public name for it
    if not verbs:
        yield of.prog.removeprefix("authd ")
    for each in (each for named in verbs for each in named.values()):
        yield from leaves(each)


VERBS = sorted({each for each in leaves(parser()) if each.split()[0] not in INSTALLED_APART})


@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb_that_is_called_wrongly_says_so_in_japanese(verb: str, authd: Authd) -> None:
    said = await authd(*verb.split(), "--seat")
    assert (said.code, "--help をご覧ください" in told(said)) == (codes.USAGE, True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "次の指定が必要です: COMMAND"),
        ("nonsense", "'nonsense' は選べません(選べるもの: "),
        ("status --nonsense", "知らない指定です: --nonsense"),
        ("who --seat", "--seat: 値を一つ指定してください"),
        ("revoke --seat a", "次のどれか一つが必要です: --credential --key"),
        ("trace . --workers x", "--workers: 値の形が違います: 'x'"),
        ("enroll --seat a --number 1 --key --card", "--card: --key と一緒には使えません"),
        ("who --seat a --from noon --to 13:00", "'noon': 13:05 または"),
        ("init --officer 1", "「職員番号:氏名:かな:課」を指定してください: '1'"),
        ("policy diff --days 0", "'0': 1 から 3660 まで"),
        ("unattributed --html x", "--once が必要です"),
        ("init", "--officer は2回指定してください"),
        ("enroll --seat a --number 1", "--name が必要です"),
        ("flags set 1 --seat a --also b", "tax=778123"),
        ("flags list 1", "--seat と --purpose が必要です"),
        ("export --in a --out b", "authd carryout request で受け取って"),
        ("breakglass review", "SESSION と --seat が必要です"),
        ("credentials rotate", "--older-than 日数"),
        ("revoke --seat a --key b", "--number が必要です"),
    ],
)
async def test_what_is_wrong_with_the_words_is_named(words: str, expected: str, authd: Authd) -> None:
    said = await authd(*words.split())
    assert (said.code, expected in told(said)) == (codes.USAGE, True), said.err


ASKING = {
    "status": (),
    "people": (),
    "stop": (),
    "tokens": (),
    "breakglass": (),
    "keys": ("1001",),
    "revoke": ("--seat", "counter-1", "--credential", "tpl_1"),
    "disable": ("--seat", "counter-1", "--number", "1001"),
    "enroll": ("--seat", "counter-1", "--number", "1", "--name", "a", "--kana", "a", "--section", "tax"),
    "carryout list": (),
    "carryout approve": ("co_1", "--seat", "counter-1"),
    "carryout check-print": ("--queue", "a"),
    "flags list": (),
    "flags coverage": (),
    "flags set": ("20481", "--seat", "counter-1"),
    "review list": (),
    "roster show": (),
}


@pytest.mark.parametrize("verb", ASKING)
async def test_without_a_daemon_it_says_how_to_start_one(verb: str, authd: Authd, toml: Path) -> None:
    said = await authd(*verb.split(), *ASKING[verb])
    assert said.code == codes.UNREACHABLE
    assert told(said).endswith(f"次で起動してください: authd run --config {toml}\n")


@pytest.mark.parametrize("verb", [*ASKING, "run", "init"])
async def test_a_setting_that_cannot_be_used_is_named_in_japanese(verb: str, authd: Authd, toml: Path) -> None:
    write(toml, "[seat.a]\nnmae_ja = 'x'\n")
    more = ASKING.get(verb, ("--keys-only",) if verb == "init" else ())
    said = await authd(*verb.split(), *more)
    assert (said.code, said.err.splitlines()[-1].startswith("authd: 設定を使えません。")) == (codes.USAGE, True)
    assert "authd.toml:2: unknown key nmae_ja" in told(said)


READING = {
    "who": ("--seat", "a", "--from", "13:00", "--to", "13:05"),
    "views": ("--seat", "a", "--from", "13:00", "--to", "13:05"),
    "events": (),
    "ledger verify": (),
    "ledger checkpoint": (),
    "trace": ("/tmp",),
    "evidence": ("--case", "1", "--seat", "a", "--from", "13:00", "--to", "13:05", "--out", "/tmp/none.zip"),
    "policy diff": (),
    "gateway": (),
    "terminal": (),
    "formproxy": (),
    "pgproxy": (),
    "unattributed": (),
    "run": (),
    "status": (),
}


@pytest.mark.parametrize("verb", READING)
async def test_a_file_that_is_not_there_is_said_in_japanese(verb: str, authd: Authd, tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    said = await authd(*verb.split(), *READING[verb], "--config", missing)
    assert (said.code, str(missing) in told(said)) == (codes.USAGE, True)


async def test_what_a_bundle_has_wrong_is_said_in_japanese(authd: Authd, tmp_path: Path) -> None:
    said = await authd("policy", "check", "--bundle", tmp_path / "none")
    assert (said.code, told(said).startswith("規則または設定を使えません。")) == (codes.USAGE, True)


async def test_an_agent_says_why_it_cannot_begin(authd: Authd, folder: Path) -> None:
    allow(folder, 0o777)
    said = await authd("agent", "--seat", "counter-1", "--run", folder)
    assert (said.code, "設定を使えません" in told(said)) == (codes.USAGE, True)
    allow(folder, 0o700)
    said = await authd("agent", "--seat", "counter-1", "--run", folder, "lock")
    assert (said.code, "authd agent --seat" in told(said)) == (codes.UNREACHABLE, True)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", [each.value for each in Error])
def test_every_answer_of_the_door_has_words(code: str, language: str) -> None:
    said = failures.words(DoorError(code, "a detail"), language)
    assert "a detail" in said
    assert bool(JAPANESE.search(said)) == (language == "ja")
    assert failures.words(DoorError(code), language)


def test_an_unknown_answer_of_the_door_is_told_as_it_came() -> None:
    assert failures.words(DoorError("newer", "than this"), "en") == "newer: than this"


@pytest.mark.parametrize("id_", [id_ for id_ in catalogue("en") if id_.startswith("refusal.")])
def test_a_refusal_is_what_the_service_says(id_: str) -> None:
    """A sentence that is worded anew there, and not here, would be shown in English."""
    source = "".join(path.read_text(encoding="utf-8") for path in sorted(SERVICE.rglob("*.py")))
    pieces = [re.escape(piece) for piece in re.split(r"\{[a-z_]+\}", catalogue("en")[id_])]
    assert re.search(r"\{[^\"]+\}".join(pieces), source)


def test_a_refusal_is_found_with_its_values() -> None:
    said = failures.words(DoorError("refused", "staff number 1007 is enrolled already"), "ja")
    assert said == "断られました: 職員番号 1007 はすでに登録されています。加えるときは --add を使ってください"


def test_a_carryout_says_what_is_not_its_own_reason_in_japanese_too() -> None:
    said = carryout.words(DoorError("refused", "nobody is logged in at counter-1: log in there, then ask again"))
    assert said == "断られました: counter-1 には誰もログインしていません。ログインしてから、もう一度実行してください"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FileNotFoundError(2, "No such file or directory", "/a/b"), "/a/b: 見つかりません"),
        (PermissionError(13, "Permission denied", "/a/b"), "/a/b: 権限がありません"),
        (OSError(28, "No space left on device"), "ディスクがいっぱいです"),
        (OSError(71, "Protocol error", "/a/b"), "/a/b: Protocol error"),
        (LedgerDown(Trouble.FULL), "台帳のディスクがいっぱいです"),
        (BadSettings("door: missing"), "設定を使えません"),
        (TimeoutError(), "受付口が時間内に"),
        (ClientError("gone"), "応答がありません(gone)"),
    ],
    ids=lambda value: "",
)
def test_the_ordinary_faults_have_words(error: Exception, expected: str) -> None:
    assert failures.words(error, "ja").startswith((expected, f"authd の{expected}"))


DOOR = f"""
[door]
router = "ipc:///tmp/nobody-is-here.sock"
server_key = "{KEY}"
[vault]
folder = "vault"
[application.tax]
key_file = "app.key"
"""
LISTENING = {
    "gateway": """
[door]
router = "ipc:///tmp/nobody-is-here.sock"
server_key = "{key}"
[gateway]
listen = "{place}"
[application.tax]
key_file = "app.key"
forward = {{ origin = "https://tax.city.example" }}
""",
    "formproxy": DOOR
    + """
[form.tax]
application = "tax"
listen = "{place}"
[system.tax]
rotator = "form"
origin = "http://127.0.0.1:1"
sign_on = {{ path = "/login", user = "user", password = "password", done = "menu", wrong = "no" }}
""",
    "pgproxy": DOOR
    + """
[server.tax]
application = "tax"
seats = ["counter-1"]
address = "127.0.0.1:1"
ca = "db.pem"
tls = false
[listener.counter-1]
listen = "{place}"
server = "tax"
seat = "counter-1"
""",
}


@pytest.mark.real
@pytest.mark.parametrize("verb", LISTENING)
def test_a_port_that_is_taken_is_exit_1_everywhere(verb: str, tmp_path: Path) -> None:
    public, secret = zmq.curve_keypair()
    (tmp_path / "app.key").write_bytes(public + b"\n" + secret + b"\n")
    Vault.create(tmp_path / "vault")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host, port = taken.getsockname()
        path = tmp_path / "one.toml"
        path.write_text(LISTENING[verb].format(key=KEY, place=f"{host}:{port}"), encoding="utf-8")
        command = [sys.executable, "-I", "-m", "authd", verb, "--config", str(path)]
        env = {**os.environ, "LC_ALL": "ja_JP.UTF-8"}
        ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, "Traceback" in ended.stderr) == (codes.WRONG, False), ended.stderr
    assert "待ち受けできません: このアドレスはすでに使われています" in ended.stderr
