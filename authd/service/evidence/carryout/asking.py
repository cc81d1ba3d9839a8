"""The two people: one asks with a touch, another allows with a touch; and in the end somebody says that it is back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from authd.core.model import HOUR, Decision, Entry, Instant, Kind, SeatId, Session, Value
from authd.core.seat.session import decided
from authd.service.bus.house import Error
from authd.service.evidence.carryout import rules
from authd.service.evidence.carryout.book import MOST, Book, told
from authd.service.evidence.carryout.gate import Gate
from authd.service.evidence.carryout.said import (
    Carryout,
    Closing,
    NotOut,
    Order,
    Stage,
    Why,
    digest_of,
    new_id,
    new_token,
)
from authd.service.evidence.ground import Ground

PURPOSE: Final = "authd/carryout"
"""What a touch confirms; the policy is asked about it as a step-up."""
DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000


class Asking:
    """Requests, grants and returns."""

    def __init__(self, ground: Ground, book: Book, gate: Gate) -> None:
        self._ground, self._book, self._gate = ground, book, gate
        self._granting: set[str] = set()

    async def request(self, seat: SeatId, session: Session, order: Order) -> tuple[Carryout, str]:
        """Ask, with the touch of the one who sits there. Returns the request and its capability, which is told once.

        The capability is good for nothing until somebody else has allowed it. Raises `NotOut` and `LedgerDown`.
        """
        self._bounds(order)
        token = new_token()
        asked = self._made(seat, session, order, token)
        alone = self._gate.decide(asked, None, break_glass=session.break_glass)
        if not alone.another_factor:  # alone it is never permitted: for want of a second person, and of nothing else
            await self._refused(asked, session, alone)
        await self._touch(seat, session)
        asked = self._made(seat, session, order, token, asked.id)
        self._bounds(order)
        await asyncio.shield(self._ask(asked, self._requested(asked, session)))
        return asked, token

    async def approve(self, id_: str, seat: SeatId, session: Session) -> Carryout:
        """Allow it, with the touch of another one who sits there. Raises `NotOut` and `LedgerDown`."""
        asked = self._waiting(id_)
        await self._allowed(asked, session)
        await self._touch(seat, session)
        asked = self._waiting(id_)  # while they touched: overtaken, too late, or not covered any more
        decision = await self._allowed(asked, session)
        granted = replace(asked, stage=Stage.GRANTED, approver=session.subject)
        data = told(asked.order) | {"requester": asked.requester} | decided(decision)
        self._granting.add(id_)  # nobody else allows it while this is being written
        await asyncio.shield(self._grant(granted, self._entry(Kind.CARRYOUT_GRANTED, granted, seat, session, data)))
        return granted

    async def close(self, id_: str, how: Closing, seat: SeatId, session: Session) -> Carryout:
        """Somebody else than who took it says, with a touch, that it is back or erased."""
        found = self._out(id_, session)
        await self._touch(seat, session)
        found = self._out(id_, session)
        data: dict[str, Value] = {"how": how.value, "requester": found.requester}
        await asyncio.shield(self._drop(found, self._entry(Kind.CARRYOUT_CLOSED, found, seat, session, data)))
        return replace(found, stage=Stage.CLOSED)

    # Shielded: whoever hangs up while a row is being written does not keep the book from what is durable.

    async def _ask(self, asked: Carryout, entry: Entry) -> None:
        await self._ground.ledger.append(entry)
        self._book.put(asked)

    async def _grant(self, granted: Carryout, entry: Entry) -> None:
        try:
            await self._ground.ledger.append(entry)
            self._book.put(granted)
        finally:
            self._granting.discard(granted.id)

    async def _drop(self, found: Carryout, entry: Entry) -> None:
        await self._ground.ledger.append(entry)
        self._book.drop(found)

    def _bounds(self, order: Order) -> None:
        limits = self._ground.pdp.bundle.settings.carryout
        self._book.forget(self._ground.clock.now())
        if not 0 < order.expires_h <= limits.expires_h:
            raise NotOut(Why.LONG)
        if not 0 < order.return_days <= limits.return_days:
            raise NotOut(Why.DUE)
        if len(self._book) >= MOST:
            raise NotOut(Why.MANY, Error.BUSY)

    def _made(self, seat: SeatId, session: Session, order: Order, token: str, id_: str = "") -> Carryout:
        clock, seen = self._ground.clock, session.evidence
        return Carryout(
            id_ or new_id(),
            order,
            digest_of(token),
            session.subject,
            seat,
            session.id,
            seen.grade,
            ",".join(sorted(seen.factors)),
            seen.margin,
            Instant(clock.now() + round(order.expires_h * HOUR)),
            clock.wall_ms() + round(order.expires_h * HOUR_MS),
            clock.wall_ms() + order.return_days * DAY_MS,
        )

    def _waiting(self, id_: str) -> Carryout:
        found = self._book.get(id_)
        if found is None:
            raise NotOut(Why.UNKNOWN, Error.NOT_FOUND)
        if found.stage is Stage.GRANTED or id_ in self._granting:
            raise NotOut(Why.GRANTED)
        if found.stage is not Stage.REQUESTED:
            raise NotOut(Why.SPENT)
        if self._ground.clock.now() >= found.expires:
            raise NotOut(Why.EXPIRED, Error.EXPIRED)
        return found

    def _out(self, id_: str, session: Session) -> Carryout:
        found = self._book.get(id_)
        if found is None:
            raise NotOut(Why.UNKNOWN, Error.NOT_FOUND)
        if not found.out:
            raise NotOut(Why.NOT_OUT)
        if session.subject == found.requester:
            raise NotOut(Why.ONESELF)
        if session.break_glass:
            raise NotOut(Why.BREAK_GLASS)
        return found

    async def _allowed(self, asked: Carryout, session: Session) -> Decision:
        sitting = self._gate.sitting(asked.requester)
        glass = session.break_glass or any(each.break_glass for _, each in sitting)
        decision = self._gate.decide(asked, session.subject, break_glass=glass)
        if not decision.permitted:
            await self._refused(asked, session, decision)
        return decision

    async def _touch(self, seat: SeatId, session: Session) -> None:
        if not (await self._ground.pipeline.step_up(seat, session.id, PURPOSE)).granted:
            raise NotOut(Why.TOUCH)

    async def _refused(self, asked: Carryout, session: Session, decision: Decision) -> None:
        why = rules.why(decision)
        data = told(asked.order) | {"why": why.value, "requester": asked.requester} | decided(decision)
        await self._ground.ledger.append(self._entry(Kind.CARRYOUT_REFUSED, asked, session.seat, session, data))
        raise NotOut(why)

    def _requested(self, asked: Carryout, session: Session) -> Entry:
        data = told(asked.order) | {"capability": asked.digest, "factors": asked.factors, "margin": asked.margin}
        data |= {"expires": asked.expires, "expires_ms": asked.expires_ms, "expires_h": asked.order.expires_h}
        data |= {"due_ms": asked.due_ms, "return_days": asked.order.return_days}
        return self._entry(Kind.CARRYOUT_REQUESTED, asked, asked.seat, session, data)

    def _entry(self, kind: Kind, of: Carryout, seat: SeatId, session: Session, data: dict[str, Value]) -> Entry:
        return Entry(
            kind,
            seat,
            session.epoch,
            session.subject,
            session.id,
            self._ground.clock.now(),
            grade=session.evidence.grade,
            data={"carryout": of.id, **data},
        )
