"""Wayland: whether this compositor can lock (ext-session-lock-v1), and our own locker, which speaks that protocol.

A compositor that has it shows nothing but the locker's surfaces from `locked` on, and keeps the screen locked when the
locker dies: a better guarantee than X has. One that has it not cannot be covered at all, and this is said: its windows
have no place above the others. The wire is spoken here in some lines of our own (wayland.freedesktop.org, "Wire
Format"): words of 32 bits in the host's order, object, length << 16 | opcode, arguments; descriptors beside them.
"""

from __future__ import annotations

import array
import asyncio
import mmap
import os
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from authd.agent.locker import LOCK_FD
from authd.client.tables import BadSettings

LOCKER: Final = (sys.executable, "-I", "-m", "authd.agent.wayland")
MANAGER: Final = "ext_session_lock_manager_v1"
LONGEST: Final = 65_536
MOST_OUTPUTS: Final = 16
LARGEST: Final = 16_384
GROUND: Final = b"\x12\x0d\x0a\x00"
"""Opaque: XRGB8888, little endian."""
DISPLAY: Final = 1
ANSWER_S: Final = 3.0
ODD: Final = "the compositor speaks something else"


class NoWayland(BadSettings):
    """The compositor cannot be reached, or cannot lock; the text says what to do."""


class Wire:
    """A connection to the compositor."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Raises `NoWayland`."""
        path = Path(environment.get("XDG_RUNTIME_DIR", "")) / environment.get("WAYLAND_DISPLAY", "wayland-0")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.socket.settimeout(ANSWER_S)
        try:
            self.socket.connect(str(path))
        except OSError as error:
            self.socket.close()
            raise NoWayland(f"the compositor at {path} cannot be reached: {error.strerror}") from None
        self._last = DISPLAY
        self._heard = bytearray()

    def new(self) -> int:
        """Return the number of a new object."""
        self._last += 1
        return self._last

    def send(self, thing: int, opcode: int, arguments: bytes = b"", descriptor: int | None = None) -> None:
        """Make one request."""
        message = struct.pack("=II", thing, (8 + len(arguments)) << 16 | opcode) + arguments
        beside = (
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))] if descriptor is not None else []
        )
        self.socket.sendmsg([message], beside)

    def receive(self) -> list[tuple[int, int, bytes]]:
        """Return what the compositor has said: object, opcode, arguments. Raises `NoWayland` where it has gone."""
        try:
            data = self.socket.recv(LONGEST)
        except BlockingIOError:
            return []
        except OSError as error:
            raise NoWayland(f"the compositor is gone: {error}") from None
        if not data:
            raise NoWayland("the compositor is gone")
        self._heard += data
        return list(self._messages())

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def _messages(self) -> list[tuple[int, int, bytes]]:
        found: list[tuple[int, int, bytes]] = []
        while len(self._heard) >= 8:
            thing, word = struct.unpack_from("=II", self._heard)
            length = word >> 16
            if length < 8:
                raise NoWayland(ODD)
            if len(self._heard) < length:
                break
            found.append((thing, word & 0xFFFF, bytes(self._heard[8:length])))
            del self._heard[:length]
        return found


def _words(form: str, arguments: bytes, at: int = 0) -> tuple[int, ...]:
    """Read some of an event's arguments. Raises `NoWayland` where there are fewer."""
    try:
        return struct.unpack_from(form, arguments, at)
    except struct.error:
        raise NoWayland(ODD) from None


@dataclass(slots=True)
class Registry:
    """What the compositor offers: interface -> number and version of each."""

    id: int
    offers: dict[str, list[tuple[int, int]]] = field(default_factory=dict[str, list[tuple[int, int]]])

    def note(self, arguments: bytes) -> None:
        """Take one `global` event. Raises `NoWayland`."""
        name, length = _words("=II", arguments)
        interface = arguments[8 : 8 + length - 1].decode("ascii", "replace")
        (version,) = _words("=I", arguments, 8 + (length + 3) // 4 * 4)
        self.offers.setdefault(interface, []).append((name, version))


def survey(wire: Wire) -> Registry:
    """Ask what there is. Raises `NoWayland`."""
    registry, done = Registry(wire.new()), wire.new()
    wire.send(DISPLAY, 1, struct.pack("=I", registry.id))  # wl_display.get_registry
    wire.send(DISPLAY, 0, struct.pack("=I", done))  # wl_display.sync
    while True:
        for thing, opcode, arguments in wire.receive():
            if thing == registry.id and opcode == 0:
                registry.note(arguments)
            elif thing == done:
                return registry
            elif thing == DISPLAY and opcode == 0:
                raise NoWayland("the compositor refused to say what it offers")


class WaylandScreen:
    """A Wayland desktop. Implements `run.Screen`; there is no shield: the compositor itself keeps what is locked."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> WaylandScreen:
        """Look whether it can be covered at all. Raises `NoWayland`."""
        wire = Wire(environment)
        try:
            offers = survey(wire).offers
        finally:
            wire.close()
        if MANAGER not in offers:
            desktop = environment.get("XDG_CURRENT_DESKTOP", "this compositor")
            raise NoWayland(
                f"{desktop} has no ext-session-lock, so nothing can cover its screen: use a compositor that has it "
                "(sway 1.8, labwc 0.7, Hyprland and later ones), or an X11 desktop"
            )
        return cls()

    def show(self) -> None:
        """Nothing to do."""

    def rest(self) -> None:
        """Nothing to do."""

    def hide(self) -> None:
        """Nothing to do."""

    def wake(self) -> None:
        """Nothing to do: the locker shows all it has."""

    def idle_ms(self) -> int | None:
        """Not told here; logind is asked."""
        return None

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing to do."""


class Lock:
    """Our locker: one opaque surface on each output, until SIGTERM says that a session is open."""

    def __init__(self, wire: Wire) -> None:
        """Raises `NoWayland` where the compositor has no protocol for it."""
        self._wire, self._registry = wire, survey(wire)
        self.locked = False
        self.refused = False
        self._compositor = self._bind("wl_compositor", 4)
        self._shm = self._bind("wl_shm", 1)
        manager = self._bind(MANAGER, 1)
        self._lock = wire.new()
        self._surfaces: dict[int, int] = {}
        wire.send(manager, 1, struct.pack("=I", self._lock))
        for name, _ in self._registry.offers.get("wl_output", [])[:MOST_OUTPUTS]:
            self._cover(name)

    def hear(self) -> None:
        """Take what the compositor has said. Raises `NoWayland`."""
        for thing, opcode, arguments in self._wire.receive():
            if thing in self._surfaces:
                self._draw(thing, *_words("=III", arguments))
            elif thing == self._lock:
                self.locked, self.refused = opcode == 0, opcode == 1
            elif thing == self._registry.id and opcode == 0:
                before = len(self._registry.offers.get("wl_output", []))
                self._registry.note(arguments)
                for name, _ in self._registry.offers.get("wl_output", [])[before:MOST_OUTPUTS]:
                    self._cover(name)
            elif thing == DISPLAY and opcode == 0:
                raise NoWayland("the compositor refused a request")

    def open(self) -> None:
        """Let the desktop be seen: only `unlock_and_destroy` does, not our end."""
        if not self.locked:
            return
        self._wire.send(self._lock, 2)
        done = self._wire.new()
        self._wire.send(DISPLAY, 0, struct.pack("=I", done))
        while not any(thing == done for thing, _, _ in self._wire.receive()):
            pass

    def _bind(self, interface: str, version: int) -> int:
        offered = self._registry.offers.get(interface)
        if not offered:
            raise NoWayland(f"the compositor has no {interface}")
        return self._bound(offered[0][0], interface, min(version, offered[0][1]))

    def _bound(self, name: int, interface: str, version: int) -> int:
        number, text = self._wire.new(), interface.encode() + b"\0"
        padded = text.ljust((len(text) + 3) // 4 * 4, b"\0")
        words = struct.pack("=II", name, len(text)) + padded + struct.pack("=II", version, number)
        self._wire.send(self._registry.id, 0, words)
        return number

    def _cover(self, name: int) -> None:
        output = self._bound(name, "wl_output", 1)
        surface, cover = self._wire.new(), 0
        self._wire.send(self._compositor, 0, struct.pack("=I", surface))
        cover = self._wire.new()
        self._wire.send(self._lock, 1, struct.pack("=III", cover, surface, output))
        self._surfaces[cover] = surface

    def _draw(self, cover: int, serial: int, width: int, height: int) -> None:
        width, height = min(max(width, 1), LARGEST), min(max(height, 1), LARGEST)
        surface, size = self._surfaces[cover], width * height * 4
        self._wire.send(cover, 1, struct.pack("=I", serial))
        memory = os.memfd_create("authd-lock", os.MFD_CLOEXEC)
        try:
            os.ftruncate(memory, size)
            with mmap.mmap(memory, size) as pixels:
                pixels[:] = GROUND * (width * height)
            pool, buffer = self._wire.new(), 0
            self._wire.send(self._shm, 0, struct.pack("=Ii", pool, size), memory)
            buffer = self._wire.new()
            self._wire.send(pool, 0, struct.pack("=IiiiiI", buffer, 0, width, height, width * 4, 1))
            self._wire.send(pool, 1)
        finally:
            os.close(memory)
        self._wire.send(surface, 1, struct.pack("=Iii", buffer, 0, 0))
        self._wire.send(surface, 2, struct.pack("=iiii", 0, 0, width, height))
        self._wire.send(surface, 6)


async def _serve(lock: Lock, wire: Wire) -> bool:
    """Hold the screen until SIGTERM; False: the compositor gave it to another locker."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    told = False
    wire.socket.setblocking(False)
    ready = asyncio.Event()
    loop.add_reader(wire.socket, ready.set)
    while not ended.is_set() and not lock.refused:
        if lock.locked and not told:
            told = True
            with suppress(OSError, ValueError):
                os.close(int(os.environ.get(LOCK_FD, "")))
        ready.clear()
        waits = [loop.create_task(each.wait()) for each in (ready, ended)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if ready.is_set():
            lock.hear()
    loop.remove_reader(wire.socket)
    return not lock.refused


def main() -> int:
    """Lock; returns 0 once the agent has said that a session is open."""
    try:
        wire = Wire(os.environ)
        lock = Lock(wire)
        if not asyncio.run(_serve(lock, wire)):
            return 1
        wire.socket.settimeout(ANSWER_S)
        lock.open()
    except NoWayland as error:
        sys.stderr.write(f"authd agent: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
