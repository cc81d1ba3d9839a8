"""Stands before every request: which names it answers to, and what every answer says."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Guard:
    """Refuses requests for other hosts, and puts `no-store` and the content policy on every answer."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str], ancestors: tuple[str, ...]) -> None:
        self._app = app
        self._hosts = frozenset(name.lower() for name in hosts)
        self._headers = [
            (b"cache-control", b"no-store"),
            (b"content-security-policy", _policy(ancestors).encode()),
            (b"referrer-policy", b"no-referrer"),
            (b"x-content-type-options", b"nosniff"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        if self._ours(scope):
            await self._app(scope, receive, with_headers)
        else:
            await with_headers({"type": "http.response.start", "status": 421, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

    def _ours(self, scope: Scope) -> bool:
        named = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        return len(named) == 1 and named[0] in self._hosts


def _policy(ancestors: tuple[str, ...]) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            "style-src 'self'",
            "script-src 'self'",
            "connect-src 'self'",
            "img-src data:",
            "form-action 'self'",
            "base-uri 'none'",
            f"frame-ancestors {' '.join(ancestors) or chr(39) + 'none' + chr(39)}",
        )
    )
