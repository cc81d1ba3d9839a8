"""The gate of one application: who may pass, and who comes in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from authd.client import ClientError, DoorError
from authd.web.gateway import answers
from authd.web.gateway.browser import Closed, cookie, refuse, set_cookie
from authd.web.gateway.forward.guard import Guard
from authd.web.gateway.forward.passport import Headers, Passport
from authd.web.gateway.forward.stream import Streams
from authd.web.gateway.sessions import Book, TooManyVisits, Visit
from authd.web.gateway.settings import Forward

PASSPORT = "forward"
SPENT = frozenset({"not_found", "expired"})
log = logging.getLogger("authd.web.gateway")


class Gate:
    """Answers the proxy's question, and the browser's few."""

    def __init__(
        self, application: str, forward: Forward, book: Book, spawn: Callable[[Coroutine[None, None, None]], None]
    ) -> None:
        self._forward = forward
        self._book = book
        self._spawn = spawn
        self._secure = forward.origin.startswith("https://")
        self._cookie = f"{'__Host-' if self._secure else ''}authd-{application}"
        self._guard = Guard(forward)
        self._streams = Streams(book)

    async def verify(self, scope: Scope, send: Send) -> None:
        """Tell the proxy whether this request may pass."""
        visit = self._book.find(cookie(scope, self._cookie))
        if visit is None:
            await refuse(scope, send, self._why())
            return
        passport = self._passport(visit)
        headers = passport.headers(self._spawn, self._book) or await self._renewed(passport)
        if headers is None or not self._book.good(visit):
            await refuse(scope, send, self._why())
            return
        await answers.pass_on(send, 200, ((b"content-length", b"0"), (b"cache-control", b"no-store"), *headers))

    async def answer(self, word: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a browser that asks below `/.authd/`."""
        if scope["method"] != "GET":  # HEAD neither: it would spend a ticket, and a stream has no end to wait for
            await answers.say(send, 405, b"only GET\n", extra=((b"allow", b"GET"),))
        elif word in self._guard.files:
            kind, body = self._guard.files[word]
            await answers.say(send, 200, body, kind)
        elif word == "open":
            await self._open(scope, send)
        elif word == "stream":
            await self._stream(scope, receive, send)
        elif word == "frame":
            await self._frame(scope, send)
        elif word == "closed":
            await refuse(scope, send, self._why())
        else:
            await answers.say(send, 404, b"not found\n")

    async def _open(self, scope: Scope, send: Send) -> None:
        try:
            ticket = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=8).get("ticket", [""])[0]
        except ValueError:
            ticket = ""
        try:
            visit, value = await self._book.open(ticket)
        except TooManyVisits:
            await refuse(scope, send, Closed.FULL)
        except DoorError as error:
            await refuse(scope, send, Closed.TICKET if error.code in SPENT else Closed.SILENT)
        except ClientError:
            await refuse(scope, send, Closed.SILENT)
        else:
            await self._let_in(scope, send, visit, value)

    async def _let_in(self, scope: Scope, send: Send, visit: Visit, value: str) -> None:
        before = self._book.find(cookie(scope, self._cookie))
        if before is not None:
            self._book.leave(before)
        if not visit.person.account:
            log.error("%s: no account for a person; set `account` of the application", self._book.application)
            self._book.leave(visit)
            await refuse(scope, send, Closed.ACCOUNT)
            return
        framed = bool(self._forward.framed_by)
        told = set_cookie(self._cookie, value, secure=self._secure, framed=framed)
        await answers.go(send, self._guard.start, ((b"set-cookie", told),))

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = self._book.find(cookie(scope, self._cookie))
        if visit is None:
            await refuse(scope, send, self._why())
        else:
            await self._streams.run(visit, receive, send)

    async def _frame(self, scope: Scope, send: Send) -> None:
        if self._book.find(cookie(scope, self._cookie)) is None:
            await refuse(scope, send, self._why())
        else:
            await answers.say(send, 200, self._guard.frame, b"text/html; charset=utf-8", self._guard.frame_policy)

    def _passport(self, visit: Visit) -> Passport:
        found = visit.notes.get(PASSPORT)
        if not isinstance(found, Passport):
            found = visit.notes[PASSPORT] = Passport(visit, self._forward.names)
        return found

    async def _renewed(self, passport: Passport) -> Headers | None:
        try:
            return await passport.renew(self._book)
        except ClientError as error:
            log.warning("%s: no assertion: %s", self._book.application, type(error).__name__)
            return None

    def _why(self) -> Closed:
        return Closed.START if self._book.alive else Closed.SILENT
