"""What the gateway reads from a browser and says to it: cookies, and the page for whoever is not let in."""

from __future__ import annotations

import json
from enum import StrEnum
from functools import cache

from starlette.types import Message, Scope, Send

from authd.web.gateway.page import page, policy

PAGES = frozenset({b"document", b"iframe", b"frame", b"embed", b"object"})
"""Values of Sec-Fetch-Dest with which a browser asks for something that a person will look at."""
MAX_COOKIES = 16_384


class Closed(StrEnum):
    """Why a browser is not let in; each has `gateway.<value>_title` and `gateway.<value>_text` in the catalogue."""

    START = "start"
    """It brought no cookie, or one that is over: begin at the seat's screen."""
    TICKET = "ticket"
    """The ticket is spent, too old or another system's."""
    SILENT = "silent"
    """authd is not heard."""
    FULL = "full"
    """Too many browsers."""
    ACCOUNT = "account"
    """This system has no name for the person."""


STATUS = {Closed.START: 401, Closed.TICKET: 401, Closed.SILENT: 503, Closed.FULL: 503, Closed.ACCOUNT: 403}


def header(scope: Scope, name: bytes) -> bytes:
    """Return the value of a header (lower case name); of several the first, empty if there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""


def cookie(scope: Scope, name: str) -> str:
    """Return the value of a cookie; empty if there is none, or two: one of them may be of another's making."""
    found, begins = "", f"{name}="
    for key, value in scope["headers"]:
        if key != b"cookie" or len(value) > MAX_COOKIES:
            continue
        for part in value.decode("latin-1").split(";"):
            part = part.strip()
            if part.startswith(begins):
                if found:
                    return ""
                found = part[len(begins) :]
    return found


def set_cookie(name: str, value: str, *, secure: bool, framed: bool = False, life_s: int | None = None) -> bytes:
    """Return the value of a Set-Cookie header for the whole host; `__Host-` names need `secure`.

    framed: it is shown inside a page of another site (the seat's screen). Then it must be `SameSite=None`, and is
    `Partitioned`: sent inside that site only, so that no third one can use it.
    """
    words = [f"{name}={value}", "Path=/", "HttpOnly"]
    words += ["Secure"] if secure else []
    words += ["SameSite=None", "Partitioned"] if framed and secure else ["SameSite=Lax"]
    words += [f"Max-Age={life_s}"] if life_s is not None else []
    return "; ".join(words).encode("ascii")


def wants_page(scope: Scope) -> bool:
    """Whether a person will look at the answer; scripts and pictures get a bare status."""
    dest = header(scope, b"sec-fetch-dest")
    if dest:
        return dest in PAGES
    return b"text/html" in header(scope, b"accept") and not header(scope, b"x-requested-with")


async def refuse(scope: Scope, send: Send, why: Closed, extra: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    """Say why not: a page for people in both languages, or a line of JSON for scripts. Sets `extra` headers."""
    shown = wants_page(scope)
    body = closed_page(why) if shown else json.dumps({"error": why.value}).encode() + b"\n"
    status = STATUS[why]
    headers = [
        (b"content-type", b"text/html; charset=utf-8" if shown else b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"content-security-policy", policy() if shown else b"default-src 'none'"),
        *(((b"www-authenticate", b"authd-seat"),) if status == 401 else ()),
        *extra,
    ]
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


@cache
def closed_page(why: Closed) -> bytes:
    """Return the page that says why not and what to do, in both languages."""
    return page(f"gateway.{why.value}")
