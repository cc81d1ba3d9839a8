"""One piece of work with a key, in a thread of its own: what it says on the way, its result, and how it is stopped.

A key answers when it pleases. The thread may wait for it; the event loop may not, and can stop it at any moment.
Threads are daemons: one that a stuck service holds does not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from authd.driver import DriverError, Event, Fault, Hint

STOP_SECONDS: Final = 0.4
"""After which a stopped errand is given up, and the device with it."""
T = TypeVar("T")


class Cancelled(Exception):
    """Nobody waits for the answer any more."""


class Gone(Exception):
    """The key was taken out in the middle; `hint`: what the person could do better."""

    def __init__(self, hint: Hint | None = None) -> None:
        super().__init__()
        self.hint = hint


class Stop:
    """A flag that a thread can wait for together with a device, by `poll`."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._set = threading.Event()

    def __bool__(self) -> bool:
        return self._set.is_set()

    def fileno(self) -> int:
        """Return a descriptor that is readable once the flag is set."""
        return self._fd

    def set(self) -> None:
        """Stop the thread."""
        if not self._set.is_set():
            self._set.set()
            os.eventfd_write(self._fd, 1)

    def wait(self, seconds: float) -> None:
        """Sleep, or raise `Cancelled`."""
        if self._set.wait(seconds):
            raise Cancelled

    def close(self) -> None:
        """Release the descriptor, once the thread is gone."""
        os.close(self._fd)


@dataclass(frozen=True, slots=True)
class Answered:
    """The key's answer, said as soon as it is there: letting go of the key takes a moment more."""

    data: bytes


Say = Callable[[Event | Answered], None]
Work = Callable[[Stop, Say], T]
"""Runs in the thread; raises `Cancelled` soon after the stop, `Gone`, `DriverError`, or what its caller expects."""


class Errand(Generic[T]):
    """Runs `work` once. Iterate `events`, then take the `result`."""

    def __init__(self, work: Work[T]) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._said: asyncio.Queue[Event | Answered | None] = asyncio.Queue()
        self._over = asyncio.Event()
        self._stop = Stop()
        self._result: T | Exception

    async def events(self) -> AsyncGenerator[Event | Answered, None]:
        """Say what the thread says, until it is done. Closing this stops it; raises `DriverError` if that fails."""
        thread = threading.Thread(target=self._run, name="fido2", daemon=True)
        thread.start()
        try:
            while (event := await self._said.get()) is not None:
                yield event
        finally:
            await self._end(thread)

    @property
    def result(self) -> T:
        """What `work` returned; raises what it raised."""
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    async def _end(self, thread: threading.Thread) -> None:
        self._stop.set()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._over.wait()
        except TimeoutError:
            raise DriverError(Fault.TIMEOUT, "the key's reader does not let go") from None
        thread.join()
        self._stop.close()

    def _run(self) -> None:
        try:
            self._result = self._work(self._stop, self._tell)
        except Exception as error:  # carried over to whoever takes the result
            self._result = error
        self._tell(None)
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._over.set)

    def _tell(self, event: Event | Answered | None) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._said.put_nowait, event)


async def aside(work: Callable[[], T]) -> T:
    """Run a short call that may wait for a device in a thread, and return what it returns."""
    errand = Errand(lambda _stop, _say: work())
    async for _ in errand.events():
        pass
    return errand.result
