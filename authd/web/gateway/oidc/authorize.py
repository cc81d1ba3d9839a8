"""The browser's way: in with a ticket, then to the client with a code, after a fresh touch where the client asks."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import Scope, Send

from authd.client import ClientError, DoorError
from authd.core.model import SECOND, Acr, Instant
from authd.web.gateway.answers import go
from authd.web.gateway.browser import Closed, cookie, refuse, set_cookie
from authd.web.gateway.oidc.asked import Answerable, Asked, BadRequest, Fault, asked, target
from authd.web.gateway.oidc.clients import Client
from authd.web.gateway.oidc.grants import Grants
from authd.web.gateway.oidc.keys import Published, payload
from authd.web.gateway.oidc.pages import show
from authd.web.gateway.sessions import TooManyVisits, Visit

TOUCH_WITHIN: Final = 60 * SECOND
MOST_PENDING: Final = 256
SPENT: Final = frozenset({"not_found", "expired"})
PURPOSE: Final = "sign-in"
log = logging.getLogger("authd.web.gateway")


@dataclass(frozen=True, slots=True)
class Pending:
    """A request that waits for a touch."""

    asked: Asked
    visit: Visit
    until: Instant


class Authorize:
    """Answers browsers."""

    def __init__(
        self, issuer: str, clients: Mapping[str, Client], grants: Grants, keys: Published, now: Callable[[], Instant]
    ) -> None:
        self._issuer = issuer
        self._clients = clients
        self._grants = grants
        self._keys = keys
        self._now = now
        self._secure = issuer.startswith("https://")
        self._pending: OrderedDict[str, Pending] = OrderedDict()

    def visit(self, client: Client, scope: Scope) -> Visit | None:
        """Return the visit of this browser, if its session is active now."""
        return client.book.find(cookie(scope, self._cookie(client)))

    async def start(self, name: str, given: Mapping[str, str], scope: Scope, send: Send) -> None:
        """Spend a ticket, and go to the client. Raises `BadRequest`."""
        client = self._clients.get(name)
        if client is None:
            raise BadRequest(Fault.CLIENT)
        try:
            _, value = await client.book.open(given.get("ticket", ""))
        except DoorError as error:
            await refuse(scope, send, Closed.TICKET if error.code in SPENT else Closed.SILENT)
        except ClientError:
            await refuse(scope, send, Closed.SILENT)
        except TooManyVisits:
            await refuse(scope, send, Closed.FULL)
        else:
            set_ = set_cookie(self._cookie(client), value, secure=self._secure, framed=client.table.framed)
            await go(send, client.table.start, ((b"set-cookie", set_),))

    async def authorize(self, given: Mapping[str, str], scope: Scope, send: Send) -> None:
        """Answer an authorization request. Raises `BadRequest`, `Answerable`, `ClientError`, `WrongIssuer`."""
        wanted = asked(given, target(given, self._clients))
        await self._keys.jwks()
        client = wanted.target.client
        visit = self.visit(client, scope)
        if visit is None and wanted.silent:
            raise Answerable(wanted.target, "login_required")
        if visit is None:
            await refuse(scope, send, Closed.START if client.book.alive else Closed.SILENT)
            return
        await self._expected(wanted, visit)
        if not await self._touch_due(wanted, visit):
            await self._permit(wanted, visit, send)
        elif wanted.silent:
            raise Answerable(wanted.target, "login_required")
        else:
            await show(send, 200, "touch", then=f"/oidc/touched?r={self._wait(wanted, visit)}")

    async def touched(self, given: Mapping[str, str], scope: Scope, send: Send) -> None:
        """Ask the person for a touch, wait for it, and answer the request that waits. Raises as `authorize`."""
        waits = self._pending.pop(_hash(given.get("r", "")), None)
        if waits is None or self._now() >= waits.until:
            raise BadRequest(Fault.REQUEST)
        wanted, client = waits.asked, waits.asked.target.client
        if self.visit(client, scope) is not waits.visit:
            await refuse(scope, send, Closed.START)
            return
        words = [each.value for each in wanted.acr_values]
        try:
            answer = await client.book.client.step_up(waits.visit.person.session, PURPOSE, acr_values=words)
        except DoorError as error:
            raise _over(error, wanted) from None
        if not answer.stepped_up:
            raise Answerable(wanted.target, "unmet_authentication_requirements" if words else "access_denied")
        await self._permit(wanted, waits.visit, send)

    async def _expected(self, wanted: Asked, visit: Visit) -> None:
        """Whoever the client expects must be who is there. Raises `Answerable`."""
        if not wanted.hint:
            return
        hinted = await self._keys.hinted(wanted.hint)
        if hinted is None or hinted.get("sub") != visit.person.subject:
            raise Answerable(wanted.target, "login_required")

    async def _touch_due(self, wanted: Asked, visit: Visit) -> bool:
        """Whether what authd says of the last act is too old, or too little."""
        if wanted.anew:
            return True
        if wanted.max_age is None and not wanted.acr_values:
            return False
        said = await self._standing(wanted, visit)
        old = wanted.max_age is not None and said["iat"] - said["auth_time"] >= wanted.max_age
        weak = bool(wanted.acr_values) and said["acr"] not in (*wanted.acr_values, Acr.TWO)
        return old or weak

    async def _standing(self, wanted: Asked, visit: Visit) -> dict[str, Any]:
        try:
            return payload(await wanted.target.client.book.client.assertion(visit.person.session))
        except DoorError as error:
            raise _over(error, wanted) from None

    async def _permit(self, wanted: Asked, visit: Visit, send: Send) -> None:
        if not wanted.target.client.book.good(visit):
            raise Answerable(wanted.target, "login_required")
        await go(send, wanted.target.url(self._issuer, code=self._grants.code(wanted, visit)))

    def _wait(self, wanted: Asked, visit: Visit) -> str:
        while len(self._pending) >= MOST_PENDING:
            self._pending.popitem(last=False)
        token = secrets.token_urlsafe(32)
        self._pending[_hash(token)] = Pending(wanted, visit, Instant(self._now() + TOUCH_WITHIN))
        return token

    def _cookie(self, client: Client) -> str:
        return f"{'__Host-' if self._secure else ''}authd-oidc-{client.id}"


def _over(error: DoorError, wanted: Asked) -> Exception:
    """Return what it means that authd says no about a session that was active a moment ago."""
    return Answerable(wanted.target, "login_required") if error.code in SPENT else error


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
