"""What comes with a request: a form, within bounds, and who a client proves to be."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import unquote_plus

from starlette.types import Receive, Scope

from authd.web.gateway.browser import header
from authd.web.gateway.oidc.asked import LONGEST, BadRequest, Fault, fields
from authd.web.gateway.oidc.clients import Client


class TooLong(Exception):
    """More than `LONGEST` bytes."""


async def form(scope: Scope, receive: Receive) -> dict[str, str]:
    """Read a form. Raises `TooLong`, `BadRequest`."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise BadRequest(Fault.REQUEST)
        body += message.get("body", b"")
        if len(body) > LONGEST:
            raise TooLong
        if not message.get("more_body", False):
            break
    kind = header(scope, b"content-type").partition(b";")[0].strip().lower()
    if body and kind != b"application/x-www-form-urlencoded":
        raise BadRequest(Fault.REQUEST)
    try:
        return fields(body.decode("ascii"))
    except UnicodeDecodeError:
        raise BadRequest(Fault.REQUEST) from None


def query(scope: Scope) -> dict[str, str]:
    """Read the query. Raises `BadRequest`."""
    try:
        return fields(bytes(scope["query_string"]).decode("ascii"))
    except UnicodeDecodeError:
        raise BadRequest(Fault.REQUEST) from None


def proven(scope: Scope, given: Mapping[str, str], clients: Mapping[str, Client]) -> Client | None:
    """Return the client that has proved who it is: one way, not two (RFC 6749, 2.3). None: it has not."""
    basic = _basic(scope)
    if basic is not None and ("client_secret" in given or given.get("client_id", basic[0]) != basic[0]):
        return None
    name, secret = basic or (given.get("client_id", ""), given.get("client_secret", ""))
    client = clients.get(name)
    if client is None or client.public:
        return client if client is not None and not secret and basic is None else None
    return client if client.knows(secret) else None


def bearer(scope: Scope) -> str:
    """Return the access token of the header; empty if there is none. In a query it is not taken (RFC 9700, 4.3.2)."""
    kind, _, token = header(scope, b"authorization").decode("latin-1").partition(" ")
    return token if kind.lower() == "bearer" else ""


def _basic(scope: Scope) -> tuple[str, str] | None:
    """RFC 6749, 2.3.1: name and secret are form-encoded before they are joined."""
    kind, _, said = header(scope, b"authorization").decode("latin-1").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(said, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return ("", "")
    return unquote_plus(name), unquote_plus(secret)
