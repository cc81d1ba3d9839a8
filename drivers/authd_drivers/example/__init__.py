"""A driver to copy: a button that gives a fixed probe. Everything a driver needs is here, with the reason beside it.

`[reader.button-1] driver="example", source="fifo:/run/button", finger="a"`. A line `1` written to the FIFO presses the
button, `0` lets it go, `~` is a press that was too light. The "finger" is a setting, so this proves nothing about
anybody: it is for learning and tests.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncGenerator, Mapping

# `authd.driver` is all that a driver imports of authd. Heavy libraries are imported here too: this module is loaded
# inside the sandbox, so a library cannot do more than the manifest allows.
from authd.driver import Ask, Capture, DriverError, Event, Fault, Feedback, Hint, Op, Probe, Reader, State, StateChange


class Button:
    """Three methods. One object is made for one device; the child it runs in is its own."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        # Only keep the settings: the device is touched in `open`, where trouble can be told as a `DriverError`.
        self._path = settings["source"].removeprefix("fifo:")
        self._data = hashlib.sha256(settings.get("finger", "").encode()).digest()
        self._fd: int | None = None
        self._pressed = False
        self._unread = b""

    async def open(self) -> None:
        """Claim the device."""
        # Opening twice is a new claim, so what is open goes first; nothing is left over from an earlier failure.
        await self.close()
        try:
            # Never wait in a system call: the event loop must be free, or the child is taken for hung and replaced.
            self._fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            raise DriverError(Fault.REMOVED, self._path) from None
        except BlockingIOError:
            # Another program has it. Say so: Busy is never counted or shown as somebody's failed finger.
            await self.close()
            raise DriverError(Fault.BUSY, self._path) from None
        except OSError as error:
            raise DriverError(Fault.NOT_PERMITTED, str(error)) from None

    async def run(self, op: Op, ask: Ask) -> AsyncGenerator[Event, None]:
        """Carry out one operation. A generator: its `finally` blocks are what cancels it."""
        del ask  # no PIN here; a driver that needs one awaits `ask("message id")` and never keeps the answer
        # What happened while nobody asked is how things are, not a touch: somebody may be leaning on the button while
        # another person walks up. So catch up first, then say how things are.
        self._catch_up()
        yield StateChange(State.FINGER_DOWN if self._pressed else State.NEED_TOUCH)
        while True:
            line = await self._line()
            if line == b"~":
                yield Feedback(Hint.TOO_SHORT)  # what the person can do better; it is not a failed try
            elif self._moved(line):
                yield StateChange(State.FINGER_DOWN if self._pressed else State.FINGER_UP)
                if self._pressed and isinstance(op, Capture):
                    # The nonce names who asked. It goes back unchanged; a sample under another nonce is dropped.
                    yield Probe(self._data, quality=1.0, nonce=op.nonce)
                    return

    async def close(self) -> None:
        """Release the device. Called after errors too, and twice: so it may not fail."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    # What is below is this device's own business.

    def _moved(self, line: bytes) -> bool:
        """Take a line of the device. Whatever it should not say is its fault, and told as such, never guessed at."""
        if line not in (b"0", b"1", b"~"):
            raise DriverError(Fault.PROTOCOL, "neither 0 nor 1")
        before = self._pressed
        self._pressed = line == b"1" if line != b"~" else before
        return self._pressed != before  # a device that says the same twice has said it once

    def _catch_up(self) -> None:
        while self._more():
            *lines, self._unread = self._unread.split(b"\n")
            for line in lines:
                self._moved(line)

    async def _line(self) -> bytes:
        """Wait for one line, without blocking the loop; cancelled, leave no watcher behind."""
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
            data = os.read(self._claimed(), 64)
        except BlockingIOError:
            return None
        self._unread += data
        # A hostile device may send bytes without end, so every buffer has a bound.
        if len(self._unread.rpartition(b"\n")[2]) > 64:
            raise DriverError(Fault.PROTOCOL, "a line that does not end")
        return data

    def _claimed(self) -> int:
        if self._fd is None:
            raise DriverError(Fault.REMOVED, "not open")
        return self._fd


def READER(settings: Mapping[str, str]) -> Reader:  # noqa: N802  # the one name that authd looks for in every driver
    """Make the reader that `[reader.*]` of authd.toml describes."""
    return Button(settings)
