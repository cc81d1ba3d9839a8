"""What every simulated device can do: be plugged in and out, hang, be slow, talk rubbish, sleep and wake."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from authd_simulators.cable.wire import MAX_ASK, Ask, CableError, Say, Want, frame, frame_length, pack_answer, parse_ask

BEAT_S = 0.2
LEAVING_S = 0.2
MOST_MS = 60_000
Value = str | int | bool | None


class CommandError(Exception):
    """The command is not understood, or cannot be carried out now; the text says why."""


class Trouble(StrEnum):
    """What is wrong with a device that is plugged in."""

    NONE = "none"
    HANG = "hang"
    SUSPENDED = "suspended"
    GARBAGE_BYTES = "garbage bytes"
    GARBAGE_FRAME = "garbage frame"
    GARBAGE_IMAGE = "garbage image"
    """Well-formed, but nothing that was ever a finger."""
    GARBAGE_SIZE = "garbage size"
    """A picture that is longer than it says."""


class Device:
    """One device, at most one driver. Subclasses answer questions and add commands."""

    serves: Want
    """The question this device is for."""

    def __init__(self, name: str, cable: Path, rng: random.Random) -> None:
        self.name = name
        self.cable = cable
        self.rng = rng
        self.trouble = Trouble.NONE
        self.slow_ms = 0
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._driver: asyncio.StreamWriter | None = None
        self._pending: Ask | None = None
        self._awaited = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()

    # For subclasses.

    def respond(self, ask: Ask) -> bytes | None:
        """Return the frame that answers, or None while there is nothing to say yet."""
        raise NotImplementedError

    def asked(self, ask: Ask) -> None:
        """Take note of a question the moment it comes."""

    def actions(self) -> Mapping[str, Callable[[Sequence[str]], str]]:
        """Commands of this kind of device, by their first word; each returns the rest of its `ok` line."""
        return {}

    def status(self) -> dict[str, Value]:
        """Return what a person looking at the device would see."""
        return {
            "plugged": self._server is not None,
            "driver": self._driver is not None,
            "asked": self._pending.want.name.lower() if self._pending else None,
            "trouble": self.trouble.value,
            "slow_ms": self.slow_ms,
        }

    def changed(self) -> None:
        """Look again at what was asked."""
        self._changed.set()

    # Commands.

    async def obey(self, words: Sequence[str]) -> str:
        """Carry out one command and return the rest of its `ok` line. Raises `CommandError`."""
        verb, arguments = words[0].upper(), list(words[1:])
        match verb, arguments:
            case "PLUG", []:
                await self.plug()
                return "plugged"
            case "UNPLUG", []:
                await self.unplug()
                return "unplugged"
            case "AWAIT", [limit]:
                return await self._await_asked(milliseconds(limit))
            case _:
                answer = self._common(verb, arguments) or self._own(verb, arguments)
        self.changed()
        return answer

    def _common(self, verb: str, arguments: list[str]) -> str | None:
        match verb, arguments:
            case "HANG", []:
                self.trouble = Trouble.HANG
            case "SUSPEND", []:
                self.trouble = Trouble.SUSPENDED
            case "RESUME", []:
                self.trouble, self.slow_ms = Trouble.NONE, 0
            case "SLOW", [limit]:
                self.slow_ms = milliseconds(limit)
            case "GARBAGE", ([] | ["bytes" | "frame" | "image" | "size"]):
                self.trouble = Trouble(" ".join(["garbage", *(arguments or ["bytes"])]))
            case _:
                return None
        return f"{self.trouble.value}, {self.slow_ms} ms late" if self.slow_ms else self.trouble.value

    def _own(self, verb: str, arguments: list[str]) -> str:
        action = self.actions().get(verb)
        if action is None:
            raise CommandError(f"{self.name} knows no command {verb[:32]!r}")
        return action(arguments)

    async def _await_asked(self, limit_ms: int) -> str:
        """Wait until a driver asks for what this device is for; scripts use it instead of sleeping."""
        try:
            async with asyncio.timeout(limit_ms / 1000):
                await self._awaited.wait()
        except TimeoutError:
            raise CommandError(f"{self.name} was not asked within {limit_ms} ms") from None
        return "asked"

    # The cable.

    def babble(self, data: bytes) -> None:
        """Send these bytes to the driver, if there is one: tests of hostile devices."""
        if self._driver is not None:
            self._driver.write(data)

    async def plug(self) -> None:
        """Put the cable in: from now on a driver can find the device."""
        if self._server is None:
            self.cable.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._connected, self.cable, limit=MAX_ASK * 4)
            self.cable.chmod(0o600)

    async def unplug(self) -> None:
        """Pull the cable: the driver loses its connection and finds no device."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self.cable.unlink(missing_ok=True)
        if self._driver is not None:
            self._driver.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one driver until its connection ends; a second one is told that the device is busy."""
        with suppress(TimeoutError):  # the one before may be leaving at this moment
            async with asyncio.timeout(LEAVING_S):
                await self._free.wait()
        if self._driver is not None or self.trouble is Trouble.SUSPENDED:
            writer.write(pack_answer(Say.BUSY if self._driver is not None else Say.SUSPENDED))
            writer.close()
            return
        if self._server is None:
            writer.transport.abort()
            return
        self._driver = writer
        self._free.clear()
        try:
            if self.trouble is not Trouble.HANG:
                writer.write(pack_answer(Say.READY))
            async with asyncio.TaskGroup() as group:
                talker = group.create_task(self._talk(writer))
                await self._listen(reader)
                talker.cancel()
        except* (OSError, CableError):
            pass
        finally:
            self._driver = None
            self._free.set()
            self._set_pending(None)
            writer.transport.abort()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Take questions until the driver hangs up."""
        try:
            while True:
                length = frame_length(await reader.readexactly(4), MAX_ASK)
                ask = parse_ask(await reader.readexactly(length))
                self._set_pending(ask if ask.want is not Want.NOTHING else None)
                self.asked(ask)
                self.changed()
        except asyncio.IncompleteReadError:
            return

    async def _talk(self, writer: asyncio.StreamWriter) -> None:
        """Answer when there is something to say, and give a sign of life every 0.2 s in between."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._changed.wait()
            self._changed.clear()
            if self._pending is None or self.trouble is Trouble.HANG:
                continue
            await self._say(writer, self._pending)

    def _set_pending(self, ask: Ask | None) -> None:
        self._pending = ask
        if ask is not None and ask.want is self.serves:
            self._awaited.set()
        else:
            self._awaited.clear()

    async def _say(self, writer: asyncio.StreamWriter, ask: Ask) -> None:
        data = self._trouble_answer(ask) or self.respond(ask)
        if data is None:
            writer.write(pack_answer(Say.BEAT))
        else:
            await asyncio.sleep(self.slow_ms / 1000)
            if self._pending is ask:
                self._set_pending(None)
            writer.write(data)
        await writer.drain()

    def _trouble_answer(self, ask: Ask) -> bytes | None:
        """Return what a device in trouble says instead of an answer."""
        del ask
        match self.trouble:
            case Trouble.SUSPENDED:
                return pack_answer(Say.SUSPENDED)
            case Trouble.GARBAGE_BYTES:
                return self.rng.randbytes(self.rng.randint(64, 512))
            case Trouble.GARBAGE_FRAME:
                return frame(self.rng.randbytes(self.rng.randint(5, 300)))
            case _:
                return None


def milliseconds(word: str) -> int:
    """Read a bounded number of milliseconds. Raises `CommandError`."""
    if not (word.isascii() and word.isdigit() and len(word) <= 5 and int(word) <= MOST_MS):
        raise CommandError(f"expected 0 to {MOST_MS} milliseconds")
    return int(word)
