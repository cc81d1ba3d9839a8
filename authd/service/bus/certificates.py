"""Verbs about certificates: an application's own key, certified for a session that is active at one of its seats."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta

from authd.core.model import SessionId
from authd.service.bus import wire
from authd.service.bus.envelope import account, iso
from authd.service.bus.house import Error, Peer, Refused
from authd.service.bus.verbs import APPLICATION, FOLLOWERS, Desk, Fields, Verb
from authd.service.certificates import CertificateRefused, Why

ERRORS: Final[Mapping[Why, tuple[Error, str]]] = {
    Why.NO_SESSION: (Error.NOT_FOUND, "no such session is active at a seat of this application"),
    Why.NO_ACCOUNT: (
        Error.REFUSED,
        "the application calls this person nothing: set account in its table of authd.toml, and look at the number",
    ),
    Why.BAD_KEY: (Error.BAD_REQUEST, "key is a point of P-256, uncompressed, in base64url"),
}
Point = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{87}(?![\s\S])")]
"""65 bytes (SEC 1, 2.3.3), base64url without padding."""


class CertificateCall(wire.Call, frozen=True, tag="certificate"):
    """Ask for a certificate of one's own key."""

    session: wire.Name
    key: Point


class AuthorityCall(wire.Call, frozen=True, tag="certificate_authority"):
    """Ask for the certificate that a database is to trust."""


async def certificate(desk: Desk, peer: Peer, call: CertificateCall) -> Fields:
    """Certify a key."""
    session = SessionId(call.session)
    name = _account(desk, peer, session)
    try:
        point = base64.urlsafe_b64decode(call.key + "=")
        issued = desk.house.certificates.issue(peer.seats, session, name, point)
    except CertificateRefused as error:
        raise Refused(*ERRORS[error.why]) from None
    return {"certificate": issued.pem, "account": name, "until": iso(issued.until_ms)}


async def authority(desk: Desk, peer: Peer, call: AuthorityCall) -> Fields:
    """Say whom a database is to trust."""
    return {"certificate": desk.house.certificates.authority()}


def _account(desk: Desk, peer: Peer, session: SessionId) -> str:
    """What the application calls the owner of a session at one of its seats; nothing where there is none."""
    for seat in peer.seats:
        there = desk.house.who(seat)
        person = desk.house.person(there.subject) if there.subject is not None else None
        if there.session == session and person is not None:
            return account(person, peer).get("account", "")
    return ""


VERBS: Final[Mapping[type[wire.Call], Verb]] = {
    CertificateCall: Verb(APPLICATION, waiting=certificate),
    AuthorityCall: Verb(FOLLOWERS, waiting=authority),
}
