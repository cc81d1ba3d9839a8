"""A daemon's door for verbs that talk to one, and a way to call a verb as a person would."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from authd.cli import main
from authd.client import connect_sync


@dataclass(frozen=True, slots=True)
class Said:
    """What a verb answered."""

    code: int
    out: str
    err: str


Authd = Callable[..., Awaitable[Said]]


@pytest.fixture
def folder() -> Generator[Path, None, None]:
    """A path short enough for a socket."""
    made = Path(tempfile.mkdtemp(prefix="ac", dir="/tmp"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def toml(folder: Path) -> Path:
    """A configuration whose door is in the folder."""
    path = folder / "authd.toml"
    path.write_text('[host]\nstate = "state"\nrun = "."\n[seat.counter-1]\n', encoding="utf-8")
    return path


@pytest.fixture
def authd(toml: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Authd:
    """Return a function that runs `authd` with these words, beside the loop of the test."""
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    monkeypatch.setenv("AUTHD_CONFIG", str(toml))

    async def authd(*words: object) -> Said:
        code = await asyncio.to_thread(_run, [str(word) for word in words])
        found = capsys.readouterr()
        return Said(code, found.out, found.err)

    return authd


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a minute for a door that shares this process with the verb: on a busy machine it answers late."""
    monkeypatch.setattr("authd.client.connect_sync", partial(connect_sync, timeout=60.0))


def _run(words: list[str]) -> int:
    try:
        return main(words)
    except SystemExit as error:  # argparse's own
        return int(error.code or 0)
