from itertools import pairwise

import cv2
import numpy as np
import pytest

from authd_simulators.people import population, stranger_finger
from authd_simulators.vein_image import Finger, Presentation, anatomy, capture, contact_sheet, empty, finger_seed
from authd_simulators.vein_image.anatomy import MARGIN, Floats, Rank, generator
from authd_simulators.vein_image.attacks import Species
from authd_simulators.vein_image.capture import draw_pose
from authd_simulators.vein_image.sheet import shown

SEED = finger_seed("staff-1001", Finger.RIGHT_INDEX)


def picture(seed: str, take: int, presentation: Presentation = Presentation.GOOD) -> Floats:
    return capture(anatomy(seed), generator(f"{seed}:{take}"), presentation).astype(np.float32)


def likeness(a: Floats, b: Floats) -> float:
    """Best correlation of the two fingers' middles over small shifts."""
    middle = b[80:160, 60:260]
    shifts = [(dy, dx) for dy in range(-16, 17, 4) for dx in range(-24, 25, 4)]
    windows = [a[80 + dy : 160 + dy, 60 + dx : 260 + dx] for dy, dx in shifts]
    return max(float(np.corrcoef(window.ravel(), middle.ravel())[0, 1]) for window in windows)


def test_the_same_seed_gives_the_same_finger_and_the_same_picture() -> None:
    first, second = picture(SEED, 1), picture(SEED, 1)
    assert np.array_equal(first, second)


def test_two_touches_are_never_the_same_picture() -> None:
    assert np.abs(picture(SEED, 1) - picture(SEED, 2)).mean() > 1


def test_a_picture_looks_like_the_sensors() -> None:
    image = capture(anatomy(SEED), generator("look"))
    assert image.shape == (240, 320)
    assert image.dtype == np.uint8
    assert 40 < image[60:180, 40:240].mean() < 150
    assert image[:20].mean() < 15


def test_the_vein_graph_is_as_the_recipe_says() -> None:
    for person in population(20):
        ranks = [vessel.rank for vessel in anatomy(person.finger()).vessels]
        assert 2 <= ranks.count(Rank.TRUNK) <= 4
        assert 4 <= ranks.count(Rank.LINK) <= 10
        assert 3 <= ranks.count(Rank.TWIG) <= 9


def test_two_captures_of_a_finger_are_more_alike_than_two_fingers() -> None:
    seeds = [person.finger() for person in population(12)]
    own = [likeness(picture(seed, 1), picture(seed, 2)) for seed in seeds]
    other = [likeness(picture(a, 1), picture(b, 2)) for a, b in pairwise(seeds)]
    assert np.median(own) > np.max([np.median(other), 0.5])


def test_people_differ_in_how_they_lay_the_finger_down() -> None:
    wilful = np.array([anatomy(person.finger()).wilfulness for person in population(300)])
    assert 0.8 < np.median(wilful) < 1.25
    assert wilful.max() > 2.5


def detail(image: Floats) -> float:
    """How much the middle of a finger varies within some 20 pixels."""
    middle = np.log(image[100:160, 60:260])
    return float((middle - cv2.GaussianBlur(middle, (0, 0), 10)).std())


def test_a_wet_finger_shows_less_of_its_veins() -> None:
    good, wet = (
        np.median([detail(picture(each.finger(), 1, presentation)) for each in population(12)])
        for presentation in (Presentation.GOOD, Presentation.WET)
    )
    assert wet < good / 1.5


def test_a_short_finger_ends_in_the_picture_and_an_off_centre_one_leaves_it() -> None:
    assert picture(SEED, 1, Presentation.SHORT)[100:140, 220:270].mean() < 15
    assert picture(SEED, 1)[100:140, 220:270].mean() > 30
    pose = draw_pose(anatomy(SEED), generator("pose"), Presentation.OFF_CENTRE)
    assert abs(pose.dy) + anatomy(SEED).radius[MARGIN] > 120


def test_the_empty_reader_is_dark() -> None:
    assert empty(generator("empty"))[60:180, 40:280].mean() < 15


def test_a_stranger_is_nobody_of_the_staff() -> None:
    assert stranger_finger(1) not in {person.finger(finger) for person in population(50) for finger in Finger}


def test_the_contact_sheet_has_a_row_a_finger_and_says_which() -> None:
    sheet = contact_sheet([SEED, stranger_finger(1)], [Presentation.GOOD] * 3)
    assert sheet.shape == (28 + 480, 200 + 960)
    assert sheet[:28].max() > 100
    assert sheet[28:, :200].max() > 100


def test_the_contact_sheet_is_the_same_for_the_same_seed_and_shows_other_touches_for_another() -> None:
    one, again, other = (contact_sheet([SEED], [Presentation.GOOD], seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("species", list(Species))
def test_the_contact_sheet_shows_each_kind_of_attack(species: Species) -> None:
    finger, attack = (shown(SEED, what, "1") for what in (Presentation.GOOD, species))
    assert attack.shape == finger.shape
    assert attack.max() > 60
    assert not np.array_equal(finger, attack)


@pytest.mark.parametrize("presentation", list(Presentation))
def test_every_presentation_gives_a_picture(presentation: Presentation) -> None:
    assert picture(SEED, 3, presentation).max() > 60
