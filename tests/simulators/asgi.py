"""A browser of a few lines: speaks ASGI to an application in the same loop, and keeps cookies by their path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie

from starlette.types import ASGIApp, Message, Scope


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Browser:
    app: ASGIApp
    host: str = "127.0.0.1"
    cookies: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    async def get(self, target: str, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.send("GET", target, headers=headers)

    async def post(self, target: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.send("POST", target, body, headers)

    async def send(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request and gather its answer; a redirection is for the test to follow."""
        answer = Answer()
        asked = asyncio.Event()

        async def receive() -> Message:
            if asked.is_set():
                await asyncio.Event().wait()
            asked.set()
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answer.body += message.get("body", b"")

        await self.app(self._scope(method, target, headers or {}), receive, send)
        self._keep(answer)
        return answer

    def _scope(self, method: str, target: str, headers: Mapping[str, str]) -> Scope:
        path, _, query = target.partition("?")
        sent = [f"{name}={value}" for (name, at), value in self.cookies.items() if path.startswith(at)]
        lines = {"host": self.host, **({"cookie": "; ".join(sent)} if sent else {}), **headers}
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in lines.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }

    def _keep(self, answer: Answer) -> None:
        for name, morsel in SimpleCookie(answer.headers.get("set-cookie", "")).items():
            self.cookies[name, morsel["path"]] = morsel.value


@asynccontextmanager
async def alive(app: ASGIApp) -> AsyncGenerator[None, None]:
    """Keep an application's lifespan open."""
    orders: asyncio.Queue[Message] = asyncio.Queue()
    done: asyncio.Queue[Message] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        group.create_task(_live(app, orders, done))
        await orders.put({"type": "lifespan.startup"})
        assert (await done.get())["type"] == "lifespan.startup.complete"
        yield
        await orders.put({"type": "lifespan.shutdown"})
        assert (await done.get())["type"] == "lifespan.shutdown.complete"


async def _live(app: ASGIApp, orders: asyncio.Queue[Message], done: asyncio.Queue[Message]) -> None:
    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, orders.get, done.put)
