"""Stands before every request to a page of the simulators: the names it answers to, and what every answer says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = {
    "default-src": "'none'",
    "style-src": "'self'",
    "script-src": "'self'",
    "connect-src": "'self'",
    "img-src": "data:",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


class Guard:
    """Refuses other host names and posts of other origins; puts `no-store` and the content policy on every answer.

    hosts: `host:port` names that a browser may use; policy: what differs from the strictest content policy.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], policy: Mapping[str, str]) -> None:
        self._app = app
        self._hosts = frozenset(name.lower() for name in hosts)
        self._headers = [
            (b"cache-control", b"no-store"),
            (b"content-security-policy", "; ".join(f"{k} {v}" for k, v in (_POLICY | dict(policy)).items()).encode()),
            (b"referrer-policy", b"same-origin"),  # with no-referrer, a form's own post would say `Origin: null`
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

        status = self._refusal(scope)
        if not status:
            await self._app(scope, receive, with_headers)
            return
        await with_headers({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def _refusal(self, scope: Scope) -> int:
        """Return 0, or the status that says no."""
        hosts, origins = _all(scope, b"host"), _all(scope, b"origin")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return 421
        if scope["method"] not in ("GET", "HEAD") and origins != [f"http://{hosts[0]}"]:
            return 403
        return 0


def _all(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for name, value in scope["headers"] if name == wanted]
