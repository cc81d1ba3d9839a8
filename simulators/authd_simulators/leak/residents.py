"""Invented residents of an invented city, household after household, as the register would list them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from authd_simulators.people import name_parts

COLUMNS = ("宛名番号", "氏名", "カナ", "生年月日", "性別", "郵便番号", "住所", "電話番号", "投票区")
WARDS = ("東", "西", "南", "北", "中", "美原", "堺")
_FIRST = ("青葉", "若松", "桜", "緑", "旭", "宮本", "大浜", "浜寺", "泉", "鳳")
_LAST = ("町", "台", "が丘", "北町", "南町", "元町", "中町", "新町")
_TOWNS = [first + last for first in _FIRST for last in _LAST]
_HIRAGANA = {code: chr(code + 0x60) for code in range(0x3041, 0x3097)}


def residents(count: int, seed: int) -> Iterator[list[str]]:
    """Yield the rows of the register. Numbers are ten digits, told by chance, each one person's."""
    dice = random.Random(f"residents-{seed}")
    families, givens = name_parts()
    taken: set[int] = set()
    made = 0
    while made < count:
        family, home = families[int(dice.random() * len(families))], _home(dice)
        for _ in range(1 + int(dice.random() * 3.4)):
            if made < count:
                made += 1
                yield _person(dice, _number(dice, taken), family, givens, home)


def _home(dice: random.Random) -> tuple[str, str, str, str]:
    town, ward = int(dice.random() * len(_TOWNS)), int(dice.random() * len(WARDS))
    block = f"{1 + int(dice.random() * 6)}-{1 + int(dice.random() * 30)}-{1 + int(dice.random() * 30)}"
    phone = f"072-{200 + int(dice.random() * 100)}-{int(dice.random() * 10_000):04}"
    place = f"{WARDS[ward]}区{_TOWNS[town]}{block}"
    return f"59{ward}-{town * 7 % 1000:04}", f"市内{place}", phone, f"{WARDS[ward]}{town % 40 + 1:02}"


def _person(
    dice: random.Random, number: str, family: tuple[str, str], givens: list[tuple[str, str]], home: tuple[str, ...]
) -> list[str]:
    which = int(dice.random() * len(givens))
    given = givens[which]
    day = int(dice.random() * 28 * 12)
    born = f"{1925 + int(dice.random() * 72)}-{1 + day // 28:02}-{1 + day % 28:02}"
    post, place, phone, district = home
    return [
        number,
        f"{family[0]} {given[0]}",
        f"{family[1]} {given[1]}".translate(_HIRAGANA),
        born,
        "男女"[which & 1],
        post,
        place,
        phone,
        district,
    ]


def _number(dice: random.Random, taken: set[int]) -> str:
    while (number := 1_000_000_000 + int(dice.random() * 9e9)) in taken:
        pass
    taken.add(number)
    return str(number)
