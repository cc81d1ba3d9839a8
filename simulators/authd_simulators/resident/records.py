"""Invented residents of an invented city, and the search that a counter needs."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from authd_simulators.people import invented_names

CITY = "汐見野市"
"""No such city exists."""
TOWNS = ("青葉町", "港町", "桜ヶ丘", "若草台", "汐入", "東野", "栄町", "緑ヶ浜", "本町", "松原")
MOST_FOUND = 50
_TODAY = date(2026, 4, 1)
"""The records' own day: they are the same whenever they are invented."""


@dataclass(frozen=True, slots=True)
class Resident:
    """One person's record. `support_measure` is known to the record and shown to nobody yet."""

    number: str
    name: str
    kana: str
    born: date
    address: str
    head: str
    """Name of the head of the household."""
    relation: str
    moved_in: date
    support_measure: bool = False

    @property
    def born_in_era(self) -> str:
        """Return the date of birth as Japanese forms have it."""
        return in_era(self.born)


def invent(count: int = 400, seed: int = 20) -> tuple[Resident, ...]:
    """Invent residents, about one in forty under a support measure; at most 2,000."""
    rng = random.Random(f"residents:{seed}")
    residents: list[Resident] = []
    for index, (name, kana) in enumerate(invented_names(rng, count)):
        residents.append(_resident(rng, index, name, kana, residents[-1] if residents else None))
    return tuple(residents)


def _resident(rng: random.Random, index: int, name: str, kana: str, before: Resident | None) -> Resident:
    """Invent one; every third lives with the one before, under that one's family name."""
    together = before is not None and rng.random() < 0.34
    family, family_kana = (before.name.split()[0], before.kana.split()[0]) if before and together else ("", "")
    born = _TODAY - timedelta(days=rng.randint(20 * 365, 92 * 365))
    return Resident(
        number=f"{4_100_000_000 + index * 7_919 + rng.randint(0, 7_000):010d}",
        name=f"{family} {name.split()[1]}" if together else name,
        kana=katakana(f"{family_kana} {kana.split()[1]}" if together else kana),
        born=born,
        address=before.address if before and together else _address(rng),
        head=before.head if before and together else name,
        relation=rng.choice(("妻", "夫", "子", "母", "父")) if together else "世帯主",
        moved_in=_TODAY - timedelta(days=rng.randint(30, 25 * 365)),
        support_measure=rng.random() < 1 / 40,
    )


def _address(rng: random.Random) -> str:
    block = f"{rng.choice(TOWNS)}{rng.randint(1, 5)}丁目{rng.randint(1, 30)}番{rng.randint(1, 20)}号"
    house = f" {rng.choice(('コーポ汐風', 'メゾン若草', '青葉ハイツ'))}{rng.randint(1, 4)}0{rng.randint(1, 6)}"
    return f"{CITY}{block}" + (house if rng.random() < 0.4 else "")


def in_era(day: date) -> str:
    """Write a date in the Japanese calendar, from Taisho on."""
    for first, name in ((date(2019, 5, 1), "令和"), (date(1989, 1, 8), "平成"), (date(1926, 12, 25), "昭和")):
        if day >= first:
            year = day.year - first.year + 1
            return f"{name}{'元' if year == 1 else year}年{day.month}月{day.day}日"
    return f"大正{day.year - 1911}年{day.month}月{day.day}日"


def katakana(text: str) -> str:
    """Return hiragana as katakana, in full width."""
    wide = unicodedata.normalize("NFKC", text)
    return "".join(chr(ord(char) + 0x60) if "ぁ" <= char <= "ゖ" else char for char in wide)


def search(residents: Sequence[Resident], words: str) -> list[Resident]:
    """Find by part of the name, by the beginning of a kana name, or by the whole number; at most `MOST_FOUND`."""
    wanted = katakana(words).replace(" ", "")
    if not wanted:
        return []
    found = (each for each in residents if _fits(each, wanted))
    return [each for each, _ in zip(found, range(MOST_FOUND), strict=False)]


def _fits(resident: Resident, wanted: str) -> bool:
    return (
        wanted == resident.number
        or wanted in resident.name.replace(" ", "")
        or any(part.startswith(wanted) for part in (*resident.kana.split(), resident.kana.replace(" ", "")))
    )


def by_number(residents: Sequence[Resident], number: str) -> Resident | None:
    """Find one record."""
    return next((each for each in residents if each.number == number), None)
