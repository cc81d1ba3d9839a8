"""What a visit's requests pass with: its headers, made once for every half minute of the signed assertion in them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine

from authd.client import ClientError, DoorError
from authd.client.questions import now as boottime
from authd.core.model import SECOND, Instant
from authd.web.gateway.forward import told
from authd.web.gateway.sessions import Book, Visit

FRESH = 25 * SECOND
"""After this a new assertion is asked for beside the requests, of which none waits."""
GOOD = 50 * SECOND
"""After this a request waits for the new one: an assertion is good for 60 s, and must arrive good."""
Headers = tuple[tuple[bytes, bytes], ...]
log = logging.getLogger("authd.web.gateway")


class Passport:
    """The headers of one visit."""

    __slots__ = ("_asking", "_at", "_headers", "_names", "_visit")

    def __init__(self, visit: Visit, names: str) -> None:
        self._visit = visit
        self._names = names
        self._headers: Headers = ()
        self._at: Instant | None = None
        self._asking = False

    def headers(self, spawn: Callable[[Coroutine[None, None, None]], None], book: Book) -> Headers | None:
        """Return the headers, if there are any that are good; asks for newer ones in time."""
        age = None if self._at is None else boottime() - self._at
        if age is None or age > GOOD:
            return None
        if age > FRESH and not self._asking:
            self._asking = True
            spawn(self._again(book))
        return self._headers

    async def renew(self, book: Book) -> Headers:
        """Have authd sign a new assertion. Raises `ClientError`; `DoorError` (`not_found`) where it is over."""
        asked = boottime()
        assertion = await book.client.assertion(self._visit.person.session)
        self._headers = told.headers(self._visit.person, self._names, assertion)
        self._at = asked
        return self._headers

    async def _again(self, book: Book) -> None:
        try:
            await self.renew(book)
        except DoorError as error:
            log.warning("%s: no assertion: %s", book.application, error.code)
        except ClientError as error:
            log.warning("%s: no assertion: %s", book.application, type(error).__name__)
        finally:
            self._asking = False
