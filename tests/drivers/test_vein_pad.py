"""Presentation attack detection: cues, limits, the burst of a touch, recordings. All attacks here are simulated."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from authd.core.ports import SUSPECT
from authd.driver import Capture, DriverError, Fault, Feedback, Hint, Probe
from authd_drivers.vein import READER
from authd_drivers.vein.engine.extract import extract
from authd_drivers.vein.engine.pad import LAMP_CUES, PAPER, brightness, judge, measure, pulse, together
from authd_drivers.vein.engine.profile import PadSettings, SensorProfile
from authd_drivers.vein.engine.retake import REACH, Takes
from authd_drivers.vein.reader import BURST, VeinReader
from authd_drivers.vein.source import Frame, Light
from authd_drivers.vein.study.liveness import fit_limits
from authd_simulators.vein_image import anatomy
from authd_simulators.vein_image.attacks import PRINTS, Injected, Species, on_screen, printed, reencoded
from authd_simulators.vein_image.lamps import Lamp, Presented, living
from tests.drivers.presented import Bench, touch
from tests.drivers.veins import Image, sim

PERSON = "pad ann/right_index"
LIMIT = (PadSettings("a", 0.0, -2.0, 1.0), PadSettings("b", 5.0, 4.0, 7.0))


def good(seed: str = PERSON, start: int = 0) -> tuple[Presented, Image, bytes]:
    """A living finger whose first picture passes the quality gate, with that picture and its template."""
    for touch_seed in range(start, start + 30):
        shown = living(anatomy(seed), np.random.default_rng(touch_seed))
        frame = shown.picture(Lamp.ON, 0.0, np.random.default_rng(touch_seed))
        if (template := extract(frame, sim()).template) is not None:
            return shown, frame, template
    raise AssertionError("hardly ever passes the gate")


def attack(species: Species, seed: int = 1) -> Presented:
    rng, frame = np.random.default_rng(seed), good()[1]
    if species is Species.SCREEN:
        return on_screen(frame, rng)
    return printed(frame, species, rng, anatomy("wearer/right_index") if species is Species.PRINT_SLEEVE else None)


def cues(shown: Presented, lamps: Sequence[Lamp] = (Lamp.OFF, Lamp.SIDE, Lamp.ON)) -> dict[str, float]:
    rng = np.random.default_rng(0)
    first = shown.picture(Lamp.ON, 0.0, rng)
    return measure(first, [(lamp.value, shown.picture(lamp, 0.1, rng)) for lamp in lamps], sim())


# The score.


def test_the_score_is_a_half_at_a_limit_and_falls_beyond_it() -> None:
    scores = [judge({"a": a, "b": 5.0}, LIMIT) or 0.0 for a in (0.0, 0.9, 1.0, 1.1, 50.0)]
    assert scores == sorted(scores, reverse=True)
    assert scores[2] == SUSPECT
    assert 0.95 < scores[0] < 1.0
    assert judge({"a": -2.0, "b": 5.0}, LIMIT) == SUSPECT


def test_the_worst_cue_decides() -> None:
    assert judge({"a": 0.0, "b": 9.0}, LIMIT) == judge({"a": 2.0, "b": 5.0}, LIMIT)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_cue_that_is_no_number_is_an_attack(wrong: float) -> None:
    assert judge({"a": wrong, "b": 5.0}, LIMIT) == 0.0


def test_nothing_measured_or_nothing_known_is_no_score() -> None:
    assert judge({}, LIMIT) is None
    assert judge({"a": 0.0}, ()) is None


def test_limits_hold_what_they_were_fixed_on() -> None:
    rng = np.random.default_rng(1)
    found = [{"a": float(a), "b": float(b)} for a, b in rng.normal((1, -3), (0.1, 2), (2000, 2))]
    limits = fit_limits(found)
    assert [row.cue for row in limits] == ["a", "b"]
    refused = np.mean([(judge(each, limits) or 0) < SUSPECT for each in found])
    assert refused < 0.003
    assert (judge({"a": 1.0, "b": 9.0}, limits) or 0) < SUSPECT


def test_what_hides_in_each_cue_is_seen_in_all_of_them_together() -> None:
    rows = tuple(PadSettings(cue, 0.0, -1.0, 1.0) for cue in PAPER)
    worn = {cue: 0.5 * sign for cue, sign in PAPER.items()}
    assert together(worn, rows) == {"paper": 2.5}
    assert together({**worn, "ink": -0.5}, rows) == {"paper": 1.5}
    assert together({"ink": 0.5}, rows) == {}
    assert (judge(worn, rows) or 0) > SUSPECT
    assert (judge(worn, (*rows, PadSettings("paper", 0.0, -2.0, 2.0))) or 0) < SUSPECT


# The cues.


def test_a_screen_shines_by_itself() -> None:
    assert cues(attack(Species.SCREEN))["glow"] > 0.9
    assert cues(good()[0])["glow"] < 0.4


@pytest.mark.parametrize("species", [Species.PRINT_LASER, Species.PRINT_INKJET])
def test_ink_is_seen_from_the_side_too_and_paper_is_flat(species: Species) -> None:
    print_, finger = cues(attack(species)), cues(good()[0])
    assert print_["ink"] > finger["ink"] + 0.3
    assert print_["shade"] < finger["shade"] - 0.2


def test_film_throws_nothing_back() -> None:
    assert cues(attack(Species.PRINT_FILM))["level"] < cues(good()[0])["level"] - 1


def test_one_frame_fed_in_twice_is_still() -> None:
    frame = good()[1]
    found = measure(frame, [("on", frame.copy())], sim())
    assert found["still"] < cues(good()[0])["still"] - 2


@pytest.mark.parametrize("pixels", [0.3, 2.0])
def test_the_drift_is_how_far_it_moved(pixels: float) -> None:
    field = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, (240, 320)).astype(np.float32), (0, 0), 6)
    bar = 90 + 60 * field / field.std() / 3
    moved = cv2.warpAffine(
        bar, np.array([[1, 0, pixels], [0, 1, 0]], np.float32), (320, 240), borderMode=cv2.BORDER_REPLICATE
    )
    one, other = (np.asarray(np.clip(each, 0, 255), np.uint8) for each in (bar, moved))
    assert math.exp(measure(one, [("on", other)], sim())["drift"]) == pytest.approx(pixels, rel=0.35)


def test_frames_are_only_read() -> None:
    frame = good()[1]
    before = frame.copy()
    measure(frame, [("off", frame), ("side", frame), ("on", frame)], sim())
    assert (frame == before).all()


@pytest.mark.parametrize("level", [0, 1, 255])
def test_flat_frames_have_cues_that_are_numbers(level: int) -> None:
    flat = np.full((240, 320), level, np.uint8)
    found = measure(flat, [("off", flat), ("side", flat), ("on", flat)], sim())
    assert all(math.isfinite(value) for value in found.values())


def test_a_pulse_is_told_from_noise() -> None:
    rng, at = np.random.default_rng(2), np.arange(70) / 28
    beating = 100 * (1 + 0.01 * np.sin(2 * np.pi * 1.3 * at)) + rng.normal(0, 0.05, 70)
    dead = 100 + rng.normal(0, 0.05, 70)
    assert pulse(beating.tolist(), at.tolist()) > 2 > 0.5 > pulse(dead.tolist(), at.tolist())


@pytest.mark.parametrize(("frames", "span"), [(5, 2.5), (70, 1.0)])
def test_too_short_a_look_at_a_pulse_says_nothing(frames: int, span: float) -> None:
    at = np.linspace(0, span, frames)
    assert math.isnan(pulse([100.0] * frames, at.tolist()))


def test_the_brightness_is_that_of_the_middle() -> None:
    frame = np.zeros((240, 320), np.uint8)
    frame[80:160, 80:240] = 50
    assert brightness(frame, sim()) == 50


# Recordings.


def test_a_recording_is_known_by_its_noise_and_another_touch_is_not() -> None:
    _, frame, template = good()
    takes = Takes()
    assert takes.likest(template, frame) is None
    takes.keep(template, [frame])
    assert takes.likest(template, frame) == 1.0
    for start in (40, 80, 120):
        _, again, probe = good(start=start)
        assert (takes.likest(probe, again) or 0) < 0.1


@pytest.mark.parametrize("shift", [(0, 0), (REACH, -REACH), (-3, 1)])
def test_a_shifted_recording_is_known(shift: tuple[int, int]) -> None:
    _, frame, template = good()
    takes = Takes()
    takes.keep(template, [frame])
    assert (takes.likest(template, np.roll(frame, shift, (0, 1))) or 0) > 0.9


def test_a_noisier_and_brighter_recording_is_known() -> None:
    _, frame, template = good()
    takes, rng = Takes(), np.random.default_rng(5)
    takes.keep(template, [frame])
    changed = np.clip(frame * 1.05 + rng.normal(0, 1.0, frame.shape), 0, 255).astype(np.uint8)
    assert (takes.likest(template, changed) or 0) > 0.2


def test_a_recording_leaves_the_ring_after_so_many_frames() -> None:
    _, frame, template = good()
    takes = Takes(kept=2)
    takes.keep(template, [frame])
    for start in (40, 80):
        _, again, probe = good(start=start)
        takes.keep(probe, [again])
    assert (takes.likest(template, frame) or 0) < 0.1


def test_what_is_kept_of_a_frame_is_not_the_frame() -> None:
    _, frame, template = good()
    takes = Takes()
    takes.keep(template, [frame])
    kept = b"".join(value.tobytes() for value in vars(takes).values() if isinstance(value, np.ndarray))
    assert not any(frame[row, 100:124].tobytes() in kept for row in range(80, 160))


# The reader.


def test_the_profile_of_the_simulator_knows_every_cue() -> None:
    known = {row.cue for row in sim().pad}
    assert known == {*LAMP_CUES, "peak", "grain", "paper", "still", "drift", "retake", "pulse"}


def test_a_living_finger_passes() -> None:
    bench = Bench(0)
    said = touch(VeinReader(bench, sim()), bench, good()[0])
    assert isinstance(said, Probe)
    assert said.pad is not None
    assert said.pad > SUSPECT


@pytest.mark.parametrize("species", [each for each in (*PRINTS, Species.SCREEN) if each is not Species.PRINT_SLEEVE])
def test_prints_and_screens_do_not(species: Species) -> None:
    bench, scores = Bench(0), list[float]()
    reader = VeinReader(bench, sim())
    for seed in range(4):
        said = touch(reader, bench, attack(species, seed))
        if isinstance(said, Probe):
            assert said.pad is not None
            scores.append(said.pad)
    assert all(score < SUSPECT for score in scores)


def test_most_sleeves_do_not() -> None:
    """Paper around a living finger is the hardest to see: the bench counts those that pass."""
    bench, passed = Bench(0), 0
    reader = VeinReader(bench, sim())
    for seed in range(12):
        said = touch(reader, bench, attack(Species.PRINT_SLEEVE, seed))
        passed += isinstance(said, Probe) and (said.pad or 0) >= SUSPECT
    assert passed <= 4


@pytest.mark.parametrize("species", [Species.REPLAY_STILL, Species.REPLAY_LAMPS])
@pytest.mark.parametrize("change", [0.0, 0.5])
def test_recordings_do_not(species: Species, change: float) -> None:
    bench = Bench(0)
    reader = VeinReader(bench, sim())
    assert isinstance(touch(reader, bench, good()[0]), Probe)
    frames = list(bench.recorded)
    said = touch(reader, bench, Injected(species, frames, change, seed=3))
    assert isinstance(said, Feedback) or (said.pad is not None and said.pad < SUSPECT)


def test_every_frame_of_a_touch_is_wiped() -> None:
    bench = Bench(0)
    assert isinstance(touch(VeinReader(bench, sim()), bench, good()[0]), Probe)
    assert sorted(frame.light for frame in bench.taken[1:]) == sorted(BURST)
    assert not any(frame.pixels.any() for frame in bench.taken)


def test_the_order_of_the_lamps_cannot_be_known() -> None:
    bench, orders = Bench(0), set[tuple[Light, ...]]()
    reader, shown = VeinReader(bench, sim()), good()[0]
    for _ in range(40):
        touch(reader, bench, shown)
        orders.add(tuple(frame.light for frame in bench.taken[1:4]))
    assert len(orders) == 6


class Failing(Bench):
    """Its frames stop in the middle of a touch, or are not those that were asked for."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__(0)
        self.error = error

    async def frame(self) -> Frame:
        frame = await super().frame()
        if len(self.taken) == 3:
            if self.error is not None:
                raise self.error
            return Frame(frame.pixels, Light.SIDE if frame.light is not Light.SIDE else Light.OFF)
        return frame


async def capture(bench: Bench, shown: Presented, profile: SensorProfile, seconds: float = 0.0) -> list[object]:
    bench.lay(shown)
    events = VeinReader(bench, profile, seconds).run(Capture("0" * 32), None)  # type: ignore[arg-type]  # nobody is asked
    return [event async for event in events]


async def test_a_frame_under_another_lamp_is_the_devices_fault_and_all_are_wiped() -> None:
    bench = Failing(None)
    with pytest.raises(DriverError) as caught:
        await capture(bench, good()[0], sim())
    assert caught.value.fault is Fault.PROTOCOL
    assert not any(frame.pixels.any() for frame in bench.taken)


async def test_a_device_that_fails_in_a_burst_leaves_no_frame() -> None:
    bench = Failing(DriverError(Fault.TIMEOUT))
    with pytest.raises(DriverError):
        await capture(bench, good()[0], sim())
    assert not any(frame.pixels.any() for frame in bench.taken[:2])


class Quick(Bench):
    """A finger that is gone after its first frame."""

    async def frame(self) -> Frame:
        if not self._fresh:
            self._shown = None
        return await super().frame()


def test_a_finger_that_left_before_its_burst_gives_no_sample() -> None:
    bench = Quick(0)
    assert touch(VeinReader(bench, sim()), bench, good()[0]) == Feedback(Hint.TOO_FAST)


class Plain:
    """A source without lamps."""

    def __init__(self, bench: Bench) -> None:
        self.open, self.close, self.lifted = bench.open, bench.close, bench.lifted
        self.finger, self.frame = bench.finger, bench.frame


def test_without_lamps_one_frame_is_judged_alone() -> None:
    bench = Bench(0)
    said = touch(VeinReader(Plain(bench), sim()), bench, good()[0])
    assert isinstance(said, Probe)
    assert said.pad is not None
    assert len(bench.taken) == 1


def test_without_limits_nothing_is_judged() -> None:
    bench = Bench(0)
    said = touch(VeinReader(bench, replace(sim(), pad=())), bench, good()[0])
    assert isinstance(said, Probe)
    assert said.pad is None
    assert len(bench.taken) == 1


def test_a_pulse_takes_as_long_as_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    async def sleep(seconds: float) -> None:
        now[0] += max(seconds, 0.001)

    monkeypatch.setattr("authd_drivers.vein.reader.asyncio.sleep", sleep)

    def clock(_: int) -> float:
        return now[0]

    monkeypatch.setattr(time, "clock_gettime", clock)
    bench = Bench(0)
    said = touch(VeinReader(bench, sim(), 2.5), bench, good()[0])
    assert isinstance(said, Probe)
    assert said.pad is not None
    assert said.pad > SUSPECT
    assert len(bench.taken) > 60
    assert not any(frame.pixels.any() for frame in bench.taken)


@pytest.mark.parametrize(
    "settings",
    [
        {"lamp": "/dev/gpiochip0", "lamp_lines": "1,2"},  # no limits for lamps were ever measured on this sensor
        {"profile": "sim", "lamp": "/dev/gpiochip0"},
        {"profile": "sim", "lamp": "/dev/gpiochip0", "lamp_lines": "1,1"},
        {"profile": "sim", "lamp": "/dev/gpiochip0", "lamp_lines": "1,99999"},
        {"pulse": "2.5"},
        {"pulse": "nan"},
    ],
)
def test_a_measure_that_would_only_look_like_one_is_not_configured(settings: dict[str, str]) -> None:
    with pytest.raises(DriverError) as caught:
        READER({"source": "/dev/video0", **settings})
    assert caught.value.fault is Fault.NOT_PERMITTED


def test_reencoding_changes_a_recording_a_little() -> None:
    frame = good()[1]
    changed = reencoded(frame, 1.0, np.random.default_rng(1), np.random.default_rng(2))
    apart = np.abs(changed.astype(int) - frame).mean()
    assert 0.2 < apart < 15
