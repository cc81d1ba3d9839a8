"""Who has come in, through which browser, and whether that may still be believed: one live book for each application.

A browser brings a ticket from the seat's screen; the book exchanges it under the application's key and hands out a
cookie, 256 random bits of which only a hash is kept. The cookie is good for that session and dies with it: at the lock
that authd pushes, at the durable `session.ended`, or when authd has not been heard for 2 s, whichever comes first.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field

from authd.client import Client, ClientError, DoorError, Person
from authd.client.channel import SILENCE, STREAM_ID, BackOff, Caller, request, stream
from authd.client.link import Channel, Gone
from authd.client.questions import now as boottime
from authd.client.values import Frame, Presence, decode, event
from authd.core.model import SECOND, EndReason, Instant, Kind, SessionId

GOOD_FOR = 2 * SECOND
MAX_VISITS = 1_024
MAX_VISITS_OF_A_SESSION = 8
REMEMBERED_ENDS = 1_024
LONGEST_TICKET = 256
FIRST_QUESTION = STREAM_ID + 1

Ended = Callable[[Person, EndReason | None], None]
log = logging.getLogger("authd.web.gateway")


class TooManyVisits(Exception):
    """More browsers are open than this book keeps."""


@dataclass(slots=True, eq=False)
class Visit:
    """One browser that has been let in."""

    person: Person
    key: bytes = field(repr=False)
    """Hash of its cookie."""
    came: Instant
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    doubted: bool = False
    """authd was not heard for a while: not believed until it has said that this session is still there."""
    notes: dict[str, object] = field(default_factory=dict[str, object], repr=False)
    """What a surface keeps for as long as the visit lasts, under its own name."""


class Book:
    """The visits of one application. Use `opened`; questions of the surfaces' own go through `client`."""

    def __init__(self, application: str, caller: Caller, client: Client, now: Callable[[], Instant] = boottime) -> None:
        self.application = application
        self.client = client
        self._caller = caller
        self._now = now
        self._visits: dict[bytes, Visit] = {}
        self._of: dict[SessionId, list[Visit]] = {}
        self._over: deque[SessionId] = deque(maxlen=REMEMBERED_ENDS)
        self._listeners: list[Ended] = []
        self._heard: Instant | None = None
        self._streams = 0
        """How often following has begun."""

    # What a surface asks.

    @property
    def alive(self) -> bool:
        """Whether authd has been heard within the last 2 s."""
        return self._heard is not None and self._now() - self._heard < GOOD_FOR

    @property
    def left_s(self) -> float:
        """Seconds for which authd's last word is still good; 0: no longer."""
        return 0.0 if self._heard is None else max(0, self._heard + GOOD_FOR - self._now()) / SECOND

    async def open(self, ticket: str) -> tuple[Visit, str]:
        """Exchange a ticket; return the visit and its cookie, which is told here and never again.

        Nobody comes in while authd is not followed: their lock would not be heard, and a ticket that was not spent can
        be brought again. Raises `DoorError` (`not_found`, `expired`: start again from the seat's screen),
        `ClientError`, `TooManyVisits`.
        """
        if not 0 < len(ticket) <= LONGEST_TICKET or not ticket.isascii() or not ticket.isprintable():
            raise DoorError("not_found")
        if len(self._visits) >= MAX_VISITS:
            raise TooManyVisits
        told_by = self._streams
        if not self.alive:
            raise Gone("authd is not heard")
        person = await self.client.exchange(ticket)
        if self._heard is None or self._streams != told_by:  # a lock in the gap between two streams is told by neither
            raise Gone("authd was not heard for a moment")
        if person.session in self._over:
            raise DoorError("not_found")
        cookie = secrets.token_urlsafe(32)
        visit = Visit(person, _hash(cookie), self._now())
        self._enter(visit)
        return visit, cookie

    def find(self, cookie: str) -> Visit | None:
        """Return the visit of a cookie, if its session is active now by all that is known. Waits for nothing."""
        visit = self._visits.get(_hash(cookie)) if 0 < len(cookie) <= LONGEST_TICKET else None
        return visit if visit is not None and self.good(visit) else None

    def good(self, visit: Visit) -> bool:
        """Whether a visit that was found may be believed now."""
        return not visit.ended.is_set() and not visit.doubted and self.alive

    def visits(self, session: SessionId) -> tuple[Visit, ...]:
        """Return the visits of a session that has not ended, of browsers that have not left."""
        return tuple(each for each in self._of.get(session, ()) if not each.ended.is_set())

    def on_end(self, listener: Ended) -> None:
        """Call `listener` with whoever's session ended and why, at once, in the loop. It must not wait or raise.

        Only of sessions that came in through this book; the reason is None where authd did not say one.
        """
        self._listeners.append(listener)

    def leave(self, visit: Visit) -> None:
        """Believe one browser no longer; the session goes on at the seat.

        It stays in the book until then: the system may keep something for it, and is told when the session ends.
        """
        visit.ended.set()

    # What keeps it true.

    async def follow(self) -> None:
        """Follow authd for ever."""
        back_off, told = BackOff(), False
        while True:
            try:
                await self._attend(back_off)
            except ClientError as error:
                if self._heard is not None or not told:
                    log.warning("%s: authd is not heard: %s", self.application, error)
                told = True
            self._heard = None
            for visit in self._visits.values():
                visit.doubted = True
            await back_off.sleep()

    async def _attend(self, back_off: BackOff) -> None:
        async with self._caller.connected() as channel, aclosing(stream(channel, "follow", {})) as frames:
            async for frame, raw in frames:
                back_off.reset()
                if frame.id != STREAM_ID:
                    self._told(decode(raw, Presence))
                elif frame.after is not None:
                    self._heard = self._now()
                    self._streams += 1
                    await self._ask_again(channel)
                else:
                    self._note(frame)

    async def _ask_again(self, channel: Channel) -> None:
        """Ask who is at the seats of visits that are doubted; the stream runs already, so no lock is missed between."""
        seats = {visit.person.seat for visit in self._visits.values() if visit.doubted}
        for number, seat in enumerate(seats, FIRST_QUESTION):
            await channel.send(request(number, "who", {"seat": seat}))

    def _told(self, presence: Presence) -> None:
        for visit in [each for each in self._visits.values() if each.doubted and each.person.seat == presence.seat]:
            if presence.session == visit.person.session:
                visit.doubted = False
            else:
                self._end(visit.person.session, None)

    def _note(self, frame: Frame) -> None:
        if frame.beat is not None:
            self._heard = self._now()
        elif frame.lock is not None:
            self._end(SessionId(frame.lock.get("session", "")), _reason(frame.lock.get("reason")))
        elif bytes(frame.event):
            # Its signature is not checked: the connection is authd's own, and an end only ever closes.
            happened = event(bytes(frame.event))
            if happened.kind == Kind.SESSION_ENDED and happened.session is not None:
                self._end(happened.session, happened.reason)

    def _enter(self, visit: Visit) -> None:
        mates = self._of.setdefault(visit.person.session, [])
        mates.append(visit)
        self._visits[visit.key] = visit
        if len(mates) > MAX_VISITS_OF_A_SESSION:
            self._drop(next((each for each in mates if each.ended.is_set()), mates[0]))

    def _drop(self, visit: Visit) -> None:
        """Forget one browser of several: the end of their session is told for the others."""
        self._of[visit.person.session].remove(visit)
        self._visits.pop(visit.key, None)
        visit.ended.set()

    def _end(self, session: SessionId, reason: EndReason | None) -> None:
        if session in self._over:
            return
        self._over.append(session)
        visits = self._of.pop(session, [])
        for visit in visits:
            self._visits.pop(visit.key, None)
            visit.ended.set()
        if visits:
            for listener in self._listeners:
                listener(visits[0].person, reason)


def opened(
    application: str, dial: Callable[[], Caller], now: Callable[[], Instant] = boottime
) -> AbstractAsyncContextManager[Book]:
    """Return a book that follows authd while its context lasts. `dial` makes what opens connections, twice."""

    @asynccontextmanager
    async def context() -> AsyncGenerator[Book, None]:
        async with Client(dial(), SILENCE) as client, asyncio.TaskGroup() as group:
            caller = dial()
            book = Book(application, caller, client, now)
            following = group.create_task(book.follow())
            try:
                yield book
            finally:
                following.cancel()
                caller.close()

    return context()


def _hash(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "surrogateescape")).digest()


def _reason(said: str | None) -> EndReason | None:
    return EndReason(said) if said in set(EndReason) else None
