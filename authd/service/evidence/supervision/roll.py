"""The roster as the daemon keeps it: taken in after an officer's touch, the ledger first; in effect day by day."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from authd.core import seat as machine
from authd.core.model import Action, Entry, Kind, SeatId, Session, SubjectId, Value
from authd.service.anchored import Anchored
from authd.service.bus.house import Error, Refused
from authd.service.evidence.ground import Ground
from authd.service.evidence.supervision.book import BadRoster, Book
from authd.service.evidence.supervision.calendar import Calendar
from authd.service.evidence.supervision.rows import MOST_ROWS, Fault
from authd.service.evidence.supervision.terms import MOST_UP, Change, Roster, Term
from authd.service.roster import attributes
from authd.service.staff import BadAttribute, PersonRecord, checked_name

PURPOSE: Final = "authd/roster"
"""What the officer confirms; the policy is asked about it as a step-up."""
log = logging.getLogger("authd.supervision")

Row = tuple[int, Term]
"""A line of the file, and what it says."""


@dataclass(slots=True)
class Staged:
    """A file on its way in; one at a time."""

    digest: str
    rows: list[Row] = field(default_factory=list[Row])


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file would change, and what of it contradicts the roster in force."""

    rows: int
    faults: Sequence[Fault]
    changes: Sequence[Change]


class Roll:
    """The roster in force. `roster` None: there is none, or it is not the one that the ledger names."""

    def __init__(self, ground: Ground, calendar: Calendar, anchored: Anchored) -> None:
        self.roster: Roster | None = None
        self.damage = ""
        """Why there is none, though the ledger names one."""
        self.imported_ms: int | None = None
        self._ground, self._calendar, self._anchored = ground, calendar, anchored
        self._book = Book(ground.config.state / "roster")
        self._one = asyncio.Lock()
        self._staged: Staged | None = None
        self._digests: list[str] = []
        self._told: tuple[str, date, frozenset[SubjectId]] | None = None

    async def begin(self) -> None:
        """Load the roster that the ledger names. Raises `LedgerDown`."""
        rows = await self._ground.ledger.entries(f"kind:{Kind.ROSTER_IMPORTED}")
        rows = [row for row in rows if _is_import(row.entry)]
        self._digests = [str(row.entry.data.get("kept")) for row in rows]
        if not rows:
            return
        self.imported_ms = rows[-1].wall_ms
        try:
            self.roster = await asyncio.to_thread(self._book.load, self._digests[-1])
        except BadRoster as error:
            self.damage = str(error)
            log.error("no roster is in force: %s", error)

    # What it says.

    def term(self, subject: SubjectId, day: date) -> Term | None:
        """Return what it says of a person; None: nothing. Raises `LookupError` where no roster is in force."""
        person = self._ground.store.people.get(subject)
        if self.roster is None or person is None:
            raise LookupError
        return self.roster.on(person.staff_number, day)

    def section(self, subject: SubjectId, day: date) -> str:
        """Return where a person worked on a day; by the store, where the roster does not say."""
        try:
            term = self.term(subject, day)
        except LookupError:
            term = None
        person = self._ground.store.people.get(subject)
        return term.section if term is not None else person.section if person is not None else ""

    def chain(self, section: str, day: date) -> list[list[SubjectId]]:
        """Return who supervises the section, then those above them, as far as they can log in here."""
        if self.roster is None:
            return []
        found = [self._subjects(level) for level in self.roster.chain(section, day)]
        return [level for level in found if level]

    def _subjects(self, numbers: Sequence[str]) -> list[SubjectId]:
        people = (self._ground.store.by_staff_number(each) for each in numbers)
        return [person.subject for person in people if person is not None]

    async def is_officer(self, subject: SubjectId) -> bool:
        """Whether the ledger, and not only the store, says that they are an officer."""
        person = self._ground.store.people.get(subject)
        known = person is not None and person.officer and not person.disabled
        return known and await self._anchored.officer(subject)

    # Taking a file in.

    def stage(self, digest: str, at: int, rows: Sequence[Row]) -> int:
        """Take the next rows of a file; `at` 0 begins anew. Returns how many there are. Raises `Refused`."""
        if at == 0:
            self._staged = Staged(digest)
        staged = self._of(digest)
        if at != len(staged.rows) or at + len(rows) > MOST_ROWS:
            raise Refused(Error.BAD_REQUEST, f"the rows from {len(staged.rows)} on are expected, at most {MOST_ROWS}")
        staged.rows.extend((line, _checked(line, term)) for line, term in rows)
        return len(staged.rows)

    def check(self, digest: str) -> Checked:
        """Say what the staged file would change. Raises `Refused`."""
        rows = self._of(digest).rows
        terms = [term for _, term in rows]
        before = self.roster or Roster()
        after = before.merged(terms)
        return Checked(len(rows), self._contradictions(rows, after), before.changes(terms))

    async def apply(self, digest: str, seat: SeatId) -> Checked:
        """Put the staged file into force, all of it or nothing, after an officer's touch. Raises `Refused`."""
        if self.check(digest).faults:
            raise Refused(Error.REFUSED, "the file has faults: nothing of it was taken")
        officer = await self._officer(seat)
        async with self._one:
            checked = self.check(digest)  # another file may have come meanwhile
            if checked.faults:
                raise Refused(Error.REFUSED, "the file has faults: nothing of it was taken")
            await asyncio.shield(self._take(digest, seat, officer, checked))
        await self.transfer()
        return checked

    async def _take(self, digest: str, seat: SeatId, officer: Session, checked: Checked) -> None:
        after = (self.roster or Roster()).merged(term for _, term in self._of(digest).rows)
        try:
            kept = await asyncio.to_thread(self._book.keep, after)
        except OSError as error:
            raise Refused(Error.REFUSED, f"the roster cannot be written: {error.strerror}") from error
        new = sum(each.before is None for each in checked.changes)
        changed = sum(bool(each.fields) for each in checked.changes)
        data: dict[str, Value] = {"digest": digest, "kept": kept, "rows": checked.rows, "new": new, "changed": changed}
        entry = Entry(
            Kind.ROSTER_IMPORTED,
            seat,
            officer.epoch,
            officer.subject,
            officer.id,
            self._ground.clock.now(),
            grade=officer.evidence.grade,
            data=data,
        )
        await self._ground.ledger.append(entry)
        self.roster, self.damage, self._staged = after, "", None
        self.imported_ms = self._ground.clock.wall_ms()
        self._digests.append(kept)
        await asyncio.to_thread(self._book.forget, self._digests)

    async def _officer(self, seat: SeatId) -> Session:
        state = self._ground.pipeline.seats.get(seat)
        owner = state.owner if state is not None else None
        if owner is None or not await self.is_officer(owner.subject):
            raise Refused(Error.REFUSED, "an officer must be logged in at this seat")
        if not (await self._ground.pipeline.step_up(seat, owner.id, PURPOSE)).granted:
            raise Refused(Error.REFUSED, "the officer's touch did not come")
        return owner

    def _of(self, digest: str) -> Staged:
        if self._staged is None or self._staged.digest != digest:
            raise Refused(Error.NOT_FOUND, "no such file was begun, or another one came after it: send it again")
        return self._staged

    def _contradictions(self, rows: Sequence[Row], after: Roster) -> list[Fault]:
        """Supervisors whom nobody knows, and those who supervise themselves through others."""
        known = {person.staff_number for person in self._ground.store.people.values() if not person.disabled}
        known |= set(after.terms)
        faults: list[Fault] = []
        for line, term in rows:
            if term.reports_to and term.reports_to not in known:
                faults.append(Fault(line, 0, "supervisor_unknown", term.reports_to))
            elif _circle(after, term):
                faults.append(Fault(line, 0, "circle", term.reports_to))
        return faults

    # Putting it into effect.

    async def transfer(self) -> int:
        """Let today's sections and names hold: the ledger first, then the store, then who may stay at their seat."""
        if self.roster is None:
            return 0
        async with self._one:
            moved = self._moved(self.roster, self._calendar.day(self._ground.clock.wall_ms()))
            if not moved:
                return 0
            await asyncio.shield(self._move(moved))
        return len(moved)

    def _moved(self, roster: Roster, today: date) -> list[PersonRecord]:
        found: list[PersonRecord] = []
        for person in self._ground.store.people.values():
            term = None if person.disabled else roster.on(person.staff_number, today)
            if term is None:
                continue
            now = replace(person, section=term.section, name=term.name, kana=term.kana or person.kana)
            if now != person:
                found.append(now)
        return found

    async def _move(self, moved: Sequence[PersonRecord]) -> None:
        ground, today = self._ground, self._calendar.day(self._ground.clock.wall_ms())
        subjects = frozenset(person.subject for person in moved)
        told = (self._digests[-1], today, subjects)
        if self._told != told:  # a store that fails is tried again, and told of once
            data: dict[str, Value] = {"effective": today.isoformat(), "kept": told[0], "people": len(moved)}
            await ground.ledger.append(Entry(Kind.ROSTER_IMPORTED, at=ground.clock.now(), data=data))
            self._told = told
        await ground.store.change(moved)
        for subject in subjects:
            ground.pdp.directory.update(attributes(ground.store.people[subject]))
        self._look_at_seats(subjects)

    def _look_at_seats(self, moved: frozenset[SubjectId]) -> None:
        """Whoever may sit there in their new section too stays; the others are out, and so is who is just coming in."""
        pipeline = self._ground.pipeline
        for seat, state in list(pipeline.seats.items()):
            owner, pending = state.owner, state.pending
            enters = pending is not None and pending.subject in moved
            if enters or (owner is not None and owner.subject in moved and not self._may_stay(seat, owner)):
                pipeline.feed(seat, machine.PolicyChanged())

    def _may_stay(self, seat: SeatId, owner: Session) -> bool:
        """By the policy, as if they came in now: whoever sits there may keep the seat, whatever their section is."""
        ports, judge = self._ground.pipeline.ports, self._ground.pipeline.judge
        if owner.break_glass:
            return True  # it is bound to no section, and ends within the hour
        if owner.subject not in ports.roster.members(seat):
            return False
        asked = replace(judge.again(seat, owner), action=Action.OPEN_SESSION, owner=None)
        return ports.policy.decide(asked).permitted


def _checked(line: int, term: Term) -> Term:
    """Return the term with its names in their one form: what the store would refuse is refused before it is kept."""
    try:
        name, section = checked_name("name", term.name), checked_name("section", term.section)
        return replace(term, name=name, section=section, kana=checked_name("kana", term.kana, empty=True))
    except BadAttribute as bad:
        raise Refused(Error.BAD_REQUEST, f"line {line}: {bad}") from None


def _is_import(entry: Entry) -> bool:
    return "digest" in entry.data


def _circle(roster: Roster, term: Term) -> bool:
    seen, above = {term.staff_number}, term.reports_to
    for _ in range(MOST_UP * 2):
        if not above:
            return False
        if above in seen:
            return above == term.staff_number
        seen.add(above)
        found = roster.on(above, term.since)
        above = found.reports_to if found is not None else ""
    return False
