import re

import pytest

from authd_simulators.people import MOST_PEOPLE, SECTIONS, by_number, population


def test_the_same_seed_gives_the_same_people_and_another_gives_others() -> None:
    assert population(30, seed=4) == population(30, seed=4)
    assert population(30, seed=4) != population(30, seed=5)


def test_a_longer_population_begins_with_a_shorter_one() -> None:
    assert population(300)[:12] == population(12)


def test_everybody_has_a_number_a_name_and_a_kana_of_their_own() -> None:
    people = population(MOST_PEOPLE)
    assert len({person.staff_number for person in people}) == MOST_PEOPLE
    assert len({person.name for person in people}) == MOST_PEOPLE
    assert all(re.fullmatch(r"[ぁ-ゖ]+ [ぁ-ゖ]+", person.kana) for person in people)


def test_the_first_two_are_officers_and_half_of_the_others_serve_residents() -> None:
    people = population(22)
    assert [person.staff_number for person in people if person.officer] == ["1001", "1002"]
    assert sum(person.section == "resident" for person in people) == 10
    assert {person.section for person in people} == {section.id for section in SECTIONS}
    assert people[2].section_name == "市民課"


def test_nobody_is_found_under_an_unknown_number() -> None:
    people = population(5)
    assert by_number(people, "1003") == people[2]
    assert by_number(people, "９９") is None


@pytest.mark.parametrize("count", [0, 1, MOST_PEOPLE + 1])
def test_a_population_has_bounds(count: int) -> None:
    with pytest.raises(ValueError):
        population(count)
