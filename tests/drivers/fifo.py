"""A line-based device behind a FIFO, in the hands of a test."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from authd.driver import Reader
from tests.conformance.reader import Device


class Fifo(Device):
    """The writing end stays open, as a device's does; `unplug` takes the node away as well."""

    def __init__(self, path: Path, make: Callable[[Mapping[str, str]], Reader]) -> None:
        self.path, self._make = path, make
        self._last = b""
        os.mkfifo(path)
        self._fd: int | None = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def reader(self) -> Reader:
        return self._make({"source": f"fifo:{self.path}"})

    async def touch(self) -> None:
        self.say(b"1\n")

    async def lift(self) -> None:
        self.say(b"0\n")

    async def repeat(self) -> None:
        self.say(self._last)

    async def unplug(self) -> None:
        self.path.unlink()
        self.close()

    async def plug(self) -> None:
        os.mkfifo(self.path)
        self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    async def babble(self, data: bytes) -> None:
        self.say(data[:60_000])  # what a pipe holds at once

    def say(self, data: bytes) -> None:
        assert self._fd is not None
        self._last = data
        os.write(self._fd, data)

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
