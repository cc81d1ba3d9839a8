"""A machine on which no stage can be set: one sentence that says what to do, exit 1, and nothing left there."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from authd.cli import main
from authd.service.bus.peers import UNKNOWN_UID
from authd_simulators.further import FurtherDevices
from authd_simulators.stage import Ports, Stage

Patch = pytest.MonkeyPatch


def no_folder(patch: Patch, _: Path) -> None:
    """As for an account without a home, where /tmp is closed too."""

    def refuse(**_: object) -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp', '/']")

    patch.setattr(tempfile, "mkdtemp", refuse)


def room(patch: Patch, megabytes: int) -> None:
    def usage(_: object) -> SimpleNamespace:
        return SimpleNamespace(free=megabytes << 20)

    patch.setattr(shutil, "disk_usage", usage)


def no_room(patch: Patch, _: Path) -> None:
    room(patch, 5)


def nobody(patch: Patch, _: Path) -> None:
    patch.setattr(os, "geteuid", lambda: UNKNOWN_UID)


def filled_meanwhile(patch: Patch, _: Path) -> None:
    async def fill(stage: Stage) -> None:
        room(patch, 0)
        raise RuntimeError("what a process said last")

    patch.setattr(Stage, "_set_up", fill)


def closed(patch: Patch, _: Path) -> None:
    async def write(stage: Stage) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "/dev/shm/authd-1")

    patch.setattr(Stage, "_set_up", write)


@pytest.mark.parametrize("words", [["demo"], ["demo", "--once"], ["drill", "zushi"]], ids=" ".join)
@pytest.mark.parametrize(
    ("lay", "said"),
    [
        (no_folder, "TMPDIR"),
        (no_room, "has 5 MB of room and 64 MB are needed: make room"),
        (nobody, "call it from an account of its own"),
        (filled_meanwhile, "has 0 MB of room"),
        (closed, "/dev/shm/authd-1: Read-only file system: this account must be able to write there"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_it_says_what_to_do_and_leaves_nothing(
    words: list[str],
    lay: Callable[[Patch, Path], None],
    said: str,
    tmp_path: Path,
    monkeypatch: Patch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lay(monkeypatch, tmp_path)
    assert main(words) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert (said in last, " / " in last) == (True, True), err
    assert list(tmp_path.iterdir()) == []


def test_a_fault_that_is_none_of_the_machines_stays_what_it_is(tmp_path: Path, monkeypatch: Patch) -> None:
    stage = Stage(Ports(1, 2, 3), folder=tmp_path)
    assert stage._ill_ground(RuntimeError("a bug")) is None  # pyright: ignore[reportPrivateUsage]
    assert stage._ill_ground(ConnectionResetError(errno.ECONNRESET, "reset")) is None  # pyright: ignore[reportPrivateUsage]
    room(monkeypatch, 0)
    assert stage._ill_ground(KeyboardInterrupt()) is None  # pyright: ignore[reportPrivateUsage]


def test_without_a_name_there_is_no_fingerprint_reader(tmp_path: Path, monkeypatch: Patch) -> None:
    """D-Bus lets nobody in whom the machine cannot name: the stage would wait for it in vain."""
    monkeypatch.setattr("authd_simulators.further.missing", lambda: "pcscd")
    monkeypatch.setattr("authd_simulators.further.FPRINTD", tmp_path)
    monkeypatch.setattr(shutil, "which", str)
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_000)
    devices = FurtherDevices(tmp_path)
    devices.look("counter-1", "counter-2")
    assert (devices.found, "this account has no name" in devices.lacking[1]) == ([], True)
