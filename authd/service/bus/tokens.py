"""Verbs about tokens: what the core signs of its own state, for the application that asks and for nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta

from authd.core.model import SessionId
from authd.service.bus import wire
from authd.service.bus.envelope import attributes
from authd.service.bus.house import Error, Peer, Refused
from authd.service.bus.verbs import ADMIN, ALL, APPLICATION, Desk, Fields, Verb
from authd.service.tokens.ring import RingFull
from authd.service.tokens.tokens import Asker, TokenRefused, Why

ERRORS: Final[Mapping[Why, tuple[Error, str]]] = {
    Why.NO_SESSION: (Error.NOT_FOUND, "no such session is active at a seat of this application"),
    Why.STILL_OPEN: (Error.REFUSED, "the session is still active"),
    Why.NO_EVENT: (Error.NOT_FOUND, "no such row, or not one that is told"),
}
Opaque = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[\x20-\x7e]*(?![\s\S])")]
"""What a relying party sent, to be given back as it is: printable ASCII (RFC 6749, appendix A)."""


class Assertion(wire.Call, frozen=True, tag="assertion"):
    """Ask for a minute's signed word about a session that is active now."""

    session: wire.Name


class IdToken(wire.Call, frozen=True, tag="id_token"):
    """Ask for the same as OpenID Connect wants it."""

    session: wire.Name
    nonce: Opaque | None = None


class LogoutToken(wire.Call, frozen=True, tag="logout_token"):
    """Ask for the signed word that a session is over."""

    session: wire.Name


class SecurityEvent(wire.Call, frozen=True, tag="security_event"):
    """Ask for the security event (RFC 8417) of one row."""

    seq: wire.Number


class SecurityCheck(wire.Call, frozen=True, tag="security_check"):
    """Ask for a verification event."""

    state: Opaque | None = None


class Jwks(wire.Call, frozen=True, tag="jwks"):
    """Ask for the public keys of all tokens, and whom they come from."""


class TokenKeys(wire.Call, frozen=True, tag="token_keys"):
    """Make new keys; `at_once`: those that there were are good for nothing any more."""

    at_once: bool = False


async def assertion(desk: Desk, peer: Peer, call: Assertion) -> Fields:
    """Sign an assertion."""
    try:
        return {"assertion": desk.house.tokens.assertion(_asker(desk, peer), SessionId(call.session))}
    except TokenRefused as error:
        raise _refused(error) from None


async def id_token(desk: Desk, peer: Peer, call: IdToken) -> Fields:
    """Sign an ID token."""
    try:
        return {"id_token": desk.house.tokens.id_token(_asker(desk, peer), SessionId(call.session), call.nonce)}
    except TokenRefused as error:
        raise _refused(error) from None


async def logout_token(desk: Desk, peer: Peer, call: LogoutToken) -> Fields:
    """Sign a logout token."""
    try:
        token = await desk.house.tokens.logout_token(_asker(desk, peer), SessionId(call.session))
    except TokenRefused as error:
        raise _refused(error) from None
    return {"logout_token": token}


async def security_event(desk: Desk, peer: Peer, call: SecurityEvent) -> Fields:
    """Sign a security event."""
    try:
        return {"set": await desk.house.tokens.event(_asker(desk, peer), call.seq)}
    except TokenRefused as error:
        raise _refused(error) from None


async def security_check(desk: Desk, peer: Peer, call: SecurityCheck) -> Fields:
    """Sign a verification event."""
    return {"set": desk.house.tokens.verification(_asker(desk, peer), call.state)}


def jwks(desk: Desk, peer: Peer, call: Jwks) -> Fields:
    """Say with which keys tokens are checked."""
    return {"issuer": desk.house.tokens.issuer, "keys": desk.house.tokens.ring.public()}


async def token_keys(desk: Desk, peer: Peer, call: TokenKeys) -> Fields:
    """Make new keys."""
    try:
        await desk.house.tokens.ring.replace(at_once=call.at_once)
    except RingFull:
        raise Refused(Error.REFUSED, "new keys wait for their turn already; only at_once replaces them all") from None
    return {"keys": list(desk.house.tokens.ring.names())}


def _asker(desk: Desk, peer: Peer) -> Asker:
    return Asker(peer.name, peer.seats, lambda subject: attributes(desk.house.person(subject), peer))


def _refused(error: TokenRefused) -> Refused:
    return Refused(*ERRORS[error.why])


VERBS: Final[Mapping[type[wire.Call], Verb]] = {
    Assertion: Verb(APPLICATION, waiting=assertion),
    IdToken: Verb(APPLICATION, waiting=id_token),
    LogoutToken: Verb(APPLICATION, waiting=logout_token),
    SecurityEvent: Verb(APPLICATION, waiting=security_event),
    SecurityCheck: Verb(APPLICATION, waiting=security_check),
    Jwks: Verb(ALL, instant=jwks),
    TokenKeys: Verb(ADMIN, waiting=token_keys),
}
