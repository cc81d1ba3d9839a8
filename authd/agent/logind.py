"""logind, over the system bus: it asks for locks and tells of sleep, and waits for the agent before it sleeps.

Its `Unlock` is heard and not obeyed: only a person's touch opens the seat. Without logind the agent works on, and the
machine sleeps without waiting; it is looked for again every few seconds.

Whoever is on the bus can send a signal that looks like logind's. Only what comes from the connection that owns logind's
name is heard; the bus itself says which that is, and when it is another one.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from authd.agent.desk import Event, LockAsked, Sleeping

NAME, MANAGER, PATH = "org.freedesktop.login1", "org.freedesktop.login1.Manager", "/org/freedesktop/login1"
SESSION: Final = "org.freedesktop.login1.Session"
BUS: Final = "org.freedesktop.DBus"
"""Name and interface of the bus itself, which nobody else can send under."""
BUS_PATH: Final = "/org/freedesktop/DBus"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
ANSWER_S: Final = 5.0
AGAIN_S: Final = 2.0
log = logging.getLogger("authd.agent.logind")


class LogindError(Exception):
    """logind is not there, or did not do it."""


class Logind:
    """One connection, made again when it breaks. `heard` is called from the loop."""

    def __init__(self, heard: Callable[[Event], None], session: str = "") -> None:
        """`session`: logind's id of this desktop's session; empty: `$XDG_SESSION_ID`, or the one we are in."""
        self._heard = heard
        self._id = session or os.environ.get("XDG_SESSION_ID", "")
        self._path = ""
        self._bus: MessageBus | None = None
        self._inhibitor: int | None = None
        self._wanted = False
        self._locked: bool | None = None
        self._told = False
        self._owner: str | None = None
        """The connection that is logind; empty: there is none; None: not known yet."""
        self._changed = asyncio.Event()
        """It is another one."""
        self._strange = False
        """A stranger was told of on this connection."""
        self._tells = False
        """The idle hint has been true: this desktop sets it."""

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            while True:
                try:
                    await self._serve()
                except* (LogindError, OSError, EOFError, ValueError) as errors:
                    if not self._told:
                        why = errors.exceptions[0]
                        log.warning("logind cannot be asked, so sleep does not wait for the lock: %s", why)
                    self._told = True
                finally:
                    self._leave()
                await asyncio.sleep(AGAIN_S)
        finally:
            self.let_go()

    @property
    def found(self) -> bool:
        """Whether logind answers, and knows this desktop's session."""
        return self._bus is not None and bool(self._owner) and bool(self._path)

    async def hold(self) -> None:
        """Keep the machine from sleeping until `let_go`."""
        self._wanted = True
        if self._bus is None or self._inhibitor is not None:
            return
        why = "lock the seat before the machine sleeps"
        with suppress(LogindError):
            answer = await self._call(PATH, MANAGER, "Inhibit", "ssss", ["sleep", "authd-seat", why, "delay"])
            handle: Any = answer.body[0]
            descriptors: Any = answer.unix_fds
            taken: int = descriptors[handle]
            if self._wanted and self._inhibitor is None:
                self._inhibitor = taken
            else:
                os.close(taken)

    def let_go(self) -> None:
        """The machine may sleep."""
        self._wanted = False
        if self._inhibitor is not None:
            os.close(self._inhibitor)
            self._inhibitor = None

    async def hint(self, locked: bool) -> None:
        """Tell logind whether the desktop is locked, for whatever else looks at it."""
        self._locked = locked
        if self._bus is not None and self._path:
            with suppress(LogindError):
                await self._call(self._path, SESSION, "SetLockedHint", "b", [locked])

    async def idle(self) -> bool | None:
        """Return whether logind thinks that nobody uses the desktop; None: it cannot be asked, or does not know.

        Where no part of the desktop ever sets the hint it stays false, and would keep an empty seat open for hours: it
        is believed only once it has been true.
        """
        if self._bus is None or not self._path:
            return None
        hint = await self._property(self._path, SESSION, "IdleHint")
        if hint is None:
            return None
        self._tells = self._tells or hint
        return hint if self._tells else None

    async def _serve(self) -> None:
        bus = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
        self._bus = bus
        bus.add_message_handler(self._on_message)
        await self._match(BUS, f"member='NameOwnerChanged',arg0='{NAME}'")
        await self._match(NAME, f"interface='{MANAGER}',member='PrepareForSleep'")
        await self._match(NAME, f"interface='{SESSION}'")
        await self._name_owner()
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(self._follow())
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # not annotated there
            following.cancel()

    async def _name_owner(self) -> None:
        """Ask whose logind's name is, after it was started where it can be."""
        with suppress(LogindError):
            await self._bus_call("StartServiceByName", "su", [NAME, 0])
        answer = await self._bus_call("GetNameOwner", "s", [NAME])
        if self._owner is None:  # no change of it has been heard meanwhile
            self._owner = str(answer.body[0])

    async def _follow(self) -> None:
        """Be known to each logind that there is, one after the other."""
        while True:
            self._changed.clear()
            if self._owner:
                await self._meet()
            await self._changed.wait()

    async def _meet(self) -> None:
        """Tell it what the one before was told, and ask what was missed."""
        await self._find()
        self._drop_inhibitor()
        if self._wanted:
            await self.hold()
        if self._locked is not None:
            await self.hint(self._locked)
        asleep = await self._property(PATH, MANAGER, "PreparingForSleep")
        if asleep is not None:
            self._heard(Sleeping(asleep))
        self._told = False

    async def _find(self) -> None:
        """Which of logind's sessions is this desktop."""
        if self._id:
            answer = await self._call(PATH, MANAGER, "GetSession", "s", [self._id])
        else:
            answer = await self._call(PATH, MANAGER, "GetSessionByPID", "u", [os.getpid()])
        self._path = str(answer.body[0])

    async def _match(self, sender: str, rule: str) -> None:
        await self._bus_call("AddMatch", "s", [f"type='signal',sender='{sender}',{rule}"])

    async def _bus_call(self, member: str, signature: str, body: list[Any]) -> Message:
        return await self._ask(Message(BUS, BUS_PATH, BUS, member, signature=signature, body=body))

    async def _property(self, path: str, interface: str, name: str) -> bool | None:
        """None: it cannot be asked, or does not know."""
        try:
            answer = await self._call(path, PROPERTIES, "Get", "ss", [interface, name])
        except LogindError:
            return None
        value: Any = answer.body[0] if answer.body else None
        return value.value is True if isinstance(value, Variant) else None

    async def _call(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> Message:
        if not self._owner:
            raise LogindError("not there")
        return await self._ask(Message(self._owner, path, interface, member, signature=signature, body=body))

    async def _ask(self, message: Message) -> Message:
        if self._bus is None:
            raise LogindError("not connected")
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._bus.call(message)
        except (TimeoutError, OSError, EOFError) as error:
            raise LogindError(f"{message.member}: {error or 'no answer'}") from None
        if answer.message_type is MessageType.ERROR:
            raise LogindError(f"{message.member}: {answer.error_name}")
        return answer

    def _on_message(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.sender == BUS and message.member == "NameOwnerChanged":
            self._on_owner(message)
        elif not self._owner or message.sender != self._owner:
            self._on_stranger(message)
        elif message.member == "PrepareForSleep" and message.interface == MANAGER and message.signature == "b":
            self._heard(Sleeping(bool(message.body[0])))
        elif message.interface == SESSION and message.path == self._path:
            if message.member == "Lock":
                self._heard(LockAsked())
            elif message.member == "Unlock":
                log.warning("something asked logind to unlock this desktop; only a touch at the seat does")

    def _on_owner(self, message: Message) -> None:
        """From here on the new one is heard, and the one before is a stranger."""
        if message.signature == "sss" and message.body[0] == NAME:
            self._owner = str(message.body[2])
            self._changed.set()

    def _on_stranger(self, message: Message) -> None:
        if message.interface in (MANAGER, SESSION) and not self._strange:
            self._strange = True
            log.warning("%s on the bus speaks in logind's name (%s), and is not heard", message.sender, message.member)

    def _leave(self) -> None:
        if self._bus is not None:
            self._bus.disconnect()
        self._bus, self._owner, self._strange = None, None, False
        self._drop_inhibitor()

    def _drop_inhibitor(self) -> None:
        """Of a logind that is gone: worth nothing."""
        if self._inhibitor is not None:
            os.close(self._inhibitor)
            self._inhibitor = None
