"""What the transmitter answers."""

from __future__ import annotations

from typing import Any, Final

from authd.web.gateway.operations import Operation, Parameter, Response

JSON: Final = "application/json"
_OBJECT: Final[dict[str, Any]] = {"type": "object"}
_BEARER: Final = (Parameter("Authorization", "header", "Bearer and the receiver's token"),)
_STREAM: Final = Parameter("stream_id", "query", "the receiver's stream, as its configuration names it")
_ANOTHERS: Final = {404: Response("There is no such stream for this receiver.", JSON, _OBJECT)}
_ERRORS: Final = {
    400: Response("The body is not what is expected here.", JSON, _OBJECT),
    401: Response("No token, or nobody's.", JSON, _OBJECT),
    405: Response("Another method.", "text/plain"),
    503: Response("authd is not heard, or calls itself otherwise.", JSON, _OBJECT),
}
_PUBLIC: Final = {405: _ERRORS[405], 503: _ERRORS[503]}


def _body(**properties: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        JSON: {
            "type": "object",
            "properties": properties,
            "required": [each for each in properties if each == "stream_id"],
        }
    }


OPERATIONS: Final = (
    Operation(
        "GET",
        "/.well-known/ssf-configuration",
        "Transmitter metadata (OpenID Shared Signals Framework 1.0, 7).",
        responses={200: Response("Where everything is.", JSON, _OBJECT), **_PUBLIC},
    ),
    Operation(
        "GET",
        "/ssf/jwks",
        "Public keys of the events.",
        responses={200: Response("The keys (RFC 7517).", JSON, _OBJECT), **_PUBLIC},
    ),
    Operation(
        "GET",
        "/ssf/stream",
        "The configuration of the receiver's own stream; without its name, a list of this one.",
        (*_BEARER, _STREAM),
        {200: Response("It.", JSON, {"type": ["object", "array"]}), **_ERRORS, **_ANOTHERS},
    ),
    Operation(
        "GET",
        "/ssf/status",
        "Whether it flows, and how many events the receiver has refused.",
        (*_BEARER, _STREAM),
        {200: Response("It.", JSON, _OBJECT), **_ERRORS, **_ANOTHERS},
    ),
    Operation(
        "POST",
        "/ssf/status",
        "Pause it, disable it, let it flow.",
        _BEARER,
        {200: Response("As it is now.", JSON, _OBJECT), **_ERRORS},
        _body(stream_id={"type": "string"}, status={"enum": ["enabled", "paused", "disabled"]}),
    ),
    Operation(
        "POST",
        "/ssf/verify",
        "Ask for a verification event.",
        _BEARER,
        {204: Response("It comes with the others."), **_ERRORS},
        _body(stream_id={"type": "string"}, state={"type": "string"}),
    ),
    Operation(
        "POST",
        "/ssf/poll",
        "Fetch events, and acknowledge those that came (RFC 8936).",
        _BEARER,
        {200: Response("`sets` and `moreAvailable`.", JSON, _OBJECT), **_ERRORS},
        _body(
            maxEvents={"type": "integer"},
            returnImmediately={"type": "boolean"},
            ack={"type": "array", "items": {"type": "string"}},
            setErrs={"type": "object"},
        ),
    ),
)
