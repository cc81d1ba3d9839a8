"""RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): out of one client. The seat stays its person's.

Only the person ends their session, at the seat; a client that could would lock out whoever sits there now.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from starlette.types import Scope, Send

from authd.core.model import SessionId
from authd.web.gateway.answers import go
from authd.web.gateway.browser import header
from authd.web.gateway.oidc.asked import BadRequest, Fault
from authd.web.gateway.oidc.authorize import Authorize
from authd.web.gateway.oidc.clients import Client
from authd.web.gateway.oidc.grants import Grants
from authd.web.gateway.oidc.keys import Published
from authd.web.gateway.oidc.pages import show
from authd.web.gateway.sessions import Visit


class Leaving:
    """Answers whoever leaves."""

    def __init__(
        self, issuer: str, clients: Mapping[str, Client], grants: Grants, keys: Published, authorize: Authorize
    ) -> None:
        self._issuer = issuer
        self._clients = clients
        self._grants = grants
        self._keys = keys
        self._authorize = authorize

    async def logout(self, given: Mapping[str, str], scope: Scope, send: Send) -> None:
        """Leave a client, after a question where no ID token says so. Raises `BadRequest` and as `Published`."""
        client, session = await self._whose(given)
        back = _back(given, client)
        visit = None if client is None else self._authorize.visit(client, scope)
        mine = [] if client is None or session is None else list(client.book.visits(SessionId(session)))
        if visit is not None and visit not in mine and not self._confirmed(scope):
            again = {name: given[name] for name in ("client_id", "post_logout_redirect_uri", "state") if name in given}
            await show(send, 200, "leave", form=f"/oidc/logout?{urlencode(again, quote_via=quote)}")
            return
        for each in [*mine, *([visit] if visit is not None else [])]:
            self._leave(client, each)
        if back:
            await go(send, back)
        else:
            await show(send, 200, "left")

    async def _whose(self, given: Mapping[str, str]) -> tuple[Client | None, str | None]:
        """Which client, and the session that its ID token names. Raises `BadRequest` where they do not agree."""
        name = given.get("client_id")
        if "id_token_hint" not in given:
            return (self._clients.get(name) if name else None), None
        hinted = await self._keys.hinted(given["id_token_hint"])
        if hinted is None or (name is not None and name != hinted.get("aud")):
            raise BadRequest(Fault.LOGOUT)
        return self._clients.get(str(hinted.get("aud"))), str(hinted.get("sid"))

    def _confirmed(self, scope: Scope) -> bool:
        """Whether the button of our own page was pressed: no other page can send our origin."""
        return scope["method"] == "POST" and header(scope, b"origin") == self._issuer.encode()

    def _leave(self, client: Client | None, visit: Visit) -> None:
        if client is not None:
            client.book.leave(visit)
        self._grants.leave(visit)


def _back(given: Mapping[str, str], client: Client | None) -> str:
    """Where to, afterwards: registered for the client, character by character, or nowhere. Raises `BadRequest`."""
    uri = given.get("post_logout_redirect_uri")
    if uri is None:
        return ""
    if client is None or uri not in client.table.post_logout_redirect_uris:
        raise BadRequest(Fault.LOGOUT)
    if "state" not in given:
        return uri
    if len(given["state"]) > 512:
        raise BadRequest(Fault.LOGOUT)
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode({'state': given['state']})}"
