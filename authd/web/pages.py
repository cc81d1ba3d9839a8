"""The pages that are open now: who may speak for a seat's screen, and how often.

A page gets a random name with its stream and says it with every press: only somebody who is being shown the seat's face
can press its buttons, and only while the session that they were shown is the present one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field

from authd.core.model import SECOND, Instant, SeatId, SessionId, SubjectId

MAX_PAGES_PER_SEAT = 4
ACTIVITY_EVERY = 1 * SECOND


class TooManyPages(Exception):
    """A seat's screen is open in too many places."""


@dataclass(slots=True)
class Page:
    """One open stream: its unguessable name, its seat, and what it was last shown: whose turn, and which prompt."""

    name: str
    seat: SeatId
    turn: str | None = None
    ask: str | None = None
    """None: nothing is asked for, or it was answered."""
    session: SessionId | None = None
    """Whose turn it is, by the name that the core knows and the page does not."""
    tiles: dict[str, SubjectId] = field(default_factory=dict[str, SubjectId])
    """People who can be named by this page, under names made for it."""

    def lay(self, subjects: Iterable[str]) -> None:
        """Put tiles for these people in place of all earlier ones."""
        self.tiles = {secrets.token_hex(8): SubjectId(subject) for subject in subjects}


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
