"""Who may be looked for at which seat (`ports.Roster`), from the people of the store as they stand at each touch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from authd.core.model import SeatId, SubjectId
from authd.service.config import SeatConfig
from authd.service.pdp import AUTO, PersonAttrs, Scope
from authd.service.staff import PersonRecord
from authd.service.vouched import NOT_COUNTED

Bound = Callable[[SeatId, Sequence[SubjectId]], Scope | None]
"""How likely a touch at the seat names the wrong one of these people, and by how many fingers it is to be judged.

None: the comparator has not said yet.
"""


class HostRoster:
    """The rosters of one host's seats. `people` is the store's own mapping: a disabled person is gone at once."""

    def __init__(
        self,
        seats: Mapping[SeatId, SeatConfig],
        people: Mapping[SubjectId, PersonRecord],
        bound: Bound,
        wanted: Callable[[str], int] = lambda seat_class: AUTO,
        vouches: Callable[[SubjectId], int] = lambda subject: NOT_COUNTED,
    ) -> None:
        self._seats, self._people, self._bound, self._wanted = seats, people, bound, wanted
        self._vouches = vouches

    def members(self, seat: SeatId) -> Sequence[SubjectId]:
        """Part of `ports.Roster`: who would be looked for at a seat, were the bound no question."""
        sections = self._seats[seat].roster
        return [
            person.subject
            for person in self._people.values()
            if not person.disabled and (not sections or person.section in sections)
        ]

    def scope(self, seat: SeatId) -> Sequence[SubjectId]:
        """Part of `ports.Roster`: nobody, where so many templates would name a wrong person too often."""
        members = self.members(seat)
        bound = self.bound(seat)
        return members if bound is not None and bound.permitted else ()

    def fingers(self, seat: SeatId, *, claimed: bool) -> int:
        """Part of `ports.Roster`: of a person who was named, two only where the settings say so."""
        bound = None if claimed else self.bound(seat)
        return max(1, self._wanted(self._seats[seat].seat_class), bound.fingers if bound is not None else 1)

    def bound(self, seat: SeatId) -> Scope | None:
        """Return the false identification bound of a touch at this seat, to be shown."""
        return self._bound(seat, self.members(seat))

    def disabled(self, subject: SubjectId) -> bool:
        """Part of `ports.Roster`: the unknown are disabled too."""
        person = self._people.get(subject)
        return person is None or person.disabled

    def vouches(self, subject: SubjectId) -> int:
        """Part of `ports.Roster`."""
        return self._vouches(subject)


def attributes(person: PersonRecord) -> PersonAttrs:
    """Return the person as the rules see them: no name, no staff number."""
    return PersonAttrs(person.subject, person.section, person.officer, person.disabled)
