"""Where keys are plugged in: what the reader needs of a port, and a port of USB (hidraw).

A stay is one key from its plugging in to its pulling out; its name is never given twice by this process. The device is
held open for as long as the key stays: the kernel then says at once that it is gone, and a new one under the same name
is another one.
"""

from __future__ import annotations

import array
import asyncio
import errno
import fcntl
import itertools
import os
import select
import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from fido2.ctap import CtapDevice

from authd.driver import DriverError, Fault
from authd_drivers.fido2.errand import Gone, Stop, aside
from authd_drivers.fido2.hid import HidKey, parse_descriptor

LOOK_SECONDS: Final = 0.05
"""A key that comes or goes is seen within two of them."""
YOUNG_SECONDS: Final = 5.0
"""A node so young may have come after this process was granted what it may open."""
AGAIN_SECONDS: Final = 1.0
MOST_NODES: Final = 64
_DESCRIPTOR_SIZE, _DESCRIPTOR = 0x80044801, 0x90044802
_MAX_DESCRIPTOR: Final = 4_096
_NAMES = itertools.count(1)
Identity = tuple[int, int, int]


class Plug(Protocol):
    """One place for one key."""

    async def open(self) -> None:
        """Claim the place. Raises `DriverError`."""
        ...

    async def close(self) -> None:
        """Release it; safe to call twice."""
        ...

    async def look(self) -> str | None:
        """Return the name of the stay of now. Raises `DriverError`."""
        ...

    async def after(self, stay: str | None) -> str | None:
        """Wait until the stay is another than this one; return it. Raises `DriverError`."""
        ...

    def connect(self, stop: Stop) -> AbstractContextManager[CtapDevice]:
        """Speak with the key, in an errand's thread. Raises `Gone`, `Cancelled`, `DriverError`."""
        ...


def new_stay() -> str:
    """Return a name that was never given before."""
    return f"key-{next(_NAMES)}"


class HidPlug:
    """A hidraw node, a pty in its place, or (with a `*` for a number) whichever node is a key's."""

    def __init__(self, device: str) -> None:
        self._head, self._star, self._tail = device.partition("*")
        self._fd = -1
        self._stay: str | None = None
        self._foreign = dict[str, Identity]()
        """Nodes that are no keys, or not ours, as they were when that was found."""
        self._later = dict[str, float]()
        """Nodes that another reader holds, that failed or that udev may yet give away: when they are tried again."""
        self._opened = self._opening = False

    async def open(self) -> None:
        """Look for a key; it need not be there yet."""
        await self.close()
        self._opened = self._opening = True
        await self.look()
        self._opening = False

    async def close(self) -> None:
        """Let go."""
        self._opened = False
        self._let_go()
        self._foreign.clear()

    async def look(self) -> str | None:
        """Return the stay of now."""
        if not self._opened:
            raise DriverError(Fault.REMOVED, "not open")
        if self._fd >= 0 and _hung_up(self._fd):
            self._let_go()
        if self._fd < 0:
            await self._find()
        return self._stay

    async def after(self, stay: str | None) -> str | None:
        """Wait for another stay."""
        while (now := await self.look()) == stay:  # noqa: ASYNC110  # the kernel has no event for it in the sandbox
            await asyncio.sleep(LOOK_SECONDS)
        return now

    @contextmanager
    def connect(self, stop: Stop) -> Generator[CtapDevice, None, None]:
        """Speak on a new channel."""
        if self._fd < 0:
            raise Gone
        yield HidKey(self._fd, stop)

    async def _find(self) -> None:
        for path, identity in self._nodes():
            if self._foreign.get(path) == identity or self._later.get(path, 0.0) > _now():
                continue
            await aside(partial(self._open_node, path, identity))
            if self._fd >= 0:
                return

    def _nodes(self) -> Iterator[tuple[str, Identity]]:
        """Yield what is there. Folders may not be listed in the sandbox; names may be tried."""
        numbers = map(str, range(MOST_NODES)) if self._star else [""]
        for number in numbers:
            path = f"{self._head}{number}{self._tail}"
            with suppress(OSError):
                seen = Path(path).stat()
                yield path, (seen.st_dev, seen.st_ino, seen.st_ctime_ns)

    def _open_node(self, path: str, identity: Identity) -> None:
        """Hold the node if it is a key's. In a thread: whoever is cancelled meanwhile leaks nothing."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                self._not_ours(path, identity)
            return  # gone again, or not ours
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._is_key(fd):
                self._fd, self._stay = fd, new_stay()
                return
            self._foreign[path] = identity
        except BlockingIOError:
            self._later[path] = _now() + AGAIN_SECONDS
            if not self._star:
                os.close(fd)
                raise DriverError(Fault.BUSY, f"{path}: another reader of authd holds it") from None
        except OSError:  # it is going, or coming
            self._later[path] = _now() + AGAIN_SECONDS
        except DriverError:
            self._foreign[path] = identity  # it talks rubbish before it is known to be a key
        os.close(fd)

    def _is_key(self, fd: int) -> bool:
        try:
            descriptor = _descriptor(fd)
        except OSError as error:
            if error.errno != errno.ENOTTY:
                raise
            return not self._star  # not hidraw; named in full, it is the pty of a simulated key
        return parse_descriptor(descriptor)

    def _not_ours(self, path: str, identity: Identity) -> None:
        """Leave a node alone until udev gives it to somebody else (its identity is another then).

        One that is ours, and may not be opened all the same, came after this process's sandbox was made: the next
        process may open it.
        """
        age = time.clock_gettime_ns(time.CLOCK_REALTIME) - identity[2]
        if os.access(path, os.R_OK | os.W_OK) and (not self._opening or age < YOUNG_SECONDS * 1e9):
            # Not remembered: an operation that is cancelled at this moment never hears of it, and the next one must.
            raise DriverError(Fault.REMOVED, f"another key: {path} may not be opened by this process")
        if age < YOUNG_SECONDS * 1e9:
            # What udev does within the kernel's same tick (up to 10 ms) does not show in the identity.
            self._later[path] = _now() + AGAIN_SECONDS
        else:
            self._foreign[path] = identity

    def _let_go(self) -> None:
        fd, self._fd, self._stay = self._fd, -1, None
        if fd >= 0:
            os.close(fd)


def _descriptor(fd: int) -> bytes:
    """Ask hidraw for the report descriptor (linux/hidraw.h)."""
    size = array.array("I", [0])
    fcntl.ioctl(fd, _DESCRIPTOR_SIZE, size, True)
    data = bytearray(4 + _MAX_DESCRIPTOR)
    data[:4] = min(size[0], _MAX_DESCRIPTOR).to_bytes(4, "little")
    fcntl.ioctl(fd, _DESCRIPTOR, data, True)
    return bytes(data[4 : 4 + min(size[0], _MAX_DESCRIPTOR)])


def _hung_up(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, 0)  # a hang-up is always reported
    return bool(poll.poll(0))


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
