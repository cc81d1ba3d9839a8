from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from authd.service.notify import beat, notify, watchdog_s


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with tempfile.TemporaryDirectory(prefix="n") as folder, listener:
        listener.bind(f"{folder}/s")
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", f"{folder}/s")
        yield listener


def test_systemd_is_told(systemd: socket.socket) -> None:
    notify("READY=1")
    assert systemd.recv(100) == b"READY=1"


def test_an_abstract_socket_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"authd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        notify("STOPPING=1")
        assert listener.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all", "vsock:2:1"])
def test_without_systemd_nothing_happens(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")


def test_a_systemd_that_does_not_read_delays_nothing(systemd: socket.socket) -> None:
    for _ in range(10_000):  # more than any queue holds: this would wait for ever
        notify("WATCHDOG=1")
    assert systemd.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("usec", "pid", "pause"),
    [
        ("10000000", None, 5.0),
        ("10000000", "1", None),
        ("", None, None),
        ("0", None, None),
        ("-5", None, None),
        ("soon", None, None),
        ("9" * 5_000, None, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_needed(
    usec: str, pid: str | None, pause: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))
    assert watchdog_s() == pause


async def test_it_beats(systemd: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    beating = asyncio.get_running_loop().create_task(beat())
    for _ in range(3):
        assert await asyncio.get_running_loop().sock_recv(systemd, 100) == b"WATCHDOG=1"
    beating.cancel()
    await asyncio.wait({beating})


async def test_it_does_not_beat_where_nobody_watches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    await beat()
