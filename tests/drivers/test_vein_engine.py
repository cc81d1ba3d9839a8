from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authd.driver import DriverError, Fault, Hint
from authd_drivers.vein.engine.compare import FINE, compare, unmoved, words
from authd_drivers.vein.engine.edges import find_edges
from authd_drivers.vein.engine.extract import extract, sees_finger
from authd_drivers.vein.engine.profile import (
    PROFILES,
    ProfileError,
    RidgeSettings,
    load_profile,
    profile_names,
    read_profile,
    upper_bound,
)
from authd_drivers.vein.engine.ridges import ridge_pixels, ridge_strength, vein_strength
from authd_drivers.vein.engine.scratch import Scratch
from authd_drivers.vein.engine.template import TEMPLATE_BYTES, WIRE_BYTES, Template, pack, parse, pool
from authd_drivers.vein.engine.unwrap import fit_shape, unwrap
from authd_simulators.vein_image import Presentation, empty
from tests.drivers.veins import Image, picture, probes, sim

SDUMLA = load_profile("sdumla")


def cylinder(top: int = 60, bottom: int = 180, slope: float = 0.0) -> Image:
    """A bright bar with a few dark bands along it, on a dark ground."""
    rows, columns = np.mgrid[0:240, 0:320].astype(np.float32)
    offset = slope * (columns - 160)
    inside = (rows > top + offset) & (rows < bottom + offset)
    return np.where(inside, 110, 10).astype(np.uint8)


def random_bits(seed: int, density: float = 0.4) -> bytes:
    cells = np.random.default_rng(seed).random((32, 64)) < density
    return np.packbits(cells, axis=1, bitorder="little").tobytes()


# Steps of the extraction.


@pytest.mark.parametrize("slope", [0.0, 0.1, -0.15])
def test_the_shape_of_a_bar_is_found_within_three_pixels(slope: float) -> None:
    with Scratch() as scratch:
        edges = find_edges(cylinder(slope=slope), SDUMLA.edges, scratch)
        shape = fit_shape(edges, 320, SDUMLA.unwrap)
    traced = (shape.columns > edges.columns[0]) & (shape.columns < edges.columns[-1])
    assert np.abs(shape.centre - (120 + slope * (shape.columns - 160)))[traced].max() <= 3
    assert np.abs(shape.radius - 59.5)[traced].max() <= 3
    assert edges.contrast > 0.5


def test_a_brighter_neighbour_in_the_corner_does_not_pull_the_edge_away() -> None:
    frame = cylinder()
    frame[:25, :70] = 250
    with Scratch() as scratch:
        edges = find_edges(frame, SDUMLA.edges, scratch)
    assert np.abs(edges.rows[0] - 60.5).max() <= 2.0


def test_a_brighter_neighbour_along_the_whole_finger_is_left_outside() -> None:
    frame = cylinder(slope=0.05)
    frame[:40] = 250  # its lower edge falls, as that of a gap between two fingers: the finger's own rises
    frame[215:] = 250
    with Scratch() as scratch:
        edges = find_edges(frame, SDUMLA.edges, scratch)
    drift = 0.05 * (edges.columns - 160)
    assert np.abs(edges.rows[0] - 60.5 - drift).max() <= 4.0
    assert np.abs(edges.rows[1] - 180.5 - drift).max() <= 4.0


def test_a_roll_of_the_finger_is_a_vertical_shift_of_the_unrolled_picture() -> None:
    skins: list[Image] = []
    for degrees in (0.0, 40.0):
        frame = cylinder()
        row = 120 + 60 * np.sin(np.deg2rad(degrees))
        frame[round(row) - 3 : round(row) + 4] = 70
        with Scratch() as scratch:
            shape = fit_shape(find_edges(frame, SDUMLA.edges, scratch), 320, SDUMLA.unwrap)
            skins.append(unwrap(frame, shape, SDUMLA.unwrap, scratch).copy())
    darkest = [int(skin[6:-6].mean(axis=1).argmin()) for skin in skins]
    assert (darkest[1] - darkest[0]) * (2 * SDUMLA.unwrap.degrees / SDUMLA.unwrap.rows) == pytest.approx(40, abs=2)


def test_a_dark_line_is_a_ridge_and_a_bright_one_is_not() -> None:
    skin = np.full((96, 192), 120, np.uint8)
    skin[45:51] = 80
    skin[:, 100:106] = 160
    with Scratch() as scratch:
        found = ridge_pixels(ridge_strength(skin, SDUMLA.ridges, scratch), SDUMLA.ridges)
    assert found[46:50, :80].any(axis=0).all()
    assert not found[10:35, 101:105].any()


@pytest.mark.parametrize("degrees", [0, 30, 75, 90, 120, 165])
def test_a_vein_is_found_in_each_direction(degrees: int) -> None:
    right, down = np.meshgrid(np.arange(192) - 96, np.arange(96) - 48)
    off = np.abs(right * np.sin(np.deg2rad(degrees)) - down * np.cos(np.deg2rad(degrees)))
    skin = np.where(off < 3, 80, 120).astype(np.uint8)
    with Scratch() as scratch:
        strength = vein_strength(skin, SDUMLA.ridges, scratch).copy()
    inner = np.s_[12:-12, 12:-12]
    strong = strength[inner] > 0.3 * strength[inner].max()
    assert strong.any()
    assert off[inner][strong].max() <= 4


def test_a_line_outlasts_noise_that_has_no_direction() -> None:
    rng = np.random.default_rng(4)
    skin = np.full((96, 192), 120.0)
    skin[46:51] = 105
    noisy = np.clip(skin + rng.normal(0, 12, skin.shape), 0, 255).astype(np.uint8)
    shares: list[float] = []
    for filtered in (ridge_strength, vein_strength):
        with Scratch() as scratch:
            strength = filtered(noisy, SDUMLA.ridges, scratch)
            shares.append(float(strength[46:51].sum() / strength.sum()))
    assert shares[1] > 1.15 * shares[0]


def test_a_dark_picture_has_the_veins_of_a_bright_one() -> None:
    skin = np.full((96, 192), 180.0)
    skin[45:51] = 150
    maps: list[bytes] = []
    for light in (1.0, 0.5):
        with Scratch() as scratch:
            level = (skin + 16) * light - 16
            strength = vein_strength(level.astype(np.uint8), SDUMLA.ridges, scratch)
            maps.append(pool(strength > 0.01))
    assert maps[0] == maps[1] != bytes(256)


@pytest.mark.parametrize("sigma", [1.0, 3.5, 7.0])
def test_veins_are_looked_for_at_any_size(sigma: float) -> None:
    with Scratch() as scratch:
        strength = vein_strength(np.full((96, 192), 90, np.uint8), RidgeSettings(sigma, 0.9), scratch)
        assert strength.shape == (96, 192)
        assert strength.max() < 1e-4


def test_a_flat_picture_has_no_ridges() -> None:
    with Scratch() as scratch:
        strength = ridge_strength(np.full((96, 192), 90, np.uint8), SDUMLA.ridges, scratch)
        assert not ridge_pixels(strength, SDUMLA.ridges).any()


def test_scratch_wipes_what_it_was_given_even_after_an_error() -> None:
    scratch = Scratch()
    kept = np.ones(4)
    with pytest.raises(ZeroDivisionError), scratch:
        _ = scratch(kept).size // 0
    assert not kept.any()


# The whole extraction.


def test_a_good_finger_makes_a_template_and_its_frame_is_left_alone() -> None:
    frame = picture("a", 0)
    before = frame.copy()
    result = extract(frame, sim())
    assert result.template is not None
    assert len(result.template) == WIRE_BYTES <= 320
    assert result.hint is None
    assert result.quality >= sim().quality.accept
    assert (frame == before).all()


def test_two_touches_of_a_finger_are_alike_and_two_fingers_are_not() -> None:
    a, b = (parse(data).bits for data in probes("a", 2))
    other = parse(probes("b", 1)[0]).bits
    assert compare(a, b) > sim().decision.threshold > compare(a, other)


@pytest.mark.parametrize("presentation", [Presentation.SHORT, Presentation.OFF_CENTRE])
def test_a_finger_laid_badly_is_a_hint(presentation: Presentation) -> None:
    result = extract(picture("a", 1, presentation), sim())
    assert result.template is None
    assert isinstance(result.hint, Hint)


@pytest.mark.parametrize(
    "frame",
    [
        empty(np.random.default_rng(0)),
        np.zeros((240, 320), np.uint8),
        np.full((240, 320), 255, np.uint8),
        np.random.default_rng(1).integers(0, 256, (240, 320)).astype(np.uint8),
    ],
    ids=["empty", "black", "white", "noise"],
)
def test_what_is_no_finger_is_not_seen_as_one(frame: Image) -> None:
    assert not sees_finger(frame, sim())
    assert extract(frame, sim()) == replace(extract(frame, sim()), template=None, hint=Hint.CENTRE)


@pytest.mark.parametrize("shape", [(240, 321), (1, 1), (0, 0), (240, 320, 3)])
def test_a_frame_of_another_size_is_the_devices_fault(shape: tuple[int, ...]) -> None:
    with pytest.raises(DriverError) as caught:
        extract(np.zeros(shape, np.uint8), sim())
    assert caught.value.fault is Fault.PROTOCOL


# Wire form.


def test_a_template_survives_the_wire() -> None:
    bits = random_bits(1)
    template = parse(pack(Template(7, 0.6, bits)))
    assert (template.profile, template.bits) == (7, bits)
    assert template.quality == pytest.approx(0.6, abs=1 / 255)


def test_every_single_changed_byte_is_found() -> None:
    data = bytearray(pack(Template(1, 0.5, random_bits(2))))
    for place in range(len(data)):
        data[place] ^= 0x10
        with pytest.raises(DriverError):
            parse(bytes(data))
        data[place] ^= 0x10
    parse(bytes(data))


@pytest.mark.parametrize("bits", [b"\0" * TEMPLATE_BYTES, b"\xff" * TEMPLATE_BYTES, random_bits(3, 0.95)])
def test_a_map_that_is_like_everything_or_nothing_is_refused(bits: bytes) -> None:
    with pytest.raises(DriverError):
        parse(pack(Template(1, 0.5, bits)))


@given(st.binary(max_size=700))
@settings(max_examples=300)
def test_hostile_bytes_are_one_error(data: bytes) -> None:
    with pytest.raises(DriverError) as caught:
        parse(data)
    assert caught.value.fault is Fault.PROTOCOL


def test_pooling_sets_a_cell_where_any_pixel_is() -> None:
    pixels = np.zeros((96, 192), np.bool_)
    pixels[3 * 5 + 2, 3 * 9] = True
    packed = pool(pixels)
    assert int.from_bytes(packed, "little") == 1 << (5 * 64 + 9)


# Comparison.


def slow_phi(a: bytes, b: bytes, overlap: float = 0.5) -> float:
    """The definition, cell by cell."""
    x, y = (np.unpackbits(np.frombuffer(m, np.uint8), bitorder="little").reshape(32, 64).astype(int) for m in (a, b))
    best = -1.0
    for down in range(-31, 32):
        for right in range(-63, 64):
            top, left = max(0, down), max(0, right)
            bottom, end = 32 + min(0, down), 64 + min(0, right)
            n = (bottom - top) * (end - left)
            if n < overlap * 2048 or bottom <= top or end <= left:
                continue
            u = x[top - down : bottom - down, left - right : end - right]
            v = y[top:bottom, left:end]
            spread = u.sum() * (n - u.sum()) * v.sum() * (n - v.sum())
            phi = (n * (u & v).sum() - u.sum() * v.sum()) / np.sqrt(float(spread)) if spread else 0.0
            best = max(best, float(phi) * (n / 2048) ** 0.25)
    return best


@pytest.mark.parametrize("seeds", [(1, 2), (3, 4)])
def test_the_score_is_the_definition(seeds: tuple[int, int]) -> None:
    a, b = random_bits(seeds[0], 0.3), random_bits(seeds[1], 0.5)
    assert compare(a, b) == pytest.approx(slow_phi(a, b), abs=1e-6)


def test_the_score_is_symmetric_and_one_for_the_same() -> None:
    a, b = random_bits(5), random_bits(6)
    assert compare(a, b) == pytest.approx(compare(b, a), abs=1e-6)
    assert compare(a, a) == pytest.approx(1.0, abs=1e-6)


@given(st.integers(-6, 6), st.integers(-12, 12))
@settings(max_examples=25, deadline=None)
def test_a_shifted_map_is_found_again(down: int, right: int) -> None:
    cells = np.random.default_rng(9).random((96, 128)) < 0.4
    one = np.packbits(cells[32:64, 32:96], axis=1, bitorder="little").tobytes()
    two = np.packbits(cells[32 + down : 64 + down, 32 + right : 96 + right], axis=1, bitorder="little").tobytes()
    share = (32 - abs(down)) * (64 - abs(right)) / 2048
    assert compare(one, two) == pytest.approx(share**0.25, abs=1e-6)


def test_a_full_overlap_divides_by_nothing() -> None:
    cells = np.zeros((32, 64), np.bool_)
    cells[:16] = True
    half = np.packbits(cells, axis=1, bitorder="little").tobytes()
    assert -1 <= compare(half, random_bits(8)) <= 1


def test_a_batch_is_the_same_as_one_by_one() -> None:
    maps = np.stack([words(random_bits(seed)) for seed in range(70)])
    scores = FINE.scores(maps[3], maps)
    assert scores[3] == pytest.approx(1.0, abs=1e-6)
    assert [scores[i] for i in (0, 63, 64, 69)] == [
        pytest.approx(float(FINE.scores(maps[3], maps[i : i + 1])[0])) for i in (0, 63, 64, 69)
    ]
    assert FINE.scores(maps[3], maps[:0]).shape == (0,)


def test_unmoved_knows_the_same_bits_only() -> None:
    maps = np.stack([words(random_bits(seed)) for seed in range(4)])
    likeness = unmoved(maps[2], maps)
    assert likeness[2] == pytest.approx(1.0)
    assert np.delete(likeness, 2).max() < 0.5


# Profiles.


def test_every_shipped_profile_loads_under_its_own_name_and_id() -> None:
    loaded = [load_profile(name) for name in profile_names()]
    assert {profile.name for profile in loaded} == set(profile_names()) >= {"sdumla", "sim"}
    assert len({profile.id for profile in loaded}) == len(loaded)
    for profile in loaded:
        assert 0 < profile.fmr_bound < 1e-5
        assert profile.unwrap.rows % 32 == profile.unwrap.columns % 64 == 0


def test_whatever_shapes_a_template_changes_the_profiles_id_and_a_threshold_does_not() -> None:
    other = replace(SDUMLA, ridges=replace(SDUMLA.ridges, sigma=3.6))
    stricter = replace(SDUMLA, decision=replace(SDUMLA.decision, threshold=0.5))
    assert other.id != SDUMLA.id == stricter.id


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_sensor_that_lies_another_way_round_gives_the_same_template(turn: int) -> None:
    upright = picture("a", 0)
    turned = np.ascontiguousarray(np.rot90(upright, turn // 90))  # counter-clockwise
    height, width = turned.shape
    region = replace(sim().region, turn=turn, right=width, bottom=height)
    profile = replace(sim(), width=width, height=height, region=region)
    one, other = extract(upright, sim()).template, extract(turned, profile).template
    assert one is not None
    assert other is not None
    assert parse(one).bits == parse(other).bits


def test_frames_that_end_at_the_fingers_edges_are_unrolled_whole() -> None:
    middle = picture("a", 0)[70:170]
    region = replace(sim().region, bottom=100, rows=100)
    edges = replace(sim().edges, traced=False)
    profile = replace(sim(), height=100, region=region, edges=edges, quality=replace(sim().quality, width_max=1.0))
    found = extract(middle, profile)
    assert found.template is not None
    assert extract(np.full_like(middle, 90), profile).hint is Hint.CENTRE


@pytest.mark.parametrize("name", ["", "no-such", "../sdumla", "a/b"])
def test_an_unknown_profile_is_refused(name: str) -> None:
    with pytest.raises(ProfileError):
        load_profile(name)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tries = 3", ""),
        ("tries = 3", 'tries = "3"'),
        ("tries = 3", "tries = 0"),
        ("[edges]", "[edge]"),
        ("sigma = 3.5", "sigma = true"),
        ("sigma = 3.5", "sigma = nan"),
        ("]", ""),
        ("turn = 0", "turn = 45"),
        ("right = 320", "right = 321"),
        ("columns = 192", "columns = 190"),
        ("width = 320", "width = 400000"),
    ],
)
def test_a_profile_that_is_wrong_names_its_file(tmp_path: Path, old: str, new: str) -> None:
    file = tmp_path / "odd.toml"
    file.write_text((PROFILES / "sdumla.toml").read_text().replace(old, new, 1))
    with pytest.raises(ProfileError, match=r"odd\.toml"):
        read_profile(file)


@pytest.mark.parametrize(
    ("errors", "trials", "bound"),
    [(0, 29_956, 1.0e-4), (0, 2_995_731, 1.0e-6), (1, 100, 0.04656), (5, 1000, 0.010485), (3, 3, 1.0), (0, 0, 1.0)],
)
def test_the_bound_is_exact(errors: int, trials: int, bound: float) -> None:
    assert upper_bound(errors, trials) == pytest.approx(bound, rel=1e-3)


def test_the_comparator_never_loads_opencv() -> None:
    code = "import sys, authd_drivers.vein.comparator as c; c.VeinComparator(); sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
