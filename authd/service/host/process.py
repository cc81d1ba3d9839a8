"""One child process: its start, the three ways it is seen to be gone, and its end.

Dead: its pidfd becomes readable, or its channel closes. Stopped: `waitid` says so, asked every 100 ms. Hung: no frame
in more than `SILENT_TICKS` of those 100 ms. Ticks are counted and no clock is read, so neither a suspend nor a busy
core makes a healthy child look hung.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from authd.core.model import Fault
from authd.service.host.channel import Channel
from authd.service.host.frames import (
    FROM_READER,
    FROM_VERIFIER,
    Beat,
    Close,
    Closed,
    Failed,
    Frame,
    FrameError,
    Hello,
    Opened,
    Start,
)

TICK_SECONDS = 0.1
SILENT_TICKS = 7
START_TICKS = 100
"""Ticks that importing the driver and claiming the device may take."""
BEAT_TICKS = 10
FRAMES_A_TICK = {"reader": 200, "verifier": 100_000}
CLOSE_SECONDS = 0.5
MAX_STDERR = 16_384
Role = Literal["reader", "verifier"]
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PATH": "",
    "MALLOC_ARENA_MAX": "2",
    # One child computes one thing at a time; a pool of threads each would be memory and nothing else.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}

log = logging.getLogger("authd.host")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start: `start` is completed with core's process id; `key`: file of the host key, opened, never read."""

    name: str
    role: Role
    start: Start
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """Why a process is of no use any more."""

    fault: Fault
    detail: str


class Process:
    """A running child. `gone` is set once, at the first sign; the owner then calls `end`."""

    def __init__(self, plan: Plan, on_frame: Callable[[Frame], None]) -> None:
        self._plan, self._on_frame = plan, on_frame
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[Gone] = self._loop.create_future()
        table = FROM_VERIFIER if plan.role == "verifier" else FROM_READER
        self.channel = Channel(table, self._take, self._lost, FRAMES_A_TICK[plan.role])
        self._quiet, self._allowed, self._ticks, self._stderr_left = 0, START_TICKS, 0, MAX_STDERR
        self._greeted = False
        self._timer: asyncio.TimerHandle | None = None
        self._popen, self._socket = _spawn(plan)
        self._pidfd = os.pidfd_open(self._popen.pid)
        self._stderr = self._popen.stderr
        assert self._stderr is not None
        os.set_blocking(self._stderr.fileno(), False)

    @property
    def pid(self) -> int:
        """Process id, valid until `end`."""
        return self._popen.pid

    async def begin(self) -> None:
        """Connect, send `Start` and begin to watch."""
        assert self._stderr is not None
        self._loop.add_reader(self._pidfd, self._died)
        self._loop.add_reader(self._stderr.fileno(), self._complaint)
        await self._loop.create_connection(lambda: self.channel, sock=self._socket)
        self.channel.send(Frame(0, self._plan.start))
        self._tick()

    def _take(self, frame: Frame) -> None:
        self._quiet = 0
        match frame.message:
            case Beat():
                return
            case Hello(in_force, missing) if not self._greeted:
                self._greeted = True
                log.info("%s: sandbox: %s", self._plan.name, "; ".join(in_force))
                if missing:
                    log.warning("%s: sandbox lacks: %s", self._plan.name, "; ".join(missing))
                return
            case Failed(fault, detail) if frame.op == 0:
                self._set_gone(fault, detail)
                return
            case Closed():
                self._set_gone(Fault.REMOVED, "closed")
                return
            case Opened() if self._greeted and self._allowed == START_TICKS:
                self._allowed = SILENT_TICKS
            case Hello() | Opened():
                raise FrameError("out of order")
            case _:
                if self._allowed == START_TICKS:
                    raise FrameError("an answer before Opened")
        self._on_frame(frame)

    def _lost(self, error: Exception | None) -> None:
        if isinstance(error, FrameError):
            self._set_gone(Fault.PROTOCOL, str(error))
        else:
            self._set_gone(Fault.CRASHED, "its channel closed")

    def _died(self) -> None:
        self._loop.remove_reader(self._pidfd)
        self._complaint()
        code = self._popen.poll()
        self._set_gone(Fault.CRASHED, f"ended with {code}")

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)
        self._quiet += 1
        self._ticks += 1
        self.channel.refill()
        if self._stopped():
            self._set_gone(Fault.CRASHED, "stopped by a signal")
        elif self._quiet > self._allowed:
            self._set_gone(Fault.TIMEOUT, "hung")
        elif self._ticks % BEAT_TICKS == 0:
            self.channel.send(Frame(0, Beat()))

    def _stopped(self) -> bool:
        try:
            return os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG) is not None
        except ChildProcessError:
            return False

    def _set_gone(self, fault: Fault, detail: str) -> None:
        if not self.gone.done():
            self.gone.set_result(Gone(fault, detail))

    def _complaint(self) -> None:
        """Log what the child wrote to stderr: a bounded number of printable characters in its whole life.

        At DEBUG, since a traceback of a driver may name what was captured; the warning says only what failed and where.
        """
        assert self._stderr is not None
        try:
            data = os.read(self._stderr.fileno(), 4096)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self._stderr.fileno())
        text, self._stderr_left = data[: self._stderr_left], max(0, self._stderr_left - len(data))
        for line in text.decode("ascii", "backslashreplace").splitlines():
            log.debug("%s: stderr: %s", self._plan.name, "".join(c if c.isprintable() else "?" for c in line))

    async def end(self, *, politely: bool = False) -> None:
        """Kill the child's whole group, wait for it (2 s: one that hangs in a device is left to be reaped later)."""
        if politely and self.channel.send(Frame(0, Close())):
            await asyncio.wait({self.gone}, timeout=CLOSE_SECONDS)
        if self._timer:
            self._timer.cancel()
        self.channel.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        try:
            await self._reap()
        finally:
            self._complaint()
            self._close()

    async def _reap(self) -> None:
        dead = asyncio.Event()
        self._loop.add_reader(self._pidfd, dead.set)
        try:
            async with asyncio.timeout(2):
                await dead.wait()
        except TimeoutError:
            pass
        except asyncio.CancelledError:  # the daemon ends: it was killed above, so this is a matter of milliseconds
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(CLOSE_SECONDS)
            raise
        if self._popen.poll() is None:
            log.error("%s: process %d does not die", self._plan.name, self.pid)

    def _close(self) -> None:
        assert self._stderr is not None
        for fd in (self._pidfd, self._stderr.fileno()):
            self._loop.remove_reader(fd)
        os.close(self._pidfd)
        self._stderr.close()
        self._socket.close()


def _spawn(plan: Plan) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair()
    key = os.open(plan.key, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW) if plan.key else None
    fds = [theirs.fileno()] + ([key] if key is not None else [])
    # Without column numbers in tracebacks a child is smaller; bytecode it has compiled is never written.
    options = ["-I", "-B", "-X", "no_debug_ranges"]
    command = [sys.executable, *options, "-m", "authd.service.host.child", plan.role, *map(str, fds)]
    try:
        popen = subprocess.Popen(  # noqa: S603  # no shell; every word of it is ours
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=fds,
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        if key is not None:
            os.close(key)
    ours.setblocking(False)
    return popen, ours
