"""ext-session-lock over the wire, against a compositor of a few lines; and what is said where there is none."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from authd.agent.locker import LOCK_FD
from authd.agent.wayland import LOCKER, MANAGER, NoWayland, WaylandScreen

OFFERS = ("wl_compositor", "wl_shm", "wl_output", MANAGER)


class Compositor:
    """Knows what a locker may ask, in this order; says `locked`, and configures one surface of 64 x 32."""

    def __init__(self, folder: Path, offers: tuple[str, ...], *, refuses: bool = False) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(folder / "wayland-t"))
        self._socket.listen(4)
        self._offers, self._refuses = offers, refuses
        self.bound: dict[int, str] = {}
        self.committed = threading.Event()
        self.unlocked = threading.Event()
        self.pixels = b""
        self.environment = {"XDG_RUNTIME_DIR": str(folder), "WAYLAND_DISPLAY": "wayland-t"}
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            with line, suppress(OSError):
                self._talk(line)

    def _talk(self, line: socket.socket) -> None:  # noqa: C901 - one table of what a compositor hears
        heard, descriptors = bytearray(), list[int]()
        lock = registry = pool = cover = 0
        while True:
            data, fds, _, _ = socket.recv_fds(line, 65_536, 4)
            if not data:
                return
            heard += data
            descriptors += fds
            while len(heard) >= 8 and len(heard) >= struct.unpack_from("=II", heard)[1] >> 16:
                thing, word = struct.unpack_from("=II", heard)
                body = bytes(heard[8 : word >> 16])
                del heard[: word >> 16]
                name, opcode = self.bound.get(thing, ""), word & 0xFFFF
                if thing == 1 and opcode == 1:
                    (registry,) = struct.unpack("=I", body)
                    for number, offer in enumerate(self._offers):
                        text = (offer.encode() + b"\0").ljust((len(offer) + 4) // 4 * 4, b"\0")
                        event = struct.pack("=II", number, len(offer) + 1) + text + struct.pack("=I", 4)
                        self._say(line, registry, 0, event)
                elif thing == 1:
                    self._say(line, struct.unpack("=I", body)[0], 0, struct.pack("=I", 1))
                elif thing == registry:
                    (number,) = struct.unpack_from("=I", body)
                    self.bound[struct.unpack("=I", body[-4:])[0]] = self._offers[number]
                elif name == MANAGER:
                    (lock,) = struct.unpack("=I", body)
                    self._say(line, lock, 1 if self._refuses else 0, b"")
                elif thing == lock and opcode == 1:
                    cover = struct.unpack_from("=I", body)[0]
                    self._say(line, cover, 0, struct.pack("=III", 7, 64, 32))
                elif thing == lock and opcode == 2:
                    self.unlocked.set()
                elif name == "wl_shm":
                    pool, size = struct.unpack("=Ii", body)
                    self.pixels = os.pread(descriptors[0], size, 0)
                    os.close(descriptors.pop(0))
                elif pool and thing not in (pool, cover) and opcode == 6:
                    self.committed.set()

    def _say(self, line: socket.socket, thing: int, opcode: int, body: bytes) -> None:
        line.sendall(struct.pack("=II", thing, (8 + len(body)) << 16 | opcode) + body)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("w")


def test_a_compositor_without_the_protocol_is_refused_in_a_sentence(folder: Path) -> None:
    compositor = Compositor(folder, OFFERS[:3])
    with pytest.raises(NoWayland, match=r"sway 1\.7 has no ext-session-lock, .* or an X11 desktop"):
        WaylandScreen.of({**compositor.environment, "XDG_CURRENT_DESKTOP": "sway 1.7"})
    compositor.close()


class Odd(Compositor):
    """Says so much of everything, and no more."""

    def __init__(self, folder: Path, length: int) -> None:
        self._length = length
        super().__init__(folder, OFFERS)

    def _say(self, line: socket.socket, thing: int, opcode: int, body: bytes) -> None:
        super()._say(line, thing, opcode, body[: self._length])


@pytest.mark.parametrize("length", [0, 4, 8, 12])
def test_a_compositor_that_speaks_something_else_is_refused_in_a_sentence(folder: Path, length: int) -> None:
    compositor = Odd(folder, length)
    with pytest.raises(NoWayland, match="speaks something else"):
        WaylandScreen.of(compositor.environment)
    compositor.close()


def test_no_compositor_is_said(folder: Path) -> None:
    with pytest.raises(NoWayland, match="cannot be reached"):
        WaylandScreen.of({"XDG_RUNTIME_DIR": str(folder), "WAYLAND_DISPLAY": "none"})


@pytest.mark.real
def test_the_locker_covers_every_output_and_opens_only_when_told(folder: Path) -> None:
    compositor = Compositor(folder, OFFERS)
    assert WaylandScreen.of(compositor.environment)
    ours, theirs = os.pipe()
    environment = {**os.environ, **compositor.environment, LOCK_FD: str(theirs)}
    locker = subprocess.Popen(LOCKER, env=environment, pass_fds=(theirs,))
    os.close(theirs)
    assert os.read(ours, 1) == b""  # it says that it holds the screen
    os.close(ours)
    assert compositor.committed.wait(30)
    assert len(compositor.pixels) == 64 * 32 * 4
    assert compositor.pixels == compositor.pixels[:4] * 64 * 32
    assert not compositor.unlocked.is_set()
    locker.send_signal(signal.SIGTERM)
    assert locker.wait(30) == 0
    assert compositor.unlocked.wait(30)
    compositor.close()


@pytest.mark.real
def test_a_compositor_that_gives_the_screen_to_another_ends_it(folder: Path) -> None:
    compositor = Compositor(folder, OFFERS, refuses=True)
    ended = subprocess.run(LOCKER, env={**os.environ, **compositor.environment}, timeout=60, check=False)
    assert ended.returncode == 1
    compositor.close()
