"""Presence sensor that writes lines: `1` or `PRESENT` while somebody is there, `0` or `ABSENT` when nobody is.

`source = "serial:/dev/ttyACM0"` (9600 baud, or `baud`), as small radar and ultrasound boards do, or
`source = "fifo:/run/presence"` for anything a script can read (a pin, a mat, a camera of its own). The writer keeps the
FIFO open: its end is an unplugged sensor, which the seat is told of, and never "nobody is there".
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import termios
from collections.abc import AsyncGenerator, Mapping

from authd.driver import Ask, Capture, DriverError, Event, Fault, Op, Reader, State, StateChange

MAX_LINE = 64
_WORDS = {b"1": True, b"PRESENT": True, b"0": False, b"ABSENT": False}


class Sensor:
    """Says that somebody is there, or nobody; never who."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        kind, _, self._path = settings.get("source", "").partition(":")
        self._speed = getattr(termios, f"B{settings.get('baud', '9600')}", None) if kind == "serial" else None
        self._known = kind == "fifo" or self._speed is not None
        self._fd: int | None = None
        self._unread = b""
        self._present: bool | None = None

    async def open(self) -> None:
        """Claim the device. Raises `DriverError`."""
        await self.close()
        if not self._known:
            raise DriverError(Fault.NOT_PERMITTED, "source: fifo:... or serial:... with a usual speed is expected")
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._speed is not None:
                _make_raw(self._fd, self._speed)
        except FileNotFoundError:
            raise DriverError(Fault.REMOVED, self._path) from None
        except BlockingIOError:
            await self.close()
            raise DriverError(Fault.BUSY, self._path) from None
        except (OSError, termios.error) as error:
            raise DriverError(Fault.NOT_PERMITTED, f"{self._path}: {error}") from None

    async def run(self, op: Op, ask: Ask) -> AsyncGenerator[Event, None]:
        """Say whether somebody is there, as far as it is known, then each change. Raises `DriverError`."""
        del ask
        if isinstance(op, Capture):
            raise DriverError(Fault.NOT_PERMITTED, "a presence sensor takes no samples")
        self._catch_up()
        if self._present is not None:
            yield _change(self._present)
        while True:
            if self._differs(await self._line()):
                yield _change(bool(self._present))

    async def close(self) -> None:
        """Release the device; safe to call twice."""
        fd, self._fd = self._fd, None
        self._unread, self._present = b"", None
        if fd is not None:
            os.close(fd)

    def _differs(self, line: bytes) -> bool:
        word = _WORDS.get(line.strip().upper())
        if word is None:
            raise DriverError(Fault.PROTOCOL, "neither present nor absent")
        before, self._present = self._present, word
        return word is not before

    def _catch_up(self) -> None:
        """Take what was said while nobody watched: only the last of it is true."""
        while self._more():
            *lines, self._unread = self._unread.split(b"\n")
            for line in lines:
                self._differs(line)

    async def _line(self) -> bytes:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        while b"\n" not in self._unread:
            fd = self._claimed()
            loop.add_reader(fd, ready.set)
            try:
                await ready.wait()
            finally:
                loop.remove_reader(fd)
            ready.clear()
            if self._more() == b"":
                raise DriverError(Fault.REMOVED, "the other side is closed")
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _more(self) -> bytes | None:
        """Read what is there now; None if there is nothing yet, nothing at all if nobody is at the other side."""
        try:
            data = os.read(self._claimed(), MAX_LINE)
        except BlockingIOError:
            return None
        except OSError as error:  # a serial line that is pulled says EIO
            raise DriverError(Fault.REMOVED, str(error)) from None
        self._unread += data
        if len(self._unread.rpartition(b"\n")[2]) > MAX_LINE:
            raise DriverError(Fault.PROTOCOL, "a line that does not end")
        return data

    def _claimed(self) -> int:
        if self._fd is None:
            raise DriverError(Fault.REMOVED, "not open")
        return self._fd


def _change(present: bool) -> StateChange:
    return StateChange(State.PERSON_PRESENT if present else State.PERSON_ABSENT)


def _make_raw(fd: int, speed: int) -> None:
    """8 bits, no echo, no translation; the kernel still cuts lines."""
    iflag, oflag, cflag, lflag, _, _, control = termios.tcgetattr(fd)
    del oflag
    cflag = cflag & ~(termios.CSIZE | termios.PARENB | termios.CSTOPB) | termios.CS8 | termios.CREAD | termios.CLOCAL
    lflag &= ~(termios.ECHO | termios.ISIG | termios.IEXTEN)
    iflag &= ~(termios.IXON | termios.IXOFF | termios.ICRNL)
    termios.tcsetattr(fd, termios.TCSANOW, [iflag, 0, cflag, lflag, speed, speed, control])


def READER(settings: Mapping[str, str]) -> Reader:  # noqa: N802  # the name that authd looks for in every driver
    """Make the reader that `[reader.*]` of authd.toml describes."""
    return Sensor(settings)
