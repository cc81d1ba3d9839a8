"""Session events as CloudEvents 1.0 JSON, signed for one audience (Ed25519).

The bytes that are signed are `<audience>|<event without its sig>`; `sig` is always the last member, so the signed bytes
are those received with the tail `,"sig":"..."` cut off, and nothing has to be put into a canonical form. The other
half, `verify`, is in `authd.client`: a follower needs nothing of the daemon's code.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from authd.core.model import EVENT_KINDS, EndReason, Grade, Kind, Value
from authd.service.bus.house import Attribute, House, Peer, Person, Recorded, Role
from authd.service.words import STAFF_NUMBER, is_account_name

TYPE_PREFIX: Final = "jp.authd."
APPLICATION_KINDS = frozenset(
    {
        Kind.SESSION_STARTED,
        Kind.SESSION_FADING,
        Kind.SESSION_KEPT,
        Kind.SESSION_STEPPED_UP,
        Kind.SESSION_ENDED,
        Kind.READER_AVAILABLE,
        Kind.READER_LOST,
    }
)
"""Applications are told of sessions, not of failed attempts, enrolments or the policy."""
APPLICATION_DATA = frozenset({"factor", "purpose"})
"""What of an entry's own data an application sees; scores, references and rules are the ledger's."""


class EventData(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `data` of an event."""

    seq: int
    epoch: int = 0
    session: str | None = None
    seat: str | None = None
    reason: EndReason | None = None
    grade: Grade | None = None
    person: dict[str, str] | None = None
    """Attributes of the staff member that the follower's scope allows."""
    detail: dict[str, Value] | None = None
    """What else the ledger's entry holds, as far as the follower may see it."""


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The envelope, in the order in which it is written; `sig` is added behind it."""

    specversion: str
    id: str
    source: str
    type: str
    time: str
    subject: str | None = None
    datacontenttype: str
    data: EventData


REMEMBERED: Final = 1_024
"""Signed events that are kept for other followers of the same application."""
_encoder = msgspec.json.Encoder()


def visible(recorded: Recorded, peer: Peer) -> bool:
    """Whether this peer is told of this row."""
    entry = recorded.entry
    if entry.kind not in EVENT_KINDS:
        return False
    if peer.role is Role.ADMIN:
        return True
    return entry.kind in APPLICATION_KINDS and entry.seat is not None and peer.has(entry.seat)


def attributes(person: Person | None, peer: Peer) -> dict[str, str]:
    """Return what the peer may know of a person; the person's own screen and the admin see all of it."""
    if person is None:
        return {}
    scope = peer.scope if peer.role is Role.APPLICATION else frozenset(Attribute)
    told = {name.value: str(getattr(person, name.value)) for name in Attribute if name in scope}
    return told | account(person, peer)


def account(person: Person, peer: Peer) -> dict[str, str]:
    """Return what the application itself calls this person; nothing where their number would make no safe name."""
    name = peer.account.replace(STAFF_NUMBER, person.staff_number)
    return {"account": name} if person.staff_number and is_account_name(name) else {}


def enclose(recorded: Recorded, peer: Peer, house: House) -> bytes:
    """Write the event as this peer may see it, unsigned."""
    entry = recorded.entry
    person = attributes(house.person(entry.subject), peer) if entry.subject else {}
    event = CloudEvent(
        specversion="1.0",
        id=str(recorded.seq),
        source=f"authd://{house.name}/{entry.seat or ''}",
        type=TYPE_PREFIX + entry.kind.value,
        time=iso(recorded.wall_ms),
        subject=entry.subject,
        datacontenttype="application/json",
        data=EventData(
            seq=recorded.seq,
            epoch=entry.epoch,
            session=entry.session,
            seat=entry.seat,
            reason=entry.reason,
            grade=entry.grade,
            person=person or None,
            detail=_detail(entry.data, peer) or None,
        ),
    )
    return _encoder.encode(event)


class Signer:
    """Signs events with the host's event key. `public`: its public half, base64url, as `ping` tells it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._told: dict[tuple[int, Peer, Person | None], bytes] = {}
        self.public = _base64url(key.public_key().public_bytes_raw()).decode()

    def sign(self, event: bytes, audience: str) -> bytes:
        """Return the event with `sig` as its last member."""
        sig = _base64url(self._key.sign(audience.encode() + b"|" + event))
        return event[:-1] + b',"sig":"' + sig + b'"}'

    def told(self, recorded: Recorded, peer: Peer, house: House) -> bytes:
        """Return the event as this peer may see it, signed; many followers of one application cost one signature.

        What is remembered of the last events is of a row, of what the peer may see now, and of the person as they are.
        """
        person = house.person(recorded.entry.subject) if recorded.entry.subject else None
        asked = (recorded.seq, peer, person)
        event = self._told.get(asked)
        if event is None:
            event = self._told[asked] = self.sign(enclose(recorded, peer, house), peer.name)
            if len(self._told) > REMEMBERED:
                del self._told[next(iter(self._told))]
        return event


def iso(wall_ms: int) -> str:
    """Write wall-clock milliseconds as RFC 3339, UTC."""
    return datetime.fromtimestamp(wall_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _detail(data: Mapping[str, Value], peer: Peer) -> dict[str, Value]:
    if peer.role is Role.ADMIN:
        return dict(data)
    return {name: value for name, value in data.items() if name in APPLICATION_DATA and _own(name, value, peer)}


def _own(name: str, value: Value, peer: Peer) -> bool:
    """What a person confirmed for another system, or for authd itself, is not this one's to know."""
    return name != "purpose" or str(value).startswith(f"{peer.name}/")


def _base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
