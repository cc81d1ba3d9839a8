"""Speaks ASGI to an application: a request and its whole answer, or a stream read event by event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Scope

HOST = "127.0.0.1:8780"


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


def scope(method: str, path: str, headers: Mapping[str, str]) -> Scope:
    given = {"host": HOST, **headers}
    bare, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": bare,
        "raw_path": bare.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8780),
    }


async def ask(app: ASGIApp, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    """`headers`: with _ for -."""
    answer = Answer()
    parts = [body[i : i + 400] for i in range(0, len(body), 400)] or [b""]

    async def receive() -> Message:
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    await app(scope(method, path, named), receive, send)
    return answer


async def post(app: ASGIApp, path: str, said: object, **headers: str) -> Answer:
    own = {"origin": f"http://{HOST}", "content_type": "application/json"}
    return await ask(app, "POST", path, json.dumps(said).encode(), **(own | headers))


class Stream:
    """Server-sent events, one `next()` at a time."""

    def __init__(self) -> None:
        self.raw = b""
        self._events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.ended = asyncio.Event()

    def take(self, body: bytes) -> None:
        self.raw += body
        for block in body.decode().split("\n\n"):
            if block:
                name, data = block.split("\n")
                self._events.put_nowait((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))

    async def next(self, name: str) -> Any:
        """The data of the next event of this name; those of other names are passed over."""
        async with asyncio.timeout(60):
            while True:
                found, data = await self._events.get()
                if found == name:
                    return data


@asynccontextmanager
async def stream(app: ASGIApp, path: str, **headers: str) -> AsyncGenerator[Stream, None]:
    """Open a stream; leaving is the browser going away."""
    told = Stream()
    asked = asyncio.Event()
    left = asyncio.Event()

    async def receive() -> Message:
        if not asked.is_set():
            asked.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            told.take(message.get("body", b""))
            if not message.get("more_body"):
                told.ended.set()

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with asyncio.TaskGroup() as group:
        group.create_task(app(scope("GET", path, named), receive, send))  # type: ignore[arg-type] # a coroutine in fact
        try:
            yield told
        finally:
            left.set()
