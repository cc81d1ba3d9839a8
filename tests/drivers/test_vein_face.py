"""The engine as somebody would use it who knows nothing of its modules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from authd.driver import DriverError, Fault, Hint, Reference
from authd_drivers.vein.engine.enrol import agreeing
from authd_drivers.vein.engine.face import FINGERS, Gallery, compare, enrol, extract, pack, parse
from tests.drivers.veins import Image, picture, probes, sim

INDEX = FINGERS.index("right_index")


def frames(finger: str, count: int = 3) -> list[Image]:
    good = [touch for touch in range(30) if extract(picture(finger, touch), sim()).template]
    return [picture(finger, touch) for touch in good[:count]]


def test_from_frames_to_a_name() -> None:
    gallery, profile = Gallery(), sim()
    enrolled = enrol(frames("ann"), profile, gallery, INDEX)
    assert len(enrolled.templates) == 3
    assert {parse(each).finger for each in enrolled.templates} == {INDEX}
    gallery.add([Reference("ann", f"tpl_{n}@1", each) for n, each in enumerate(enrolled.templates)])
    probe = extract(frames("ann", 4)[3], profile).template
    assert probe is not None
    found = gallery.search(probe, ["ann", "ben"], profile.decision.threshold)
    assert [each.subject for each in found.candidates] == ["ann"]
    assert found.margin > profile.decision.margin
    assert compare(probe, enrolled.templates[0]) == pytest.approx(compare(enrolled.templates[0], probe))


def test_a_finger_that_the_gallery_knows_is_not_enrolled_under_another_name() -> None:
    gallery = Gallery()
    gallery.add([Reference("ann", f"tpl_{n}@1", each) for n, each in enumerate(probes("ann", 3))])
    again = enrol(frames("ann", 6)[3:], sim(), gallery)
    assert again.templates == ()
    assert again.known is not None
    assert again.known.subject == "ann"
    assert enrol(frames("ben"), sim(), gallery).known is None


def test_frames_that_do_not_show_one_finger_are_a_hint() -> None:
    assert enrol([*frames("ann", 2), frames("ben", 1)[0]], sim()).hint is Hint.REMOVE_AND_RETRY
    assert enrol(frames("ann", 2), sim()).hint is Hint.REMOVE_AND_RETRY
    assert enrol([frames("ann", 1)[0]] * 3, sim()).hint is Hint.REMOVE_AND_RETRY
    assert enrol([*frames("ann"), picture("ann", 0)[:] * 0], sim()).hint is Hint.CENTRE


def test_templates_of_two_profiles_are_never_compared() -> None:
    one = probes("ann", 1)[0]
    other = pack(replace(parse(one), profile=7))
    with pytest.raises(DriverError) as caught:
        compare(one, other)
    assert caught.value.fault is Fault.PROTOCOL
    with pytest.raises(ValueError):
        agreeing([parse(one), parse(one), parse(other)], sim())
