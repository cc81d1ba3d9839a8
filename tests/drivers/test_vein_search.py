from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authd.driver import DriverError, Fault, Reference
from authd_drivers.vein.engine import bank as bank_module
from authd_drivers.vein.engine.bank import SHARE, SURVIVORS, Bank, Slot
from authd_drivers.vein.engine.compare import FINE, ROUGH, coarse, lattices, words
from authd_drivers.vein.engine.gallery import REFINED, Gallery
from authd_drivers.vein.engine.lattice import OVERLAP, WEIGHT, Lattice
from authd_drivers.vein.engine.profile import SearchSettings
from authd_drivers.vein.engine.template import Template, pack, parse
from tests.drivers.veins import probes, references

Words = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]
EXACT = {"rel": 0, "abs": 0}


def maps(seed: int, count: int, density: float = 0.4) -> Words:
    cells = np.random.default_rng(seed).random((count, 32, 64)) < density
    return np.packbits(cells.reshape(count, -1), axis=1, bitorder="little").view(np.uint64)


def record(bits: Words, profile: int = 7, finger: int = 0) -> bytes:
    return pack(Template(profile, 0.5, bits.tobytes(), finger))


def enrolled(rows: Words, profile: int = 7, fingers: Mapping[int, int] | None = None) -> Gallery:
    """A gallery in which row n is of person `p<n>`."""
    gallery = Gallery()
    codes = fingers or {}
    gallery.add([Reference(f"p{n}", f"t{n}", record(row, profile, codes.get(n, 0))) for n, row in enumerate(rows)])
    return gallery


def people(count: int) -> list[str]:
    return [f"p{n}" for n in range(count)]


def cells_of(bits: Words, rows: int, columns: int) -> npt.NDArray[np.int64]:
    return np.unpackbits(bits.view(np.uint8), bitorder="little").reshape(rows, columns).astype(np.int64)


def defined(a: Words, b: Words, size: tuple[int, int], most: tuple[int, int] = (99, 99)) -> np.float32:
    """The definition, shift by shift, in the same steps of single precision."""
    rows, columns = size
    x, y = cells_of(a, *size), cells_of(b, *size)
    best = np.float32(-1)
    for down in range(max(1 - rows, -most[0]), min(rows, most[0] + 1)):
        for right in range(max(1 - columns, -most[1]), min(columns, most[1] + 1)):
            n = (rows - abs(down)) * (columns - abs(right))
            if n >= OVERLAP * rows * columns:
                u = x[max(0, -down) : rows - max(0, down), max(0, -right) : columns - max(0, right)]
                v = y[max(0, down) : rows + min(0, down), max(0, right) : columns + min(0, right)]
                weight = np.float32(n) / np.float32(rows * columns)
                score = phi(n, int(u.sum()), int(v.sum()), int((u & v).sum()))
                best = max(best, (score * np.array([weight]) ** np.float32(WEIGHT))[0])
    return best


def phi(n: int, a: int, b: int, ab: int) -> np.float32:
    """Counts are whole numbers below 2 ** 24, so that only the product, the root and the quotient are rounded."""
    spread = np.float32((n - b) * b) * np.float32(a * (n - a))
    return np.float32(np.float32(n * ab - a * b) / np.sqrt(max(spread, np.float32(1))))


# Scores.


@pytest.mark.parametrize(("count", "density"), [(1, 0.4), (3, 0.1), (30, 0.9)])
def test_a_score_is_the_definition_to_the_last_bit(count: int, density: float) -> None:
    probe, rows = maps(1, 1)[0], maps(2, count, density)
    scores = FINE.scores(probe, rows)
    for row in (0, count - 1):
        assert scores[row] == defined(probe, rows[row], (32, 64))


def test_a_coarse_score_is_the_definition_too() -> None:
    probe, rows = coarse(maps(1, 1))[0], coarse(maps(2, 3))
    assert [float(each) for each in ROUGH.scores(probe, rows)] == [float(defined(probe, row, (16, 32))) for row in rows]


@pytest.mark.parametrize("cells", [0, 1, 2047, 2048])
def test_an_empty_or_a_full_map_is_like_nothing(cells: int) -> None:
    flat = np.zeros(2048, np.uint8)
    flat[:cells] = 1
    odd = np.packbits(flat, bitorder="little").view(np.uint64)
    scores = FINE.scores(odd, np.stack([odd, maps(3, 1)[0]]))
    assert np.isfinite(scores).all()
    assert (np.abs(scores) <= 1.0001).all()


@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([0.03, 0.4, 0.97]))
@settings(max_examples=15, deadline=None)
def test_a_score_does_not_depend_on_its_company(seed: int, count: int, density: float) -> None:
    probe, rows = maps(seed, 1)[0], maps(seed + 1, count, density)
    together = FINE.scores(probe, rows)
    alone = [FINE.scores(probe, rows[row : row + 1])[0] for row in range(count)]
    assert together.tolist() == alone
    some = np.arange(0, count, 2)
    assert FINE.scores(probe, rows, some).tolist() == together[some].tolist()
    assert FINE.scores(rows[0], probe[np.newaxis])[0] == pytest.approx(together[0], abs=1e-6)


def test_more_templates_than_a_block_are_the_same() -> None:
    rows = maps(4, 700)
    scores = FINE.scores(rows[650], rows)
    assert scores.argmax() == 650
    assert scores[699] == FINE.scores(rows[650], rows[699:])[0]
    dense = np.full((20, 32), ~np.uint64(0))
    dense[:, 0] = 0
    assert FINE.scores(dense[0], dense).tolist() == [1.0] * 20  # 64 cells a word, more than a byte counts


def test_shifts_beyond_a_profile_s_limits_are_not_looked_at() -> None:
    fine, rough = lattices(SearchSettings(3, 5))
    assert fine.shifts == 7 * 11
    assert rough.shifts == 5 * 7
    assert lattices(SearchSettings(3, 5)) == (fine, rough)
    probe, row = maps(1, 1)[0], maps(2, 1)
    assert fine.scores(probe, row)[0] == defined(probe, row[0], (32, 64), (3, 5))
    assert lattices(SearchSettings(31, 63))[0].shifts == FINE.shifts


def test_a_lattice_leaves_numpy_as_it_was() -> None:
    usual = np.setbufsize(4096)
    try:
        FINE.scores(maps(1, 1)[0], maps(2, 2))
        assert np.getbufsize() == 4096
    finally:
        np.setbufsize(usual)


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises((ValueError, IndexError)):
        FINE.scores(maps(1, 1)[0][:8], maps(2, 2))


# The coarse map.


def test_a_coarse_cell_is_set_where_two_of_its_four_are() -> None:
    rows = maps(5, 40)
    quarters = np.stack([cells_of(row, 32, 64) for row in rows]).reshape(40, 16, 2, 32, 2).sum(axis=(2, 4))
    small = coarse(rows)
    assert small.shape == (40, 8)
    assert (np.stack([cells_of(row, 16, 32) for row in small]) == (quarters >= 2)).all()
    assert isinstance(ROUGH, Lattice)


# The bank.


def test_a_template_takes_no_more_than_320_bytes() -> None:
    gallery = enrolled(maps(6, 50))
    assert gallery.nbytes == 320 * 50


def test_survivors_are_those_with_the_best_coarse_maps() -> None:
    rows = maps(7, 20 * SURVIVORS)
    held = Bank()
    held.add([Slot(f"p{n}", f"t{n}", 0) for n in range(len(rows))], rows)
    scope = np.arange(10, len(rows))
    kept = held.plausible(rows[99], scope)
    assert len(kept) == max(SURVIVORS, round(SHARE * len(scope)))
    scores = ROUGH.scores(coarse(rows[99:100])[0], coarse(rows))
    assert set(kept) <= set(scope)
    assert scores[kept].min() >= np.delete(scores, kept)[10:].max()
    assert held.scores(rows[99], kept).tolist() == FINE.scores(rows[99], rows[kept]).tolist()


def test_a_small_scope_is_compared_whole() -> None:
    held = Bank()
    held.add([Slot(f"p{n}", f"t{n}", 0) for n in range(SURVIVORS)], maps(8, SURVIVORS))
    assert held.plausible(maps(9, 1)[0], np.arange(SURVIVORS)).tolist() == list(range(SURVIVORS))


def test_rows_are_overwritten_once_they_were_copied() -> None:
    held = Bank()
    held.add([Slot("ann", "a", 2), Slot("ben", "b", 2)], maps(9, 2))
    first = held.fine
    held.add([Slot("cho", "c", 2)], maps(10, 1))
    second = held.fine
    held.drop({0})
    assert not first.any()
    assert not second.any()
    assert [slot.subject for slot in held.slots] == ["ben", "cho"]
    assert (held.fine == np.concatenate([maps(9, 2)[1:], maps(10, 1)])).all()
    assert held.of(["cho", "ann", "cho"]).tolist() == [1]


# The search.


@given(seed=st.integers(0, 2**32), row=st.integers(0, 199), flips=st.floats(0, 0.2))
@settings(max_examples=12, deadline=None)
def test_a_search_finds_what_comparing_everything_finds(seed: int, row: int, flips: float) -> None:
    """With the very same scores, as long as a probe is like its template beyond chance."""
    rows = maps(seed, 200)
    probe = rows[row] ^ maps(seed + 1, 1, flips)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bank_module, "SURVIVORS", 16)
        gallery = enrolled(rows)
        found, all_of_them = (gallery.search(record(probe), people(200), least).candidates for least in (0.3, -1))
    scores = FINE.scores(probe, rows)
    assert {each.subject: each.score for each in found} == {f"p{n}": scores[n] for n in np.flatnonzero(scores >= 0.3)}
    assert [each.score for each in all_of_them] == [scores[int(each.subject[1:])] for each in all_of_them]
    assert len(all_of_them) == 16


def test_the_margin_is_to_the_second_person_whether_or_not_they_reach_the_threshold() -> None:
    rows = maps(10, 4)
    gallery = enrolled(rows)
    gallery.add([Reference("p0", "again", record(maps(11, 1, 0.02)[0] ^ rows[0]))])
    probe = rows[0] ^ maps(12, 1, 0.05)[0]
    found = gallery.search(record(probe), people(4), 0.5)
    assert [each.subject for each in found.candidates] == ["p0"]
    second = max(0.0, float(FINE.scores(probe, rows[1:]).max()))
    assert found.margin == pytest.approx(found.candidates[0].score - second, abs=1e-6)
    nobody = gallery.search(record(probe), people(4), 0.999)
    assert (nobody.candidates, nobody.margin) == ((), found.margin)
    alone = gallery.search(record(probe), ["p0"], 0.5)
    assert alone.margin == alone.candidates[0].score


def test_one_who_is_less_like_the_probe_than_chance_is_no_nearer_than_nobody() -> None:
    limits = {7: SearchSettings(0, 0)}
    row = maps(10, 1)[0]
    gallery = Gallery(limits)
    gallery.add([Reference("p0", "t0", record(row)), Reference("p1", "t1", record(~row))])
    found = gallery.search(record(row), people(2), 0.5)
    assert found.margin == found.candidates[0].score == 1.0


def test_nobody_is_found_in_an_empty_scope() -> None:
    gallery = enrolled(maps(10, 4))
    for scope in ([], ["stranger"]):
        found = gallery.search(record(maps(10, 4)[0]), scope, -1)
        assert (found.candidates, found.margin, found.replayed) == ((), 0.0, False)


def test_a_template_played_back_is_no_new_capture() -> None:
    rows = maps(13, 4)
    assert enrolled(rows).search(record(rows[2]), people(4), 0.3).replayed
    assert not enrolled(rows).search(record(rows[2]), ["p0"], 0.3).replayed


def test_templates_of_another_profile_are_counted_and_never_compared() -> None:
    rows = maps(14, 3)
    gallery = enrolled(rows[:2])
    gallery.add([Reference("p2", "t2", record(rows[2], profile=8))])
    assert gallery.codes == {7, 8}
    found = gallery.search(record(rows[0], profile=8), people(3), -1)
    assert [each.subject for each in found.candidates] == ["p2"]
    assert (found.incomparable, found.replayed) == (2, False)
    unknown = gallery.search(record(rows[0], profile=9), people(3), -1)
    assert (unknown.candidates, unknown.incomparable) == ((), 3)


def test_a_record_of_another_version_is_an_error_and_changes_nothing() -> None:
    rows = maps(15, 2)
    gallery = enrolled(rows)
    other = bytearray(record(rows[0]))
    other[4] += 1
    for call in (
        lambda: gallery.search(bytes(other), people(2), 0.3),
        lambda: gallery.add([Reference("new", "new", record(rows[0])), Reference("x", "x", bytes(other))]),
    ):
        with pytest.raises(DriverError) as caught:
            call()
        assert caught.value.fault is Fault.PROTOCOL
    assert len(gallery) == 2


def test_a_template_moves_to_another_profile_under_its_id() -> None:
    rows = maps(16, 3)
    gallery = enrolled(rows)
    gallery.add([Reference("p1", "t1", record(rows[1], profile=8))])
    assert len(gallery) == 3
    assert gallery.codes == {7, 8}
    assert [len(each) for each in gallery.bits.values()] == [2, 1]
    gallery.clear()
    assert (len(gallery), gallery.codes, gallery.subjects) == (0, set(), [])


def test_fingers_are_known_by_their_codes() -> None:
    rows = maps(17, 3)
    gallery = enrolled(rows, fingers={0: 2, 1: 7})
    gallery.add([Reference("p0", "more", record(maps(18, 1)[0], finger=2)), Reference("p0", "o", record(rows[2]))])
    assert gallery.fingers("p0") == {2: 2, 0: 1}
    ranking = gallery.rank(rows[0], 7, people(3))
    assert [(each.subject, each.finger) for each in ranking.fingers if each.subject == "p0"] == [("p0", 2), ("p0", 0)]


def test_limits_of_a_profile_hold_in_its_bank() -> None:
    whole = np.random.default_rng(19).random((64, 128)) < 0.4
    one, moved = (
        np.packbits(part.ravel(), bitorder="little").view(np.uint64) for part in (whole[:32, :64], whole[6:38, :64])
    )
    near = Gallery({7: SearchSettings(2, 25)})
    far = Gallery({8: SearchSettings(2, 25)})
    for gallery in (near, far):
        gallery.add([Reference("p0", "t0", record(one))])
    assert not near.search(record(moved), ["p0"], 0.9).candidates
    assert far.search(record(moved), ["p0"], 0.9).candidates


def test_a_second_stage_sees_the_best_and_has_the_last_word() -> None:
    rows = maps(20, 3 * REFINED)
    seen: list[Words] = []

    def refine(lattice: Lattice, probe: Words, templates: Words, scores: Floats) -> Floats:
        seen.append(templates)
        assert scores.tolist() == lattice.scores(probe, templates).tolist()
        return scores[::-1].copy()

    gallery = Gallery(refine=refine)
    gallery.add([Reference(f"p{n}", f"t{n}", record(row)) for n, row in enumerate(rows)])
    found = gallery.search(record(rows[5] ^ maps(21, 1, 0.1)[0]), people(len(rows)), -1)
    assert [each.shape for each in seen] == [(REFINED, 32)]
    assert found.candidates[0].subject != "p5"


def test_the_filter_of_a_roster_loses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_module, "SURVIVORS", 8)
    crowd = maps(22, 400)
    gallery = enrolled(crowd, parse(probes("ann", 1)[0]).profile)
    for person in ("ann", "ben"):
        gallery.add(references(person, probes(person, 3)))
    scope = [*people(len(crowd)), "ann", "ben"]
    for person in ("ann", "ben"):
        probe = probes(person, 5)[4]
        found = gallery.search(probe, scope, 0.32)
        assert found.candidates[0].subject == person
        exact = FINE.scores(words(parse(probe).bits), np.concatenate(list(gallery.bits.values())))
        assert found.candidates[0].score == exact.max()
