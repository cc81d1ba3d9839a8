"""What the client gives back, and how each is read from a frame of the door protocol (docs/reference/door.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import msgspec

from authd.core.model import (
    EndReason,
    Face,
    Grade,
    SeatId,
    SessionId,
    SubjectId,
    Value,
)

TYPE_PREFIX = "jp.authd."
Button = Literal["lock", "logout", "vouch", "break_glass"]
"""What can be pressed on a seat's screen."""


Means = Literal["finger", "key", "card", "fingerprint"]
"""What is enrolled; a `fingerprint` is one that the reader's own service or sensor keeps."""


class ClientError(Exception):
    """Base of what this package raises."""


class DoorError(ClientError):
    """The door refused. `code` is one of a closed list (docs/reference/door.md): not_permitted, not_found, busy, ..."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message


class ProtocolError(ClientError):
    """The door said something that this client does not understand: one of the two is too old."""


class SignatureError(ClientError):
    """An event that the host's key did not sign for this audience, or a host whose key has changed."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at a seat. Attributes outside the application's scope are empty."""

    seat: SeatId
    session: SessionId
    subject: SubjectId
    grade: Grade
    since: str
    """Wall clock, RFC 3339: for people only."""
    name: str = ""
    kana: str = ""
    section: str = ""
    staff_number: str = ""
    account: str = ""
    """What this application calls them, where it is configured to have accounts."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the ledger, its signature checked. `kind` is a value of `authd.core.model.Kind`."""

    seq: int
    kind: str
    time: str
    seat: SeatId | None
    subject: SubjectId | None
    session: SessionId | None
    epoch: int
    reason: EndReason | None
    grade: Grade | None
    person: Mapping[str, str]
    detail: Mapping[str, Value]
    raw: bytes
    """The CloudEvent as it was signed, to be kept or passed on."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a seat's screen is to show. `left_ms`: how long until `face.until`, as a page cannot read CLOCK_BOOTTIME."""

    face: Face
    name: str = ""
    kana: str = ""
    section: str = ""
    left_ms: int | None = None


@dataclass(frozen=True, slots=True)
class OpenTicket:
    """A ticket, good once, for 30 s; `url` leads to the application with it."""

    ticket: str
    url: str


@dataclass(frozen=True, slots=True)
class StepUp:
    """Whether the owner confirmed with a fresh touch."""

    stepped_up: bool
    reason: str = ""
    acr: str = ""
    """What the answer rests on, in RFC 9470's terms: `authd:one` or `authd:two` factors; empty where it was refused."""
    auth_time: int | None = None
    """Of the last touch, as OpenID Connect writes it: seconds since 1970, for people and protocols only."""


class Tile(msgspec.Struct, frozen=True):
    """A member of staff who may be named at a seat's screen. It is no proof: it says whose finger to expect."""

    subject: str
    name: str
    kana: str = ""


class Tiles(msgspec.Struct, frozen=True):
    """The answer to `roster`."""

    people: list[Tile] = []


class Ceremony(msgspec.Struct, frozen=True):
    """The answer to `webauthn_begin`: what the seat's browser is to ask of a key.

    kind: `get` (log in) or `create` (enrol); options: PublicKeyCredentialRequestOptionsJSON or
    PublicKeyCredentialCreationOptionsJSON (WebAuthn level 3, 5.1.8 and 5.1.9). The challenge is of the nonce that the
    seat has armed: nobody need keep it.
    """

    kind: Literal["get", "create"]
    options: dict[str, Any]


class Stay(msgspec.Struct, frozen=True):
    """One session of a seat's history; `start` and `end` are wall clock, RFC 3339 (`end` None: still open)."""

    session: str
    subject: str
    start: str
    end: str | None
    grade: Grade
    reason: EndReason | None
    seq: int
    person: dict[str, str] = {}


class Staff(msgspec.Struct, frozen=True):
    """A member of staff as the store knows them."""

    subject: str
    staff_number: str
    name: str
    kana: str
    section: str
    officer: bool
    disabled: bool


class Covered(msgspec.Struct, frozen=True):
    """The answer to `seal`."""

    covered: int


class Status(msgspec.Struct, frozen=True):
    """The answer to `status`."""

    status: dict[str, object]


class EnrolStep(msgspec.Struct, frozen=True):
    """How far an enrolment is; the last step carries the subject."""

    step: str
    done: float = 0.0
    hint: str | None = None
    subject: str | None = None
    finger: str = ""
    left: int | None = None
    """Of the steps `pin` and `new_pin`, which `Client.answer` answers: tries before the key locks itself."""
    again: bool = False
    """The last one was wrong."""


class Credential(msgspec.Struct, frozen=True):
    """What a person has enrolled: a template of a finger, a key, a card."""

    reference: str
    modality: str
    label: str
    revoked: bool = False


class BreakGlass(msgspec.Struct, frozen=True):
    """A session that two people opened outside the rules; `due`: the day at whose end its review is late."""

    session: str
    seat: str
    subject: str
    helper: str | None
    opened: str
    due: str
    reviewed: str | None = None
    officer: str | None = None
    late: bool = False


T = TypeVar("T")


def decode(raw: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Read JSON of the door's. Raises `ProtocolError`."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(str(error)) from error


class Frame(msgspec.Struct, frozen=True):
    """Any answer or stream item; which members are there depends on the verb."""

    id: int | None = None
    ok: bool | None = None
    error: str = ""
    message: str = ""
    end: bool = False
    event: msgspec.Raw = msgspec.Raw()
    item: msgspec.Raw = msgspec.Raw()
    lock: dict[str, str] | None = None
    beat: int | None = None
    after: int | None = None
    head: int | None = None


class Presence(msgspec.Struct, frozen=True):
    """The answer to `who` and `exchange`."""

    seat: str
    session: str | None = None
    subject: str | None = None
    since: str = ""
    grade: Grade | None = None
    person: dict[str, str] = {}

    def somebody(self) -> Person | None:
        """Return who it is, or None: nobody."""
        if self.session is None or self.subject is None or self.grade is None:
            return None
        names = {name: self.person.get(name, "") for name in ("name", "kana", "section", "staff_number", "account")}
        return Person(
            SeatId(self.seat), SessionId(self.session), SubjectId(self.subject), self.grade, self.since, **names
        )


class _Data(msgspec.Struct, frozen=True):
    seq: int
    epoch: int = 0
    session: str | None = None
    seat: str | None = None
    reason: EndReason | None = None
    grade: Grade | None = None
    person: dict[str, str] = {}
    detail: dict[str, Value] = {}


class _CloudEvent(msgspec.Struct, frozen=True):
    type: str
    time: str
    data: _Data
    subject: str | None = None


class _Beside(msgspec.Struct, frozen=True):
    """What a face carries beside the members of `model.Face`."""

    person: dict[str, str] = {}
    left_ms: int | None = None


class _ShownFrame(msgspec.Struct, frozen=True):
    face: msgspec.Raw = msgspec.Raw()


@dataclass(frozen=True, slots=True)
class Host:
    """What the door says of itself to `ping`."""

    host: str = ""
    audience: str = ""
    event_key: bytes = field(default=b"", repr=False)


def event(raw: bytes) -> Event:
    """Read a CloudEvent whose signature has been checked."""
    cloud = decode(raw, _CloudEvent)
    data = cloud.data
    return Event(
        seq=data.seq,
        kind=cloud.type.removeprefix(TYPE_PREFIX),
        time=cloud.time,
        seat=SeatId(data.seat) if data.seat is not None else None,
        subject=SubjectId(cloud.subject) if cloud.subject is not None else None,
        session=SessionId(data.session) if data.session is not None else None,
        epoch=data.epoch,
        reason=data.reason,
        grade=data.grade,
        person=data.person,
        detail=data.detail,
        raw=raw,
    )


def shown(frame: bytes) -> Shown | None:
    """Read an item of `watch`; None for a beat."""
    raw = decode(frame, _ShownFrame).face
    if not bytes(raw):
        return None
    beside = decode(raw, _Beside)
    names = {name: beside.person.get(name, "") for name in ("name", "kana", "section")}
    return Shown(decode(raw, Face), left_ms=beside.left_ms, **names)
