"""Changing the registry: two different persons, each with a fresh touch; the ledger first, then everybody else."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from authd.core.model import SECOND, Entry, Instant, Kind, SeatId, Session, Value
from authd.core.ports import LedgerDown
from authd.service.bus.house import Error, Refused
from authd.service.evidence.flags.book import KINDS, MOST_RECORDS, Book, Change, Flag, Why, Wish, rows, written
from authd.service.evidence.ground import Ground
from authd.service.evidence.records import RecordId
from authd.service.ledger import Recorded

PURPOSE: Final = "authd/flags"
"""What both persons confirm; the policy is asked about it as a step-up."""
YEAR, LONGEST = timedelta(days=365), timedelta(days=366)
"""After which a protection is looked at again, and at the latest."""
WAITS: Final = 7 * 86_400 * SECOND
"""How long a request waits for its second person; a restart begins it anew."""
MOST_WAITING: Final = 256
MOST_FLAGS: Final = 100_000
_AGAIN_S: Final = 1.0
log = logging.getLogger("authd.flags")


class Registry:
    """The one registry of the house. `changed` is replaced, and set, at each change."""

    def __init__(self, ground: Ground) -> None:
        self.book = Book()
        self.changed = asyncio.Event()
        self._ground = ground
        self._one = asyncio.Lock()
        """One change at a time, from the question whether it may be to its durable row."""
        self._begun: dict[str, Instant] = {}
        self._doubt = asyncio.Event()
        """A row may have become durable though its append failed."""

    async def begin(self) -> None:
        """Read the registry out of the ledger. Raises `LedgerDown`."""
        for row in await self._rows():
            self.book.hear(row)

    async def watch(self) -> None:
        """Drop what has waited too long, and read again what may have become durable after all."""
        while True:
            try:
                async with asyncio.timeout(60 * _AGAIN_S):
                    await self._doubt.wait()
                await asyncio.sleep(_AGAIN_S)
                await self._read_again()
            except TimeoutError:
                await self._drop_old()
            except LedgerDown:
                await asyncio.sleep(_AGAIN_S)

    # What people do.

    async def request(
        self, seat: SeatId, change: Change, records: Sequence[RecordId], until: str = "", case: str = ""
    ) -> Wish:
        """The first person asks, at their own seat, with a touch. Raises `Refused`, `LedgerDown`."""
        self._may_ask(change, records)
        self._check_day(until)
        session = await self._fresh(seat)
        flag = self._may_ask(change, records)  # a touch takes a while
        of = flag.standing.set_in if flag is not None and change is Change.RELEASE else 0
        covered = self.book.together(flag) if flag is not None and change is not Change.SET else tuple(records)
        wish = Wish(
            request="req_" + secrets.token_hex(8),
            change=change,
            records=tuple(dict.fromkeys(covered))[:MOST_RECORDS],
            by=session.subject,
            at=0,
            of=of,
            until="" if of else until or (self._today() + YEAR).isoformat(),
            case=case or (flag.case if flag is not None else ""),
        )
        await asyncio.shield(self._write(Kind.FLAG_REQUESTED, seat, session, written(wish)))
        kept = self.book.wish(wish.request)
        return kept if kept is not None else wish

    async def approve(self, request: str, seat: SeatId, *, refuse: bool = False) -> tuple[Wish, int]:
        """The second person answers, at any seat, with a touch. Returns the change and its version.

        Raises `Refused`, `LedgerDown`. `refuse`: the request comes to nothing, and the version is 0.
        """
        wish = self._waiting(request)
        owner = self._owner(seat)
        if owner.subject == wish.by and not refuse:
            raise Refused(Error.REFUSED, "the person who asked cannot approve: another one is to log in and touch")
        session = await self._fresh(seat)
        # Whoever hangs up now does not take it back: what is durable is heard, by the same task.
        return await asyncio.shield(self._answer(request, seat, session, refuse=refuse))

    # Pieces.

    async def _answer(self, request: str, seat: SeatId, session: Session, *, refuse: bool) -> tuple[Wish, int]:
        async with self._one:
            wish = self._waiting(request)
            if refuse:
                await self._drop(wish, Why.REFUSED, seat, session)
                return wish, 0
            if self.book.overtaken(wish):
                await self._drop(wish, Why.OVERTAKEN, seat, session)
                raise Refused(
                    Error.REFUSED, "overtaken: protected anew since this release was asked for; ask again if it holds"
                )
            data: dict[str, Value] = {**written(wish), "first": wish.by}
            return wish, await self._write(KINDS[wish.change], seat, session, data)

    def _may_ask(self, change: Change, records: Sequence[RecordId]) -> Flag | None:
        if len(self.book.waiting) >= MOST_WAITING:
            raise Refused(Error.BUSY, "too many requests wait for a second person: approve or refuse those first")
        if change is Change.SET:
            if len(self.book.flags) + len(records) > MOST_FLAGS:
                raise Refused(Error.BUSY, f"the registry is full: at most {MOST_FLAGS} records")
            return None
        flag = self.book.find(records[0])
        if flag is None or not flag.protected:
            raise Refused(Error.NOT_FOUND, f"there is nothing to {change.value}: this record is not protected")
        return flag

    def _waiting(self, request: str) -> Wish:
        wish = self.book.wish(request)
        if wish is None:
            raise Refused(Error.NOT_FOUND, "no such request waits: authd flags list names those that do")
        return wish

    def _owner(self, seat: SeatId) -> Session:
        state = self._ground.pipeline.seats.get(seat)
        if state is None:
            raise Refused(Error.NOT_FOUND, f"no seat {seat}")
        if state.owner is None:
            raise Refused(Error.REFUSED, f"nobody is logged in at {seat}: log in there, then ask again")
        return state.owner

    async def _fresh(self, seat: SeatId) -> Session:
        owner = self._owner(seat)
        if not (await self._ground.pipeline.step_up(seat, owner.id, PURPOSE)).granted:
            raise Refused(Error.REFUSED, "the touch did not come, or was not this person's: ask again, then touch")
        return owner

    def _today(self) -> date:
        """By the wall clock: it says when somebody is to look again, and decides nothing."""
        return datetime.fromtimestamp(self._ground.clock.wall_ms() / 1000, UTC).astimezone().date()

    def _check_day(self, until: str) -> None:
        today = self._today()
        try:
            good = not until or today <= date.fromisoformat(until) <= today + LONGEST
        except ValueError:
            good = False
        if not good:
            raise Refused(Error.BAD_REQUEST, f"until is a day within a year, such as {today + YEAR}; not {until}")

    async def _drop(self, wish: Wish, why: Why, seat: SeatId | None = None, session: Session | None = None) -> None:
        data: dict[str, Value] = {"request": wish.request, "record": wish.records[0], "why": why.value}
        await self._write(Kind.FLAG_DROPPED, seat, session, data)

    async def _drop_old(self) -> None:
        now = self._ground.clock.now()
        waiting = self.book.waiting
        self._begun = {each.request: self._begun.get(each.request, now) for each in waiting}
        for wish in waiting:
            if now - self._begun[wish.request] > WAITS:
                async with self._one:
                    if self.book.wish(wish.request) is not None:
                        await self._drop(wish, Why.TOO_OLD)

    async def _write(self, kind: Kind, seat: SeatId | None, session: Session | None, data: dict[str, Value]) -> int:
        """Make it durable, then true. Where its fate is unknown, the ledger is read again until it is known."""
        now = self._ground.clock.now()
        entry = Entry(kind, seat, at=now, data=data)
        if session is not None:
            who = (session.epoch, session.subject, session.id)
            entry = Entry(kind, seat, *who, at=now, grade=session.evidence.grade, data=data)
        try:
            seq = await self._ground.ledger.append(entry)
            if not self._doubt.is_set():
                await self._hear(seq)
        except BaseException:  # the ledger is down, or this task was ended: the row may stand nevertheless
            self._doubt.set()
            raise
        if self._doubt.is_set():
            await self._read_again()  # an earlier row may stand after all: versions are told in their order
        return seq

    async def _hear(self, seq: int) -> None:
        """Take the row as the ledger has it: there is one way into the book."""
        self.book.hear(await anext(self._ground.ledger.follow(seq - 1)))
        self._tell()

    async def _read_again(self) -> None:
        self._doubt.clear()
        try:
            await self._ground.ledger.checkpoint()  # goes through the same queue: what waited in it is decided then
            for row in await self._rows():
                self.book.hear(row)
        except LedgerDown:
            self._doubt.set()
            raise
        self._tell()

    async def _rows(self) -> list[Recorded]:
        found = [row for kind in rows() for row in await self._ground.ledger.entries(f"kind:{kind}")]
        return sorted(found, key=lambda row: row.seq)

    def _tell(self) -> None:
        news, self.changed = self.changed, asyncio.Event()
        news.set()
