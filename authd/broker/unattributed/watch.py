"""Looks again and again, has recorded what belongs to no session, and ends it where the policy says so.

What is there is looked at first, and whose sessions there are is asked afterwards, twice: so nobody is found whose
session was just being recorded. A finding is a row before it is ended. Where authd is silent nobody is there: what was
to be ended is ended then too, and its row follows.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from authd.broker.unattributed.compare import Access, Group, Session, groups
from authd.broker.unattributed.postgresql import MayNotEnd
from authd.broker.unattributed.settings import System
from authd.client import ClientError, DoorError
from authd.client.unattributed import Found, How, OpenFinding, Source, Span, Terms, Why

AGAIN_S: Final = 0.3
"""Between the two questions about sessions."""
SILENT_MS: Final = 2_000
UNTOLD_MS: Final = 10_000
"""After which an authd that answers, and cannot say whose sessions there are, is as good as silent."""
QUIET_MS: Final = 60_000
"""After which somebody who was found in a log, and is not seen there any more, is gone."""
MOST_OPEN: Final = 250
MOST_WAITING: Final = 100_000
"""Lines of a log that wait for authd's answer; the newest."""
MARGIN_MS: Final = 60_000
LONGEST_MS: Final = 30 * 86_400_000
_PASSING: Final = ("busy", "fault", "slow", "ledger_down")
Key = tuple[Why, str, str, str]


class Door(Protocol):
    """What of `authd.client.Client` is needed."""

    async def unattributed_look(self, source: Source, *, system: str | None = None, seen: int = 0) -> Terms:
        """See `Client`."""
        ...

    async def unattributed_sessions(self, start: str, end: str, *, system: str | None = None) -> list[Span]:
        """See `Client`."""
        ...

    async def unattributed_found(
        self,
        source: Source,
        why: Why,
        *,
        account: str,
        address: str,
        since: str,
        place: str = "",
        count: int = 1,
        system: str | None = None,
    ) -> Found:
        """See `Client`."""
        ...

    async def unattributed_ended(self, found: int, how: How, *, count: int = 1, system: str | None = None) -> int:
        """See `Client`."""
        ...


@dataclass(frozen=True, slots=True)
class News:
    """What has happened, for whoever reads the output. `what`: found, ended, kept, silent, heard, blind, unread."""

    what: str
    system: System
    group: Group | None = None
    found: int | None = None
    count: int = 0
    detail: str = ""


@dataclass(slots=True)
class _Open:
    group: Group
    found: int | None = None
    """Number of its row; None: authd has not taken it yet."""
    cut: int = 0
    last_ms: int = 0
    told: bool = False
    kept: bool = False
    """The system does not let us end it."""


def boot_ms() -> int:
    """Milliseconds that nobody sets: how long authd has been silent is measured by them."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


@dataclass(slots=True)
class Watch:
    """One system. `cut`: ends an access, and says whether it was there; None: nothing can be ended here."""

    system: System
    door: Door
    tell: Callable[[News], None]
    wall_ms: Callable[[], int]
    cut: Callable[[Access], Awaitable[bool]] | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    dry: bool = False
    """Nothing is recorded, and nothing is ended."""
    clock_ms: Callable[[], int] = boot_ms
    terms: Terms | None = None
    steps: int = 0
    judged: bool = False
    """Whether the last look was compared: somebody could say whose sessions there were, or that there were none."""
    _open: dict[Key, _Open] = field(default_factory=dict[Key, _Open])
    _waiting: deque[Access] = field(default_factory=lambda: deque[Access](maxlen=MOST_WAITING))
    _heard_ms: int | None = None
    _silent: bool = False
    _refused: bool = False
    """Whether authd took a row no more in this step: it is not asked again before the next."""

    @property
    def _standing(self) -> bool:
        """What is found is there until it is seen no more; a line of a log has happened."""
        return self.system.source == "postgresql"

    async def step(self, accesses: Sequence[Access]) -> Sequence[Group]:
        """Compare what one look has brought; returns what belongs to no session. Raises `DoorError`: not for us."""
        self.steps += 1
        self._refused = False
        if not self._standing:
            accesses = [*self._waiting, *accesses]
            self._waiting.clear()
        found = await self._compare(accesses)
        if found:
            await self.sleep(AGAIN_S)
            found = await self._compare(accesses)
        self.judged = found is not None
        if found is None:  # nobody can say whose they are: nothing is found, and nothing is over
            self._wait(accesses)
            return []
        for group in found:
            await self._one(group)
        await self._over({group.key for group in found})
        return found

    async def finish(self) -> None:
        """It was the last look: what was found in a log is past."""
        for key, known in list(self._open.items()):
            if not self._standing and await self._end(known):
                del self._open[key]

    async def _compare(self, accesses: Sequence[Access]) -> Sequence[Group] | None:
        now = self.wall_ms()
        try:
            terms = await self.door.unattributed_look(self.system.source, system=self.system.named, seen=len(accesses))
            sessions = await self._sessions(accesses, now)
        except ClientError as error:
            if isinstance(error, DoorError) and error.code not in _PASSING:
                raise
            return self._without_authd(accesses, UNTOLD_MS if isinstance(error, DoorError) else SILENT_MS)
        self._hear(terms, now)
        return groups(accesses, sessions, self.system.table.rules(terms.pattern, terms.grace_s))

    async def _sessions(self, accesses: Sequence[Access], now: int) -> list[Session]:
        """Those that may answer for it: of connections those of now, of a log those of its lines' times."""
        start = max(0, min((each.until_ms for each in accesses), default=now) - MARGIN_MS)
        start = min(start, now - MARGIN_MS)  # a log's clock may be ahead of ours
        found: dict[str, Session] = {}
        while start < now:
            end = min(start + LONGEST_MS, now + MARGIN_MS)
            for span in await self.door.unattributed_sessions(iso(start), iso(end), system=self.system.named):
                found[span.session] = _session(span)
            start = end
        return list(found.values())

    def _without_authd(self, accesses: Sequence[Access], patience_ms: int) -> Sequence[Group] | None:
        """Nobody is there, once authd has been silent for so long; who was never heard has said no rules."""
        if self.terms is None or self._heard_ms is None:
            return None
        silent_ms = self.clock_ms() - self._heard_ms
        if silent_ms < patience_ms:
            return None
        if not self._silent:
            self._silent = True
            self._say("silent")
        since = 0 if self._standing else self.wall_ms() - silent_ms + SILENT_MS
        late = [each for each in accesses if each.until_ms >= since]
        self._wait([each for each in accesses if each.until_ms < since])
        return groups(late, [], self.system.table.rules(self.terms.pattern, self.terms.grace_s))

    def _wait(self, accesses: Sequence[Access]) -> None:
        """Lines of a log are read once; these are of a time of which authd can say whose it was, later."""
        if not self._standing:
            self._waiting.clear()
            self._waiting.extend(accesses)

    def _hear(self, terms: Terms, now: int) -> None:
        if self.terms is None and not self.dry:
            self._adopt(terms.open, now)
        if self._silent:
            self._say("heard")
        self._waiting.clear()
        self.terms, self._heard_ms, self._silent = terms, self.clock_ms(), False

    def _adopt(self, open_: Sequence[OpenFinding], now: int) -> None:
        """What an earlier life has found here and not seen end."""
        here = [each for each in open_ if each.place.partition("/")[0] == self.system.place]
        for each in here[:MOST_OPEN]:
            group = Group(each.why, each.account, each.address, each.place, now, now, ())
            self._open[group.key] = _Open(group, each.found, last_ms=self.clock_ms(), told=True)

    async def _one(self, group: Group) -> None:
        ends, known = self.terms is not None and self.terms.end, self._open.get(group.key)
        if known is None and len(self._open) >= MOST_OPEN:  # too many to be told of; ended all the same
            await self._cut(_Open(group), ends=ends)
            return
        known = self._open.setdefault(group.key, _Open(group))
        known.group, known.last_ms = group, self.clock_ms()
        if known.found is None and not self.dry:
            ends = await self._record(known, ends=ends)
        if not known.told:
            known.told = True
            self._say("found", known)
        await self._cut(known, ends=ends)

    async def _record(self, known: _Open, *, ends: bool) -> bool:
        """Have it recorded; returns whether it is to be ended, which waits for no authd that is silent."""
        group = known.group
        if self._refused:
            return ends
        try:
            answer = await self.door.unattributed_found(
                self.system.source,
                group.why,
                account=group.account,
                address=group.address,
                place=group.place,
                since=iso(group.since_ms),
                count=len(group.accesses),
                system=self.system.named,
            )
        except ClientError as error:
            if isinstance(error, DoorError) and error.code not in _PASSING:
                raise
            self._refused = True
            return ends
        known.found = answer.found
        return answer.end

    async def _cut(self, known: _Open, *, ends: bool) -> None:
        if not ends or self.dry or self.cut is None or known.kept:
            return
        for access in known.group.accesses if self._standing else known.group.accesses[:1]:
            try:
                known.cut += await self.cut(access)
            except MayNotEnd as error:
                known.kept = True
                self._say("kept", known, detail=str(error))
                return

    async def _over(self, still: set[Key]) -> None:
        now = self.clock_ms()
        for key, known in list(self._open.items()):
            quiet = self._standing or now - known.last_ms >= QUIET_MS
            if key not in still and quiet and not self._silent and await self._end(known):
                del self._open[key]

    async def _end(self, known: _Open) -> bool:
        """Record that it is over; False: authd does not take it now."""
        how: How = "cut" if known.cut else "gone" if self._standing else "past"
        count = known.cut or len(known.group.accesses)
        if known.found is None and not self.dry:
            await self._record(known, ends=False)
        if not self.dry and not (known.found is not None and await self._told_over(known.found, how, count)):
            return False
        self._say("ended", known, count=count, detail=how)
        return True

    async def _told_over(self, found: int, how: How, count: int) -> bool:
        try:
            await self.door.unattributed_ended(found, how, count=count, system=self.system.named)
        except DoorError as error:
            return error.code == "not_found"  # over already
        except ClientError:
            return False
        return True

    def _say(self, what: str, known: _Open | None = None, *, count: int = 0, detail: str = "") -> None:
        group, found = (known.group, known.found) if known else (None, None)
        count = count or (len(group.accesses) if group else 0)
        self.tell(News(what, self.system, group, found, count, detail))


def _session(span: Span) -> Session:
    return Session(span.session, span.account, _ms(span.start), None if span.end is None else _ms(span.end))


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000)


def iso(wall_ms: int) -> str:
    """Write milliseconds since 1970 as RFC 3339."""
    return datetime.fromtimestamp(max(0, wall_ms) / 1_000, UTC).isoformat(timespec="milliseconds")
