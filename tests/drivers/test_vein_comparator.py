from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.driver import DriverError, Fault, Hint, Reference
from authd_drivers.vein.comparator import REMEMBERED, Recent, VeinComparator
from authd_drivers.vein.engine.bank import SURVIVORS
from authd_drivers.vein.engine.compare import words
from authd_drivers.vein.engine.enrol import FEWEST, KEPT
from authd_drivers.vein.engine.gallery import Gallery
from authd_drivers.vein.engine.profile import load_profile
from authd_drivers.vein.engine.template import Template, pack, parse
from authd_drivers.vein.study.written import written
from tests.drivers.veins import probes, references, sim

PEOPLE = ("ann", "ben", "cho")


def loaded(*people: str) -> VeinComparator:
    comparator = VeinComparator()
    comparator.load([each for person in people for each in references(person, probes(person, 3))])
    return comparator


def noise(seed: int, profile: int | None = None) -> bytes:
    cells = np.random.default_rng(seed).random((32, 64)) < 0.4
    return pack(
        Template(sim().id if profile is None else profile, 0.5, np.packbits(cells, axis=1, bitorder="little").tobytes())
    )


def blend(one: bytes, other: bytes, rows: int) -> bytes:
    """A probe whose upper rows are one's and whose lower rows are the other's."""
    a, b = parse(one), parse(other)
    return pack(Template(a.profile, 0.5, a.bits[: 8 * rows] + b.bits[8 * rows :]))


# Who it is.


@pytest.mark.parametrize("person", PEOPLE)
def test_finds_the_person_by_a_new_touch_with_a_margin(person: str) -> None:
    found = loaded(*PEOPLE).search(probes(person, 4)[3], PEOPLE)
    assert found.best is not None
    assert found.best.subject == person
    assert found.best.reference.startswith(f"tpl_{person}_")
    assert found.margin >= load_profile("sim").decision.margin
    assert not found.replayed


def test_finds_nobody_out_of_scope() -> None:
    comparator = loaded(*PEOPLE)
    assert comparator.search(probes("ann", 4)[3], ["ben", "cho", "dan"]).best is None
    assert comparator.search(probes("ben", 4)[3], []).best is None


def test_a_stranger_is_nobody() -> None:
    found = loaded(*PEOPLE).search(probes("dan", 1)[0], PEOPLE)
    assert found.best is None
    assert not found.replayed


def test_two_people_too_close_to_tell_are_nobody() -> None:
    comparator = loaded("ann")
    comparator.add([Reference("twin", "tpl_twin@1", probes("ann", 3)[0])])
    found = comparator.search(probes("ann", 4)[3], ["ann", "twin"])
    assert found.best is None
    assert found.margin < load_profile("sim").decision.margin
    fresh = loaded("ann")
    found = fresh.search(probes("ann", 4)[3], ["ann", "twin"])
    assert found.best is not None
    assert found.best.subject == "ann"


def test_captures_of_two_kinds_of_sensor_are_never_compared() -> None:
    sample = parse(probes("ann", 4)[3])
    elsewhere = pack(Template(load_profile("sdumla").id, sample.quality, sample.bits))
    assert loaded("ann").search(elsewhere, ["ann"]).best is None


def test_the_coarse_filter_of_a_full_roster_loses_nobody() -> None:
    comparator = loaded(*PEOPLE)
    crowd = [Reference(f"p{n}", f"tpl_p{n}@1", noise(n)) for n in range(10 * SURVIVORS)]
    comparator.add(crowd)
    scope = [*PEOPLE, *(each.subject for each in crowd)]
    for person in PEOPLE:
        found = comparator.search(probes(person, 5)[4], scope)
        assert found.best is not None
        assert found.best.subject == person


# What is held.


def test_a_removed_person_is_gone_from_memory() -> None:
    gallery = Gallery()
    gallery.add([each for person in PEOPLE for each in references(person, probes(person, 3))])
    (held,) = gallery.bits.values()
    gallery.remove("ann")
    assert not held.any()  # the rows that held everybody were overwritten
    assert [rows.shape for rows in gallery.bits.values()] == [(6, 32)]


def test_the_others_are_found_after_somebody_left() -> None:
    comparator = loaded(*PEOPLE)
    comparator.remove("ann")
    assert comparator.search(probes("ann", 4)[3], PEOPLE).best is None
    found = comparator.search(probes("cho", 4)[3], PEOPLE)
    assert found.best is not None
    assert found.best.subject == "cho"
    comparator.remove("nobody")


def test_load_replaces_and_add_replaces_the_same_id() -> None:
    comparator = loaded("ann", "ben")
    comparator.load(references("ben", probes("ben", 3)))
    assert comparator.search(probes("ann", 4)[3], PEOPLE).best is None
    comparator.add([Reference("cho", "tpl_ben_0@1", probes("cho", 1)[0])])
    assert len(comparator) == 3


def test_a_malformed_reference_adds_nothing() -> None:
    comparator = loaded("ann")
    with pytest.raises(DriverError):
        comparator.add([*references("ben", probes("ben", 3)), Reference("x", "tpl_x@1", b"short")])
    assert len(comparator) == 3
    with pytest.raises(ValueError):
        comparator.add([Reference("x", "tpl_x@1", noise(1)), Reference("x", "tpl_x@1", noise(2))])


def test_an_empty_gallery_ranks_nobody() -> None:
    assert Gallery().rank(words(parse(noise(1)).bits), sim().id, ["x"], 0.999).people == ()


def test_the_bound_is_that_of_the_worst_profile_in_use() -> None:
    sim, sdumla = load_profile("sim"), load_profile("sdumla")
    assert VeinComparator().fmr == max(sim.fmr_bound, sdumla.fmr_bound)
    assert loaded("ann").fmr == sim.fmr_bound
    comparator = VeinComparator(profiles=[sdumla])
    comparator.load([Reference("x", "tpl_x@1", noise(1, sdumla.id))])
    assert comparator.fmr == sdumla.fmr_bound


# Recordings.


def test_a_probe_shown_twice_is_a_recording() -> None:
    comparator = loaded(*PEOPLE)
    assert not comparator.search(probes("ann", 4)[3], PEOPLE).replayed
    again = comparator.search(probes("ann", 4)[3], PEOPLE)
    assert again.replayed
    assert again.best is None


def test_a_recording_with_another_header_or_one_changed_bit_is_still_one() -> None:
    comparator = loaded(*PEOPLE)
    comparator.search(probes("ann", 4)[3], PEOPLE)
    sample = parse(probes("ann", 4)[3])
    changed = bytearray(sample.bits)
    changed[100] ^= 0x08
    assert comparator.search(pack(Template(sample.profile, 0.1, bytes(changed))), PEOPLE).replayed


def test_a_stored_template_played_back_is_a_recording() -> None:
    assert loaded(*PEOPLE).search(probes("ann", 3)[1], PEOPLE).replayed


def test_a_recording_of_a_touch_that_named_nobody_is_one_too() -> None:
    comparator = loaded("ann")
    assert comparator.search(probes("dan", 1)[0], PEOPLE).best is None
    comparator.add(references("dan", probes("dan", 4)[1:]))
    assert comparator.search(probes("dan", 1)[0], ["dan"]).replayed


def test_memory_of_probes_is_bounded() -> None:
    recent = Recent(4)
    bits = [words(parse(noise(seed)).bits) for seed in range(6)]
    assert [recent.replayed(each) for each in bits] == [False] * 6
    assert [recent.replayed(each) for each in bits[2:]] == [True] * 4
    assert not recent.replayed(bits[0])
    assert REMEMBERED <= 4096


# Enrolment.


def test_three_touches_that_agree_become_templates() -> None:
    templates = VeinComparator().enrol(probes("ann", 3))
    assert sorted(templates) == sorted(probes("ann", 3))


def test_no_more_templates_are_kept_than_needed() -> None:
    assert len(VeinComparator().enrol(probes("ann", 7))) == KEPT


def bad_enrolments() -> dict[str, list[bytes]]:
    ann, ben = list(probes("ann", 3)), probes("ben", 3)
    return {
        "too few": ann[: FEWEST - 1],
        "none": [],
        "another finger": [*ann[:2], ben[0]],
        "three fingers": [ann[0], ben[0], probes("cho", 1)[0]],
        "a recording": [*ann[:2], ann[0]],
        "two sensors": [*ann[:2], noise(1, load_profile("sdumla").id)],
        "half another finger": [*ann[:2], blend(ben[0], ann[2], 26)],
    }


@pytest.mark.parametrize("case", bad_enrolments())
def test_presentations_that_do_not_agree_are_a_hint(case: str) -> None:
    with pytest.raises(ValueError) as caught:
        VeinComparator().enrol(bad_enrolments()[case])
    assert Hint(caught.value.args[0])


# Hostile bytes.


@given(st.binary(max_size=400))
def test_hostile_probes_are_one_error(data: bytes) -> None:
    comparator = VeinComparator()
    for call in (lambda: comparator.search(data, ["x"]), lambda: comparator.enrol([data] * 3)):
        with pytest.raises(DriverError) as caught:
            call()
        assert caught.value.fault is Fault.PROTOCOL


def test_a_probe_of_an_unknown_sensor_is_an_error() -> None:
    with pytest.raises(DriverError):
        VeinComparator().search(noise(1, profile=200), ["x"])


def test_the_text_of_a_readers_own_profile_is_known_beside_the_shipped_ones() -> None:
    mine = replace(sim(), name="mine", roster=(), pad=())
    probe = pack(replace(parse(probes("ann", 4)[3]), profile=mine.id))
    templates = tuple(pack(replace(parse(each), profile=mine.id)) for each in probes("ann", 3))
    comparator = VeinComparator([written(mine, "mine"), "no = profile"])
    comparator.load(references("ann", templates))
    found = comparator.search(probe, ["ann"])
    assert found.best is not None
    assert found.best.subject == "ann"
    with pytest.raises(DriverError):
        VeinComparator().load(references("ann", templates))
