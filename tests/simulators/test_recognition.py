"""The vein engine and the generated fingers: everybody is found as themselves, and a stranger as nobody."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from authd.driver import Reference
from authd_drivers.vein.comparator import VeinComparator
from authd_drivers.vein.engine.extract import extract
from authd_drivers.vein.engine.profile import load_profile
from authd_simulators.people import Staff, population, stranger_finger
from authd_simulators.vein_image import Presentation, anatomy, capture
from authd_simulators.vein_image.anatomy import generator

PROFILE = load_profile("sim")


def probe(seed: str, take: int, presentation: Presentation = Presentation.GOOD) -> bytes | None:
    """One good sample of a touch, as the reader child would make it; None where it asks for another."""
    return extract(capture(anatomy(seed), generator(f"{seed}:{take}"), presentation), PROFILE).template


def enrolled(people: Sequence[Staff]) -> VeinComparator:
    comparator = VeinComparator()
    for person in people:
        templates = _enrolment(comparator, person)
        comparator.add(
            [Reference(person.staff_number, f"{person.staff_number}.{n}", t) for n, t in enumerate(templates)]
        )
    return comparator


def _enrolment(comparator: VeinComparator, person: Staff) -> Sequence[bytes]:
    """Present the finger until three presentations agree, as at an enrolment desk."""
    for first in range(0, 30, 3):
        probes = [made for take in range(first, first + 3) if (made := probe(person.finger(), take))]
        try:
            return comparator.enrol(probes)
        except ValueError:
            continue
    raise AssertionError(f"{person.staff_number} cannot be enrolled")


def outcomes(comparator: VeinComparator, people: Sequence[Staff], touches: int) -> Counter[str]:
    scope = [person.staff_number for person in people]
    counted: Counter[str] = Counter()
    for person in people:
        for take in range(100, 100 + touches):
            made = probe(person.finger(), take)
            best = comparator.search(made, scope).best if made else None
            counted["right" if best and best.subject == person.staff_number else "wrong" if best else "nobody"] += 1
    return counted


def test_a_counters_staff_are_found_as_themselves() -> None:
    people = population(12)
    counted = outcomes(enrolled(people), people, 2)
    assert counted["wrong"] == 0
    assert counted["right"] >= 22


def test_strangers_are_nobody() -> None:
    people = population(6)
    comparator = enrolled(people)
    for serial in range(10):
        made = probe(stranger_finger(serial), 1)
        assert made is None or comparator.search(made, [each.staff_number for each in people]).best is None


def test_a_picture_of_noise_is_nobody() -> None:
    people = population(3)
    noise = np.random.default_rng(1).integers(0, 256, (240, 320), np.uint8)
    made = extract(noise, PROFILE).template
    assert made is None or enrolled(people).search(made, [each.staff_number for each in people]).best is None


def test_an_off_centre_finger_is_asked_for_again() -> None:
    finger = population(2)[0].finger()
    assert all(probe(finger, take, Presentation.OFF_CENTRE) is None for take in range(5))


@pytest.mark.real
def test_sixty_people_are_not_confused() -> None:
    people = population(60)
    counted = outcomes(enrolled(people), people, 4)
    assert counted["wrong"] == 0
    assert counted["right"] >= 0.95 * counted.total()
