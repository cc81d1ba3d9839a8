"""The requests every door understands, flat objects whose members are known and of their types; and the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from authd.core.model import Acr
from authd.service.bus.house import Button, Error, Means

LONGEST: Final = 65_536
"""Bytes of a request."""

_END: Final = r"(?![\s\S])"
"""The end of the string: `$` would also match before a last newline."""
Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]*" + _END)]
"""Names a seat, a session, a subject or an application: never a path, never more than one line."""
Reference = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^tpl_[0-9a-f]+@[0-9]+" + _END)]
Text = Annotated[str, Meta(max_length=200, pattern="^[^\x00-\x1f\x7f\x85\u2028-\u202e\u2066-\u2069]*" + _END)]
"""One line, without what turns its direction."""
Secret = Annotated[str, Meta(min_length=1, max_length=64)]
Response = Annotated[str, Meta(min_length=2, max_length=60_000)]
Moment = Annotated[str, Meta(min_length=1, max_length=40)]
"""RFC 3339 with its offset."""


class Call(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="verb"):
    """A request; `id` is the peer's, and comes back with every answer to it."""

    id: Number


class Ping(Call, frozen=True, tag="ping"):
    """Ask whether anybody is there, and with which key events are signed."""


class Status(Call, frozen=True, tag="status"):
    """Ask how the daemon is."""


class SealCall(Call, frozen=True, tag="seal"):
    """Bring every row there is into the completeness index, so that a proof about now leaves none out."""


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


class Answer(Call, frozen=True, tag="answer"):
    """Hand over what was typed for the reader that asks."""

    seat: Name
    typed: Secret

    def __repr__(self) -> str:
        """Say nothing of what was typed, wherever it might be written."""
        return "Answer(...)"


class RosterCall(Call, frozen=True, tag="roster"):
    """Ask who may be named at the seat."""

    seat: Name


class Claim(Call, frozen=True, tag="claim"):
    """Say whose finger comes next: by subject, or by staff number."""

    seat: Name
    subject: Name | None = None
    staff_number: Text = ""


class WebAuthnBegin(Call, frozen=True, tag="webauthn_begin"):
    """Ask what the seat's browser is to ask of a key."""

    seat: Name


class WebAuthnDone(Call, frozen=True, tag="webauthn_done"):
    """Hand over what the browser got from a key, as JSON text."""

    seat: Name
    response: Response


class StepUpCall(Call, frozen=True, tag="step_up"):
    """Ask the session's owner for a fresh touch (RFC 9470: how much it asks, and how old it may be)."""

    session: Name
    purpose: Text
    acr_values: Annotated[tuple[Acr, ...], Meta(max_length=4)] | None = None
    max_age: Annotated[int, Meta(ge=0, le=43_200)] | None = None


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
    finger: Name = "right_index"
    name: Text = ""
    kana: Text = ""
    section: Text = ""
    officer: bool = False
    found: bool = False
    more: Annotated[tuple[Name, ...], Meta(max_length=9)] = ()
    add: bool = False
    means: Means = Means.FINGER


class Disable(Call, frozen=True, tag="disable"):
    """Disable a person, with an officer's touch at the seat; `erase`: and destroy templates and key of a leaver."""

    subject: Name
    seat: Name
    erase: bool = False


class Keys(Call, frozen=True, tag="keys"):
    """Ask what a person has enrolled."""

    subject: Name


class Revoke(Call, frozen=True, tag="revoke"):
    """Revoke one key or card, with an officer's touch at the seat."""

    reference: Reference
    seat: Name


class BreakGlassCall(Call, frozen=True, tag="breakglass"):
    """Ask which sessions were opened outside the rules."""


class ReviewCall(Call, frozen=True, tag="review"):
    """Say that one of them was reviewed, with an officer's touch at the seat."""

    session: Name
    seat: Name


class Cancel(Call, frozen=True, tag="cancel"):
    """End one of this connection's streams."""

    stream: Number


_encoder = msgspec.json.Encoder()


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
