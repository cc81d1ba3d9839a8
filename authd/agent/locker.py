"""The locker's process: xsecurelock on X, our own client of ext-session-lock on Wayland.

It inherits one end of a pipe and closes it once keyboard, mouse and screen are its own (xsecurelock does so for
`XSS_SLEEP_LOCK_FD`). Its exit status is not asked: xsecurelock 1.5.1 dies of SIGUSR1 and of SIGUSR2, and whoever can
send it a signal must not be able to show the desktop for longer than it takes to cover it again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

LOCK_FD: Final = "XSS_SLEEP_LOCK_FD"
MARK: Final = "AUTHD_AGENT_LOCKER"
"""In the environment of a locker and of all that it starts: a random word, by which what it leaves is found."""
MOST_CHILDREN: Final = 64
PASSES: Final = 16
log = logging.getLogger("authd.agent")


class Locker:
    """At most one at a time. `held` and `gone` are called from the loop."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        held: Callable[[], None],
        gone: Callable[[], None],
    ) -> None:
        """`folder`: where the number of the locker is kept, for an agent that comes after this one."""
        self._command, self._environment, self._held, self._gone = command, environment, held, gone
        self._file = folder / "locker"
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: int | None = None
        self._family: tuple[int, ...] = ()
        self._mark = ""

    @property
    def pid(self) -> int | None:
        """Of the process that runs."""
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Start it and wait until it has ended; `gone` is then called, also where it could not be started."""
        self._end_leftover()
        ours, theirs = os.pipe()
        self._pipe = ours
        asyncio.get_running_loop().add_reader(ours, self._closed)
        try:
            self._process = self._started(theirs)
        finally:
            os.close(theirs)
        try:
            if self._process is not None:
                await _ended(self._process)
                end_marked(self._mark)
                self._process.wait()
        finally:
            self._forget()
        self._gone()  # not where we are cancelled: an agent that ends leaves its locker, and starts no other

    def _started(self, theirs: int) -> subprocess.Popen[bytes] | None:
        """Not by asyncio, which would kill it when the loop is closed."""
        self._mark = secrets.token_hex(16)
        try:
            process = subprocess.Popen(  # noqa: S603 - a fixed command
                self._command,
                stdin=subprocess.DEVNULL,
                env={**self._environment, LOCK_FD: str(theirs), MARK: self._mark},
                pass_fds=(theirs,),
                start_new_session=True,
            )
        except OSError as error:
            log.error("%s: %s", self._command[0], error.strerror)
            return None
        self._file.write_text(f"{process.pid} {self._mark}", "ascii")
        return process

    def end(self) -> None:
        """Ask it to go."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it, whatever state it is in; what it has started goes with it once it has ended."""
        self._signal(signal.SIGKILL)

    def look(self) -> bool:
        """See which children it has; returns whether it does not run though it is there."""
        if self._process is None or self._process.returncode is not None:
            return False
        self._family = family(self._process.pid)
        return state(self._process.pid) in ("T", "t")

    def shows(self, name: str) -> bool:
        """Whether a child of this name is there."""
        return any(_name(pid) == name for pid in self._family)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _closed(self) -> None:
        """It has the screen, or it has died: the kernel closes the pipe for both."""
        self._close()
        if self._process is None or not _lives(self._process.pid):
            return
        self._held()

    def _close(self) -> None:
        if self._pipe is not None:
            asyncio.get_running_loop().remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = None

    def _forget(self) -> None:
        self._close()
        self._process, self._family = None, ()

    def _end_leftover(self) -> None:
        """A locker of an agent that was killed holds the screen, and nobody would ever tell it to go."""
        try:
            _, _, mark = self._file.read_text("ascii").partition(" ")
        except (OSError, ValueError):
            return
        if mark:
            end_marked(mark)
        self._file.unlink(missing_ok=True)


async def _ended(process: subprocess.Popen[bytes]) -> None:
    """Return once it has ended."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    descriptor = os.pidfd_open(process.pid)
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def family(pid: int) -> tuple[int, ...]:
    """Return the processes below this one."""
    found: list[int] = []
    waiting = [pid]
    while waiting and len(found) < MOST_CHILDREN:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return tuple(found)


def marked(mark: str) -> Mapping[int, str]:
    """Return the processes that a locker of this mark has started, with the moments they were born at.

    By their environment: xsecurelock's are in sessions of their own, and nobody's children once a parent has died.
    """
    found: dict[int, str] = {}
    line = f"{MARK}={mark}".encode()
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # another account's, or gone
            if line in (each / "environ").read_bytes().split(b"\0"):
                found[int(each.name)] = _born(int(each.name))
    return found


def end_marked(mark: str) -> None:
    """Kill them all, also what was forked meanwhile."""
    ended = set[tuple[int, str]]()
    for _ in range(PASSES):
        found = set(marked(mark).items()) - ended
        if not found:
            return
        for pid, born in found:
            if born and _born(pid) == born:  # the number may be another process's by now
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        ended |= found


def state(pid: int) -> str:
    """Return the kernel's letter for what a process does (proc(5)); empty: there is none."""
    stat = _stat(pid)
    return stat[0] if stat else ""


def _lives(pid: int) -> bool:
    """Whether it has not ended, reaped or not."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    except OSError:
        return []


def _born(pid: int) -> str:
    stat = _stat(pid)
    return stat[19] if len(stat) > 19 else ""


def _stat(pid: int) -> list[str]:
    """The fields behind the name, which may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return []


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""
