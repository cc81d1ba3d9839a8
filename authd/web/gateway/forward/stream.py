"""Server-sent events for open pages: that the session lives, and at once that it has ended."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive, Send

from authd.web.gateway import answers
from authd.web.gateway.sessions import Book, Visit

BEAT_S = 0.5
MOST = 256
MOST_OF_A_VISIT = 16
"""A page needs one for a whole browser (`static/listen.js`), or one of its own where that cannot be had."""
HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"x-accel-buffering", b"no"),
    *answers.HEADERS,
)


class Streams:
    """The streams of one application."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._open: dict[Visit, int] = {}

    async def run(self, visit: Visit, receive: Receive, send: Send) -> None:
        """Tell one page until its session ends or it goes away."""
        if sum(self._open.values()) >= MOST or self._open.get(visit, 0) >= MOST_OF_A_VISIT:
            await answers.say(send, 503, b"too many pages are open\n")
            return
        self._open[visit] = self._open.get(visit, 0) + 1
        try:
            async with asyncio.TaskGroup() as group:
                telling = group.create_task(self._tell(visit, send))
                leaving = group.create_task(_gone(receive, telling))
                await asyncio.wait({telling})
                leaving.cancel()
        finally:
            self._open[visit] -= 1
            if not self._open[visit]:
                del self._open[visit]

    async def _tell(self, visit: Visit, send: Send) -> None:
        start: Message = {"type": "http.response.start", "status": 200, "headers": HEADERS}
        await send(start)
        said = ""
        while not visit.ended.is_set():
            good = self._book.good(visit)
            word = ("beat" if said in ("live", "beat") else "live") if good else "silent"
            await _event(send, word)
            said = word
            try:
                async with asyncio.timeout(min(BEAT_S, self._book.left_s) if good else BEAT_S):
                    await visit.ended.wait()
            except TimeoutError:
                continue
        await _event(send, "locked")
        await send({"type": "http.response.body", "body": b""})


async def _event(send: Send, name: str) -> None:
    body = f"event: {name}\ndata:\n\n".encode()
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive, telling: asyncio.Task[None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    telling.cancel()
