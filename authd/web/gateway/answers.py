"""Whole answers in bare ASGI."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Message, Send

HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
"""Said with every answer."""
TEXT = b"text/plain; charset=utf-8"


async def say(
    send: Send, status: int, body: bytes, kind: bytes = TEXT, extra: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with a whole body."""
    length = str(len(body)).encode()
    headers = [(b"content-type", kind), (b"content-length", length), *HEADERS, *extra]
    await pass_on(send, status, headers, body)


async def pass_on(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes = b"") -> None:
    """Answer with these headers and no others."""
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def go(send: Send, where: str, extra: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Send the browser elsewhere with a GET."""
    headers = [(b"location", where.encode("ascii")), (b"content-length", b"0"), *HEADERS, *extra]
    await pass_on(send, 303, headers)
