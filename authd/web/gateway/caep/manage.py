"""What a receiver asks of its stream: configuration, status, verification, and polling (SSF 1.0, 8.1; RFC 8936)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec
from starlette.types import Receive, Scope, Send

from authd.web.gateway.answers import pass_on, say
from authd.web.gateway.caep.receivers import Receiver
from authd.web.gateway.caep.stream import Status, Stream
from authd.web.gateway.oidc.asked import BadRequest
from authd.web.gateway.oidc.incoming import bearer, query
from authd.web.gateway.oidc.tokens import tell

CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
EVENTS: Final = tuple(CAEP + each for each in ("session-established", "session-presented", "session-revoked"))
PUSH: Final = "urn:ietf:rfc:8935"
POLL: Final = "urn:ietf:rfc:8936"
ERRORS: Final = frozenset(
    {"invalid_request", "invalid_key", "invalid_issuer", "invalid_audience", "authentication_failed", "access_denied"}
)
"""RFC 8935, 2.4."""
LONGEST: Final = 65_536
MOST_AT_ONCE: Final = 100
HELD_S: Final = 30.0
MOST_HELD: Final = 4
"""Long polls of one receiver at once."""


class Poll(msgspec.Struct, frozen=True, rename="camel"):
    """RFC 8936, 2.2."""

    max_events: int = MOST_AT_ONCE
    return_immediately: bool = False
    ack: list[str] = []
    set_errs: dict[str, Any] = {}


class StatusChange(msgspec.Struct, frozen=True):
    """SSF 1.0, 8.1.2.2."""

    stream_id: str
    status: Status
    reason: str = ""


class Verification(msgspec.Struct, frozen=True):
    """SSF 1.0, 8.1.4.2."""

    stream_id: str
    state: str | None = None


T = TypeVar("T")


class BadBody(Exception):
    """Not what is expected there."""


class NotYours(Exception):
    """There is no such stream for this receiver."""


class Manage:
    """Answers receivers: each about its own stream."""

    def __init__(self, issuer: str, streams: Mapping[str, Stream]) -> None:
        self._issuer = issuer
        self._streams = streams
        self._held: dict[str, int] = dict.fromkeys(streams, 0)

    async def __call__(self, what: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises `ClientError`."""
        token = bearer(scope)
        stream = next((each for each in self._streams.values() if each.receiver.knows(token)), None) if token else None
        if stream is None:
            await tell(send, 401, {"error": "invalid_token"}, ((b"www-authenticate", b"Bearer"),))
            return
        try:
            await self._answer(what, stream, scope, receive, send)
        except NotYours:
            await tell(send, 404, {"err": "not_found", "description": "there is no such stream for this receiver"})
        except (BadBody, BadRequest):
            await tell(send, 400, {"err": "invalid_request", "description": "the body is not what is expected here"})

    async def _answer(self, what: str, stream: Stream, scope: Scope, receive: Receive, send: Send) -> None:
        match what, scope["method"]:
            case "stream", "GET":
                mine = self.configuration(stream.receiver)
                await tell(send, 200, mine if _named(scope, stream) else [mine])
            case "status", "GET":
                _named(scope, stream)
                await tell(send, 200, _status(stream))
            case "status", "POST":
                change = await _read(receive, StatusChange)
                _own(change.stream_id, stream)
                stream.set_status(change.status, change.reason[:200])
                await tell(send, 200, _status(stream))
            case "verify", "POST":
                asked = await _read(receive, Verification)
                _own(asked.stream_id, stream)
                await stream.verify(asked.state)
                await pass_on(send, 204, ((b"cache-control", b"no-store"),))
            case "poll", "POST" if not stream.receiver.table.push:
                await self._poll(stream, await _read(receive, Poll), send)
            case _:
                await say(send, 405, b"another method\n")

    async def _poll(self, stream: Stream, asked: Poll, send: Send) -> None:
        most = min(max(asked.max_events, 0), MOST_AT_ONCE)
        stream.refuse({jti: _error(said) for jti, said in islice(asked.set_errs.items(), 1_000)})
        stream.acknowledge(asked.ack[:1_000])
        if most and not asked.return_immediately:
            await self._hold(stream)
        sets = stream.first(most) if stream.status is Status.ENABLED else {}
        await tell(send, 200, {"sets": sets, "moreAvailable": len(stream.waiting) > len(sets)})

    async def _hold(self, stream: Stream) -> None:
        """Wait until there is something to give, for a while."""
        name = stream.receiver.id
        if self._held[name] >= MOST_HELD:
            return
        self._held[name] += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(HELD_S):
                    while not (stream.waiting and stream.status is Status.ENABLED):
                        await stream.wait()
        finally:
            self._held[name] -= 1

    def configuration(self, receiver: Receiver) -> dict[str, Any]:
        """The stream's configuration (SSF 1.0, 8.1.1), which is set in gateway.toml, by the city and nobody else."""
        delivery: dict[str, str] = {"method": POLL, "endpoint_url": f"{self._issuer}/ssf/poll"}
        if receiver.table.push:
            delivery = {"method": PUSH, "endpoint_url": receiver.table.push}
        return {
            "stream_id": receiver.id,
            "iss": self._issuer,
            "aud": receiver.id,
            "delivery": delivery,
            "events_supported": list(EVENTS),
            "events_requested": list(EVENTS),
            "events_delivered": list(EVENTS),
            "format": "complex",
        }

    def metadata(self) -> dict[str, Any]:
        """SSF 1.0, 7.1: `/.well-known/ssf-configuration`."""
        return {
            "spec_version": "1_0",
            "issuer": self._issuer,
            "jwks_uri": f"{self._issuer}/ssf/jwks",
            "delivery_methods_supported": [PUSH, POLL],
            "configuration_endpoint": f"{self._issuer}/ssf/stream",
            "status_endpoint": f"{self._issuer}/ssf/status",
            "verification_endpoint": f"{self._issuer}/ssf/verify",
            "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6750"}],
            "default_subjects": "ALL",
        }


def _status(stream: Stream) -> dict[str, Any]:
    said = {"stream_id": stream.receiver.id, "status": stream.status.value}
    told = said | ({"reason": stream.reason} if stream.reason else {})
    return told | ({"events_refused": dict(stream.refused)} if stream.refused else {})


def _error(said: object) -> str:
    """RFC 8936, 2.6: what a receiver has against an event; never in its own words."""
    word = said.get("err") if isinstance(said, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # anything may stand there
    return word if isinstance(word, str) and word in ERRORS else "other"


def _named(scope: Scope, stream: Stream) -> bool:
    """Whether the request names its stream; without a name all of a receiver's streams are meant (SSF 1.0, 8.1.1.2)."""
    name = query(scope).get("stream_id")
    if name is not None and name != stream.receiver.id:
        raise NotYours
    return name is not None


def _own(name: str, stream: Stream) -> None:
    if name != stream.receiver.id:
        raise BadBody


async def _read(receive: Receive, kind: type[T]) -> T:
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise BadBody
        body += message.get("body", b"")
        if len(body) > LONGEST:
            raise BadBody
        if not message.get("more_body", False):
            break
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadBody from None
