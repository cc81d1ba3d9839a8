"""Which kind of desktop this is, and how it is covered: X with xsecurelock, or Wayland by ext-session-lock."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from typing import Final

from authd.agent.run import Screen
from authd.agent.x11 import Display, NoDisplay, Shield
from authd.client.tables import BadSettings

XSECURELOCK: Final = "xsecurelock"


class XScreen:
    """An X display. Implements `run.Screen`."""

    def __init__(self) -> None:
        """Raises `NoDisplay`."""
        self._display = Display()
        self._shield = Shield(self._display)

    def show(self) -> None:
        """Hide everything behind an opaque window."""
        self._shield.show()
        self._shield.tend()  # Xlib may have read events on the way, and nobody is woken for those

    def rest(self) -> None:
        """Leave it beneath xsecurelock's."""
        self._shield.rest()
        self._shield.tend()

    def hide(self) -> None:
        """Take it away."""
        self._shield.hide()
        self._shield.tend()

    def wake(self) -> None:
        """Let xsecurelock start its module."""
        self._display.wake()
        self._shield.tend()

    def idle_ms(self) -> int | None:
        """For how long nobody has used keyboard or mouse."""
        idle = self._display.idle_ms()
        self._shield.tend()
        return idle

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stay on top."""
        loop.add_reader(self._display.fileno(), self._shield.tend)


def find(environment: Mapping[str, str] = os.environ) -> tuple[Screen, tuple[str, ...]]:
    """Return this desktop's screen, and the command of what locks it. Raises `BadSettings` with what to do."""
    if environment.get("WAYLAND_DISPLAY") and environment.get("XDG_SESSION_TYPE") != "x11":
        from authd.agent.wayland import LOCKER, WaylandScreen

        return WaylandScreen.of(environment), LOCKER
    try:
        screen = XScreen()
    except NoDisplay as error:
        raise BadSettings(str(error)) from None
    path = shutil.which(XSECURELOCK)
    if path is None:
        raise BadSettings("xsecurelock is not installed: nothing could hold keyboard and mouse; install xsecurelock")
    return screen, (path,)
