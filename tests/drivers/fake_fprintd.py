"""A message bus with fprintd on it, in this process and of our own making: it says what it is told to, and to whom.

No daemon of the real ones takes part, so it can lie: as another peer, at the wrong moment, with the wrong signature, or
with bytes that are no message at all.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from dbus_fast import Message, MessageType, Variant
from dbus_fast._private.marshaller import Marshaller
from dbus_fast._private.unmarshaller import Unmarshaller

from authd_drivers.fprintd import READER, reader

BUS, NAME, LOGIND = "org.freedesktop.DBus", "net.reactivated.Fprint", "org.freedesktop.login1"
DEVICE, PATH = "net.reactivated.Fprint.Device", "/net/reactivated/Fprint/Device/0"
SERVICE, SLEEPER, LIAR = ":1.7", ":1.3", ":1.66"
_FIELDS = {"path": (1, "o"), "interface": (2, "s"), "member": (3, "s"), "error": (4, "s"), "reply_to": (5, "u")}


def frame(kind: int, sender: str, signature: str, body: Sequence[Any], **fields: Any) -> bytes:
    """Return the bytes of one message, whoever is to have sent it."""
    content = bytes(Marshaller(signature, list(body)).marshall()) if signature else b""
    head = [[_FIELDS[name][0], Variant(_FIELDS[name][1], value)] for name, value in fields.items()]
    head += [[6, Variant("s", ":1.1")], [7, Variant("s", sender)], [8, Variant("g", signature)]]
    start = bytes(Marshaller("yyyyuua(yv)", [ord("l"), kind, 1, 1, len(content), 77, head]).marshall())
    return start + bytes(-len(start) % 8) + content


class FakeFprintd:
    """The bus, at `path`. `errors`, `replies`: what a method is answered instead, until it is taken out again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.owner, self.device, self.asleep = SERVICE, PATH, False
        self.fingers: list[str] = ["right-index-finger"]
        self.errors: dict[str, str] = {}
        self.replies: dict[str, tuple[str, list[Any]]] = {}
        self.before: dict[str, bytes] = {}
        """Sent before the reply to a method."""
        self.after: dict[str, bytes] = {}
        self.silent: set[str] = set()
        self.calls: list[str] = []
        self.serials: dict[str, int] = {}
        self.accounts: list[str] = []
        self.connections = 0
        self._more = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    def send(self, data: bytes) -> None:
        for writer in self._writers:
            writer.write(data)

    # What is said.

    def signal(
        self, member: str, signature: str, *body: Any, sender: str = SERVICE, interface: str = DEVICE, path: str = PATH
    ) -> bytes:
        return frame(4, sender, signature, body, path=path, interface=interface, member=member)

    def status(self, result: str, done: bool = True, kind: str = "Verify", **more: str) -> bytes:
        return self.signal(f"{kind}Status", "sb", result, done, **more)

    def finger(self, present: bool) -> bytes:
        changed = {"finger-present": Variant("b", present)}
        return self.signal("PropertiesChanged", "sa{sv}as", DEVICE, changed, [], interface=f"{BUS}.Properties")

    def owned(self, owner: str, name: str = NAME) -> bytes:
        """Fprintd (or another) comes or goes."""
        before, self.owner = self.owner, owner if name == NAME else self.owner
        return self.signal("NameOwnerChanged", "sss", name, before, owner, sender=BUS, interface=BUS)

    def sleep(self, begins: bool, sender: str = SLEEPER) -> bytes:
        self.asleep = begins
        place = {"interface": f"{LOGIND}.Manager", "path": "/org/freedesktop/login1"}
        return self.signal("PrepareForSleep", "b", begins, sender=sender, **place)

    def gone(self) -> bytes:
        path, self.device = self.device, ""
        return self.signal("InterfacesRemoved", "oas", path, [DEVICE], interface=f"{BUS}.ObjectManager")

    # What is asked.

    async def called(self, member: str, times: int = 1) -> None:
        """Wait until this method was called so often."""
        async with asyncio.timeout(60):
            while self.calls.count(member) < times:
                self._more.clear()
                await self._more.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(1)
            await reader.readuntil(b"\r\n")
            writer.write(b"OK 0123456789abcdef0123456789abcdef\r\n")
            await reader.readuntil(b"\r\n")
            self.connections += 1
            self._writers.append(writer)
            while True:
                start = await reader.readexactly(16)
                fields = int.from_bytes(start[12:16], "little")
                rest = await reader.readexactly(fields + -fields % 8 + int.from_bytes(start[4:8], "little"))
                message = Unmarshaller(cast("Any", io.BytesIO(start + rest))).unmarshall()
                assert message is not None
                self._hear(message, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            if writer in self._writers:
                self._writers.remove(writer)
            writer.close()

    def _hear(self, message: Message, writer: asyncio.StreamWriter) -> None:
        member, error, signature, body = message.member or "", "", "", list[Any]()
        self.calls.append(member)
        self.serials[member] = message.serial
        if member == "Claim":
            self.accounts.append(message.body[0])
        if member in self.errors:
            error = self.errors[member]
        elif member in self.replies:
            signature, body = self.replies[member]
        else:
            error, signature, body = self._answer(member, message.body)
        sender = message.destination or BUS
        if member not in self.silent:
            writer.write(self.before.pop(member, b""))
            kind = MessageType.ERROR.value if error else MessageType.METHOD_RETURN.value
            more = {"error": error} if error else {}
            writer.write(frame(kind, sender, signature, body, reply_to=message.serial, **more))
            writer.write(self.after.pop(member, b""))
        self._more.set()

    def _answer(self, member: str, body: list[Any]) -> tuple[str, str, list[Any]]:
        match member:
            case "Hello":
                return "", "s", [":1.1"]
            case "GetNameOwner" if body == [NAME]:
                return ("", "s", [self.owner]) if self.owner else (f"{BUS}.Error.NameHasNoOwner", "", [])
            case "GetNameOwner":
                return "", "s", [SLEEPER]
            case "StartServiceByName":
                return ("", "u", [2]) if self.owner else (f"{BUS}.Error.ServiceUnknown", "", [])
            case "Get":
                return "", "v", [Variant("b", self.asleep)]
            case "GetAll":
                about = {"name": Variant("s", "Fake"), "num-enroll-stages": Variant("i", 2)}
                return "", "a{sv}", [about | {"finger-present": Variant("b", False)}]
            case "GetDefaultDevice":
                return ("", "o", [self.device]) if self.device else (f"{NAME}.Error.NoSuchDevice", "", [])
            case "GetDevices":
                return "", "ao", [[self.device] if self.device else []]
            case "ListEnrolledFingers":
                return ("", "as", [self.fingers]) if self.fingers else (f"{NAME}.Error.NoEnrolledPrints", "", [])
            case _:
                return "", "", []


@pytest.fixture
async def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[FakeFprintd, None]:
    """A bus of our own; the driver's back-off begins at nothing."""
    monkeypatch.setattr(reader, "FIRST_S", 0.0)
    bus = FakeFprintd(tmp_path / "bus")
    await bus.open()
    yield bus
    await bus.close()


@pytest.fixture
async def opened(fake: FakeFprintd) -> AsyncGenerator[Any, None]:
    """An open reader on it."""
    device = READER({"bus": str(fake.path)})
    await device.open()
    yield device
    await device.close()
