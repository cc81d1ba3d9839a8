"""The requests a door understands, read strictly: at most 64 kB, flat, every member known and of its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, get_args

import msgspec
from msgspec import Meta, Struct

from authd.service.bus.house import Button, DoorError, Error

LONGEST: Final = 65_536
"""Bytes of a request."""

_END: Final = r"(?![\s\S])"
"""The end of the string: `$` would also match before a last newline."""
Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]*" + _END)]
"""Names a seat, a session, a subject or an application: never a path, never more than one line."""
Text = Annotated[str, Meta(max_length=200, pattern="^[^\x00-\x1f\x7f\x85\u2028-\u202e\u2066-\u2069]*" + _END)]
"""One line, without what turns its direction."""
Moment = Annotated[str, Meta(min_length=1, max_length=40)]
"""RFC 3339 with its offset."""


class Call(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="verb"):
    """A request; `id` is the peer's, and comes back with every answer to it."""

    id: Number


class Ping(Call, frozen=True, tag="ping"):
    """Ask whether anybody is there, and with which key events are signed."""


class Status(Call, frozen=True, tag="status"):
    """Ask how the daemon is."""


class Stop(Call, frozen=True, tag="stop"):
    """End the daemon."""


class Who(Call, frozen=True, tag="who"):
    """Ask who is at the seat."""

    seat: Name


class Follow(Call, frozen=True, tag="follow"):
    """Stream every event behind number `after`; without it, from now on."""

    after: Number | None = None


class Watch(Call, frozen=True, tag="watch"):
    """Stream what the seat's screen is to show."""

    seat: Name


class Activity(Call, frozen=True, tag="activity"):
    """Keyboard or mouse was used at the seat."""

    seat: Name


class Press(Call, frozen=True, tag="press"):
    """A button on the seat's screen was pressed."""

    seat: Name
    button: Button


class OpenTicket(Call, frozen=True, tag="ticket"):
    """Open an application from the seat's screen."""

    seat: Name
    application: Name


class Exchange(Call, frozen=True, tag="exchange"):
    """Spend a ticket."""

    ticket: Name


class StepUpCall(Call, frozen=True, tag="step_up"):
    """Ask the session's owner for a fresh touch."""

    session: Name
    purpose: Text


class History(Call, frozen=True, tag="history", rename={"start": "from", "end": "to"}):
    """Ask who was at the seat between two times."""

    seat: Name
    start: Moment
    end: Moment


class People(Call, frozen=True, tag="people"):
    """Ask who has ever been enrolled."""


class Enrol(Call, frozen=True, tag="enrol"):
    """Enrol a finger of one person, and `more`, at the seat's reader; `add`: of one who is enrolled already."""

    seat: Name
    staff_number: Text
    finger: Name
    name: Text = ""
    kana: Text = ""
    section: Text = ""
    officer: bool = False
    found: bool = False
    more: Annotated[tuple[Name, ...], Meta(max_length=9)] = ()
    add: bool = False


class Disable(Call, frozen=True, tag="disable"):
    """Disable a person, with an officer's touch at the seat."""

    subject: Name
    seat: Name


class Cancel(Call, frozen=True, tag="cancel"):
    """End one of this connection's streams."""

    stream: Number


AnyCall = (
    Ping
    | Status
    | Stop
    | Who
    | Follow
    | Watch
    | Activity
    | Press
    | OpenTicket
    | Exchange
    | StepUpCall
    | History
    | People
    | Enrol
    | Disable
    | Cancel
)
CALLS: Final[Mapping[str, type[Call]]] = {str(call.__struct_config__.tag): call for call in get_args(AnyCall)}


class _Head(Struct):
    id: Number
    verb: str


class Malformed(DoorError):
    """Not a request. `id` is what could be read of the peer's number."""

    def __init__(self, error: Error, detail: str, number: int | None = None) -> None:
        super().__init__(detail)
        self.error = error
        self.detail = detail
        self.id = number


_calls: msgspec.json.Decoder[Call] = msgspec.json.Decoder(AnyCall)
_heads = msgspec.json.Decoder(_Head)
_encoder = msgspec.json.Encoder()


def decode(frame: bytes) -> Call:
    """Read a request. Raises `Malformed`, and nothing else, for any bytes."""
    if len(frame) > LONGEST:
        raise Malformed(Error.BAD_REQUEST, "longer than 64 kB")
    try:
        return _calls.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _explain(frame, str(error)) from None


def _explain(frame: bytes, detail: str) -> Malformed:
    try:
        head = _heads.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Malformed(Error.BAD_REQUEST, "not a request: expected an object with id and verb")
    if head.verb not in CALLS:
        return Malformed(Error.UNKNOWN_VERB, "no such verb", head.id)
    return Malformed(Error.BAD_REQUEST, detail[:200], head.id)


def answer(number: int, fields: Mapping[str, object]) -> bytes:
    """Write the one answer to a request, or the first of a stream."""
    return _encoder.encode({"id": number, "ok": True, **fields})


def item(number: int, fields: Mapping[str, object]) -> bytes:
    """Write one item of a stream."""
    return _encoder.encode({"id": number, **fields})


def refusal(number: int | None, error: Error, detail: str = "") -> bytes:
    """Write a refusal; the detail is for the peer's log."""
    return _encoder.encode({"id": number, "ok": False, "error": error.value, "message": detail})


def event_item(number: int, event: bytes) -> bytes:
    """Write a stream item around an event's exact bytes."""
    return b'{"id":%d,"event":%b}' % (number, event)
