"""The surface: which part answers, what becomes of codes and tokens at a session's end, and what errors look like."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from authd.client import ClientError, Person
from authd.client.questions import now
from authd.core.model import Acr, EndReason
from authd.web.gateway.answers import go, say
from authd.web.gateway.browser import Closed, refuse
from authd.web.gateway.oidc import tokens
from authd.web.gateway.oidc.asked import Answerable, BadRequest, Fault
from authd.web.gateway.oidc.authorize import Authorize
from authd.web.gateway.oidc.backchannel import BackChannel
from authd.web.gateway.oidc.clients import Client
from authd.web.gateway.oidc.grants import Grants
from authd.web.gateway.oidc.incoming import TooLong, form, query
from authd.web.gateway.oidc.keys import Published, WrongIssuer
from authd.web.gateway.oidc.leaving import Leaving
from authd.web.gateway.oidc.pages import show
from authd.web.gateway.post import Poster
from authd.web.gateway.world import World

DISCOVERY: Final = "/.well-known/openid-configuration"
METHODS: Final = {
    DISCOVERY: ("GET",),
    "/oidc/jwks": ("GET",),
    "/oidc/start": ("GET",),
    "/oidc/authorize": ("GET", "POST"),
    "/oidc/touched": ("GET",),
    "/oidc/token": ("POST",),
    "/oidc/introspect": ("POST",),
    "/oidc/userinfo": ("GET", "POST"),
    "/oidc/logout": ("GET", "POST"),
}
MACHINES: Final = frozenset({DISCOVERY, "/oidc/jwks", "/oidc/token", "/oidc/introspect", "/oidc/userinfo"})
"""Paths whose errors are JSON: no person looks at them."""


class Provider:
    """Bare ASGI."""

    prefixes = ("/oidc", DISCOVERY)

    def __init__(self, issuer: str, clients: Mapping[str, Client], world: World) -> None:
        self._issuer = issuer
        self._grants = Grants(now)
        first = next(iter(clients.values()))
        self._keys = Published(first.book.client, issuer, now)
        self._authorize = Authorize(issuer, clients, self._grants, self._keys, now)
        self._tokens = tokens.Tokens(issuer, clients, self._grants, now)
        self._leaving = Leaving(issuer, clients, self._grants, self._keys, self._authorize)
        self._back = BackChannel(Poster(), world.spawn)
        for client in clients.values():
            client.book.on_end(partial(self._ended, client))
            for session in client.owed.sessions:
                world.spawn(self._back.carried(client, session))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        where, name = ("/oidc/start", path[12:]) if path.startswith("/oidc/start/") else (path, "")
        methods = METHODS.get(where)
        if methods is None:
            await say(send, 404, b"not found\n")
        elif scope["method"] not in methods:
            await say(send, 405, b"another method\n", extra=((b"allow", ", ".join(methods).encode()),))
        else:
            await self._guarded(where, name, scope, receive, send)

    async def _guarded(self, where: str, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(where, name, scope, receive, send)
        except Answerable as error:
            await go(send, error.target.url(self._issuer, error=error.error))
        except tokens.Refused as error:
            await tokens.tell_error(send, error)
        except TooLong:
            await say(send, 413, b"too long\n")
        except BadRequest as error:
            await self._bad(where, error.fault, send)
        except WrongIssuer:
            await self._wrong_issuer(where, send)
        except ClientError as error:
            await (tokens.silent(send, error) if where in MACHINES else refuse(scope, send, Closed.SILENT))

    async def _answer(self, where: str, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        given = await form(scope, receive) if scope["method"] == "POST" else {}
        match where:
            case "/oidc/start":
                await self._authorize.start(name, query(scope), scope, send)
            case "/oidc/authorize":
                await self._authorize.authorize(given or query(scope), scope, send)
            case "/oidc/touched":
                await self._authorize.touched(query(scope), scope, send)
            case "/oidc/token":
                await self._tokens.token(given, scope, send)
            case "/oidc/introspect":
                await self._tokens.introspect(given, scope, send)
            case "/oidc/userinfo":
                await self._tokens.userinfo(scope, send)
            case "/oidc/logout":
                await self._leaving.logout(given or query(scope), scope, send)
            case "/oidc/jwks":
                await tokens.tell(send, 200, {"keys": await self._keys.jwks()})
            case _:
                await self._keys.jwks()
                await tokens.tell(send, 200, discovery(self._issuer))

    async def _bad(self, where: str, fault: Fault, send: Send) -> None:
        if where in MACHINES:
            await tokens.tell(send, 400, {"error": "invalid_request"})
        else:
            await show(send, 400, fault.value)

    async def _wrong_issuer(self, where: str, send: Send) -> None:
        if where in MACHINES:
            await tokens.tell(send, 503, {"error": "temporarily_unavailable"})
        else:
            await show(send, 503, "issuer")

    def _ended(self, client: Client, person: Person, reason: EndReason | None) -> None:
        self._grants.forget(person.session)
        self._back.tell(client, person.session)


def discovery(issuer: str) -> dict[str, Any]:
    """What the provider can do: OpenID Connect Discovery 1.0, 3, RFC 8414, and what it adds to them."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oidc/authorize",
        "token_endpoint": f"{issuer}/oidc/token",
        "userinfo_endpoint": f"{issuer}/oidc/userinfo",
        "introspection_endpoint": f"{issuer}/oidc/introspect",
        "jwks_uri": f"{issuer}/oidc/jwks",
        "end_session_endpoint": f"{issuer}/oidc/logout",
        "scopes_supported": ["openid", "profile"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "acr_values_supported": [each.value for each in Acr],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login"],
        "claims_supported": ["sub", "sid", "acr", "amr", "auth_time", "name", "preferred_username"],
        "ui_locales_supported": ["ja", "en"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
    }
