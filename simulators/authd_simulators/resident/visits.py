"""A browser's visit: it begins with a ticket, is bound to one authd session, and ends with it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from authd.client import ClientError, Person
from authd.client.flags import Look, Unmasked
from authd_simulators.resident.copy import Linked

log = logging.getLogger("authd_simulators.resident")
MOST_VISITS = 64
MOST_MASKED = 16


class Door(Linked, Protocol):
    """What of `authd.client.Client` is used here."""

    async def exchange(self, ticket: str) -> Person:
        """Spend a ticket. Raises `ClientError`."""
        ...

    async def who(self, seat: str) -> Person | None:
        """Return who is at the seat; None: nobody, or authd has been silent for 2 s."""
        ...

    def changes(self, seat: str) -> AsyncGenerator[Person | None, None]:
        """Yield who is at the seat, at once and at each change."""
        ...

    async def look(self, person: Person, record: str, *, screen: str, purpose: str) -> Look:
        """Ask, and report, that a person opens a record. Raises `ClientError`: nothing may be shown."""
        ...

    async def unmask(self, look: str, *, purpose: str, shown: str, answers: dict[str, str]) -> Unmasked:
        """Ask the person for a touch. Raises `ClientError`: it stays masked."""
        ...


class TooManyVisits(Exception):
    """`MOST_VISITS` browsers are here."""


@dataclass(eq=False, slots=True)
class Visit:
    """One browser at one seat, for as long as the session lives. `path` and `cookie` are unguessable."""

    person: Person
    path: str = field(default_factory=lambda: secrets.token_hex(16))
    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    masked: dict[str, Look] = field(default_factory=dict[str, Look])
    """By number, what was shown masked last: at most `MOST_MASKED`."""


class Visits:
    """All visits. Nothing here can prolong one: authd's word alone counts, and silence counts as nobody."""

    def __init__(self, door: Door, group: asyncio.TaskGroup) -> None:
        self._door = door
        self._group = group
        self._open: dict[str, Visit] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}

    async def begin(self, ticket: str) -> Visit:
        """Open a visit for the session that the ticket stands for. Raises `ClientError`, `TooManyVisits`."""
        if len(self._open) >= MOST_VISITS:
            raise TooManyVisits
        visit = Visit(await self._door.exchange(ticket))
        self._open[visit.path] = visit
        self._watchers[visit.path] = self._group.create_task(self._watch(visit))
        return visit

    async def find(self, path: str, cookie: str) -> Visit | None:
        """Return the visit if the browser is the one that began it and its person is still at the seat."""
        visit = self._open.get(path)
        if visit is None or not secrets.compare_digest(visit.cookie.encode(), cookie.encode()):
            return None
        if not self._is(await self._who(visit), visit):
            self.end(visit)
            return None
        return visit

    async def look(self, visit: Visit, record: str, *, screen: str, purpose: str) -> Look:
        """Ask what may be shown; the view is recorded. Raises `ClientError`: nothing may be shown."""
        look = await self._door.look(visit.person, record, screen=screen, purpose=purpose)
        if look.masked:
            visit.masked.pop(record, None)
            visit.masked[record] = look
            for oldest in list(visit.masked)[:-MOST_MASKED]:
                del visit.masked[oldest]
        return look

    async def unmask(self, look: Look, purpose: str, shown: str, answers: dict[str, str]) -> Unmasked:
        """Ask the person for a touch. Raises `ClientError`: it stays masked."""
        return await self._door.unmask(look.id, purpose=purpose, shown=shown, answers=answers)

    def end(self, visit: Visit) -> None:
        """End a visit, for ever. Safe to call twice."""
        self._open.pop(visit.path, None)
        visit.ended.set()
        watcher = self._watchers.pop(visit.path, None)
        if watcher is not None:
            watcher.cancel()

    def end_all(self) -> None:
        """End every visit."""
        for visit in list(self._open.values()):
            self.end(visit)

    def __len__(self) -> int:
        return len(self._open)

    async def _who(self, visit: Visit) -> Person | None:
        try:
            return await self._door.who(visit.person.seat)
        except ClientError:
            return None

    async def _watch(self, visit: Visit) -> None:
        """End the visit the moment somebody else, or nobody, is at its seat."""
        try:
            async with aclosing(self._door.changes(visit.person.seat)) as changes:
                async for person in changes:
                    if not self._is(person, visit):
                        break
        except ClientError as error:
            log.warning("a visit ended without authd: %s", error)
        finally:
            self.end(visit)

    @staticmethod
    def _is(person: Person | None, visit: Visit) -> bool:
        return person is not None and (person.session, person.subject) == (
            visit.person.session,
            visit.person.subject,
        )
