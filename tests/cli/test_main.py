"""The one command: what it says when it is called wrongly, and what its exit codes are."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from authd import __version__, cli
from authd.cli import SIMULATED, VERBS, codes, main, parser
from tests.cli.conftest import Authd


def test_every_verb_is_listed_in_the_help() -> None:
    text = parser().format_help()
    assert all(f"\n    {verb}" in text for verb in (*VERBS, *SIMULATED))
    assert "exit codes: 0 done, 1 bad news, 2 wrong input, 3 no daemon there, 4 refused" in text


def test_the_codes_are_those_of_the_help() -> None:
    assert (codes.OK, codes.WRONG, codes.USAGE, codes.UNREACHABLE, codes.REFUSED) == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("verb", VERBS)
async def test_every_verb_explains_itself_by_an_example(verb: str, authd: Authd) -> None:
    said = await authd(verb, "--help")
    assert said.code == codes.OK
    assert f"authd {verb}" in said.out.partition("examples:")[2]


def _parsers(of: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """It, its verbs, and theirs."""
    yield of
    verbs: list[Any] = [action.choices for action in of._actions if action.nargs == argparse.PARSER]  # pyright: ignore[reportPrivateUsage] - argparse has no public name for it
    for each in (each for named in verbs for each in named.values()):
        yield from _parsers(each)


@pytest.mark.parametrize("of", list(_parsers(parser())), ids=lambda of: of.prog)
def test_every_help_has_both_languages_an_example_and_the_exit_codes(of: argparse.ArgumentParser) -> None:
    examples, found, codes_said = (of.epilog or "").partition("exit codes:")
    assert re.search(rf"^  (.*\| )?(\w+=\S+ )?{of.prog}\b", examples.partition("examples:")[2], re.MULTILINE)
    assert found, "its exit codes"
    assert codes_said.startswith(" 0 ")
    assert re.search(r"^[ -~]+ / .*[\u3041-\u9fff]", of.description or ""), "what it is for, in both languages"


@pytest.mark.parametrize("words", [[], ["nonsense"], ["status", "--nonsense"], ["enroll"], ["who", "--seat", "x"]])
async def test_what_is_called_wrongly_is_exit_2(words: list[str], authd: Authd) -> None:
    said = await authd(*words)
    assert (said.code, said.out) == (codes.USAGE, "")
    assert said.err.startswith("usage: authd")


async def test_it_says_its_version(authd: Authd) -> None:
    assert (await authd("--version")).out == f"authd-seat {__version__}\n"


@pytest.mark.parametrize("verb", SIMULATED)
async def test_without_the_simulators_it_says_what_to_install_and_where_not(
    verb: str, authd: Authd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*, group: str) -> Sequence[EntryPoint]:
        return []

    monkeypatch.setattr(cli, "entry_points", none)
    said = await authd(verb)
    assert (said.code, said.out) == (codes.USAGE, "")
    assert "pip install authd-simulators" in said.err
    assert "決して入れないでください" in said.err


def test_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    def wrapped(work: object) -> object:
        return interrupted

    monkeypatch.setattr("authd.cli.status.with_daemon", wrapped)
    assert main(["status"]) == 130


@pytest.mark.real
def test_a_reader_that_goes_away_is_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "authd", "policy", "coverage"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (process.returncode, process.stderr) == (0, b"")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_loads_no_other(verb: str) -> None:
    (verbs,) = (action for action in parser(verb)._actions if action.choices is not None)  # pyright: ignore[reportPrivateUsage] - argparse has no public name for it
    assert {VERBS[name] for name in verbs.choices or ()} == {VERBS[verb]}
