"""The connection to the bus: whom to believe, and in which order things were said.

Calls go to fprintd's own unique name, and only what comes from that name counts: another peer may send us any signal it
likes, whatever we asked the bus to pass on. Replies and signals are taken in the order in which the bus delivered them,
so that a status can be told to belong to the verification that was started, and not to one before or after it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

from dbus_fast import AuthError, InvalidAddressError, Message, MessageType
from dbus_fast.aio import MessageBus

from authd.driver import DriverError, Fault
from authd_drivers.fprintd import messages
from authd_drivers.fprintd.messages import (
    BUS,
    DEVICE,
    LOGIND,
    MANAGER,
    NAME,
    PROPERTIES,
    Gone,
    Owner,
    Said,
    Selected,
    Sleep,
)
from authd_drivers.fprintd.messages import Status as StatusSaid
from authd_drivers.fprintd.results import ERRORS, Outcome, outcome

OPEN_S = 5.0
CALL_S = 5.0
"""A real sensor takes a second or two to open."""
GLANCE_S = 0.25
"""How long it may take to see that the bus itself has died."""
MAX_HEARD = 64
_MANAGER_PATH: Final = "/net/reactivated/Fprint/Manager"
_RULES: Final = (
    f"type='signal',sender='{NAME}'",
    f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{NAME}'",
    f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{LOGIND}'",
    f"type='signal',sender='{LOGIND}',member='PrepareForSleep'",
)
Then = Callable[[Message], None]


class CallError(Exception):
    """The service said no, by an error with one outcome."""

    def __init__(self, name: str, result: Outcome) -> None:
        super().__init__(name)
        self.name = name
        self.result = result


class Ear:
    """What one verification or enrolment may hear. Deaf until its start was answered, and after its end."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.armed = False
        self.selected = ""

    def arm(self, reply: Message) -> None:
        """Hear from here on, if the start was granted."""
        self.armed = reply.message_type is MessageType.METHOD_RETURN

    def takes(self, said: Said) -> bool:
        """Whether this is for us; everything but statuses always is."""
        if isinstance(said, Selected):
            self.selected = said.finger if self.armed else ""
            return False
        if not isinstance(said, StatusSaid):
            return True
        if not self.armed or said.kind != self.kind:
            return False
        self.armed = not said.done
        return True


class Link:
    """One connection. `device`: the sensor's path, "" while none is known; `owner`: fprintd's unique name, or ""."""

    def __init__(self, bus: str, wanted: str = "") -> None:
        self.owner = self.device = ""
        self.asleep = False
        self.awoke: Callable[[], None] = lambda: None
        """Called as the machine has woken up."""
        self._address, self._wanted = f"unix:path={bus}", wanted
        self._logind = ""
        self._bus: MessageBus | None = None
        self._calls: dict[int, tuple[str, asyncio.Future[Message], Then | None]] = {}
        self._heard: asyncio.Queue[Said | DriverError] = asyncio.Queue(MAX_HEARD)
        self._ear: Ear | None = None

    async def open(self) -> None:
        """Connect, and find fprintd (the bus starts it) and its sensor. Raises `DriverError`."""
        await self._connect()
        for rule in _RULES:
            await self._ask_bus("AddMatch", rule)
        await self._know_logind()
        await self.find()

    async def find(self) -> None:
        """Find fprintd and the sensor anew. Raises `DriverError`."""
        try:
            if not self.owner:
                with suppress(CallError):
                    await self._know_owner(NAME)
            if not self.owner:
                await self.call(BUS, "/org/freedesktop/DBus", BUS, "StartServiceByName", "su", NAME, 0)
                await self._know_owner(NAME)
            self.device = await self._sensor()
        except CallError as error:
            fault = error.result if isinstance(error.result, Fault) else Fault.REMOVED
            raise DriverError(fault, error.name) from None

    async def about(self, path: str = "") -> messages.About:
        """Return what the sensor says of itself. Raises `DriverError`, `CallError`."""
        return messages.properties(await self.call(self.owner, path or self.device, PROPERTIES, "GetAll", "s", DEVICE))

    async def ask(self, member: str, *body: str) -> Message:
        """Call a method of the sensor. Raises `DriverError`, `CallError`."""
        return await self.call(self.owner, self.device, DEVICE, member, "s" * len(body), *body)

    def begin(self, member: str, *body: str, then: Then | None = None) -> asyncio.Future[Message]:
        """As `ask`, without waiting. then: called with the reply before anything that was said after it is heard."""
        return self._send(self.owner, self.device, DEVICE, member, "s" * len(body), body, then)

    async def call(self, to: str, path: str, interface: str, member: str, signature: str, *body: object) -> Message:
        """Call any method and wait for its reply. Raises `DriverError`, `CallError`."""
        return await self.reply(self._send(to, path, interface, member, signature, body, None))

    async def reply(self, answer: asyncio.Future[Message], limit: float = CALL_S) -> Message:
        """Wait for a reply. Raises `DriverError`, `CallError`."""
        end = time.clock_gettime(time.CLOCK_BOOTTIME) + limit
        while not answer.done():
            if time.clock_gettime(time.CLOCK_BOOTTIME) > end:
                raise DriverError(Fault.TIMEOUT, "no reply")
            await self._look()
            await asyncio.wait({answer}, timeout=min(GLANCE_S, limit))
        message = answer.result()
        if message.message_type is MessageType.ERROR:
            name = messages.error(message)
            raise CallError(name, outcome(ERRORS, name))
        return message

    def listen(self, ear: Ear | None) -> None:
        """Hear for this one from now on; what was heard before is forgotten."""
        self._ear = ear
        while not self._heard.empty():
            self._heard.get_nowait()

    async def hear(self, limit: float | None = None) -> Said | None:
        """Return the next thing said; None once `limit` seconds are over. Raises `DriverError`."""
        end = None if limit is None else time.clock_gettime(time.CLOCK_BOOTTIME) + limit
        while True:
            await self._look()
            left = GLANCE_S if end is None else min(GLANCE_S, end - time.clock_gettime(time.CLOCK_BOOTTIME))
            if left <= 0 and self._heard.empty():
                return None
            with suppress(TimeoutError):
                async with asyncio.timeout(max(left, 0)):
                    said = await self._heard.get()
                if isinstance(said, DriverError):
                    raise said
                return said

    async def close(self) -> None:
        """Hang up; safe to call twice."""
        bus, self._bus = self._bus, None
        self.owner = self.device = ""
        if bus is not None and bus.connected:
            bus.disconnect()
            with suppress(Exception):  # it is over, whatever it ends with
                async with asyncio.timeout(1):
                    await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # it has no annotations

    # What is below is between the bus and us.

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(OPEN_S):
                self._bus = await MessageBus(bus_address=self._address).connect()
        except (FileNotFoundError, ConnectionError) as error:
            raise DriverError(Fault.REMOVED, f"no bus: {error}") from None
        except (PermissionError, AuthError) as error:
            raise DriverError(Fault.NOT_PERMITTED, f"the bus: {error}") from None
        except TimeoutError:
            raise DriverError(Fault.TIMEOUT, "the bus does not answer") from None
        except InvalidAddressError as error:
            raise DriverError(Fault.NOT_PERMITTED, f"bus: {error}") from None
        except Exception as error:  # whatever dbus-fast makes of bytes that are no bus
            raise DriverError(Fault.PROTOCOL, f"the bus: {type(error).__name__}") from None
        self._bus.add_message_handler(self._take)

    async def _ask_bus(self, member: str, name: str) -> Message:
        try:
            return await self.call(BUS, "/org/freedesktop/DBus", BUS, member, "s", name)
        except CallError as error:
            fault = error.result if isinstance(error.result, Fault) else Fault.PROTOCOL
            raise DriverError(fault, error.name) from None

    async def _know_owner(self, name: str) -> None:
        """Ask who owns a name; what the bus says of it afterwards comes afterwards."""

        def know(reply: Message) -> None:
            if reply.message_type is MessageType.METHOD_RETURN:
                self._owned(Owner(name, messages.text(reply)))

        await self.reply(self._send(BUS, "/org/freedesktop/DBus", BUS, "GetNameOwner", "s", (name,), know))

    async def _know_logind(self) -> None:
        """Without it nothing says that the machine sleeps, and nothing makes fprintd let go of its sensor."""

        def know(reply: Message) -> None:
            self.asleep = reply.message_type is MessageType.METHOD_RETURN and messages.flag(reply)

        with suppress(CallError):
            await self._know_owner(LOGIND)
            body = (f"{LOGIND}.Manager", "PreparingForSleep")
            await self.reply(self._send(self._logind, "/org/freedesktop/login1", PROPERTIES, "Get", "ss", body, know))

    async def _sensor(self) -> str:
        if not self._wanted:
            return messages.path(await self.call(self.owner, _MANAGER_PATH, MANAGER, "GetDefaultDevice", ""))
        for path in messages.paths(await self.call(self.owner, _MANAGER_PATH, MANAGER, "GetDevices", "")):
            if (await self.about(path)).name == self._wanted:
                return path
        raise DriverError(Fault.REMOVED, f"no sensor named {self._wanted!r}")

    def _send(
        self,
        to: str,
        path: str,
        interface: str,
        member: str,
        signature: str,
        body: tuple[object, ...],
        then: Then | None,
    ) -> asyncio.Future[Message]:
        self._alive()
        bus = self._bus
        assert bus is not None
        if not to or not path:
            raise DriverError(Fault.REMOVED, "fprintd is gone")
        message = Message(to, path, interface, member, signature=signature, body=list(body))
        message.serial = bus.next_serial()
        answer = asyncio.get_running_loop().create_future()
        self._calls[message.serial] = (to, answer, then)
        answer.add_done_callback(lambda _: self._calls.pop(message.serial, None))
        sent = cast("asyncio.Future[None]", bus.send(message))  # pyright: ignore[reportUnknownMemberType]  # of no type
        sent.add_done_callback(lambda sent: sent.cancelled() or sent.exception())
        return answer

    async def _look(self) -> None:
        """See whether the bus is still there, and sane. Raises `DriverError`."""
        if self._bus is not None and not self._bus.connected:
            try:
                async with asyncio.timeout(GLANCE_S):
                    await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # it has no annotations
            except (EOFError, OSError):
                pass
            except Exception as error:  # whatever dbus-fast makes of bytes that are no message
                raise DriverError(Fault.PROTOCOL, f"the bus: {type(error).__name__}") from None
        self._alive()

    def _alive(self) -> None:
        if self._bus is None:
            raise DriverError(Fault.REMOVED, "not open")
        if not self._bus.connected:
            raise DriverError(Fault.REMOVED, "the bus is gone")

    def _take(self, message: Message) -> bool:
        """Take whatever the bus delivers, in its order. Calls at us get no answer: we serve nobody."""
        if message.message_type in (MessageType.METHOD_RETURN, MessageType.ERROR):
            to, answer, then = self._calls.get(message.reply_serial or 0, ("", None, None))
            if answer is not None and not answer.done() and message.sender in (to, BUS):
                self._answered(message, answer, then)
        elif message.message_type is MessageType.SIGNAL and message.sender in (self.owner, self._logind, BUS):
            try:
                self._hear(message)
            except DriverError as error:
                self._tell(error)
        return True

    def _answered(self, message: Message, answer: asyncio.Future[Message], then: Then | None) -> None:
        try:
            if then is not None:
                then(message)
            answer.set_result(message)
        except DriverError as error:
            answer.set_exception(error)

    def _hear(self, message: Message) -> None:
        """Take a signal: the bus tells of names, logind of sleep, fprintd of all else, and nobody of another's."""
        said = messages.heard(message)
        if isinstance(said, Owner):
            if message.sender != BUS or not self._owned(said):
                return
        elif isinstance(said, Sleep):
            if message.sender != self._logind:
                return
            self.asleep = said.begins
            if not said.begins:
                self.awoke()
        elif said is None or message.sender != self.owner or not self._ours(message, said):
            return
        if self._ear is not None and self._ear.takes(said):
            self._tell(said)

    def _owned(self, said: Owner) -> bool:
        """Take note of it; whether it is fprintd that came or went."""
        if said.name == LOGIND:
            self._logind = said.owner
        elif said.name == NAME:
            self.owner, self.device = said.owner, ""
        return said.name == NAME

    def _ours(self, message: Message, said: Said) -> bool:
        """Whether it is about our sensor; one that is gone is forgotten."""
        ours = (said.path if isinstance(said, Gone) else message.path) == self.device
        if ours and isinstance(said, Gone):
            self.device = ""
        return ours

    def _tell(self, said: Said | DriverError) -> None:
        try:
            self._heard.put_nowait(said)
        except asyncio.QueueFull:
            self.listen(self._ear)
            self._heard.put_nowait(DriverError(Fault.PROTOCOL, "fprintd says too much"))
