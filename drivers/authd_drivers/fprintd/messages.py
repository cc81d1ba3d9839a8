"""What the bus says, as values: every signal and reply checked for signature, number, length and alphabet.

Who said it is the link's business. Parsers (a message, or bytes, in; a value or `DriverError(Fault.PROTOCOL)` out):
`parse`, `heard`, `fingers`, `path`, `paths`, `text`, `flag`, `properties`, `error`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from dbus_fast import Message, MessageType, Variant
from dbus_fast._private.unmarshaller import Unmarshaller

from authd.driver import DriverError, Fault
from authd_drivers.fprintd.prints import ANY, FINGERS
from authd_drivers.fprintd.results import FINAL, KNOWN

NAME: Final = "net.reactivated.Fprint"
DEVICE: Final = "net.reactivated.Fprint.Device"
MANAGER: Final = "net.reactivated.Fprint.Manager"
LOGIND: Final = "org.freedesktop.login1"
BUS: Final = "org.freedesktop.DBus"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
MAX_TEXT = 4_096
MAX_ITEMS = 64
MAX_MESSAGE = 65_536
_PATH = re.compile(r"/net/reactivated/Fprint/Device/[A-Za-z0-9_]{1,32}")
_STATUS = re.compile(r"[a-z-]{1,64}")
_ERROR = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,254}")


@dataclass(frozen=True, slots=True)
class Status:
    """How a verification or enrolment goes; `done`: it is over."""

    kind: str
    """`Verify` or `Enroll`."""
    result: str
    done: bool


@dataclass(frozen=True, slots=True)
class Selected:
    """Which finger the service will compare with; `any`: all of the account's."""

    finger: str


@dataclass(frozen=True, slots=True)
class Finger:
    """What changed about the finger on the sensor; None: nothing was said."""

    present: bool | None
    needed: bool | None


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns a name now; "": nobody."""

    name: str
    owner: str


@dataclass(frozen=True, slots=True)
class Sleep:
    """The machine is about to sleep, or has woken up."""

    begins: bool


@dataclass(frozen=True, slots=True)
class Gone:
    """A sensor is gone."""

    path: str


Said = Status | Selected | Finger | Owner | Sleep | Gone


def parse(data: bytes) -> Said | None:
    """Read the bytes of one message; None for what means nothing here. Raises `DriverError`."""
    if len(data) > MAX_MESSAGE:
        raise _bad("a message that is too long")
    try:
        message = Unmarshaller(cast("Any", io.BytesIO(data))).unmarshall()
    except Exception as error:  # dbus-fast raises what it likes: of its own, IndexError, UnicodeDecodeError, EOFError
        raise _bad(type(error).__name__) from None
    return heard(message) if isinstance(message, Message) else None


def heard(message: Message) -> Said | None:
    """Read a signal; None for one that means nothing here, and for what is no signal. Raises `DriverError`."""
    if message.message_type is not MessageType.SIGNAL:
        return None
    match message.interface, message.member:
        case "net.reactivated.Fprint.Device", "VerifyStatus" | "EnrollStatus":
            return _status(message)
        case "net.reactivated.Fprint.Device", "VerifyFingerSelected":
            (finger,) = _body(message, "s")
            if finger not in (ANY, *FINGERS):
                raise _bad("the finger that was selected")
            return Selected(finger)
        case "org.freedesktop.DBus.Properties", "PropertiesChanged":
            interface, changed, _ = _body(message, "sa{sv}as")
            return _finger(changed) if interface == DEVICE else None
        case "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved":
            return _gone(message)
        case "org.freedesktop.DBus", "NameOwnerChanged":
            name, _, owner = _body(message, "sss")
            return Owner(_short(name), _short(owner))
        case "org.freedesktop.login1.Manager", "PrepareForSleep":
            (begins,) = _body(message, "b")
            return Sleep(begins is True)
        case _:
            return None


def fingers(message: Message) -> tuple[str, ...]:
    """Read the reply to ListEnrolledFingers. Raises `DriverError`."""
    (names,) = _body(message, "as")
    found = tuple(_items(names))
    if not found or len(set(found)) < len(found) or not set(found) <= set(FINGERS):
        raise _bad("the list of fingers")
    return found


def path(message: Message) -> str:
    """Read the reply to GetDefaultDevice. Raises `DriverError`."""
    (found,) = _body(message, "o")
    return _device(found)


def paths(message: Message) -> tuple[str, ...]:
    """Read the reply to GetDevices. Raises `DriverError`."""
    (found,) = _body(message, "ao")
    return tuple(map(_device, _items(found)))


def text(message: Message) -> str:
    """Read a reply that is one text. Raises `DriverError`."""
    (found,) = _body(message, "s")
    return _short(found)


def flag(message: Message) -> bool:
    """Read the reply to a `Get` of a flag. Raises `DriverError`."""
    (found,) = _body(message, "v")
    return _boolean(found)


@dataclass(frozen=True, slots=True)
class About:
    """What a sensor says of itself; stages: of an enrolment, at least 1."""

    name: str
    stages: int
    present: bool


def properties(message: Message) -> About:
    """Read the reply to `GetAll` of a device. Raises `DriverError`."""
    (found,) = _body(message, "a{sv}")
    name, stages = _variant(found, "name", "s"), _variant(found, "num-enroll-stages", "i")
    present = _variant(found, "finger-present", "b") if "finger-present" in found else False
    return About(_short(name), min(max(stages, 1), 1_000), present)


def error(message: Message) -> str:
    """Return an error's name; its text is not looked at. Raises `DriverError`."""
    name: object = message.error_name
    if not isinstance(name, str) or not _ERROR.fullmatch(name):  # a header may say anything, also of another type
        raise _bad("the name of an error")
    return name


def _status(message: Message) -> Status:
    result, done = _body(message, "sb")
    if not _STATUS.fullmatch(result):
        raise _bad("a status")
    if result in KNOWN and done is not (result in FINAL):
        raise _bad("an end that is none, or none that is")
    return Status((message.member or "").removesuffix("Status"), result, done is True)


def _gone(message: Message) -> Gone | None:
    which, interfaces = _body(message, "oas")
    return Gone(_short(which)) if DEVICE in _items(interfaces) else None


def _finger(changed: dict[str, Any]) -> Finger:
    if len(changed) > MAX_ITEMS:
        raise _bad("too many properties")
    present, needed = changed.get("finger-present"), changed.get("finger-needed")
    return Finger(None if present is None else _boolean(present), None if needed is None else _boolean(needed))


def _body(message: Message, signature: str) -> Sequence[Any]:
    if message.signature != signature:
        raise _bad(f"{message.member or 'a reply'}: not what it should say")
    return message.body


def _items(values: Sequence[Any]) -> Sequence[Any]:
    if len(values) > MAX_ITEMS:
        raise _bad("too many items")
    return values


def _short(value: str) -> str:
    if len(value) > MAX_TEXT:
        raise _bad("a text that is too long")
    return value


def _device(value: str) -> str:
    if not _PATH.fullmatch(value):
        raise _bad("the path of a device")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, Variant) or not isinstance(value.value, bool):
        raise _bad("a flag that is none")
    return value.value


def _variant(found: dict[str, Any], name: str, signature: str) -> Any:
    value = found.get(name)
    if len(found) > MAX_ITEMS or not isinstance(value, Variant) or value.signature != signature:
        raise _bad(name)
    return value.value


def _bad(what: str) -> DriverError:
    return DriverError(Fault.PROTOCOL, f"fprintd: {what}")
