"""What fprintd asks on the bus: polkit, which allows or forbids on command, and logind, which says when to sleep."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

POLKIT = "org.freedesktop.PolicyKit1"
LOGIND = "org.freedesktop.login1"
INHIBIT_S = 2.0
ACTIONS = ("verify", "enroll", "setusername")
_ABOUT_POLKIT = {
    "BackendName": Variant("s", "stand-in"),
    "BackendVersion": Variant("s", "0"),
    "BackendFeatures": Variant("u", 0),
}


class StandIns:
    """Owns both names on a private bus. `forbidden`: actions of fprintd that polkit says no to."""

    def __init__(self, address: str) -> None:
        self.forbidden: set[str] = set()
        self.asked = 0
        self._address = address
        self._bus: MessageBus | None = None
        self._inhibitors: list[tuple[int, int]] = []
        """Pipes: who holds the second end wants to be waited for before the machine sleeps."""

    async def open(self) -> None:
        """Connect and own the names. Raises `OSError`, `RuntimeError`."""
        self._bus = MessageBus(bus_address=self._address, negotiate_unix_fd=True, auth_timeout=5)
        await self._bus.connect()
        self._bus.add_message_handler(self._answer)
        for name in (POLKIT, LOGIND):
            await self._bus.request_name(name)

    def close(self) -> None:
        """Leave the bus."""
        if self._bus is not None:
            self._bus.disconnect()
        for ours, theirs in self._inhibitors:
            os.close(ours)
            os.close(theirs)
        self._inhibitors.clear()

    async def prepare_for_sleep(self, begins: bool) -> None:
        """Say that the machine is about to sleep, or has woken up; sleep begins once nobody wants to be waited for."""
        assert self._bus is not None
        signal = Message.new_signal(
            "/org/freedesktop/login1", "org.freedesktop.login1.Manager", "PrepareForSleep", "b", [begins]
        )
        waiting, self._inhibitors = (self._inhibitors, []) if begins else ([], self._inhibitors)
        await self._bus.send(signal)  # pyright: ignore[reportUnknownMemberType]  # a Future of dbus-fast's of no type
        for ours, theirs in waiting:
            os.close(theirs)
            await _closed(ours)

    def _answer(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        match message.interface, message.member:
            case "org.freedesktop.DBus.Properties", "GetAll":
                about = _ABOUT_POLKIT if message.body[0].startswith(POLKIT) else {}
                return Message.new_method_return(message, "a{sv}", [about])
            case "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization":
                return Message.new_method_return(message, "(bba{ss})", [self._verdict(message.body)])
            case "org.freedesktop.login1.Manager", "Inhibit":
                return self._inhibit(message)
            case _:
                return None

    def _verdict(self, body: list[Any]) -> tuple[bool, bool, dict[str, str]]:
        self.asked += 1
        action = str(body[1]).rpartition(".")[2]
        return action not in self.forbidden, False, {}

    def _inhibit(self, message: Message) -> Message:
        """Hand out the descriptor that stands for an inhibitor."""
        ours, theirs = os.pipe()
        self._inhibitors.append((ours, theirs))
        return Message.new_method_return(message, "h", [0], [theirs])


async def _closed(end: int) -> None:
    """Wait, not for ever, until the pipe's other end is closed."""
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(end, closed.set)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(INHIBIT_S):
            await closed.wait()
    loop.remove_reader(end)
    os.close(end)
