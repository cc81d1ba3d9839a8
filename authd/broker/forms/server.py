"""Signs a browser on to an old web application, for the session whose seat opened it, and off again when that ends.

The browser comes with a ticket of the seat's screen, and leaves with the application's own cookies: the password is
typed here, and reaches neither the person nor the page. Bare ASGI: one path, no body is read.
"""

from __future__ import annotations

import asyncio
import html
import logging
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from http.cookiejar import Cookie
from typing import Any, Final
from urllib.parse import parse_qs

from authd.broker.forms.browser import Unreachable
from authd.broker.forms.legacy import Legacy, Outcome, Visit
from authd.broker.forms.settings import FormSettings
from authd.broker.handing import Refused, hand
from authd.broker.secret import Secret
from authd.broker.vault import Vault, VaultError
from authd.client import Client, ClientError, DoorError, Person
from authd.locale import text

MOST_VISITS: Final = 256
MOST_AT_ONCE: Final = 8
LONGEST_TICKET: Final = 256
TRIES: Final = 3
AGAIN_S: Final = 1.0
LEFT_WITHIN_S: Final = 20.0
"""When the broker ends: for sign-ons that are under way."""
STATUS: Final = {
    "start": 401,
    "nobody": 401,
    "no_account": 403,
    "no_credential": 503,
    "wrong": 502,
    "server": 502,
    "busy": 503,
}
HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
)
PAGE: Final = (
    '<!doctype html><html lang="{language}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>authd</title><body style=\"font:1.2rem/1.7 'Noto Sans CJK JP',sans-serif;max-width:36rem;margin:15vh auto;"
    'padding:0 1rem;color:#222"><p>{said}</p></body></html>'
)
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
log = logging.getLogger("authd.broker.forms")


class FormBroker:
    """One application. Use it as the context in which it serves: leaving it signs everybody off."""

    def __init__(self, terms: FormSettings, legacy: Legacy, client: Client, vault: Vault) -> None:
        self._terms = terms
        self._legacy = legacy
        self._client = client
        self._vault = vault
        self._group = asyncio.TaskGroup()
        self._visits: dict[Visit, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._ending = False

    async def __aenter__(self) -> FormBroker:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._ending = True
        with suppress(TimeoutError):
            async with asyncio.timeout(LEFT_WITHIN_S):
                for _ in range(MOST_AT_ONCE):  # whoever is being let in just now
                    await self._slots.acquire()
        for task in self._visits.values():
            task.cancel()
        await self._group.__aexit__(None, None, None)
        for visit in list(self._visits):  # whose watch had not begun
            await self._sign_off(visit)

    @property
    def visits(self) -> int:
        """How many browsers are signed on."""
        return len(self._visits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        if scope["method"] != "GET" or not scope["path"].endswith("/open"):
            await self._say(scope, send, "start")
            return
        try:
            visit = await self._open(_ticket(scope["query_string"]))
        except _Refusal as refusal:
            await self._say(scope, send, refusal.why)
            return
        headers = [
            (b"location", self._terms.start.encode()),
            *(_set(each, self._terms.secure) for each in visit.cookies),
        ]
        await _answer(send, 303, headers, b"")

    async def _open(self, ticket: str) -> Visit:
        """Spend the ticket, sign on, and keep watch. Raises `_Refusal`."""
        if self.visits >= MOST_VISITS or self._slots.locked():
            raise _Refusal("busy")
        async with self._slots:
            try:
                person = await self._client.exchange(ticket)
                visit = await self._sign_on(person)
            except DoorError:
                raise _Refusal("start") from None
            except Refused as refused:
                raise _Refusal(refused.why.value) from None
            except (Unreachable, VaultError, ClientError) as error:
                log.warning("%s: %s", self._terms.application, error or type(error).__name__)
                raise _Refusal("server") from None
        self._visits[visit] = self._group.create_task(self._watch(person, visit))
        return visit

    async def _sign_on(self, person: Person) -> Visit:
        system = self._terms.system or self._terms.application
        for secret in await hand(self._client, self._vault, system, person):
            outcome, visit = await self._enter(person.account, secret)
            if outcome is Outcome.WRONG:
                continue
            there = False
            try:
                there = await self._there(person) and not self._ending
            finally:
                if not there:
                    await self._sign_off(visit)
            if not there:
                raise _Refusal("nobody")
            return visit
        log.warning("%s: the application does not take what is sealed", self._terms.application)
        raise _Refusal("wrong")

    async def _enter(self, account: str, secret: Secret) -> tuple[Outcome, Visit]:
        """Fill in the form. Given up in the middle, it goes on where nobody sees it, and is signed off again."""
        entering = asyncio.get_running_loop().run_in_executor(None, self._legacy.sign_on, account, secret)
        try:
            return await asyncio.shield(entering)
        except asyncio.CancelledError:
            with suppress(Unreachable):
                await self._sign_off((await entering)[1])
            raise

    async def _there(self, person: Person) -> bool:
        now = await self._client.who(person.seat)
        return now is not None and now.session == person.session

    async def _watch(self, person: Person, visit: Visit) -> None:
        """Wait for the end of the session, whatever it is, and sign off."""
        try:
            async for now in self._client.changes(person.seat):
                if now is None or now.session != person.session:
                    break
        except ClientError as error:
            log.warning("%s: %s", self._terms.application, type(error).__name__)
        finally:
            await self._sign_off(visit)
            self._visits.pop(visit, None)

    async def _sign_off(self, visit: Visit) -> None:
        for again in range(TRIES):
            try:
                await asyncio.to_thread(visit.sign_off)
                return
            except Unreachable as error:
                log.warning("%s: not signed off (%d): %s", self._terms.application, again + 1, error)
                await asyncio.sleep(AGAIN_S)

    async def _say(self, scope: Scope, send: Send, why: str) -> None:
        asked = dict(scope["headers"]).get(b"accept-language", b"").decode("latin-1").lower()
        language = "en" if asked.startswith("en") else "ja"
        said = html.escape(text(f"form.{why}", language))
        page = PAGE.format(language=language, said=said).encode()
        await _answer(send, STATUS[why], [(b"content-type", b"text/html; charset=utf-8")], page)


class _Refusal(Exception):
    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def _ticket(query: bytes) -> str:
    """Return the ticket that a browser brought. Raises `_Refusal`."""
    try:
        found = parse_qs(query.decode("latin-1"), max_num_fields=8).get("ticket", [""])[0]
    except ValueError:
        raise _Refusal("start") from None
    if not 0 < len(found) <= LONGEST_TICKET or not found.isascii() or not found.isprintable():
        raise _Refusal("start")
    return found


def _set(cookie: Cookie, secure: bool) -> tuple[bytes, bytes]:
    """Pass a cookie of the application's on, more strictly than it was given."""
    words = [f"{cookie.name}={cookie.value}", f"Path={cookie.path or '/'}", "HttpOnly", "SameSite=Lax"]
    line = "; ".join([*words, *(["Secure"] if secure else [])])
    return b"set-cookie", "".join(each for each in line if each.isprintable()).encode("latin-1", "replace")


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *HEADERS, length]})
    await send({"type": "http.response.body", "body": body})


async def listening(broker: FormBroker, host: str, port: int) -> None:
    """Serve on loopback until cancelled. Raises `OSError`: cannot listen."""
    import uvicorn

    options: dict[str, Any] = {"http": "h11", "ws": "none", "lifespan": "off", "log_config": None, "access_log": False}
    options |= {"proxy_headers": False, "server_header": False, "limit_concurrency": MOST_AT_ONCE * 8}
    server = uvicorn.Server(uvicorn.Config(broker, timeout_keep_alive=5, timeout_graceful_shutdown=1, **options))
    with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        await server.serve(sockets=[listener])
