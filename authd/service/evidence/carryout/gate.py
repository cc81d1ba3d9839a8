"""The gate: what stands at it leaves if exactly this was granted, once, and the ledger has it first."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Protocol

from authd.core.model import MINUTE, Decision, Entry, Grade, Instant, Kind, SeatId, Session, SubjectId, Value
from authd.service.bus.house import Error
from authd.service.evidence.carryout import rules
from authd.service.evidence.carryout.book import Book
from authd.service.evidence.carryout.said import Carryout, Leaving, NotOut, Shown, Stage, Why, digest_of
from authd.service.evidence.ground import Ground

BLOCKED_A_MINUTE: Final = 60
"""Rows about what was stopped; more are counted, and the next row says how many they were."""
_ABSENT: Final = (Why.UNKNOWN,)


class Covered(Protocol):
    """Whether a system holds the newest protections (`Flags.covered`)."""

    def __call__(self, system: str, /) -> bool:
        """Never raises; False for a system that nobody knows."""
        ...


class Gate:
    """Spends capabilities."""

    def __init__(self, ground: Ground, book: Book, covered: Covered) -> None:
        self._ground, self._book, self._covered = ground, book, covered
        self._minute = Instant(0)
        self._rows = 0
        self.unrecorded = 0
        """What was stopped since the last row about it."""

    async def use(self, shown: Shown) -> Carryout:
        """Spend the capability for this; returns once that is durable. Raises `NotOut` and `LedgerDown`.

        It is spent in memory before anything is waited for, and stays so where the ledger does not answer: nobody
        else gets through, and after a restart the ledger alone says whether it was.
        """
        found, why = self._judge(shown)
        if why is not None or found is None:
            why = why or Why.UNKNOWN
            await self._blocked(shown, found, why)
            raise NotOut(why, Error.NOT_FOUND if why in _ABSENT else Error.REFUSED)
        spent = replace(found, stage=Stage.USED, used_ms=self._ground.clock.wall_ms())
        self._book.put(spent)
        await self._ground.ledger.append(self._entry(spent, shown))
        return spent

    def sitting(self, subject: SubjectId) -> list[tuple[SeatId, Session]]:
        """Return where they are logged in on this host now."""
        seats = self._ground.pipeline.seats.items()
        return [(seat, state.owner) for seat, state in seats if state.owner and state.owner.subject == subject]

    def decide(self, asked: Carryout, helper: SubjectId | None, *, break_glass: bool) -> Decision:
        """Ask the policy now."""
        covered = self._covered(asked.order.system)
        return self._ground.pdp.decide(rules.question(asked, helper, covered=covered, break_glass=break_glass))

    def refuses(self, asked: Carryout, helper: SubjectId | None, *, break_glass: bool) -> Why | None:
        """Ask the policy now; None: permitted."""
        decision = self.decide(asked, helper, break_glass=break_glass)
        return None if decision.permitted else rules.why(decision)

    def _judge(self, shown: Shown) -> tuple[Carryout | None, Why | None]:
        now = self._ground.clock.now()
        if shown.capability:
            found = self._book.of_token(digest_of(shown.capability))
        else:
            found = self._book.matching(shown, now) if shown.system is None else None
        if found is None:
            return None, Why.UNKNOWN
        return found, self._stage(found, now) or _differs(found, shown) or self._person(found, shown)

    def _stage(self, found: Carryout, now: Instant) -> Why | None:
        if found.stage is Stage.USED:
            return Why.SPENT
        if now >= found.expires:
            return Why.EXPIRED
        return None if found.stage is Stage.GRANTED else Why.WAITING

    def _person(self, found: Carryout, shown: Shown) -> Why | None:
        """An application's session is of the one whom it was given to; without a capability they must be here."""
        sitting = self.sitting(found.requester)
        if shown.session is not None:
            owner = self._ground.owner(shown.session)
            if owner is None:
                return Why.NO_SESSION
            if owner[1].subject != found.requester:
                return Why.PERSON
        elif shown.system is not None:
            return Why.NO_SESSION
        elif not shown.capability and not sitting:
            return Why.NOBODY
        break_glass = any(session.break_glass for _, session in sitting)
        return self.refuses(found, found.approver, break_glass=break_glass)

    def _entry(self, spent: Carryout, shown: Shown) -> Entry:
        """Of the person only what an application's session shows; else it is known to whom it was given, no more."""
        at = self._named(shown)
        data: dict[str, Value] = {"carryout": spent.id, "kind": spent.order.kind.value, "system": spent.order.system}
        data |= {
            "destination": spent.order.destination,
            "rows": shown.rows,
            "by": "token" if shown.capability else "match",
            "given_to": spent.requester,
            "approver": spent.approver,
        }
        data |= {"user": shown.user} if shown.user else {}
        return Entry(
            Kind.CARRYOUT_USED,
            at[0] if at else None,
            subject=at[1].subject if at else None,
            session=at[1].id if at else None,
            at=self._ground.clock.now(),
            grade=at[1].evidence.grade if at else Grade.STATEMENT,
            data=data,
        )

    def _named(self, shown: Shown) -> tuple[SeatId, Session] | None:
        """Return the session that an application has named; it is bound to its seats, an administrator to none."""
        return self._ground.owner(shown.session) if shown.system is not None and shown.session is not None else None

    async def _blocked(self, shown: Shown, found: Carryout | None, why: Why) -> None:
        """Record it, within bounds: who tries a thousand times a minute fills no ledger. Raises `LedgerDown`."""
        now = self._ground.clock.now()
        if now - self._minute >= MINUTE:
            self._minute, self._rows = now, 0
        if self._rows >= BLOCKED_A_MINUTE:
            self.unrecorded += 1
            return
        self._rows += 1
        data: dict[str, Value] = {"kind": shown.kind.value, "destination": shown.destination, "why": why.value}
        data |= {"carryout": found.id if found else None, "system": shown.system, "unrecorded": self.unrecorded}
        self.unrecorded = 0
        seat, session = self._named(shown) or (None, None)
        await self._ground.ledger.append(
            Entry(
                Kind.CARRYOUT_BLOCKED,
                seat,
                subject=session.subject if session else None,
                session=session.id if session else None,
                at=now,
                data=data,
            )
        )


def _differs(found: Carryout, shown: Shown) -> Why | None:
    """What was allowed is this, and no more of it."""
    order = found.order
    if order.kind is not shown.kind:
        return Why.KIND
    if shown.system is not None and shown.system != order.system:
        return Why.SYSTEM
    if order.destination != shown.destination:
        return Why.DESTINATION
    if shown.rows is None and order.kind in (Leaving.EXPORT, Leaving.FILE):
        return Why.ROWS
    if shown.rows is not None and shown.rows > order.rows:
        return Why.ROWS
    return Why.COPIES if shown.copies != 1 else None
