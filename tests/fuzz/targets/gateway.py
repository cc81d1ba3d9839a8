"""What browsers, relying parties, receivers and proxies ask of the gateway: `authd.web.gateway`, over ASGI.

An input is a target, lines of headers and a body, each behind a NUL, after a byte that says the method. `{cookie}`,
`{hint}`, `{code}` and `{token}` in it stand for those of a session that is there. What h11 would not let through is
left out.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import hashlib
import json
import logging
import re
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import parse_qsl, unquote, unquote_to_bytes, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.types import Message, Receive, Scope, Send

from authd.client import Jwks, StepUp
from authd.web.gateway.app import Gateway
from authd.web.gateway.caep import Transmitter
from authd.web.gateway.caep.receivers import Receiver
from authd.web.gateway.caep.receivers import Table as ReceiverTable
from authd.web.gateway.caep.stream import Status, Stream
from authd.web.gateway.forward import ForwardAuth
from authd.web.gateway.forward.gate import Gate
from authd.web.gateway.oidc import Provider
from authd.web.gateway.oidc.clients import Client, Table
from authd.web.gateway.settings import Forward
from authd.web.gateway.world import World
from tests.web.gateway.fakes import HANAKO, FakeDoor

ISSUER: Final = "https://login.city.example"
CALLBACK: Final = "https://resident.city.example/callback"
BYE: Final = "https://resident.city.example/bye"
SECRET, TOKEN = "secret-of-the-client", "token-of-the-receiver"
VERIFIER: Final = "v" * 43
CHALLENGE: Final = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REQUEST: Final = {
    "response_type": "code",
    "client_id": "resident",
    "redirect_uri": CALLBACK,
    "scope": "openid profile",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
TURNS: Final = 60
"""Of the loop: what is answered at all without a device, is answered within them."""
METHODS: Final = ("GET", "POST", "HEAD")
STATUS: Final = frozenset({200, 204, 303, 400, 401, 403, 404, 405, 413, 503})
_KEY: Final = RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256", "use": "sig"})
"""Another one each time: what is found does not depend on it."""
_VISIBLE: Final = re.compile(rb"[^\x21-\x7e]")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_PLACES: Final = re.compile(rb"\{(cookie|hint|code|token)\}")


class _Door(FakeDoor):
    """authd: signs what it is asked to."""

    def wait(self, seconds: float) -> None:
        raise NotImplementedError

    async def jwks(self) -> Jwks:
        return Jwks(ISSUER, [dict(_KEY.as_dict(private=False))])

    async def assertion(self, session: str) -> str:
        return _token(acr="authd:one", auth_time=1_000, iat=1_060)

    async def id_token(self, session: str, nonce: str | None) -> str:
        return _token(acr="authd:one", auth_time=1_000)

    async def step_up(self, session: str, purpose: str, **terms: object) -> StepUp:
        return StepUp(True, "")

    async def security_check(self, state: str | None) -> str:
        return _token(jti="1")


def _token(**claims: object) -> str:
    return f"h.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.s"


class _World:
    """The gateway, once a process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        atexit.register(self.loop.close)
        self.door = _Door()
        told: Any = self.door.book
        told._heard = self.door.now()  # its clock stands still
        self.cookie = self.loop.run_until_complete(self._come_in())
        book, unused = self.door.book, cast("Any", None)
        digest = hashlib.sha256(SECRET.encode()).hexdigest()
        table = Table("https://resident.city.example/", [CALLBACK], digest, [BYE])
        self.client = Client("resident", table, book)
        receiver = Receiver("idp", ReceiverTable(hashlib.sha256(TOKEN.encode()).hexdigest()), book, "", None)
        self.stream = Stream(receiver)
        surfaces = (
            ForwardAuth({"resident": Gate("resident", Forward("https://resident.city.example"), book, _never)}),
            Provider(ISSUER, {"resident": self.client}, World(unused, {"resident": book}, _never)),
            Transmitter(ISSUER, {"idp": self.stream}),
        )
        self.app = Gateway(surfaces, {"resident": book})
        claims = {"iss": ISSUER, "aud": "resident", "sid": "ses_1", "sub": HANAKO.subject}
        self.hint = jwt.encode({"alg": "RS256", "typ": "JWT", "kid": "k1"}, claims, _KEY, algorithms=["RS256"])

    async def _come_in(self) -> str:
        self.door.tickets["t"] = HANAKO
        visit, cookie = await self.door.book.open("t")
        self.visit = visit
        return cookie

    def made(self, what: str) -> bytes:
        """Return what a placeholder stands for."""
        if what in ("cookie", "hint"):
            return (self.cookie if what == "cookie" else self.hint).encode()
        return self.loop.run_until_complete(self._code(what)).encode()

    async def _code(self, what: str) -> str:
        cookie = [(b"cookie", f"__Host-authd-oidc-resident={self.cookie}".encode())]
        said = await _ask(self, "GET", b"/oidc/authorize?" + urlencode(REQUEST).encode(), cookie, b"")
        code = dict(parse_qsl(urlsplit(said.headers["location"]).query))["code"]
        if what == "code":
            return code
        form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER, "code": code}
        proof = (b"authorization", b"Basic " + base64.b64encode(f"resident:{SECRET}".encode()))
        kind = (b"content-type", b"application/x-www-form-urlencoded")
        said = await _ask(self, "POST", b"/oidc/token", [proof, kind], urlencode(form).encode())
        return str(json.loads(said.body)["access_token"])

    def anew(self) -> None:
        """Forget what the input before it did: it may have left."""
        book: Any = self.door.book
        book._visits, book._of = {self.visit.key: self.visit}, {HANAKO.session: [self.visit]}
        self.visit.ended.clear()
        self.visit.notes.clear()
        self.stream.waiting.clear()
        self.stream.set_status(Status.ENABLED, "")
        self.door.tickets["t"] = HANAKO


def _never(work: Coroutine[None, None, None]) -> None:
    work.close()


_WORLD: list[_World] = []


@dataclass
class _Said:
    """One answer."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    waits: bool = False
    """For something that does not happen here: a poll that is held."""


async def _ask(world: _World, method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> _Said:
    said, parts = _Said(), [body[:100], body[100:]]
    path, _, query = target.partition(b"?")

    async def receive() -> Message:
        if not parts:
            return {"type": "http.disconnect"}
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert not said.status, "two answers"
            said.status = message["status"]
            for name, value in message["headers"]:
                assert not _CONTROL.search(name + value), "a header that begins a line"
                said.headers[name.decode("ascii")] = value.decode("latin-1")
        else:
            said.body += message.get("body", b"")

    scope = {"type": "http", "method": method, "path": unquote(path.decode("ascii")), "query_string": query}
    asked = asyncio.create_task(_answered(world, {**scope, "headers": headers}, receive, send))
    for _ in range(TURNS):
        if asked.done():
            break
        await asyncio.sleep(0)
    said.waits = asked.cancel()
    with suppress(asyncio.CancelledError):
        await asked
    return said


async def _answered(world: _World, scope: Scope, receive: Receive, send: Send) -> None:
    await world.app(scope, receive, send)


def _lines(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Return headers as h11 passes them on."""
    pairs = (line.partition(b":")[::2] for line in raw.split(b"\n") if line)
    return [(_VISIBLE.sub(b"", name).lower(), _CONTROL.sub(b"", value).strip()) for name, value in pairs]


def one(data: bytes) -> None:
    """Ask once. Whatever is asked, it is answered, and nobody without a session's cookie learns anything of it."""
    if not _WORLD:
        _WORLD.append(_World())
    world = _WORLD[0]
    world.anew()
    known: dict[bytes, bytes] = {}

    def put(found: re.Match[bytes]) -> bytes:
        return known.setdefault(found[1], world.made(found[1].decode()))

    target, headers, body, *_ = (*_PLACES.sub(put, data[1:]).split(b"\0"), b"", b"")
    path = b"/" + _VISIBLE.sub(b"", target).lstrip(b"/")
    method = METHODS[data[0] % len(METHODS)] if data else "GET"
    logging.disable(logging.CRITICAL)
    try:
        said = world.loop.run_until_complete(_ask(world, method, path, _lines(headers), body))
    finally:
        logging.disable(logging.NOTSET)
    assert said.status in STATUS or (said.waits and b"poll" in unquote_to_bytes(path)), said.status
    _judge(said, known)


def _judge(said: _Said, known: Mapping[bytes, bytes]) -> None:
    where = said.headers.get("location", "")
    parts = urlsplit(where)
    assert where[:1] in ("", "/") or f"{parts.scheme}://{parts.netloc}" == "https://resident.city.example"
    if not known:
        assert "code" not in dict(parse_qsl(parts.query))
        assert HANAKO.name.encode() not in said.body
        assert "remote-user" not in said.headers


def declared(error: Exception) -> bool:
    """Whether this is the error that is meant: there is none, an answer says what is wrong."""
    return False


def seeds() -> Iterator[bytes]:
    """Yield a good request for everything that is answered."""
    cookies = b"cookie: a=b; __Host-authd-oidc-resident={cookie}; __Host-authd-resident={cookie}\naccept: text/html"
    form = b"content-type: application/x-www-form-urlencoded"
    basic = b"authorization: Basic " + base64.b64encode(f"resident:{SECRET}".encode())
    bearer = b"authorization: Bearer " + TOKEN.encode()
    for more in ({}, {"prompt": "login"}, {"max_age": "9", "acr_values": "authd:two", "state": "s", "nonce": "n"}):
        yield _request(0, "oidc/authorize?" + urlencode({**REQUEST, **more}), cookies)
    asked = urlencode({**REQUEST, "prompt": "none"})
    yield _request(0, f"oidc/authorize?{asked}&id_token_hint={{hint}}", cookies)
    yield _request(1, "oidc/authorize", cookies + b"\n" + form, asked)
    code = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    yield _request(1, "oidc/token", form + b"\n" + basic, urlencode(code) + "&code={code}")
    yield _request(1, "oidc/introspect", form + b"\n" + basic, "token={token}")
    yield _request(0, "oidc/userinfo", b"authorization: Bearer {token}")
    bye = urlencode({"post_logout_redirect_uri": BYE, "state": "s"})
    yield _request(0, f"oidc/logout?{bye}&id_token_hint={{hint}}", cookies)
    yield _request(1, "oidc/logout?client_id=resident", cookies + b"\norigin: " + ISSUER.encode(), "")
    for crit in (b'["b64"]', b"5"):
        head = base64.urlsafe_b64encode(b'{"alg":"RS256","typ":"JWT","kid":"k1","crit":%b}' % crit).rstrip(b"=")
        yield _request(0, f"oidc/logout?id_token_hint={head.decode()}.e30.AAAA", cookies)
    yield _request(0, "oidc/start/resident?ticket=t", cookies)
    yield _request(0, ".well-known/openid-configuration")
    for path in ("verify/resident", "forward/resident/open?ticket=t", "forward/resident/closed", "oidc/jwks", "health"):
        yield _request(0, path, cookies)
    for path in ("ssf/stream", "ssf/status?stream_id=idp", ".well-known/ssf-configuration"):
        yield _request(0, path, bearer)
    yield _request(1, "ssf/status", bearer, '{"stream_id":"idp","status":"enabled","reason":"x"}')
    yield _request(1, "ssf/verify", bearer, '{"stream_id":"idp","state":"x"}')
    yield _request(1, "ssf/poll", bearer, '{"maxEvents":2,"returnImmediately":true,"ack":["1"],"setErrs":{"2":{}}}')


def _request(method: int, target: str, headers: bytes = b"", body: str = "") -> bytes:
    return bytes([method]) + b"\0".join((target.encode(), headers, body.encode()))
