"""Security events for identity products: CAEP 1.0 in security event tokens (RFC 8417), pushed or fetched.

`receivers` who is told, `stream` what, `pushing` (RFC 8935) and `manage` how. authd signs each, of a durable row.
"""

from __future__ import annotations

from typing import Final

from starlette.types import Receive, Scope, Send

from authd.client import ClientError
from authd.client.questions import now
from authd.client.tables import BadSettings
from authd.web.gateway.answers import say
from authd.web.gateway.caep import receivers
from authd.web.gateway.caep.manage import Manage
from authd.web.gateway.caep.operations import OPERATIONS
from authd.web.gateway.caep.pushing import push
from authd.web.gateway.caep.stream import Stream
from authd.web.gateway.oidc.clients import safe
from authd.web.gateway.oidc.keys import Published, WrongIssuer
from authd.web.gateway.oidc.tokens import tell
from authd.web.gateway.post import Poster
from authd.web.gateway.world import Surface, World

__all__ = ["OPERATIONS", "Transmitter", "make"]

METADATA: Final = "/.well-known/ssf-configuration"


class Transmitter:
    """The surface."""

    prefixes = ("/ssf", METADATA)

    def __init__(self, issuer: str, streams: dict[str, Stream]) -> None:
        self._manage = Manage(issuer, streams)
        first = next(iter(streams.values()))
        self._keys = Published(first.receiver.book.client, issuer, now)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        try:
            if path in (METADATA, "/ssf/jwks"):
                await self._public(path, scope, send)
            elif path.startswith("/ssf/"):
                await self._known(path.removeprefix("/ssf/"), scope, receive, send)
            else:
                await say(send, 404, b"not found\n")
        except (ClientError, WrongIssuer):
            await tell(send, 503, {"err": "temporarily_unavailable"}, ((b"retry-after", b"1"),))

    async def _public(self, path: str, scope: Scope, send: Send) -> None:
        if scope["method"] != "GET":
            await say(send, 405, b"only GET\n", extra=((b"allow", b"GET"),))
            return
        keys = [each for each in await self._keys.jwks() if each["alg"] == "RS256"]
        await tell(send, 200, self._manage.metadata() if path == METADATA else {"keys": keys})

    async def _known(self, what: str, scope: Scope, receive: Receive, send: Send) -> None:
        if what in ("stream", "status", "verify", "poll"):
            await self._keys.jwks()
            await self._manage(what, scope, receive, send)
        else:
            await say(send, 404, b"not found\n")


def make(world: World) -> Surface | None:
    """Return the surface, or None where no receiver is configured. Raises `BadSettings`."""
    known = receivers.read(world)
    if not known:
        return None
    public = world.settings.gateway.public
    if not safe(public):
        raise BadSettings("gateway.public: security events need https://HOST, as receivers reach the gateway")
    streams = {name: Stream(each) for name, each in known.items()}
    poster = Poster()
    for each in streams.values():
        world.spawn(each.follow())
        if each.receiver.table.push:
            world.spawn(push(each, poster))
    return Transmitter(public, streams)
