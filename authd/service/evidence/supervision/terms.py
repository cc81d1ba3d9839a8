"""The roster: who works where and when, and who supervises whom, each statement from a day on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Final

MOST_UP: Final = 8
"""Supervisors above one another."""
WEEKDAYS: Final = (1, 2, 3, 4, 5)
COMPARED: Final = ("name", "kana", "section", "until", "start", "end", "days", "supervisor", "reports_to")
"""What a difference is told of, in this order."""


@dataclass(frozen=True, slots=True)
class Term:
    """What the roster says of one person from the day `since` on, until the next one, or until their last day."""

    staff_number: str
    name: str
    section: str
    since: date
    kana: str = ""
    until: date | None = None
    """Their last day; None: nobody knows of one."""
    start: int | None = None
    """Minute of the day at which the shift begins, and `end`; an end that is not later is on the next day."""
    end: int | None = None
    days: tuple[int, ...] = WEEKDAYS
    """1 (Monday) to 7."""
    supervisor: bool = False
    """Supervises their own section."""
    reports_to: str = ""
    """Staff number of the next one up."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one row of a file changes. `before` None: of this person nothing was known on that day."""

    after: Term
    before: Term | None
    fields: tuple[str, ...]
    """Which of `COMPARED` differ; empty with a `before`: nothing does."""


@dataclass(frozen=True, slots=True)
class Roster:
    """Every term of everybody, by staff number, the earliest first."""

    terms: Mapping[str, tuple[Term, ...]] = field(
        default_factory=lambda: MappingProxyType(dict[str, tuple[Term, ...]]())
    )

    def __len__(self) -> int:
        return len(self.terms)

    def on(self, staff_number: str, day: date) -> Term | None:
        """Return what holds of a person on this day; None: they are on no roster then."""
        begun = [term for term in self.terms.get(staff_number, ()) if term.since <= day]
        if not begun or (begun[-1].until is not None and begun[-1].until < day):
            return None
        return begun[-1]

    def merged(self, rows: Iterable[Term]) -> Roster:
        """Return the roster with these terms in it; one of the same person and day gives way."""
        made = dict(self.terms)
        for row in rows:
            kept = [term for term in made.get(row.staff_number, ()) if term.since != row.since]
            made[row.staff_number] = tuple(sorted([*kept, row], key=lambda term: term.since))
        return Roster(MappingProxyType(made))

    def changes(self, rows: Sequence[Term]) -> list[Change]:
        """Return what each row changes, against what would hold on its day without the whole file."""
        return [_change(row, self.on(row.staff_number, row.since)) for row in rows]

    def present(self, day: date) -> list[Term]:
        """Return what holds of everybody on this day, by staff number."""
        found = (self.on(number, day) for number in sorted(self.terms))
        return [term for term in found if term is not None]

    def supervisors(self, section: str, day: date) -> list[str]:
        """Return the staff numbers of those who supervise the section on this day."""
        return [term.staff_number for term in self.present(day) if term.supervisor and term.section == section]

    def above(self, numbers: Iterable[str], day: date) -> list[str]:
        """Return whom these report to, without themselves."""
        below = list(numbers)
        found = [term.reports_to for each in below if (term := self.on(each, day)) and term.reports_to]
        return sorted({each for each in found if self.on(each, day)} - set(below))

    def chain(self, section: str, day: date) -> list[list[str]]:
        """Return the section's supervisors, then whom they report to, and so on; nobody stands in it twice."""
        levels, seen = [self.supervisors(section, day)], set[str]()
        while levels[-1] and len(levels) <= MOST_UP:
            seen.update(levels[-1])
            levels.append([each for each in self.above(levels[-1], day) if each not in seen])
        return [each for each in levels if each]


def _change(row: Term, before: Term | None) -> Change:
    if before is None:
        return Change(row, None, ())
    return Change(row, before, tuple(name for name in COMPARED if getattr(row, name) != getattr(before, name)))
