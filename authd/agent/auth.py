"""`auth_authd`: xsecurelock's authentication module. It shows what the seat waits for, and takes what is typed for it.

A touch and a key are waited for by the daemon, side by side; nothing here blocks either. What is typed goes to the
reader that asks for it, and means nothing otherwise: no key, Escape and Return among them, opens anything. Exit status
0, on which xsecurelock lets go of the screen, comes in one place only: authd itself has said that a session is open.

Started by xsecurelock with the window to draw in (`$XSCREENSAVER_WINDOW`), keys on standard input, and where the door
is in `$AUTHD_AGENT_*` (`authd.agent.settings`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final

from authd.agent.keyboard import Action, Typing
from authd.agent.paint import Painter
from authd.agent.settings import Settings, from_environment
from authd.agent.view import picture
from authd.agent.x11 import EXPOSURE, Display, NoDisplay
from authd.client import Client, ClientError, Shown
from authd.client.tables import BadSettings
from authd.core.model import SeatState

NAME: Final = "auth_authd"
LONGEST_READ: Final = 256
CLOSED: Final = 1
"""Exit status of everything but an open session: the screen stays locked."""
log = logging.getLogger("authd.agent.auth")


class Module:
    """One run of the module."""

    def __init__(self, settings: Settings, client: Client, show: Callable[[Shown | None, int | None], None]) -> None:
        self._settings, self._client, self._show = settings, client, show
        self._typing = Typing()
        self._shown: Shown | None = None
        self._first = True
        self._actions: asyncio.Queue[Action] = asyncio.Queue(16)

    async def run(self) -> bool:
        """Return True once a session is open at the seat; False when the keys' end is closed."""
        loop = asyncio.get_running_loop()
        closed = asyncio.Event()
        os.set_blocking(0, False)
        loop.add_reader(0, self._read, closed)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(job) for job in (self._watch(), closed.wait())]
                helper = group.create_task(self._carry_out())
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                opened = tasks[0].done()
                for task in (*tasks, helper):
                    task.cancel()
        finally:
            loop.remove_reader(0)
        return opened

    async def _watch(self) -> None:
        """Return once authd says that somebody's session is open here."""
        async with aclosing(self._client.watch(self._settings.seat)) as faces:
            async for shown in faces:
                self._shown = shown
                self._typing.asked(shown is not None and shown.face.prompt is not None)
                self._draw()
                if shown is not None and await self._opens(shown):
                    return

    async def _opens(self, shown: Shown) -> bool:
        """A session that was open before the screen was locked does not open it: where no agent has, we end it."""
        open_ = shown.face.session is not None and shown.face.state is SeatState.ACTIVE
        first, self._first = self._first, False
        if not (open_ and first and self._settings.alone):
            return open_
        with suppress(ClientError):
            await self._client.press(self._settings.seat, "lock")
        return False

    def _draw(self) -> None:
        self._show(self._shown, self._typing.length if self._typing.wanted else None)

    def _read(self, closed: asyncio.Event) -> None:
        try:
            data = os.read(0, LONGEST_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(0)
            closed.set()
            return
        for action in self._typing.take(data):
            with suppress(asyncio.QueueFull):  # a hand on the keyboard: what is too much is forgotten
                self._actions.put_nowait(action)
        self._draw()

    async def _carry_out(self) -> None:
        """What was typed goes to whoever asked; a refusal shows on the seat's face, if anywhere."""
        while True:
            action = await self._actions.get()
            with suppress(ClientError):
                if action.typed is not None:
                    await self._client.answer(self._settings.seat, action.typed)
                elif action.button is not None:
                    await self._client.press(self._settings.seat, action.button)


class Window:
    """The window that xsecurelock has made for us."""

    def __init__(self, number: int, languages: tuple[str, ...]) -> None:
        self._display = Display()
        self._painter, self._languages = Painter(self._display, number), languages
        self._display.x.XSelectInput(self._display.display, number, EXPOSURE)
        self._display.x.XMapRaised(self._display.display, number)  # xsecurelock makes it, and leaves this to us
        self._display.x.XSync(self._display.display, 0)
        self._last: tuple[Shown | None, int | None] = (None, None)

    def show(self, shown: Shown | None, typed: int | None) -> None:
        """Draw it."""
        self._last = (shown, typed)
        self._painter.paint(picture(shown, typed, self._languages))

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Draw again what was uncovered."""
        loop.add_reader(self._display.fileno(), self._again)

    def _again(self) -> None:
        if self._display.events():
            self.show(*self._last)


async def _serve(settings: Settings, window: Window) -> bool:
    window.show(None, None)
    window.watch(asyncio.get_running_loop())
    async with settings.client() as client:
        return await Module(settings, client, window.show).run()


def main() -> int:
    """Run until a session is open (0), or the keys' end is closed or anything is wrong (1)."""
    logging.basicConfig(format="%(name)s: %(message)s", level=logging.WARNING)
    with suppress(OSError):
        Path("/proc/self/comm").write_text(NAME, "ascii")  # by which the agent sees that it runs
    try:
        settings = from_environment(os.environ)
        window = Window(int(os.environ.get("XSCREENSAVER_WINDOW", "0"), 0), settings.languages)
        return 0 if asyncio.run(_serve(settings, window)) else CLOSED
    except (BadSettings, NoDisplay, ClientError, ValueError) as error:
        log.error("%s", error)
    except BaseExceptionGroup as group:
        log.error("%s", group.exceptions[0])
    return CLOSED


if __name__ == "__main__":
    sys.exit(main())
