"""The wires to libfprint's virtual devices: behind `FP_VIRTUAL_IMAGE`, `FP_VIRTUAL_DEVICE` and `..._STORAGE`.

Each listens on a Unix socket while somebody has claimed it. The image device takes native 32-bit pairs: width and
height, then the grey picture; or a negative number and what it means. The others take one line of text a connection.
"""

from __future__ import annotations

import asyncio
import struct
from enum import IntEnum
from pathlib import Path

PATIENCE_S = 5.0
MAX_ANSWER = 1 << 16


class Retry(IntEnum):
    """What was wrong with a presentation (libfprint's FpDeviceRetry)."""

    GENERAL = 0
    TOO_SHORT = 1
    CENTRE = 2
    REMOVE = 3


class Trouble(IntEnum):
    """What is wrong with the device (libfprint's FpDeviceError)."""

    GENERAL = 0
    NOT_SUPPORTED = 1
    NOT_OPEN = 2
    ALREADY_OPEN = 3
    BUSY = 4
    PROTO = 5
    DATA_INVALID = 6
    DATA_NOT_FOUND = 7
    DATA_FULL = 8
    DATA_DUPLICATE = 9
    REMOVED = 256
    TOO_HOT = 257


_RETRY, _TROUBLE, _AUTOMATIC, _FINGER, _REMOVE = -1, -2, -3, -4, -5


class NotClaimed(Exception):
    """Nobody has claimed the device, so it does not listen."""


class ImageWire:
    """The image device. One connection is kept: a new one makes libfprint forget what it was about to read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: asyncio.StreamWriter | None = None

    async def picture(self, rows: int, columns: int, grey: bytes) -> None:
        """Lay a finger down, take its picture, lift it. grey: rows x columns bytes. Raises `NotClaimed`."""
        if len(grey) != rows * columns:
            raise ValueError(f"{rows} x {columns} bytes are expected")
        await self._send(struct.pack("=ii", columns, rows) + grey)

    async def retry(self, what: Retry) -> None:
        """A presentation that was no good. Raises `NotClaimed`."""
        await self._send(struct.pack("=ii", _RETRY, what))

    async def trouble(self, what: Trouble) -> None:
        """An error of the device, which ends what it was doing. Raises `NotClaimed`."""
        await self._send(struct.pack("=ii", _TROUBLE, what))

    async def automatic(self, on: bool) -> None:
        """Whether a picture brings its own finger down and up. Raises `NotClaimed`."""
        await self._send(struct.pack("=ii", _AUTOMATIC, on))

    async def finger(self, down: bool) -> None:
        """A finger comes down or goes up, without a picture. Raises `NotClaimed`."""
        await self._send(struct.pack("=ii", _FINGER, down))

    async def unplug(self) -> None:
        """Pull the plug; only a new fprintd sees the device again. Raises `NotClaimed`."""
        await self._send(struct.pack("=ii", _REMOVE, 0))

    def hang_up(self) -> None:
        """Forget the connection."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    async def _send(self, data: bytes) -> None:
        for _ in range(2):  # what was connected may be a device that has been released since
            writer = await self._connected()
            try:
                writer.write(data)
                async with asyncio.timeout(PATIENCE_S):
                    await writer.drain()
                    await asyncio.sleep(0)
                return
            except (OSError, TimeoutError):
                self.hang_up()
        raise NotClaimed("nobody has claimed the device")

    async def _connected(self) -> asyncio.StreamWriter:
        if self._writer is not None and not self._gone:
            return self._writer
        self.hang_up()
        try:
            async with asyncio.timeout(PATIENCE_S):
                self._reader, self._writer = await asyncio.open_unix_connection(self.path)
        except (OSError, TimeoutError):
            raise NotClaimed("nobody has claimed the device") from None
        return self._writer

    @property
    def _gone(self) -> bool:
        """Whether the other side has hung up: it never says anything, so the stream's end is all there is to see."""
        return self._reader.at_eof()


class TextWire:
    """The devices that match on their own: one command a connection."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def say(self, line: str) -> str:
        """Send a command and return what is answered (`LIST`), up to the end. Raises `NotClaimed`."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await asyncio.open_unix_connection(self.path)
                try:
                    writer.write(line.encode())
                    await writer.drain()
                    return (await reader.read(MAX_ANSWER)).decode("utf-8", "replace")
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            raise NotClaimed("nobody has claimed the device") from None
