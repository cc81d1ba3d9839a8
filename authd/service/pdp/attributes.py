"""What the policy knows of people, seats and systems: Cedar entities, one piece of JSON each, made when they change.

A decision adds the few pieces that it needs to the seat's parsed entity: its cost does not grow with people or seats.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NewType

from authd.core.model import SeatId, SubjectId
from authd.service.pdp import cedar

Piece = NewType("Piece", str)
"""One Cedar entity as JSON text."""


@dataclass(frozen=True, slots=True)
class PersonAttrs:
    """A member of staff as the rules see them: no name, no staff number."""

    subject: SubjectId
    section: str
    officer: bool = False
    disabled: bool = False
    groups: frozenset[str] = frozenset()
    sections: frozenset[str] = frozenset()
    """Further sections whose seats they may use."""
    seats: frozenset[SeatId] = frozenset()
    """Further seats they may use."""


@dataclass(frozen=True, slots=True)
class SeatAttrs:
    """A seat. `seat_class` is `counter` or `office`; `presence`: whether it has a presence sensor."""

    seat: SeatId
    seat_class: str
    section: str
    host: str
    presence: bool = True


@dataclass(frozen=True, slots=True)
class SystemAttrs:
    """A system one can step up for. `sections` None: open to every section."""

    system: str
    sections: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A seat with its entity, parsed."""

    attrs: SeatAttrs
    entities: cedar.Entities


class Directory:
    """Who and what exists. Absent means refused."""

    def __init__(self) -> None:
        self._people: dict[SubjectId, tuple[PersonAttrs, Piece]] = {}
        self._seats: dict[SeatId, Place] = {}
        self._systems: dict[str, tuple[SystemAttrs, Piece]] = {}

    def set_people(self, people: Iterable[PersonAttrs]) -> None:
        """Replace everybody."""
        self._people = {person.subject: (person, _person(person)) for person in people}

    def update(self, person: PersonAttrs) -> None:
        """Add or replace one person."""
        self._people[person.subject] = (person, _person(person))

    def set_seats(self, seats: Iterable[SeatAttrs]) -> None:
        """Replace all seats."""
        self._seats = {seat.seat: Place(seat, _seat(seat)) for seat in seats}

    def set_systems(self, systems: Iterable[SystemAttrs]) -> None:
        """Replace all systems."""
        self._systems = {system.system: (system, _system(system)) for system in systems}

    def person(self, subject: SubjectId) -> Piece | None:
        """The person's entity."""
        found = self._people.get(subject)
        return found[1] if found else None

    def person_attrs(self, subject: SubjectId) -> PersonAttrs | None:
        """What is known of the person."""
        found = self._people.get(subject)
        return found[0] if found else None

    def seat(self, seat: SeatId) -> Place | None:
        """The seat with its entity."""
        return self._seats.get(seat)

    def system(self, system: str) -> Piece | None:
        """The system's entity."""
        found = self._systems.get(system)
        return found[1] if found else None

    def system_attrs(self, system: str) -> SystemAttrs | None:
        """What is known of the system."""
        found = self._systems.get(system)
        return found[0] if found else None


def _piece(kind: str, name: str, attrs: dict[str, object], groups: Iterable[str] = ()) -> Piece:
    parents = [{"type": "Group", "id": group} for group in sorted(groups)]
    return Piece(json.dumps({"uid": {"type": kind, "id": name}, "attrs": attrs, "parents": parents}))


def _person(person: PersonAttrs) -> Piece:
    attrs: dict[str, object] = {
        "section": person.section,
        "sections": sorted(person.sections),
        "seats": [{"__entity": {"type": "Seat", "id": seat}} for seat in sorted(person.seats)],
        "officer": person.officer,
        "disabled": person.disabled,
    }
    return _piece("Subject", person.subject, attrs, person.groups)


def _seat(seat: SeatAttrs) -> cedar.Entities:
    piece = _piece("Seat", seat.seat, {"class": seat.seat_class, "section": seat.section, "host": seat.host})
    return cedar.entities([piece])


def _system(system: SystemAttrs) -> Piece:
    attrs: dict[str, object] = {"everyone": system.sections is None, "sections": sorted(system.sections or ())}
    return _piece("System", system.system, attrs)
