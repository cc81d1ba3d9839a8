"""Two touches of one person with two fingers, and what an enrolment finds among everybody's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from authd.driver import Reference
from authd_drivers.vein.comparator import VeinComparator
from authd_drivers.vein.engine.fusion import shown
from authd_drivers.vein.engine.profile import RosterSettings, SensorProfile
from authd_drivers.vein.engine.template import Template, pack, parse
from authd_drivers.vein.renewal import CLEAR, QUALITY
from tests.drivers.veins import probes, sim

INDEX, MIDDLE = 2, 8
PEOPLE = ("ann", "ben", "cho")


def measured() -> SensorProfile:
    """The simulated sensor with a table of one finger and of two."""
    rows = (RosterSettings(20, 1, 0.32, 0.04, 2.5, 5e-5), RosterSettings(20, 2, 0.55, 0.04, 0.1, 5e-6))
    return replace(sim(), roster=rows)


def finger(person: str, code: int, touch: int) -> bytes:
    """One touch of one of two fingers of somebody."""
    return probes(f"{person}-{code}", touch + 1)[touch]


@pytest.fixture
def comparator() -> VeinComparator:
    """Three people with an index and a middle finger each."""
    made = VeinComparator(profiles=[measured()])
    for person in PEOPLE:
        for code in (INDEX, MIDDLE):
            templates = made.enrol([finger(person, code, touch) for touch in range(3)], code)
            made.add([Reference(person, f"tpl_{person}_{code}_{n}@1", data) for n, data in enumerate(templates)])
    return made


def test_an_enrolled_template_has_its_fingers_code() -> None:
    made = VeinComparator(profiles=[measured()]).enrol([finger("ann", INDEX, touch) for touch in range(3)], MIDDLE)
    assert {parse(data).finger for data in made} == {MIDDLE}


def test_two_fingers_of_one_person_name_them_with_both_references(comparator: VeinComparator) -> None:
    found = comparator.search(finger("ann", MIDDLE, 3), PEOPLE, finger("ann", INDEX, 3))
    assert found.best is not None
    assert (found.best.subject, found.fingers) == ("ann", (INDEX, MIDDLE))
    assert [part.split("_")[2] for part in found.best.reference.split("+")] == [str(INDEX), str(MIDDLE)]


def test_the_same_finger_twice_is_one_finger(comparator: VeinComparator) -> None:
    found = comparator.search(finger("ann", INDEX, 4), PEOPLE, finger("ann", INDEX, 3))
    assert len(found.fingers) < 2


@pytest.mark.parametrize("other", [("ben", MIDDLE), ("dan", INDEX), ("dan", MIDDLE)])
def test_anothers_second_finger_is_not_carried_by_a_good_first_one(
    comparator: VeinComparator, other: tuple[str, int]
) -> None:
    found = comparator.search(finger(*other, 3), PEOPLE, finger("ann", INDEX, 3))
    assert len(found.fingers) < 2


def test_without_a_table_two_fingers_are_not_judged() -> None:
    bare = VeinComparator(profiles=[replace(sim(), roster=())])
    bare.add([Reference("ann", f"tpl_{code}@1", finger("ann", code, 0)) for code in (INDEX, MIDDLE)])
    assert not bare.search(finger("ann", MIDDLE, 3), ["ann"], finger("ann", INDEX, 3)).fingers
    assert list(bare.rosters) == []


def test_an_unclear_finger_of_who_has_another_asks_for_it(comparator: VeinComparator) -> None:
    strict = replace(measured(), roster=tuple(replace(row, threshold=0.99) for row in measured().roster))
    made = VeinComparator(profiles=[strict])
    for code in (INDEX, MIDDLE):
        templates = made.enrol([finger("ann", code, touch) for touch in range(3)], code)
        made.add([Reference("ann", f"tpl_{code}_{n}@1", data) for n, data in enumerate(templates)])
    assert made.search(finger("ann", INDEX, 3), ["ann"]).unsure
    assert not made.search(finger("dan", INDEX, 3), ["ann"]).unsure
    one = VeinComparator(profiles=[strict])
    one.add([Reference("ann", f"tpl_{n}@1", finger("ann", INDEX, n)) for n in range(3)])
    assert not one.search(finger("ann", INDEX, 3), ["ann"]).unsure


def test_the_table_is_told_to_the_rules(comparator: VeinComparator) -> None:
    assert sorted((row.people, row.fingers, row.bound) for row in comparator.rosters) == [(20, 1, 5e-5), (20, 2, 5e-6)]


def test_two_probes_show_two_fingers_only_where_each_looks_most_like_its_own() -> None:
    assert shown({INDEX: 0.5, MIDDLE: 0.1}, {INDEX: 0.1, MIDDLE: 0.4}, 0.24) == (INDEX, MIDDLE)
    assert shown({INDEX: 0.6, MIDDLE: 0.3}, {INDEX: 0.6, MIDDLE: 0.3}, 0.24) is None  # laid twice
    assert shown({INDEX: 0.6, MIDDLE: 0.1}, {INDEX: 0.1, MIDDLE: 0.2}, 0.24) is None  # carried by the first
    assert shown({0: 0.6}, {INDEX: 0.6}, 0.24) is None
    assert shown({}, {INDEX: 0.6}, 0.24) is None


# What an enrolment finds.


def test_any_sample_finds_whose_finger_it_is(comparator: VeinComparator) -> None:
    new = [finger("dan", INDEX, 0), finger("dan", INDEX, 1), finger("ben", MIDDLE, 4)]
    found = comparator.known(new)
    assert found.best is not None
    assert (found.best.subject, found.best.reference.split("_")[2]) == ("ben", str(MIDDLE))


def test_a_new_finger_is_nobodys(comparator: VeinComparator) -> None:
    found = comparator.known([finger("dan", INDEX, touch) for touch in range(3)])
    assert (found.best, found.replayed, found.again) == (None, False, False)


def test_a_finger_of_the_same_sitting_is_seen_under_another_name(comparator: VeinComparator) -> None:
    earlier = [finger("dan", INDEX, touch) for touch in range(3)]
    assert comparator.known([finger("dan", INDEX, touch) for touch in (3, 4, 5)], earlier).again
    assert not comparator.known([finger("dan", MIDDLE, touch) for touch in range(3)], earlier).again


def test_a_recording_is_no_enrolment(comparator: VeinComparator) -> None:
    assert comparator.known([finger("ann", INDEX, 0)]).replayed
    probe = finger("dan", INDEX, 0)
    assert not comparator.known([probe]).replayed
    assert comparator.known([probe]).replayed


# What may follow an older template.


def renewable(comparator: VeinComparator, *touches: int) -> list[tuple[str, bytes] | None]:
    """What these touches of Ann's index finger would change."""
    return [comparator.renew(finger("ann", INDEX, touch), f"tpl_ann_{INDEX}_0@1") for touch in touches]


def test_a_clear_touch_may_follow_a_template_of_its_finger(comparator: VeinComparator) -> None:
    made = [each for each in renewable(comparator, *range(3, 12)) if each is not None]
    assert made
    for reference, data in made:
        assert reference.startswith(f"tpl_ann_{INDEX}_")
        assert parse(data).finger == INDEX
        name = reference.partition("@")[0]
        held = len(comparator)
        comparator.add([Reference("ann", f"{name}@2", data)])
        assert len(comparator) == held


@pytest.mark.parametrize("whose", [("ann", MIDDLE), ("ben", INDEX), ("dan", INDEX)])
def test_another_finger_never_moves_a_template(comparator: VeinComparator, whose: tuple[str, int]) -> None:
    for touch in range(3, 9):
        assert comparator.renew(finger(*whose, touch), f"tpl_ann_{INDEX}_0@1") is None


def test_whoever_is_near_the_threshold_never_moves_a_template(comparator: VeinComparator) -> None:
    """Enough of the finger to be named, and not enough to change it."""
    strange, own = parse(finger("dan", INDEX, 0)), parse(finger("ann", INDEX, 3))
    named = 0
    for rows in range(10, 33):
        bits = own.bits[: 8 * rows] + strange.bits[8 * rows :]
        near = pack(Template(own.profile, 0.9, bits))
        best = comparator._ranked(parse(near), ["ann"]).people[0].score  # pyright: ignore[reportPrivateUsage]
        if best < CLEAR * measured().decision.threshold:
            named += best >= measured().decision.threshold
            assert comparator.renew(near, f"tpl_ann_{INDEX}_0@1") is None
    assert named


def test_a_poor_picture_moves_nothing(comparator: VeinComparator) -> None:
    for touch in range(3, 9):
        poor = pack(replace(parse(finger("ann", INDEX, touch)), quality=QUALITY - 0.01))
        assert comparator.renew(poor, f"tpl_ann_{INDEX}_0@1") is None


def test_a_template_that_is_not_here_or_of_no_known_finger_is_not_moved(comparator: VeinComparator) -> None:
    assert comparator.renew(finger("ann", INDEX, 3), "tpl_other@1") is None
    comparator.add([Reference("eve", f"tpl_eve_{n}@1", finger("eve", INDEX, n)) for n in range(3)])
    assert comparator.renew(finger("eve", INDEX, 3), "tpl_eve_0@1") is None
