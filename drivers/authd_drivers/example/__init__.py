"""A driver to copy: a button that gives a fixed probe. Everything a driver needs is here, with the reason beside it.

`[reader.button-1] driver="example", source="fifo:/run/button", finger="a"`. A line `1` written to the FIFO presses the
button, `0` lets it go. The "finger" is a setting, so this proves nothing about anybody: it is for learning and tests.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Mapping

# `authd.driver` is all that a driver imports of authd. Heavy libraries are imported here too: this module is loaded
# inside the sandbox, so a library cannot do more than the manifest allows.
from authd.driver import Ask, Capture, DriverError, Event, Fault, Op, Probe, Reader, State, StateChange


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
        except FileNotFoundError:
            raise DriverError(Fault.REMOVED, self._path) from None
        except OSError as error:
            raise DriverError(Fault.NOT_PERMITTED, str(error)) from None

    async def run(self, op: Op, ask: Ask) -> AsyncGenerator[Event, None]:
        """Carry out one operation. A generator: its `finally` blocks are what cancels it."""
        del ask  # no PIN here; a driver that needs one awaits `ask("message id")` and never keeps the answer
        # First say how things are. A button that is already down must not count as a new touch: somebody may be leaning
        # on it while another person walks up.
        yield StateChange(State.FINGER_DOWN if self._pressed else State.NEED_TOUCH)
        while True:
            was, self._pressed = self._pressed, await self._next()
            if self._pressed == was:
                continue
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

    async def _next(self) -> bool:
        """Wait for one line of the device: `1` or `0`. Whatever else it says is its fault, and told as such."""
        while b"\n" not in self._unread:
            # A hostile device may send bytes without end, so every buffer has a bound.
            if len(self._unread) > 64:
                raise DriverError(Fault.PROTOCOL, "a line that does not end")
            self._unread += await self._read()
        line, _, self._unread = self._unread.partition(b"\n")
        if line not in (b"0", b"1"):
            raise DriverError(Fault.PROTOCOL, "neither 0 nor 1")
        return line == b"1"

    async def _read(self) -> bytes:
        """Wait until there is something to read; cancelled, leave no watcher behind."""
        if self._fd is None:
            raise DriverError(Fault.REMOVED, "not open")
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._fd, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._fd)
        data = os.read(self._fd, 64)
        if not data:
            raise DriverError(Fault.REMOVED, "the other side is closed")
        return data


def READER(settings: Mapping[str, str]) -> Reader:  # noqa: N802  # the one name that authd looks for in every driver
    """Make the reader that `[reader.*]` of authd.toml describes."""
    return Button(settings)
