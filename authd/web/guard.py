"""Stands before every request: the names a browser may use for this process, who may post, and what every answer says.

Against DNS rebinding: a `Host` that is not ours is refused. Against other sites in the same browser: a POST needs our
own `Origin`, and what the page fetches is not for others to load. Written as bare ASGI, so that nothing is buffered.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from authd.web.settings import Settings

HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"origin-agent-cluster", b"?1"),
    (
        b"permissions-policy",
        b"camera=(), microphone=(), geolocation=(), fullscreen=(), usb=(), display-capture=(), "
        b"publickey-credentials-get=(self), publickey-credentials-create=(self)",
    ),
)

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def own_hosts(settings: Settings, port: int) -> frozenset[str]:
    """Return the `host:port` names of this process, `port` being the one that it listens on."""
    host = settings.listen.rpartition(":")[0]
    names = {f"{host}:{port}", *settings.hosts}
    if host in LOOPBACK:
        names |= {f"localhost:{port}", f"127.0.0.1:{port}"}
    return frozenset(name.lower() for name in names)


def own_origins(settings: Settings, hosts: Iterable[str]) -> frozenset[str]:
    """Return who may post: our own page under these names; over HTTPS only under one that was given for it."""
    secure = {f"https://{name.lower()}" for name in settings.hosts}
    return frozenset(f"http://{host}" for host in hosts) | secure


def content_policy(frames: Iterable[str], ancestors: Iterable[str]) -> str:
    """Return the Content-Security-Policy: our own files, the applications' frames, nothing inline, nothing foreign."""
    frame_src = " ".join(sorted(set(frames))) or "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            f"frame-src {frame_src}",
            f"frame-ancestors {' '.join(ancestors) or chr(39) + 'none' + chr(39)}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


class Guard:
    """Refuses what is not ours to answer and puts the headers on the rest."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str], origins: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        if refusal:
            await _refuse(send, refusal)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        await self._app(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> int:
        """Return 0, or the status that says no."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if len(headers) != len(scope["headers"]) and _twice(scope["headers"], (b"host", b"origin")):
            return 400
        if headers.get(b"host", b"").decode("latin-1").lower() not in self._hosts:
            return 421
        origin = headers.get(b"origin")
        if origin is None:
            return 403 if scope["method"] == "POST" else 0
        return 0 if origin.decode("latin-1").lower() in self._origins else 403


def _twice(headers: Iterable[tuple[bytes, bytes]], names: tuple[bytes, ...]) -> bool:
    seen = [name for name, _ in headers if name in names]
    return len(seen) != len(set(seen))


async def _refuse(send: Send, status: int) -> None:
    start: Message = {"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0"), *HEADERS]}
    await send(start)
    await send({"type": "http.response.body", "body": b""})
