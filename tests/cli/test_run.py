"""`authd run`: what keeps a host from beginning is one line that says where and what, and an exit code."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest

from authd.cli import _common, run
from authd.core.ports import LedgerDown, PortError
from authd.service import daemon
from authd.service.config import Config
from authd.service.ledger import Trouble
from tests.cli.conftest import Authd, Said


def one_line(said: Said) -> str:
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    return said.err.removeprefix("authd: ").removesuffix("\n")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


async def test_a_good_configuration_is_good(authd: Authd, folder: Path) -> None:
    assert await authd("run", "--check") == Said(0, f"ok: {folder / 'authd.toml'}\n", "")
    assert names(folder) == ["authd.toml"], "it began something"


async def test_a_file_that_is_not_there(authd: Authd, folder: Path) -> None:
    said = await authd("run", "--config", folder / "other.toml")
    assert said.code == 2
    assert one_line(said) == f"{folder}/other.toml:1: expected a readable file: No such file or directory"


BROKEN = {
    "an unknown key": ("[seat.a]\nnmae_ja = 'x'\n", "authd.toml:2: unknown key nmae_ja, expected one of: name_ja"),
    "a driver that is none": (
        "[seat.a]\nreaders = ['v']\n[reader.v]\ndriver = 'wein'\n",
        "authd.toml:4: driver 'wein': not installed; one of ['example', 'fido2', 'fprintd', 'pcsc', 'presence', ",
    ),
    "a simulator": ("[seat.a]\nreaders = ['v']\n[reader.v]\ndriver = 'sim-vein'\n", "authd.toml:4: driver 'sim-vein'"),
    "a policy that is none": ("[seat.a]\n[policy]\nfolder = 'nowhere'\n", "nowhere:1: expected a folder with site/"),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_what_cannot_be_used_is_one_line_and_exit_2(what: str, authd: Authd, toml: Path) -> None:
    text, expected = BROKEN[what]
    write(toml, text)
    said = await authd("run", "--check")
    assert said.code == 2
    assert expected in one_line(said)


@pytest.mark.parametrize("what", BROKEN)
async def test_a_host_does_not_begin_with_it_either(what: str, authd: Authd, toml: Path, folder: Path) -> None:
    text, expected = BROKEN[what]
    assert (await authd("init", "--keys-only")).code == 0
    write(toml, f"{text}[host]\nstate = 'state'\nrun = 'run'\n")
    said = await authd("run")
    assert said.code == 2
    assert expected in one_line(said)
    assert not (folder / "state" / "store.sqlite").exists()


@pytest.mark.parametrize("verb", ["status", "people", "stop", "init --keys-only"])
async def test_every_verb_that_reads_it_says_the_same(verb: str, authd: Authd, toml: Path) -> None:
    write(toml, BROKEN["an unknown key"][0])
    said = await authd(*verb.split())
    assert said.code == 2
    assert BROKEN["an unknown key"][1] in one_line(said)


async def test_without_init_it_says_what_to_run(authd: Authd, folder: Path) -> None:
    said = await authd("run")
    assert said.code == 2
    assert one_line(said).startswith(f"{folder}/state/keys: is missing; run authd init")


async def test_a_damaged_store_names_the_command(authd: Authd, folder: Path) -> None:
    assert (await authd("init", "--keys-only")).code == 0
    (folder / "state" / "store.sqlite").write_bytes(b"nonsense" * 1_000)
    said = await authd("run")
    assert said.code == 1
    assert one_line(said).endswith(f"run: authd ledger verify --store {folder}/state/store.sqlite")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (LedgerDown(Trouble.FULL), 1, "the ledger's disk is full"),
        (LedgerDown(Trouble.READ_ONLY), 1, "the ledger's disk is read-only"),
        (PortError("the store: no"), 1, "the store: no"),
        (TimeoutError(), 1, "the doors did not open in time; try again, then see the log of authd"),
        (ExceptionGroup("a", [ExceptionGroup("b", [LedgerDown(Trouble.SLOW)])]), 1, "the ledger's disk is too slow"),
    ],
)
async def test_what_breaks_at_the_start_is_one_line(
    error: Exception, code: int, line: str, authd: Authd, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(config: Config) -> None:
        raise error

    monkeypatch.setattr(daemon, "serve", serve)
    said = await authd("run")
    assert (said.code, one_line(said)) == (code, line)


async def test_a_bug_is_no_line_but_a_trace(authd: Authd, monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(config: Config) -> None:
        raise ExceptionGroup("a", [AssertionError("the machine contradicts itself")])

    monkeypatch.setattr(daemon, "serve", serve)
    with pytest.raises(ExceptionGroup):
        await authd("run")


async def test_the_disk_is_full_in_japanese_too(
    authd: Authd, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")

    async def serve(config: Config) -> None:
        raise LedgerDown(Trouble.FULL)

    monkeypatch.setattr(daemon, "serve", serve)
    assert one_line(await authd("run")) == "台帳のディスクがいっぱいです"


@pytest.mark.parametrize(
    ("environment", "language"),
    [({"LANG": "ja_JP.UTF-8"}, "ja"), ({"LC_ALL": "C", "LANG": "ja_JP"}, "en"), ({}, "en"), ({"LANG": "de"}, "en")],
)
def test_the_language_is_the_callers(
    environment: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert _common.language() == language


def test_one_record_stays_one_line() -> None:
    record = logging.LogRecord("authd.x", logging.ERROR, "", 1, "seat %s", ("a\nERROR: b\x1b[2J\r",), None)
    line = run._Json().format(record)  # pyright: ignore[reportPrivateUsage] - the formatter itself
    assert line.isprintable()
    assert json.loads(line)["text"] == "seat a\nERROR: b\x1b[2J\r"


def test_a_trace_stays_one_line_too() -> None:
    try:
        raise ValueError("a\nb")
    except ValueError:
        record = logging.LogRecord("authd.x", logging.ERROR, "", 1, "broken", None, sys.exc_info())
    line = run._Json().format(record)  # pyright: ignore[reportPrivateUsage] - the formatter itself
    assert line.isprintable()
    assert "ValueError" in json.loads(line)["trace"]
