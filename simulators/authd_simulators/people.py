"""Invented staff of an invented city hall: the same people for the same seed, in kanji and kana.

Every name is put together from common family and given names by a seeded generator; nobody is meant.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from authd_simulators.vein_image.anatomy import Finger, finger_seed

FIRST_STAFF_NUMBER = 1001
MOST_PEOPLE = 2000


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the city hall."""

    id: str
    name_ja: str
    name_en: str


SECTIONS = (
    Section("resident", "市民課", "Resident Affairs"),
    Section("tax", "税務課", "Tax"),
    Section("welfare", "福祉課", "Welfare"),
    Section("insurance", "保険年金課", "Insurance and Pensions"),
    Section("childcare", "子育て支援課", "Child Support"),
    Section("general", "総務課", "General Affairs"),
)


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of staff as the personnel office knows them."""

    staff_number: str
    name: str
    kana: str
    section: str
    """Id of a `Section`."""
    officer: bool = False
    """May take part in enrolling others."""

    @property
    def section_name(self) -> str:
        """The section as it is written on the door."""
        return next(each.name_ja for each in SECTIONS if each.id == self.section)

    def finger(self, finger: Finger = Finger.RIGHT_INDEX) -> str:
        """Seed of one of this person's fingers."""
        return finger_seed(f"staff-{self.staff_number}", finger)


def stranger_finger(serial: int) -> str:
    """Seed of a finger of somebody who is in no population."""
    return finger_seed(f"stranger-{serial}", Finger.RIGHT_INDEX)


@lru_cache(maxsize=1)
def name_parts() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return family names and given names, each in kanji and kana."""
    table = tomllib.loads(files("authd_simulators").joinpath("names.toml").read_text("utf-8"))
    return [(kanji, kana) for kanji, kana in table["family"]], [(kanji, kana) for kanji, kana in table["given"]]


def invented_names(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """Return `count` different (name, kana) pairs, at most 2,000; fewer are the first of more."""
    families, givens = (rng.sample(part, len(part)) for part in name_parts())
    return [_paired(families[i % 50], givens[(i + i // 200) % 40]) for i in range(count)]


def _paired(family: tuple[str, str], given: tuple[str, str]) -> tuple[str, str]:
    return f"{family[0]} {given[0]}", f"{family[1]} {given[1]}"


def population(count: int = 12, seed: int = 1) -> tuple[Staff, ...]:
    """Invent `count` members of staff numbered from 1001; the first two are officers of the general affairs section.

    Every second one of the others serves in the resident section. A longer population of the same seed begins with the
    people of a shorter one.
    """
    if not 2 <= count <= MOST_PEOPLE:
        raise ValueError(f"a population has 2 to {MOST_PEOPLE} people")
    names = invented_names(random.Random(seed), count)
    return tuple(_member(index, name, kana) for index, (name, kana) in enumerate(names))


def _member(index: int, name: str, kana: str) -> Staff:
    officer = index < 2
    section = "general" if officer else "resident" if index % 2 == 0 else SECTIONS[1 + index // 2 % 4].id
    return Staff(str(FIRST_STAFF_NUMBER + index), name, kana, section, officer)


def by_number(people: Sequence[Staff], staff_number: str) -> Staff | None:
    """Find a member of staff."""
    return next((person for person in people if person.staff_number == staff_number), None)
