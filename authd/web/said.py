"""What a page posts: read within bounds, and believed only of a page that is being shown the seat."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from authd.web.door import DoorError

MAX_BODY = 1_024
BODY_WITHIN_S = 2.0
DOOR_WITHIN_S = 5.0
AWAY = frozenset({"busy", "slow", "fault", "ledger_down", "gone"})
"""Refusals that pass by themselves; the others say that the page is behind what is true now."""

T = TypeVar("T")


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What every page says with whatever it posts; each endpoint reads a struct of its own."""

    page: str
    turn: str | None = None


S = TypeVar("S", bound=Said)


async def read(request: Request, kind: type[S], longest: int = MAX_BODY) -> S:
    """Return what is posted, or raise the `HTTPException` that says what is wrong with it."""
    if request.headers.get("content-type") != "application/json":
        raise HTTPException(415)
    try:
        return msgspec.json.decode(await _body(request, longest), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise HTTPException(400) from None


async def answered(answer: Awaitable[T]) -> T:
    """Wait for the core's answer, and turn its refusal into a status."""
    try:
        async with asyncio.timeout(DOOR_WITHIN_S):
            return await answer
    except DoorError as error:
        raise HTTPException(503 if error.code in AWAY else 409, error.code) from None
    except TimeoutError:
        raise HTTPException(503, "slow") from None


async def _body(request: Request, longest: int) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > longest:
                    raise HTTPException(413)
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:
        raise HTTPException(400) from None
    return bytes(body)
