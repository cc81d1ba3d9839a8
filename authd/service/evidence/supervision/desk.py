"""The reviews of this host: put together from the ledger at each question, signed with a touch, told of when late."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from authd.core.model import Entry, Kind, SeatId, Session, SubjectId, Value
from authd.service.bus.house import Error, Refused
from authd.service.evidence.ground import Ground
from authd.service.evidence.supervision import queue
from authd.service.evidence.supervision.accounts import Accounts
from authd.service.evidence.supervision.calendar import BadMonth, Calendar, level
from authd.service.evidence.supervision.days import DAY, PROTECTED
from authd.service.evidence.supervision.queue import Item, Review, Signature, What
from authd.service.evidence.supervision.roll import Roll
from authd.service.ledger import Recorded

PURPOSE: Final = "authd/review"
"""What the supervisor confirms; the policy is asked about it as a step-up."""
log = logging.getLogger("authd.supervision")

Key = tuple[str, str]
"""Section and month."""
Causes = Mapping[tuple[SeatId, SubjectId | None], Mapping[str, int]]
"""Why sessions ended, and how often, by seat and person."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What the months in question rest on, as the ledger has it now."""

    notes: Sequence[Recorded]
    others: Sequence[Recorded]
    closed: frozenset[str]
    signed: Mapping[Key, Sequence[Signature]]
    levels: Mapping[Key, int]


class Reviews:
    """The queue. `late`: what nobody has signed by its day, as of the last look, for `authd status`."""

    def __init__(self, ground: Ground, calendar: Calendar, roll: Roll) -> None:
        self._ground, self._calendar, self._roll = ground, calendar, roll
        self.late: list[str] = []
        self.waiting = 0

    async def months(self) -> Sequence[str]:
        """Return the months that are over, since the first officer; at most a year back."""
        founded = await self._ground.ledger.entries(f"kind:{Kind.ENROLMENT_FOUNDED}")
        if not founded:
            return []
        return self._calendar.closed(founded[0].wall_ms, self._ground.clock.wall_ms())

    async def all(self) -> list[Review]:
        """Return every review of the months that are over, the oldest first. Raises `LedgerDown`."""
        months = await self.months()
        if not months:
            return []
        rows = await self._rows(months[0])
        return [review for month in months for review in await self._of(month, rows)]

    async def one(self, section: str, month: str) -> tuple[Review, Causes]:
        """Return one review, and why the sessions of its people and seats ended. Raises `Refused`."""
        self._check(month, await self.months())
        rows = await self._rows(month)
        found = next((each for each in await self._of(month, rows) if each.section == section), None)
        if found is None:
            raise Refused(Error.NOT_FOUND, "no such section in that month")
        inside = [row for row in rows.notes if self._month(row) == month]
        ended = queue.causes(inside)
        return found, {place: counts for place, counts in ended.items() if self._section(place, month) == section}

    # Who may.

    async def may_see(self, subject: SubjectId, review: Review) -> bool:
        """Whether somebody supervises the section, is above who does, or is an officer."""
        return any(subject in each for each in self._chain(review)) or await self._roll.is_officer(subject)

    async def may_sign(self, subject: SubjectId, review: Review) -> bool:
        """The section's supervisors and those above them; an officer where nobody is, or it has come up to them."""
        chain = self._chain(review)
        if any(subject in each for each in chain):
            return True
        theirs = any(review.for_signer(each) or not review.open for level in chain for each in level)
        came_up = review.level >= len(chain)
        return (not chain or came_up or not theirs) and await self._roll.is_officer(subject)

    def owner(self, seat: SeatId) -> Session:
        """Return the session of who is logged in at the seat. Raises `Refused`."""
        state = self._ground.pipeline.seats.get(seat)
        if state is None or state.owner is None:
            raise Refused(Error.REFUSED, "a supervisor must be logged in at this seat")
        return state.owner

    async def sign(self, seat: SeatId, section: str, month: str, shown: str) -> Review:
        """Sign what was shown (`queue.digest`), with the touch of who is logged in at the seat. Raises `Refused`."""
        owner = self.owner(seat)
        await self._signable(owner, section, month, shown)
        if not (await self._ground.pipeline.step_up(seat, owner.id, PURPOSE)).granted:
            raise Refused(Error.REFUSED, "the supervisor's touch did not come")
        through = self._ground.ledger.head
        review = await self._signable(owner, section, month, shown)  # a touch takes a while
        covered = review.for_signer(owner.subject)
        entry = Entry(
            Kind.REVIEW_SIGNED,
            seat,
            owner.epoch,
            owner.subject,
            owner.id,
            self._ground.clock.now(),
            grade=owner.evidence.grade,
            data={
                "section": section,
                "month": month,
                "items": len(covered),
                "left": len(review.open) - len(covered),
                "through": through,
                "digest": shown,
            },
        )
        await self._ground.ledger.append(entry)
        await self.look()
        return (await self.one(section, month))[0]

    async def _signable(self, owner: Session, section: str, month: str, shown: str) -> Review:
        review, _ = await self.one(section, month)
        if not await self.may_sign(owner.subject, review):
            raise Refused(Error.REFUSED, "only the section's supervisors and those above them sign this")
        if review.done:
            raise Refused(Error.REFUSED, "it is signed already")
        theirs = review.for_signer(owner.subject)
        if review.signatures and not theirs:
            raise Refused(Error.REFUSED, "what is left was done by this person: somebody else signs it")
        if queue.digest(theirs) != shown:
            raise Refused(Error.REFUSED, "there is more to look at since it was shown: look again")
        return review

    # What is late.

    async def look(self) -> None:
        """Tell of what nobody has signed by its day: the next one up, once a level. Raises `LedgerDown`."""
        today = self._calendar.day(self._ground.clock.wall_ms())
        undone = [each for each in await self.all() if not each.done]
        for review in undone:
            chain = self._chain(review)
            reached = min(level(review.due, today), max(1, len(chain)))
            if reached > review.level:
                await self._escalate(review, reached, chain)
        self.waiting = len(undone)
        self.late = [f"{each.month} {each.section or '-'}" for each in undone if today > each.due]

    async def _escalate(self, review: Review, reached: int, chain: Sequence[Sequence[SubjectId]]) -> None:
        to = " ".join(chain[reached]) if reached < len(chain) else "officers"
        data: dict[str, Value] = {
            "section": review.section,
            "month": review.month,
            "due": review.due.isoformat(),
            "level": reached,
            "to": to,
            "open": len(review.open),
        }
        log.warning("the review of %s is not signed: told to the next one up", review.month)
        await self._ground.ledger.append(Entry(Kind.REVIEW_ESCALATED, at=self._ground.clock.now(), data=data))

    # From the ledger.

    async def _rows(self, month: str) -> Rows:
        ledger, (since, _) = self._ground.ledger, self._calendar.month(month)
        others: list[Recorded] = []
        for kind in queue.ROWS:
            of = f"kind:{kind}"
            others += await (ledger.entries(of) if kind is Kind.CARRYOUT_USED else ledger.entries(of, since))
        closed = await ledger.entries(f"kind:{Kind.CARRYOUT_CLOSED}")
        return Rows(
            await ledger.entries(f"kind:{Kind.DISCIPLINE_NOTED}", since),
            others,
            frozenset(str(row.entry.data.get("carryout")) for row in closed),
            _signed(await ledger.entries(f"kind:{Kind.REVIEW_SIGNED}")),
            _levels(await ledger.entries(f"kind:{Kind.REVIEW_ESCALATED}")),
        )

    async def _of(self, month: str, rows: Rows) -> list[Review]:
        since, until = self._calendar.month(month)
        inside = [row for row in rows.notes if self._month(row) == month]
        here = [row for row in rows.others if row.wall_ms < until and (row.wall_ms >= since or _lasts(row))]
        found = queue.items([*inside, *here], rows.closed) + await self._protected(inside)
        accounts = Accounts(self._ground)
        found = [accounts.told(item) for item in found]
        parts = queue.by_section(found, lambda item: self._place(item, month))
        sections = {seat.section for seat in self._ground.config.seats.values()} | set(parts)
        due = self._calendar.due(month)
        return [
            Review(
                section,
                month,
                due,
                parts.get(section, []),
                rows.signed.get((section, month), ()),
                rows.levels.get((section, month), 0),
            )
            for section in sorted(sections)
        ]

    async def _protected(self, notes: Sequence[Recorded]) -> list[Item]:
        """The views of protected records: found by person on the days whose sums have counted any."""
        found: dict[int, Item] = {}
        for row in notes:
            if row.entry.subject is None or PROTECTED not in row.entry.data or row.entry.data.get("what") != DAY:
                continue
            day = _day(row)
            since = self._calendar.begins(day)
            rows = await self._ground.ledger.entries(f"subject:{row.entry.subject}", since, since + 86_400_000 - 1)
            seen = [each for each in rows if each.entry.kind is Kind.VIEW_ACKNOWLEDGED]
            found |= {each.seq: queue.protected(each) for each in seen}
        return list(found.values())

    def _chain(self, review: Review) -> Sequence[Sequence[SubjectId]]:
        return self._roll.chain(review.section, self._calendar.day(self._ground.clock.wall_ms()))

    def _place(self, item: Item, month: str) -> str:
        """The section that an item belongs to; what several share, and what nobody has, is the officers'."""
        if item.what is not What.UNATTRIBUTED:
            return self._section((item.seat, item.subject), month)
        seats, system = self._ground.config.seats.values(), item.detail.get("system")
        sections = {seat.section for seat in seats if system in seat.applications}
        return sections.pop() if len(sections) == 1 else ""

    def _section(self, place: tuple[SeatId | None, SubjectId | None], month: str) -> str:
        """Where the person worked at the end of that month; of nobody known: the seat's."""
        seat, subject = place
        _, until = self._calendar.month(month)
        if subject is not None:
            return self._roll.section(subject, self._calendar.day(until - 1))
        config = self._ground.config.seats.get(seat) if seat is not None else None
        return config.section if config is not None else ""

    def _month(self, row: Recorded) -> str:
        day = row.entry.data.get("day")
        return day[:7] if isinstance(day, str) else self._calendar.day(row.wall_ms).isoformat()[:7]

    def _check(self, month: str, months: Sequence[str]) -> None:
        try:
            self._calendar.month(month)
        except BadMonth:
            raise Refused(Error.BAD_REQUEST, "a month is YYYY-MM, such as 2027-03") from None
        if month not in months:
            raise Refused(Error.NOT_FOUND, "that month is not over, or not looked at any more")


def _day(row: Recorded) -> date:
    return date.fromisoformat(str(row.entry.data.get("day")))


def _lasts(row: Recorded) -> bool:
    return row.entry.kind is Kind.CARRYOUT_USED


def _key(row: Recorded) -> Key:
    return str(row.entry.data.get("section", "")), str(row.entry.data.get("month", ""))


def _whole(row: Recorded, name: str) -> int:
    found = row.entry.data.get(name)
    return found if isinstance(found, int) else 0


def _signed(rows: Sequence[Recorded]) -> Mapping[Key, Sequence[Signature]]:
    found: dict[Key, list[Signature]] = {}
    for row in rows:
        if row.entry.subject is not None:
            sign = Signature(row.entry.subject, row.wall_ms, _whole(row, "through"), _whole(row, "items"), row.seq)
            found.setdefault(_key(row), []).append(sign)
    return found


def _levels(rows: Sequence[Recorded]) -> Mapping[Key, int]:
    found: dict[Key, int] = {}
    for row in rows:
        found[_key(row)] = max(_whole(row, "level"), found.get(_key(row), 0))
    return found
