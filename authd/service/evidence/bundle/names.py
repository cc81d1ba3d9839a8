"""What people, seats and systems are called in a bundle: the city's own words, as far as policy allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from authd.service.config import Config
from authd.service.evidence.bundle.verify_evidence import Names
from authd.service.staff import PersonRecord

ROLES = {"ja": ("職員", "責任者"), "en": ("staff", "officer")}


class Naming(StrEnum):
    """How much of a member of staff's name is told."""

    NONE = "none"
    """Their id alone."""
    SECTION = "section"
    """Section and role."""
    NAME = "name"


ORDER = tuple(Naming)
"""From the least to the most."""


def labels(naming: Naming, people: Iterable[PersonRecord], config: Config | None = None) -> Names:
    """Return the tables of names that go into a bundle."""
    sections = {} if config is None else {name: ja for name, (ja, _) in config.sections.items()}
    seats = {} if config is None else {str(seat.id): seat.name_ja for seat in config.seats.values()}
    systems = {} if config is None else {each.name: each.name_ja for each in config.applications.values()}
    named = {str(person.subject): _person(naming, person, sections) for person in people}
    return {"people": {key: value for key, value in named.items() if value}, "seats": seats, "systems": systems}


def only(names: Names, subjects: Iterable[str]) -> Names:
    """Leave out everybody who does not occur."""
    wanted = set(subjects)
    return {**names, "people": {key: value for key, value in names["people"].items() if key in wanted}}


def _person(naming: Naming, person: PersonRecord, sections: Mapping[str, str]) -> str:
    if naming is Naming.NONE:
        return ""
    section = sections.get(person.section, person.section)
    if naming is Naming.NAME:
        return f"{person.name} ({section}, {person.staff_number})"
    role = ROLES["ja"][person.officer]
    return f"{section} {role}".strip()
