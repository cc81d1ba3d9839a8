"""What the provider answers."""

from __future__ import annotations

from typing import Any, Final

from authd.web.gateway.oidc.asked import LONGEST
from authd.web.gateway.oidc.clients import LONGEST_URI
from authd.web.gateway.operations import Operation, Parameter, Response

_PAGE: Final = "text/html"
_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
}
_FORM: Final = "application/x-www-form-urlencoded"
_OBJECT: Final[dict[str, Any]] = {"type": "object"}
_PLAIN: Final = Response("Not so: another method, or a body that is too long.", "text/plain")
_SAID: Final = {400: Response("The request is wrong.", "application/json", _ERROR), 405: _PLAIN, 413: _PLAIN}
_SHOWN: Final = {
    200: Response("Touch now; the page goes on by itself.", _PAGE),
    303: Response("To the client: a code, or an error."),
    400: Response("Client, redirect URI or request cannot be trusted: nobody is sent anywhere.", _PAGE),
    401: Response("Nobody is logged in in this browser: start from the seat's screen.", _PAGE),
    405: _PLAIN,
    413: _PLAIN,
    503: Response("authd is not heard, or calls itself otherwise.", _PAGE),
}
_QUERY: Final = tuple(
    Parameter(name, "query", about, required=name in ("client_id", "redirect_uri"))
    for name, about in (
        ("response_type", "`code`"),
        ("client_id", "NAME of [client.NAME]"),
        ("redirect_uri", "registered, character by character"),
        ("scope", "`openid`, and `profile`"),
        ("state", "comes back"),
        ("nonce", "stands in the ID token"),
        ("code_challenge", "RFC 7636"),
        ("code_challenge_method", "`S256`"),
        ("acr_values", "`authd:one`, `authd:two` (RFC 9470)"),
        ("max_age", "seconds"),
        ("prompt", "`none` or `login`"),
        ("id_token_hint", "an ID token of the person who is expected"),
    )
)

_LEAVE: Final = tuple(
    Parameter(name, "query", about, schema={"type": "string", "maxLength": longest})
    for name, about, longest in (
        ("id_token_hint", "an ID token of the session", LONGEST),
        ("client_id", "NAME of [client.NAME]", 64),
        ("post_logout_redirect_uri", "registered, character by character", LONGEST_URI),
        ("state", "comes back", 512),
    )
)
_LEFT: Final = {
    200: Response("Out, or asked whether to leave.", _PAGE),
    303: Response("Out, and back to the client."),
    400: Response("The link cannot be used.", _PAGE),
    405: _PLAIN,
    413: _PLAIN,
    503: Response("authd is not heard.", _PAGE),
}


def _form(*required: str, optional: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    properties = {name: {"type": "string"} for name in (*required, *optional)}
    return {_FORM: {"type": "object", "properties": properties, "required": list(required)}}


OPERATIONS: Final = (
    Operation(
        "GET",
        "/.well-known/openid-configuration",
        "OpenID Connect Discovery 1.0.",
        responses={
            200: Response("What the provider can do.", "application/json", _OBJECT),
            405: _PLAIN,
            503: Response("authd is not heard, or calls itself otherwise.", "application/json", _ERROR),
        },
    ),
    Operation(
        "GET",
        "/oidc/jwks",
        "Public keys of every token (RFC 7517).",
        responses={
            200: Response("The keys.", "application/json", _OBJECT),
            405: _PLAIN,
            503: Response("authd is not heard.", "application/json", _ERROR),
        },
    ),
    Operation(
        "GET",
        "/oidc/start/{client}",
        "Where a seat's screen opens a client: spends the ticket, binds this browser to the session.",
        parameters=(
            Parameter("client", "path", "NAME of [client.NAME]", required=True),
            Parameter("ticket", "query", "from the seat's screen"),
        ),
        responses={
            303: Response("To the client."),
            400: Response("No such client, or the link cannot be read.", _PAGE),
            401: Response("The ticket is spent, too old, or of another application.", _PAGE),
            405: _PLAIN,
            503: Response("authd is not heard, or too many browsers.", _PAGE),
        },
    ),
    Operation("GET", "/oidc/authorize", "Authorization (OpenID Connect Core 1.0, PKCE).", _QUERY, _SHOWN),
    Operation(
        "POST",
        "/oidc/authorize",
        "The same, as a form.",
        responses=_SHOWN,
        body=_form("client_id", "redirect_uri", optional=tuple(each.name for each in _QUERY if not each.required)),
    ),
    Operation(
        "GET",
        "/oidc/touched",
        "Goes on once the person has touched.",
        (Parameter("r", "query", "which request; told to this browser alone", required=True),),
        _SHOWN,
    ),
    Operation(
        "POST",
        "/oidc/token",
        "A code for an ID token and an access token.",
        body=_form("grant_type", "code", "redirect_uri", "code_verifier", optional=("client_id", "client_secret")),
        responses={
            200: Response("The tokens.", "application/json", _OBJECT),
            401: Response("The client did not prove itself.", "application/json", _ERROR),
            503: Response("authd is not heard.", "application/json", _ERROR),
            **_SAID,
        },
    ),
    Operation(
        "POST",
        "/oidc/introspect",
        "Whether an access token is good now (RFC 7662), with `acr` and `auth_time` (RFC 9470, 6.2).",
        body=_form("token", optional=("client_id", "client_secret")),
        responses={
            200: Response("`active`, and of whom.", "application/json", _OBJECT),
            401: Response("The client did not prove itself.", "application/json", _ERROR),
            **_SAID,
        },
    ),
    *(
        Operation(
            method,
            "/oidc/userinfo",
            "Who it is, while the session lasts.",
            parameters=(Parameter("Authorization", "header", "Bearer and the access token"),),
            responses={
                200: Response("`sub`, and what the scope allows.", "application/json", _OBJECT),
                401: Response("No token, or its session is over.", "application/json", _ERROR),
                **(_SAID if method == "POST" else {405: _PLAIN}),
            },
        )
        for method in ("GET", "POST")
    ),
    Operation(
        "GET",
        "/oidc/logout",
        "RP-initiated logout: out of this client; the seat stays its person's.",
        _LEAVE,
        _LEFT,
    ),
    Operation(
        "POST",
        "/oidc/logout",
        "The same, as a form; and what the button of our own page sends.",
        responses=_LEFT,
        body={_FORM: {"type": "object", "properties": {each.name: dict(each.schema) for each in _LEAVE}}},
    ),
)
