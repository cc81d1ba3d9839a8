"""The key's process: text commands, and the key in its place."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authd_simulators.control import command
from authd_simulators.fido_key import BIO, Key, Memory
from authd_simulators.fido_key.commands import Commands

LIMIT_S = 20


class Pocket:
    """A place without wires."""

    def __init__(self) -> None:
        self.inserted = False

    def insert(self) -> None:
        self.inserted = True

    def remove(self) -> None:
        self.inserted = False


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(Key(BIO), Pocket(), tmp_path / "state")


async def told(commands: Commands, line: str) -> str:
    answer = await commands.obey(line)
    assert "\n" not in answer
    return answer


async def status(commands: Commands) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await commands.obey("STATUS")).removeprefix("ok "))
    return found


async def test_commands_play_the_person(commands: Commands) -> None:
    done: list[bytes] = []
    waiting = threading.Thread(target=lambda: done.append(commands.key.call(b"\x0b")))
    waiting.start()
    assert await told(commands, "AWAIT 30000") == "ok asked"
    assert (await status(commands))["asking"] == "touch"
    assert await told(commands, "touch") == "ok touched"
    waiting.join(5)
    assert done == [b"\x00"]
    assert await told(commands, "TOUCH 10") == "ok touched, unasked"
    assert await told(commands, "AUTO on 2") == "ok by itself"
    assert commands.key.call(b"\x0b") == b"\x00"


async def test_commands_make_trouble_and_end_it(commands: Commands) -> None:
    await told(commands, "ERROR 0x33 2")
    assert await told(commands, "HANG") == "ok hangs, 2 errors"
    assert await told(commands, "RESUME") == "ok none"
    await told(commands, "ERROR 0x33")
    assert commands.key.call(b"\x04") == b"\x33"
    assert await told(commands, "SLEEP 1") == "ok 1 ms late"
    assert await told(commands, "NOUV on") == "ok 1 ms late, no uv"
    assert commands.key.hidden_flags == 4
    assert await told(commands, "GARBAGE wire 3") == "ok 1 ms late, garbage, no uv"
    assert (commands.key.trouble.wire, commands.key.trouble.garbage) == (3, 0)


async def test_commands_set_what_somebody_did_before(commands: Commands, tmp_path: Path) -> None:
    for line in ("PIN 271828", "LEARN 2", "COUNTER 41", f"CLONE {tmp_path / 'clone'}"):
        assert (await told(commands, line)).startswith("ok")
    known = await status(commands)
    assert (known["pin"], known["fingers"], known["counter"]) == (True, [2], 41)
    clone = Memory.unpack((tmp_path / "clone").read_bytes())
    assert clone == commands.key.memory
    assert (tmp_path / "clone").stat().st_mode & 0o777 == 0o600
    await told(commands, "FORGET")
    await told(commands, "PIN off")
    assert (await status(commands))["pin"] is False


async def test_in_and_out_and_remembered(commands: Commands, tmp_path: Path) -> None:
    assert await told(commands, "INSERT") == "ok inserted"
    assert (await status(commands))["inserted"] is True
    assert await told(commands, "UNPLUG") == "ok removed"
    assert Memory.unpack((tmp_path / "state").read_bytes()) == commands.key.memory


@pytest.mark.parametrize(
    "line",
    [
        "",
        "JUMP",
        "TOUCH -1",
        "TOUCH 99999999",
        "FINGER",
        "FINGER 11",
        "FINGER 1 99",
        "AUTO",
        "AUTO maybe",
        "AWAIT",
        "AWAIT 1",
        "SLEEP",
        "ERROR",
        "ERROR 0",
        "ERROR 0x100",
        "GARBAGE soup",
        "PIN",
        "PIN 123",
        "LEARN 0",
        "COUNTER -1",
        "CLONE",
        "CLONE /nowhere/at/all",
        "INSERT now",
    ],
)
async def test_what_is_not_understood_is_an_error_in_plain_words(commands: Commands, line: str) -> None:
    assert (await told(commands, line)).startswith("error ")


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
async def test_no_line_raises(line: str) -> None:
    if not line.upper().split()[:1] or line.upper().split()[0] not in ("CLONE", "AWAIT"):
        answer = await Commands(Key(), Pocket()).obey(line)
        assert answer.startswith(("ok", "error"))


@pytest.mark.real
def test_the_key_does_without_the_library_that_reads_keys() -> None:
    code = "import sys, authd_simulators.fido_key.__main__; sys.exit('fido2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=LIMIT_S, check=False).returncode == 0


@pytest.mark.parametrize("data", [b"", b"\xa0", b"\x80", Key().memory.pack()[:-1], b"\xa1\x63pin\xf6"])
def test_a_file_that_is_no_key_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="this"):
        Memory.unpack(data)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("k")


def started(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "authd_simulators.fido_key", "--control", str(folder / "c"), *more]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.fixture
def process(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    made = started(folder, "--pty", str(folder / "hidraw"), "--state", str(folder / "state"), "--bio")
    yield made
    made.kill()
    made.communicate()


@pytest.mark.real
async def test_a_process_holds_the_key_and_keeps_its_state(folder: Path, process: subprocess.Popen[bytes]) -> None:
    assert (folder / "hidraw").is_char_device()
    assert await command(folder / "c", "LEARN 3", LIMIT_S) == "ok knows [3]"
    assert await command(folder / "c", "REMOVE", LIMIT_S) == "ok removed"
    assert not (folder / "hidraw").exists()
    process.terminate()
    assert process.wait(LIMIT_S) == 0
    with started(folder, "--pty", str(folder / "hidraw"), "--state", str(folder / "state"), "--bio") as again:
        assert json.loads((await command(folder / "c", "STATUS", LIMIT_S)).removeprefix("ok "))["fingers"] == [3]
        again.terminate()
        assert again.wait(LIMIT_S) == 0


@pytest.mark.real
def test_a_process_that_cannot_hold_the_key_says_so(folder: Path) -> None:
    (folder / "state").write_bytes(b"soup")
    for arguments in (["--vpcd", "127.0.0.1:1"], ["--vpcd", "soup"], ["--pty", "x", "--state", str(folder / "state")]):
        with started(folder, *arguments) as process:
            assert process.wait(LIMIT_S) == 1
            assert process.stderr is not None
            assert process.stderr.read().startswith(b"authd_simulators.fido_key: ")
