from datetime import date

import pytest

from authd_simulators.resident.records import CITY, MOST_FOUND, by_number, in_era, invent, katakana, search


def test_the_same_residents_every_time() -> None:
    assert invent(50) == invent(50)
    assert len({each.number for each in invent(1000)}) == 1000


def test_everybody_lives_in_a_city_that_does_not_exist() -> None:
    assert all(each.address.startswith(CITY) for each in invent(200))


def test_some_records_are_under_a_support_measure() -> None:
    share = sum(each.support_measure for each in invent(1000)) / 1000
    assert 0.01 < share < 0.05


def test_households_share_an_address() -> None:
    residents = invent(200)
    members = [each for each in residents if each.relation != "世帯主"]
    assert members
    assert all(any(r.name == m.head and r.address == m.address for r in residents) for m in members)


@pytest.mark.parametrize(
    ("day", "words"),
    [
        (date(2019, 4, 30), "平成31年4月30日"),
        (date(2019, 5, 1), "令和元年5月1日"),
        (date(1989, 1, 7), "昭和64年1月7日"),
        (date(1926, 12, 24), "大正15年12月24日"),
    ],
)
def test_eras(day: date, words: str) -> None:
    assert in_era(day) == words


def test_kana_is_found_in_either_writing_and_width() -> None:
    residents = invent(400)
    wanted = residents[10]
    family = wanted.kana.split()[0]
    hiragana = "".join(chr(ord(char) - 0x60) if "ァ" <= char <= "ヶ" else char for char in family)
    for words in (family, hiragana, wanted.kana, f"　{family}　"):
        assert wanted in search(residents, words)
    assert katakana("ｻﾄｳ") == "サトウ"


def test_empty_words_find_nobody_and_many_are_cut() -> None:
    residents = invent(2000)
    assert search(residents, "") == search(residents, " 　") == []
    assert len(search(residents, "子")) == MOST_FOUND


def test_by_number() -> None:
    residents = invent(5)
    assert by_number(residents, residents[2].number) is residents[2]
    assert by_number(residents, "x") is None
