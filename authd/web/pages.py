"""The pages that are open now: who may speak for a seat's screen, and how often.

A page gets a random name with its stream and says it with every press: only somebody who is being shown the seat's face
can press its buttons, and only while the session that they were shown is the present one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from authd.core.model import SECOND, Instant, SeatId

MAX_PAGES_PER_SEAT = 4
ACTIVITY_EVERY = 1 * SECOND


class TooManyPages(Exception):
    """A seat's screen is open in too many places."""


@dataclass(slots=True)
class Page:
    """One open stream: its unguessable name, its seat, and the turn it was last shown."""

    name: str
    seat: SeatId
    turn: str | None = None


class Pages:
    """Every open stream of this process."""

    def __init__(self, now: Callable[[], Instant]) -> None:
        self._now = now
        self._open: dict[str, Page] = {}
        self._stirred: dict[SeatId, Instant] = {}

    @contextmanager
    def opened(self, seat: SeatId) -> Generator[Page, None, None]:
        """Keep a page for as long as its stream runs. Raises `TooManyPages`."""
        if sum(page.seat == seat for page in self._open.values()) >= MAX_PAGES_PER_SEAT:
            raise TooManyPages
        page = Page(secrets.token_hex(16), seat)
        self._open[page.name] = page
        try:
            yield page
        finally:
            del self._open[page.name]

    def find(self, name: str, seat: SeatId) -> Page | None:
        """Return the open page of this name, if it shows this seat."""
        page = self._open.get(name)
        return page if page is not None and page.seat == seat else None

    def may_stir(self, seat: SeatId) -> bool:
        """Say whether activity is forwarded now: once a second and seat at most."""
        now = self._now()
        last = self._stirred.get(seat)
        if last is not None and now - last < ACTIVITY_EVERY:
            return False
        self._stirred[seat] = now
        return True
