"""The agent at work: what `desk` decides, done to the screen, the locker, logind and the door."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final, Protocol

from authd.agent import desk as rules
from authd.agent.desk import Alive, Do, Event, Gone, Heard, Held, Hung, LockAsked, Tick, Told
from authd.agent.locker import Locker
from authd.agent.only import Only
from authd.agent.settings import Settings
from authd.client import Client, ClientError, DoorError
from authd.core.model import SECOND, Instant

BEAT_S: Final = 0.2
ANSWER_S: Final = 0.5
LOOK_S: Final = 0.1
IDLE_S: Final = 1.0
PRESSES: Final = 20
MODULE: Final = "auth_authd"
"""Name of the locked screen's own process; xsecurelock wants it to begin with `auth_`."""
log = logging.getLogger("authd.agent")


class Screen(Protocol):
    """What can be done to the screen besides the locker."""

    def show(self) -> None:
        """Hide everything behind an opaque window."""
        ...

    def rest(self) -> None:
        """Leave it beneath the locker's."""
        ...

    def hide(self) -> None:
        """Take it away."""
        ...

    def wake(self) -> None:
        """Let the locker show what it waits for."""
        ...

    def idle_ms(self) -> int | None:
        """For how long nobody has used keyboard or mouse, if it can be known."""
        ...

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stay on top for as long as the loop runs."""
        ...


class Logins(Protocol):
    """logind, or nothing in its place."""

    async def run(self) -> None:
        """Serve until cancelled."""
        ...

    async def hold(self) -> None:
        """Keep the machine from sleeping."""
        ...

    def let_go(self) -> None:
        """It may sleep."""
        ...

    async def hint(self, locked: bool) -> None:
        """Tell whether the desktop is locked."""
        ...

    async def idle(self) -> bool | None:
        """Whether nobody uses it; None: it cannot be asked, or does not know."""
        ...


class Agent:
    """One desktop's."""

    def __init__(
        self,
        settings: Settings,
        screen: Screen,
        command: tuple[str, ...],
        logins: Callable[[Callable[[Event], None]], Logins],
    ) -> None:
        """Raises `BadSettings` where another agent covers this desktop."""
        self._settings, self._screen = settings, screen
        self._folder = settings.folder()
        self._only = Only(self._folder)
        environment = {**os.environ, **settings.environment(), **xsecurelock(self._folder)}
        self._locker = Locker(command, environment, self._folder, lambda: self.feed(Held()), lambda: self.feed(Gone()))
        self._logins = logins(self.feed)
        self._desk, self._first = rules.begin(now())
        self._speak, self._woken = asyncio.Event(), asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._client: Client | None = None
        self._written = ""

    async def run(self) -> None:
        """Serve until cancelled; the locker is left as it is, so that an agent that ends uncovers nothing.

        Raises `DoorError` where the door will not have this agent.
        """
        loop = asyncio.get_running_loop()
        self._screen.watch(loop)
        loop.add_signal_handler(signal.SIGUSR1, self.feed, LockAsked())
        self._only.tell()  # not before: the signal would end us
        async with self._settings.client() as client, self._tasks as tasks:
            self._client = client
            self._carry_out(self._first)  # covered before anybody is asked
            for job in (
                self._logins.run(),
                self._attend(),
                self._watch(),
                self._keep_time(),
                self._look(),
                self._idle(),
            ):
                tasks.create_task(job)
            notify("READY=1")

    def feed(self, event: Event) -> None:
        """Apply one event, and do what follows from it."""
        self._desk, does = rules.step(self._desk, event, now())
        self._carry_out(does)
        self._woken.set()

    def _carry_out(self, does: tuple[Do, ...]) -> None:
        for do in does:
            self._do(do)
        if (cover := self._desk.cover) != self._written:
            with suppress(OSError):
                (self._folder / "cover.new").write_text(cover, "ascii")
                (self._folder / "cover.new").replace(self._folder / "cover")
                self._written = cover

    def _do(self, do: Do) -> None:
        doing: Mapping[Do, Callable[[], object]] = {
            Do.SHIELD: self._screen.show,
            Do.REST: self._screen.rest,
            Do.UNSHIELD: self._screen.hide,
            Do.START: lambda: self._tasks.create_task(self._locker.run()),
            Do.END: self._locker.end,
            Do.KILL: self._locker.kill,
            Do.WAKE: self._screen.wake,
            Do.PRESS: lambda: self._tasks.create_task(self._press()),
            Do.SPEAK: self._speak.set,
            Do.HINT: lambda: self._tasks.create_task(self._logins.hint(self._desk.wanted)),
            Do.HOLD: lambda: self._tasks.create_task(self._logins.hold()),
            Do.LET_GO: self._logins.let_go,
        }
        doing[do]()

    # The door.

    async def _attend(self) -> None:
        """Say every 0.2 s that we are there, and hear that authd is."""
        assert self._client is not None
        while True:
            self._speak.clear()
            cover, lost = self._desk.cover, self._desk.lost
            try:
                async with asyncio.timeout(ANSWER_S):
                    told = await self._client.attend(self._settings.seat, cover, lost)  # type: ignore[arg-type]  # of the same closed lists
            except DoorError as error:
                if error.code in ("refused", "not_permitted", "not_found", "unknown_verb"):
                    raise
            except (ClientError, TimeoutError):
                pass  # the silence is counted
            else:
                notify("WATCHDOG=1")
                self.feed(Alive(told.session, cover))
                if lost is not None:
                    self.feed(Told())
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._speak.wait()

    async def _watch(self) -> None:
        """Hear at once whose the seat is."""
        assert self._client is not None
        async with aclosing(self._client.watch(self._settings.seat)) as faces:
            async for shown in faces:
                self.feed(Heard(shown.face.session if shown is not None else None))

    async def _press(self) -> None:
        """End the session: told again until authd has heard it, or is silent for so long that nobody is there."""
        assert self._client is not None
        for _ in range(PRESSES):
            with suppress(ClientError, TimeoutError):
                async with asyncio.timeout(ANSWER_S):
                    return await self._client.press(self._settings.seat, "lock")
            await asyncio.sleep(BEAT_S / 2)
        return None

    async def _idle(self) -> None:
        """Report that keyboard or mouse was used; only this, never what."""
        assert self._client is not None
        while True:
            await asyncio.sleep(IDLE_S)
            idle = self._screen.idle_ms()
            used = idle < IDLE_S * 1_000 if idle is not None else await self._logins.idle() is False
            if used and not self._desk.wanted:
                with suppress(ClientError, TimeoutError):
                    async with asyncio.timeout(ANSWER_S):
                        await self._client.activity(self._settings.seat)

    # Time, and the locker's health.

    async def _keep_time(self) -> None:
        while True:
            self._woken.clear()
            due = rules.deadline(self._desk)
            if due is not None and due <= now():
                self.feed(Tick())
                await asyncio.sleep(0)
                continue
            left = None if due is None else (due - now()) / SECOND
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._woken.wait()

    async def _look(self) -> None:
        """Whether the locker runs, and shows what it waits for."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._locker.look():
                self.feed(Hung())
            elif self._desk.cover == "covered" and not self._locker.shows(MODULE):
                self._screen.wake()


def now() -> Instant:
    """CLOCK_BOOTTIME."""
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME))


def xsecurelock(folder: Path) -> dict[str, str]:
    """Return what xsecurelock is told: an opaque first picture, and our module, started by a script of our own.

    The script names this interpreter, with nothing of the desktop's environment in its path (`-I`).
    """
    script = folder / MODULE
    script.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -m authd.agent.auth\n", "utf-8")
    script.chmod(0o700)
    return {
        "XSECURELOCK_AUTH": str(script),
        "XSECURELOCK_SAVER": "saver_blank",
        "XSECURELOCK_BLANK_TIMEOUT": "-1",
        "XSECURELOCK_DISCARD_FIRST_KEYPRESS": "1",
    }


def notify(line: str) -> None:
    """Tell systemd (sd_notify(3)), where it started us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address.startswith(("/", "@")):
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as sender:
            sender.connect("\0" + address[1:] if address.startswith("@") else address)
            sender.sendall(line.encode())
