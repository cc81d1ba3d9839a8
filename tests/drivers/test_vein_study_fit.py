"""`authd vein profile`: a profile for a sensor that nobody described."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from authd_drivers.vein.engine.compare import compare
from authd_drivers.vein.engine.extract import extract
from authd_drivers.vein.engine.profile import SensorProfile, read_profile
from authd_drivers.vein.engine.template import parse
from authd_drivers.vein.study.commands import vein
from authd_drivers.vein.study.dataset import DatasetError, read_folder
from authd_drivers.vein.study.fit import FLOOR, _threshold, fit, separation  # pyright: ignore[reportPrivateUsage]
from authd_drivers.vein.study.framing import Framing, framings
from authd_drivers.vein.study.gate import gate
from authd_drivers.vein.study.trial import draw_plan
from authd_drivers.vein.study.written import written
from tests.drivers.veins import Image, picture, sim

PATTERN = r"(?P<subject>\d+)_(?P<finger>\w+)_(?P<sample>\d)\.png$"
Sensor = Callable[[Image], Image]


def as_it_is(frame: Image) -> Image:
    return frame


def standing(frame: Image) -> Image:
    """A camera mounted the other way, of twice the pixels: the finger stands."""
    return np.rot90(np.kron(frame, np.ones((2, 2), np.uint8))).copy()


def lamps_beside(frame: Image) -> Image:
    """Light that shines past the finger: what is around it is brighter than the finger."""
    around = cv2.GaussianBlur((frame < 30).astype(np.float32), (0, 0), 1.5)
    return np.asarray(np.clip(frame * (1 - around) + 245 * around, 0, 255), np.uint8)


def cropped(frame: Image) -> Image:
    """A region of interest only: no edges to trace."""
    return frame[75:165, 20:280].copy()


SENSORS: dict[str, Sensor] = {
    "as it is": as_it_is,
    "standing": standing,
    "lamps beside": lamps_beside,
    "cropped": cropped,
}


def frames(sensor: Sensor, fingers: int = 6) -> list[Image]:
    return [sensor(picture(f"fit {finger}", take)) for finger in range(fingers) for take in range(2)]


@pytest.mark.parametrize(
    ("sensor", "turn", "bright"), [("as it is", 0, True), ("standing", 90, True), ("lamps beside", 0, False)]
)
def test_the_way_a_finger_lies_is_found_without_being_told(sensor: str, turn: int, bright: bool) -> None:
    likely = framings(frames(SENSORS[sensor]))[:2]
    assert (turn, bright, True) in [(way.region.turn, way.edges.bright, way.edges.traced) for way in likely]
    assert likely[0].contrast >= likely[1].contrast > 0.3


def test_the_window_holds_the_finger_and_little_else() -> None:
    wide = [np.pad(frame[30:210], ((200, 100), (0, 0)), mode="edge") for frame in frames(as_it_is)]
    region = framings(wide)[0].region
    assert 150 < region.top < 260
    assert 340 < region.bottom < 440


def test_every_way_to_look_at_frames_makes_a_profile_that_reads_back_as_it_was() -> None:
    for way in framings(frames(standing)):
        profile = fitted_to(way)
        assert reread(profile) == profile


def fitted_to(way: Framing) -> SensorProfile:
    return replace(sim(), name="mine", width=480, height=640, region=way.region, edges=way.edges, roster=(), pad=())


def reread(profile: SensorProfile) -> SensorProfile:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "mine.toml")
        file.write_text(written(profile, "one\n\ntwo"), encoding="utf-8")
        return read_profile(file)


def test_separation_is_the_order_of_magnitude_of_the_false_match_rate_and_goes_on_beyond_the_impostors() -> None:
    impostor = np.linspace(-0.2, 0.2, 10_001).astype(np.float32)
    found = separation(np.array([-1, 0.0, 0.16, 0.1999, 0.2005, 0.21, 0.9], np.float32), impostor)
    assert found[:3] == pytest.approx([0.0, np.log10(0.5), -1.0], abs=0.01)
    assert (np.diff(found) <= 0).all()
    assert found[-1] == FLOOR < found[3]


def test_few_scores_do_not_make_a_low_threshold() -> None:
    rng = np.random.default_rng(5)
    many = rng.exponential(0.02, 1_000_000).astype(np.float32)
    assert many.max() + 0.01 < _threshold(many) < many.max() + 0.05
    few = [_threshold(many[at : at + 1000]) for at in range(0, 200_000, 1000)]
    assert np.median(few) > np.quantile(many, 1 - 1e-5)


def test_the_gate_asks_for_one_in_twenty_again() -> None:
    rng = np.random.default_rng(3)
    usual = (0.9, 0.5, 0.05, 0.9, -3.0, 0.5, -1.9, 0.4)
    rows = [tuple(float(value + rng.normal(0, 0.03)) for value in usual) for _ in range(2000)]
    quality = gate(rows, sim())
    table = np.array(rows)
    clear = (table[:, 4] - quality.clarity) / quality.clarity_spread
    rough = (table[:, 5] - quality.residual) / quality.residual_spread * quality.residual_weight
    refused = (1 / (1 + np.exp(rough - clear)) < quality.accept).mean()
    assert refused == pytest.approx(0.05, abs=0.01)
    assert quality.width_min < 0.4
    assert quality.slope_max > 0.1
    assert quality.grain_max == pytest.approx(-1.3, abs=0.1)
    with pytest.raises(ValueError):
        gate(rows[:19], sim())


def folder_of(tmp_path: Path, sensor: Sensor, people: int, takes: int = 3) -> Path:
    for person in range(people):
        for take in range(takes):
            cv2.imwrite(str(tmp_path / f"{person}_index_{take}.png"), sensor(picture(f"fit {person}", take)))
    return tmp_path


def vein_profile(folder: Path, *words: str) -> int:
    whole = argparse.ArgumentParser()
    vein(whole.add_subparsers())
    out = str(folder / "mine.toml")
    args = whole.parse_args(
        ["vein", "profile", str(folder), "--pattern", PATTERN, "--out", out, "--lang", "en", *words]
    )
    return int(args.run(args))


def test_a_plan_is_the_same_each_time_and_never_pairs_a_finger_with_itself_as_a_stranger(tmp_path: Path) -> None:
    data = read_folder(folder_of(tmp_path, as_it_is, 9), PATTERN)
    plan, again = draw_plan(data), draw_plan(data)
    assert (plan.impostor == again.impostor).all()
    finger = np.array([path.name[0] for path in plan.paths])
    assert len(plan.genuine) == 9 * 3
    assert (finger[plan.genuine[:, 0]] == finger[plan.genuine[:, 1]]).all()
    assert (finger[plan.impostor[:, 0]] != finger[plan.impostor[:, 1]]).all()


def test_too_few_fingers_are_one_plain_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder_of(tmp_path, as_it_is, 3)
    assert vein_profile(tmp_path) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1].startswith("authd: 3 fingers are too few")
    assert not (tmp_path / "mine.toml").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [(["--name", "a b"], "no name for a sensor"), (["--name", ""], "there already"), ([], "there already")],
)
def test_what_cannot_be_written_is_said_before_any_work(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    why: str,
) -> None:
    (tmp_path / "mine.toml").write_text("kept")
    assert vein_profile(tmp_path, *words) == 2
    assert why in capsys.readouterr().err
    assert (tmp_path / "mine.toml").read_text() == "kept"


@pytest.mark.real
@pytest.mark.parametrize("sensor", ["standing", "lamps beside", "cropped"])
def test_a_fitted_profile_knows_fingers_that_it_has_never_seen(tmp_path: Path, sensor: str) -> None:
    see = SENSORS[sensor]
    found = fit(read_folder(folder_of(tmp_path, see, 12, takes=2), PATTERN), "mine", jobs=2)
    profile = reread(found.profile)
    assert profile == found.profile
    right = wrong = 0
    for finger in range(100, 112):
        made = [extract(see(picture(f"fit {finger + step}", take)), profile).template for step, take in OTHERS]
        one, same, other = (parse(each).bits if each else None for each in made)
        right += bool(one and same and compare(one, same) >= profile.decision.threshold)
        wrong += bool(one and other and compare(one, other) >= profile.decision.threshold)
    assert wrong == 0
    assert right >= 8


OTHERS = ((0, 0), (0, 1), (1, 0))


def test_fingers_of_a_folder_without_pairs_cannot_be_fitted_to(tmp_path: Path) -> None:
    data = read_folder(folder_of(tmp_path, as_it_is, 10, takes=1), PATTERN)
    with pytest.raises(DatasetError):
        fit(data, "mine", jobs=1)


def test_a_part_of_the_people_has_all_their_fingers_and_the_others_are_the_rest(tmp_path: Path) -> None:
    for person in range(4):
        for finger in ("index", "ring"):
            cv2.imwrite(str(tmp_path / f"{person}_{finger}_0.png"), np.zeros((4, 4), np.uint8))
    data = read_folder(tmp_path, PATTERN)
    assert data.part((1, 3)).fingers == ("0/index", "0/ring", "3/index", "3/ring")
    assert data.part((1, 3), left=True).subjects == ("1", "2")


def test_pictures_that_show_nothing_cannot_be_fitted_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for person in range(10):
        for take in range(2):
            cv2.imwrite(str(tmp_path / f"{person}_index_{take}.png"), np.full((48, 64), 90, np.uint8))
    assert vein_profile(tmp_path, "--jobs", "1") == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("authd: 10 fingers are too few")
