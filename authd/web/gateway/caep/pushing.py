"""Pushing security events (RFC 8935): in order, one at a time, again until the receiver has taken each."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import msgspec

from authd.web.gateway.caep.stream import Status, Stream
from authd.web.gateway.post import Poster

AGAIN_S: Final = (0.1, 0.5, 2.0, 10.0, 30.0, 60.0)
TAKEN: Final = frozenset({200, 202})
NOT_EVER: Final = 400
"""The receiver has read it and does not want it: it would say so again (RFC 8935, 2.3)."""
FOR_NOW: Final = frozenset(
    {"access_denied", "authentication_failed", "invalid_audience", "invalid_issuer", "invalid_key"}
)
"""Errors of RFC 8935, 2.4, that are not the event's fault: the receiver fetches the keys, or somebody mends it."""


class _Said(msgspec.Struct, frozen=True):
    err: str = ""


log = logging.getLogger("authd.web.gateway")


async def push(stream: Stream, poster: Poster) -> None:
    """Push for ever."""
    tries, outage = 0, _Outage(stream.receiver.id)
    while True:
        changed = stream.changed
        due = stream.first(1) if stream.status is Status.ENABLED else {}
        if not due:
            await changed.wait()
            continue
        (jti, token), *_ = due.items()
        if await _pushed(stream, token, poster, outage):
            stream.acknowledge([jti])
            tries = 0
            continue
        await asyncio.sleep(AGAIN_S[min(tries, len(AGAIN_S) - 1)])
        tries += 1


class _Outage:
    """A receiver that answers and takes no event: said once, and once more when it takes them again."""

    def __init__(self, receiver: str) -> None:
        self._receiver = receiver
        self._said = False

    def goes_on(self, status: int) -> None:
        if not self._said:
            log.error("%s: answers %d and takes no event; each is tried again until it does", self._receiver, status)
        self._said = True

    def is_over(self) -> None:
        if self._said:
            log.warning("%s: takes events again", self._receiver)
        self._said = False


async def _pushed(stream: Stream, token: str, poster: Poster, outage: _Outage) -> bool:
    receiver = stream.receiver
    headers = {"content-type": "application/secevent+jwt", "accept": "application/json"}
    headers |= {"authorization": receiver.authorization} if receiver.authorization else {}
    answer = await poster.post(receiver.table.push, token.encode("ascii"), headers)
    if answer is None:  # the poster has said why
        return False
    if answer.status in TAKEN:
        outage.is_over()
        return True
    if answer.status == NOT_EVER:
        log.error(
            "%s: does not take an event of ours; look at its configuration of issuer, audience and keys", receiver.id
        )
        return _why(answer.body) not in FOR_NOW
    outage.goes_on(answer.status)
    return False


def _why(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Said).err
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
