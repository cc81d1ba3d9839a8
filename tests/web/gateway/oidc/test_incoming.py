"""Forms within bounds, and a client that proves itself one way."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from starlette.types import Message, Scope

from authd.web.gateway.oidc.asked import BadRequest
from authd.web.gateway.oidc.clients import Client, Table
from authd.web.gateway.oidc.incoming import TooLong, bearer, form, proven

NOTHING: Any = None
DIGEST = hashlib.sha256("s:ä %".encode()).hexdigest()
CLIENTS = {
    "resident": Client("resident", Table("https://x/", ["https://x/"], DIGEST), NOTHING),
    "tax": Client("tax", Table("https://x/", ["https://x/"]), NOTHING),
}


def scope(**headers: str) -> Scope:
    found = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "headers": found}


def basic(text: str) -> Scope:
    return scope(authorization="Basic " + base64.b64encode(text.encode()).decode())


async def sent(*parts: bytes, kind: str = "application/x-www-form-urlencoded") -> dict[str, str]:
    messages: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b""})

    async def receive() -> Message:
        return messages.pop(0)

    return await form(scope(content_type=kind), receive)


async def test_a_form_in_parts() -> None:
    assert await sent(b"a=1&b", b"=%E3%81%82") == {"a": "1", "b": "あ"}


@pytest.mark.parametrize("body", [b"a=1&a=2", b"a=%ff", b"\xff", b"a", b"&".join(b"x%d=1" % n for n in range(50))])
async def test_what_is_no_form(body: bytes) -> None:
    with pytest.raises(BadRequest):
        await sent(body)


async def test_another_kind_of_body() -> None:
    with pytest.raises(BadRequest):
        await sent(b"{}", kind="application/json")


async def test_a_form_without_end_is_not_read_to_it() -> None:
    with pytest.raises(TooLong):
        await sent(*[b"a" * 1_000] * 9)


def test_a_secret_is_form_encoded_in_the_header() -> None:
    assert proven(basic("resident:s%3A%C3%A4+%25"), {}, CLIENTS) is CLIENTS["resident"]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (basic("resident:wrong"), {}),
        (basic("nobody:x"), {}),
        (basic("resident"), {}),
        (basic("tax:"), {}),
        (scope(authorization="Basic ###"), {"client_id": "tax"}),
        (basic("resident:s%3A%C3%A4+%25"), {"client_secret": "s:ä %"}),
        (basic("resident:s%3A%C3%A4+%25"), {"client_id": "tax"}),
        (scope(), {"client_id": "resident"}),
        (scope(), {"client_id": "tax", "client_secret": "x"}),
        (scope(), {}),
    ],
)
def test_who_does_not_prove_it_is_nobody(asked: Scope, given: dict[str, str]) -> None:
    assert proven(asked, given, CLIENTS) is None


def test_a_client_without_a_secret_names_itself() -> None:
    assert proven(scope(), {"client_id": "tax"}, CLIENTS) is CLIENTS["tax"]


def test_a_bearer_token_is_a_headers() -> None:
    assert bearer(scope(authorization="bearer abc")) == "abc"
    assert bearer(scope(authorization="Basic abc")) == ""
