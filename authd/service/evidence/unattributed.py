"""What is logged in to a wired system and belongs to no session here: recorded once, ended where the policy says so.

Whoever compares (`authd unattributed`) stands beside the system, sees its connections or its log, and asks here whose
sessions there were. What it finds is a row before anything is ended, and a second row once it is there no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Final

from authd.core.model import SECOND, Entry, Grade, Instant, Kind, SeatId, SessionId, SubjectId, Value
from authd.service.bus.envelope import account
from authd.service.bus.house import Error, Peer, Refused, Role
from authd.service.evidence.ground import Ground, Part
from authd.service.evidence.views.bounds import Tokens
from authd.service.ledger import Recorded

MOST_OPEN: Final = 250
"""Findings that are not over; each is one kind of access, however many connections it has."""
ROWS_A_SECOND, ROWS_AT_ONCE = 1.0, 60
"""Findings that are recorded; whoever has more comes again.

Both are of one system's one source: whoever fills a web log hides nothing of its database, or of another system."""
REMEMBERED_MS: Final = 7 * 86_400_000
"""A finding that nobody has spoken of for so long is not taken up again by a later life."""
MOST_DAYS: Final = 31
SILENT: Final = 30 * SECOND
log = logging.getLogger("authd.unattributed")


class Why(StrEnum):
    """Why nobody answers for an access (closed list; the words are in `authd/locale`)."""

    SHARED = "shared"
    """The account is no person's: several may know its password."""
    NOBODY = "nobody"
    """The account is a person's, and they were at no seat."""
    BEFORE = "before"
    """It began before the person sat down, and has outlived whatever began it."""
    ELSEWHERE = "elsewhere"
    """It comes from a place where the system's sessions do not come from."""
    SESSION = "session"
    """It names a session that is over, or another person's."""


class How(StrEnum):
    """How it came to be there no more."""

    CUT = "cut"
    """It was ended, because the policy says so."""
    GONE = "gone"
    """It went by itself."""
    PAST = "past"
    """It was over before it was found, in a log."""


@dataclass(frozen=True, slots=True)
class Access:
    """One kind of access: what the system calls it, and where it comes from. No query, no page, no record."""

    system: str
    source: str
    """`postgresql` or `weblog`."""
    why: Why
    account: str
    address: str
    place: str
    """A database, a web site: as the system calls it."""


@dataclass(frozen=True, slots=True)
class Span:
    """One session at one of the system's seats."""

    session: SessionId
    subject: SubjectId
    seat: SeatId
    account: str
    start_ms: int
    end_ms: int | None


@dataclass(frozen=True, slots=True)
class Terms:
    """What the policy says to whoever compares."""

    end: bool
    """Whether what is found is to be ended."""
    grace_s: float
    """How long an access may outlive its session before it is found."""
    pattern: str
    """What the system calls a person, `{staff_number}` standing for theirs; empty: it has no accounts."""
    open: Sequence[tuple[int, Access]]
    """Findings of this source that are not over."""


class Unattributed(Part):
    """The findings of this host."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._open: OrderedDict[int, Access] = OrderedDict()
        self._tokens: dict[tuple[str, str], Tokens] = {}
        self._looked: dict[tuple[str, str], tuple[Instant, int]] = {}
        self._unrecorded = 0
        self._writing = asyncio.Lock()
        """What is found, or over, twice at once is one row."""

    async def begin(self) -> None:
        """Read which findings are not over."""
        since = self.ground.clock.wall_ms() - REMEMBERED_MS
        for row in await self.ground.ledger.entries(f"kind:{Kind.UNATTRIBUTED_FOUND}", since):
            if (access := _access(row)) is not None:
                self._open[row.seq] = access
        for row in await self.ground.ledger.entries(f"kind:{Kind.UNATTRIBUTED_ENDED}", since):
            found = row.entry.data.get("found")
            self._open.pop(found if isinstance(found, int) else 0, None)
        for seq, access in list(self._open.items()):
            if len(self._of(access.system, access.source)) > MOST_OPEN:
                del self._open[seq]

    def look(self, system: str, source: str, seen: int) -> Terms:
        """Somebody compares this system now, and sees so much of it."""
        self._looked[system, source] = (self.ground.clock.now(), seen)
        settings, application = self.ground.pdp.bundle.settings.unattributed, self.ground.config.applications[system]
        return Terms(settings.ends(system), settings.grace_s, application.account, self._of(system, source))

    def _of(self, system: str, source: str) -> Sequence[tuple[int, Access]]:
        return [(seq, each) for seq, each in self._open.items() if (each.system, each.source) == (system, source)]

    async def sessions(self, system: str, start_ms: int, end_ms: int) -> Sequence[Span]:
        """Every session that touched [start, end) at one of the system's seats, by their beginning."""
        config, known = self.ground.config, self.ground.store.people
        if not 0 <= end_ms - start_ms <= MOST_DAYS * 86_400_000:
            raise Refused(Error.BAD_REQUEST, f"ask about at most {MOST_DAYS} days at once")
        peer = Peer(Role.APPLICATION, system, account=config.applications[system].account)
        found: list[Span] = []
        for seat in (each.id for each in config.seats.values() if system in each.applications):
            for stay in await self.ground.ledger.presence(seat, start_ms, end_ms):
                person = known.get(stay.subject)
                name = account(person, peer).get("account", "") if person is not None else ""
                over = stay.until_ms
                if over is None and self.ground.owner(stay.session) is None:
                    over = self.ground.clock.wall_ms()  # ended, and its row is on the way
                found.append(Span(stay.session, stay.subject, seat, name, stay.since_ms, over))
        return sorted(found, key=lambda span: span.start_ms)

    async def found(self, access: Access, *, since_ms: int, count: int) -> tuple[int, bool]:
        """Record it, once; return the row's number, and whether the policy ends it. Raises `LedgerDown`, `Refused`."""
        ends = self.ground.pdp.bundle.settings.unattributed.ends(access.system)
        async with self._writing:
            seq = next((seq for seq, each in self._open.items() if each == access), None)
            return (seq if seq is not None else await self._record(access, since_ms, count, ends=ends)), ends

    async def _record(self, access: Access, since_ms: int, count: int, *, ends: bool) -> int:
        if len(self._of(access.system, access.source)) >= MOST_OPEN or not self._may_write(access):
            self._unrecorded += 1
            raise Refused(Error.BUSY, "too much was found at once: what was found first is recorded; say this again")
        data: dict[str, Value] = {**asdict(access), "why": access.why.value, "since_ms": since_ms, "count": count}
        data |= {"ends": ends, "policy": self.ground.pdp.bundle.hash}
        entry = Entry(Kind.UNATTRIBUTED_FOUND, at=self.ground.clock.now(), grade=Grade.DEVICE, data=data)
        seq = await self.ground.ledger.append(entry)
        self._open[seq] = access
        log.warning("%s: access that belongs to no session (%s, %s)", access.system, access.source, access.why)
        return seq

    async def ended(self, system: str, found: int, how: How, count: int) -> int:
        """Record that it is there no more; return the row's number. Raises `LedgerDown`, `Refused`."""
        async with self._writing:
            access = self._open.get(found)
            if access is None or access.system != system:
                raise Refused(Error.NOT_FOUND, "no such finding, or it is over already")
            data: dict[str, Value] = {"found": found, "system": system, "source": access.source}
            data |= {"how": how.value, "count": count}
            entry = Entry(Kind.UNATTRIBUTED_ENDED, at=self.ground.clock.now(), grade=Grade.DEVICE, data=data)
            seq = await self.ground.ledger.append(entry)
            self._open.pop(found, None)
            return seq

    def state(self) -> Mapping[str, object]:
        """What is open, and who has not compared for long."""
        now = self.ground.clock.now()
        compared = {
            f"{system}/{source}": {"seconds_ago": (now - at) // SECOND, "seen": seen, "silent": now - at > SILENT}
            for (system, source), (at, seen) in self._looked.items()
        }
        return {"open": len(self._open), "unrecorded": self._unrecorded, "compared": compared}

    def _may_write(self, access: Access) -> bool:
        now, of = self.ground.clock.now(), (access.system, access.source)
        return self._tokens.setdefault(of, Tokens(ROWS_A_SECOND, ROWS_AT_ONCE, now)).take(now)


def _access(row: Recorded) -> Access | None:
    data = row.entry.data
    try:
        words = {each.name: str(data[each.name]) for each in fields(Access) if each.name != "why"}
        return Access(why=Why(str(data["why"])), **words)
    except (KeyError, ValueError):
        return None  # of a later version, which knows more reasons
