"""Sending a few bytes to another product: one POST, no redirect, a short answer, and never longer than some seconds."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import h11

WITHIN_S: Final = 5.0
LONGEST_ANSWER: Final = 16_384
AT_ONCE: Final = 16
"""Posts to one other at once: whoever is silent takes nobody else's room."""
log = logging.getLogger("authd.web.gateway")


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back."""

    status: int
    body: bytes


class Poster:
    """Posts. `trust`: whose certificates are believed; None: those of the authorities that the machine trusts."""

    def __init__(self, trust: ssl.SSLContext | None = None) -> None:
        self._trust = trust
        self._rooms: dict[str, asyncio.Semaphore] = {}
        self._said: dict[str, set[str]] = {}
        """Why each other one is told nothing, as it stands in the log already."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered | None:
        """Return what the other one says; None where it says nothing in time, or nothing that can be read.

        url: of the settings, never of a request: each host that is named there has room of its own.
        """
        where = urlsplit(url).netloc
        async with self._rooms.setdefault(where, asyncio.Semaphore(AT_ONCE)):
            try:
                async with asyncio.timeout(WITHIN_S):
                    answer = await self._post(url, body, headers)
            except (OSError, OverflowError, TimeoutError, ValueError, h11.ProtocolError) as error:
                self._say(where, _why(error))
                return None
        self._said.pop(where, None)
        return answer

    def _say(self, where: str, why: str) -> None:
        """Once, until it has answered again: it may be tried for days."""
        said = self._said.setdefault(where, set())
        if why not in said:
            said.add(why)
            log.error("%s is told nothing: %s", where, why)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        if secure and self._trust is None:
            self._trust = await asyncio.to_thread(ssl.create_default_context)
        port = parts.port or (443 if secure else 80)
        reader, writer = await asyncio.open_connection(
            parts.hostname, port, ssl=self._trust if secure else None, limit=LONGEST_ANSWER
        )
        try:
            return await _converse(reader, writer, _request(url, len(body), headers), body)
        finally:
            writer.transport.abort()


def _why(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not believed: {error.verify_message}"
        case ssl.SSLError():
            return "it speaks no TLS that we do"
        case TimeoutError():
            return f"no answer within {WITHIN_S:.0f} s"
        case OSError():
            return "it cannot be reached, or hangs up"
        case _:
            return "its answer, or its address, cannot be read"


def _request(url: str, length: int, headers: Mapping[str, str]) -> h11.Request:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    said = {"host": parts.netloc, "content-length": str(length), "connection": "close", **headers}
    return h11.Request(method="POST", target=path, headers=list(said.items()))


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: h11.Request, body: bytes
) -> Answered:
    spoken = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST_ANSWER)
    for said_by_us in (request, h11.Data(data=body), h11.EndOfMessage()):
        writer.write(spoken.send(said_by_us) or b"")
    await writer.drain()
    status, said = 0, b""
    while True:
        event = spoken.next_event()
        if event is h11.NEED_DATA:
            spoken.receive_data(await reader.read(LONGEST_ANSWER))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            said += event.data
        elif isinstance(event, h11.InformationalResponse):
            continue
        else:
            return Answered(status, said)
        if len(said) > LONGEST_ANSWER:
            return Answered(status, said[:LONGEST_ANSWER])
