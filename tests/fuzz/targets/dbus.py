"""What the bus and fprintd say: messages and replies of D-Bus, and the reader's records; `authd_drivers.fprintd`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, cast

from dbus_fast import Message, MessageType, Variant
from dbus_fast._private.unmarshaller import Unmarshaller

from authd.driver import DriverError, Fault, NotAccepted, Reference
from authd_drivers.fprintd import messages, prints
from authd_drivers.fprintd.checker import FprintdChecker

NONCE = "0123456789abcdef" * 2
ACCOUNT = "sub_1"
PRINT = prints.Print(ACCOUNT, "right-index-finger")
DEVICE = "/net/reactivated/Fprint/Device/0"
REPLIES: tuple[Callable[[Message], object], ...] = (
    messages.heard,
    messages.fingers,
    messages.path,
    messages.paths,
    messages.text,
    messages.flag,
    messages.properties,
    messages.error,
)


def _reply(data: bytes) -> None:
    """Hand one message to everything that reads one: whatever dbus-fast makes of the bytes."""
    try:
        message = Unmarshaller(cast("Any", io.BytesIO(data))).unmarshall()
    except Exception:
        return
    if isinstance(message, Message):
        for read in REPLIES:
            _one(read, message)


def _records(data: bytes) -> None:
    for read in (prints.read_claimed, prints.read_enrolled, prints.read_credential):
        _one(read, data)
    checker = FprintdChecker()
    checker.load([Reference(ACCOUNT, "tpl_1@1", prints.credential(PRINT))], {})
    _one(lambda given: checker.check(given, NONCE, [ACCOUNT]), data)
    _one(lambda given: checker.admit(given, NONCE, ACCOUNT), data)


def _names(data: bytes) -> None:
    for read in (prints.read_reference, prints.finger_named, prints.account_named):
        _one(read, data.decode("utf-8", "replace"))


def _one(read: Callable[[Any], object], what: object) -> None:
    try:
        read(what)
    except Exception as error:
        if not declared(error):
            raise


WAYS: tuple[Callable[[bytes], object], ...] = (messages.parse, _reply, _records, _names)


def one(data: bytes) -> None:
    """The first byte says what the rest is: a message to be heard, a reply, a record, a name."""
    if data:
        WAYS[data[0] % len(WAYS)](data[1:])


def declared(error: Exception) -> bool:
    """Whether this is the error that is meant."""
    return isinstance(error, NotAccepted) or (isinstance(error, DriverError) and error.fault is Fault.PROTOCOL)


def seeds() -> Iterator[bytes]:
    """Yield each signal that is listened to and each reply that is read, as they come over the bus, and records."""
    for interface, member, signature, body in SIGNALS:
        yield b"\0" + _bytes(Message.new_signal(DEVICE, interface, member, signature, body))
    for signature, body in ANSWERS:
        answer = Message(message_type=MessageType.METHOD_RETURN, reply_serial=1, signature=signature, body=body)
        yield b"\1" + _bytes(answer)
    failed = "net.reactivated.Fprint.Error.AlreadyInUse"
    answer = Message(message_type=MessageType.ERROR, reply_serial=1, error_name=failed, signature="s", body=["x"])
    yield b"\1" + _bytes(answer)
    yield b"\2" + prints.claimed(prints.Match(PRINT, (PRINT.finger,), NONCE))
    yield b"\2" + prints.enrolled(PRINT, NONCE)
    yield b"\2" + prints.credential(PRINT)
    yield b"\3" + PRINT.name.encode()
    yield b"\3right_index"


SIGNALS: tuple[tuple[str, str, str, list[Any]], ...] = (
    (messages.DEVICE, "VerifyStatus", "sb", ["verify-match", True]),
    (messages.DEVICE, "EnrollStatus", "sb", ["enroll-stage-passed", False]),
    (messages.DEVICE, "VerifyFingerSelected", "s", ["any"]),
    (
        messages.PROPERTIES,
        "PropertiesChanged",
        "sa{sv}as",
        [messages.DEVICE, {"finger-present": Variant("b", True), "finger-needed": Variant("b", False)}, []],
    ),
    ("org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", "oas", [DEVICE, [messages.DEVICE]]),
    (messages.BUS, "NameOwnerChanged", "sss", [messages.NAME, ":1.2", ""]),
    (f"{messages.LOGIND}.Manager", "PrepareForSleep", "b", [True]),
)
ANSWERS: tuple[tuple[str, list[Any]], ...] = (
    ("as", [["right-index-finger"]]),
    ("o", [DEVICE]),
    ("ao", [[DEVICE]]),
    ("s", [":1.2"]),
    ("v", [Variant("b", True)]),
    ("a{sv}", [{"name": Variant("s", "Sensor"), "num-enroll-stages": Variant("i", 5)}]),
)


def _bytes(message: Message) -> bytes:
    message.sender = ":1.1"
    message.serial = 7
    return bytes(message._marshall(False))  # pyright: ignore[reportPrivateUsage]  # nothing public makes bytes
