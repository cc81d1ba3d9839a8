"""Attacks on the simulated reader, by text command, as its driver sees them over the cable."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import numpy as np
import pytest
import pytest_asyncio

from authd.core.ports import SUSPECT
from authd.driver import Capture, DriverError, Fault, Feedback, Probe, State, StateChange
from authd_drivers.vein.reader import VeinReader
from authd_drivers.vein.source import FingerGone, Lamps, Light
from authd_simulators import vein_reader
from authd_simulators.bench import Bench
from authd_simulators.cable import Plug, Say, Want, plug
from authd_simulators.vein_image import anatomy
from authd_simulators.vein_image.attacks import PRINTS, Species, on_screen, printed
from authd_simulators.vein_image.capture import capture
from authd_simulators.vein_image.lamps import Lamp, living
from authd_simulators.vein_reader.source import CableSource
from tests.conformance.reader import no_prompt

ALL = (Light.SIDE, Light.OFF, Light.ON)


@pytest.fixture(autouse=True)
def patient_cable(monkeypatch: pytest.MonkeyPatch) -> None:
    """No device of these tests hangs: one that says nothing for a second draws a picture, on a busy machine."""
    monkeypatch.setattr(plug, "SILENCE_S", 60.0)


@pytest_asyncio.fixture
async def source(bench: Bench) -> AsyncIterator[CableSource]:
    made = CableSource(str(bench.devices["vein-1"].cable))
    await made.open()
    yield made
    await made.close()


async def order(bench: Bench, words: str) -> None:
    answer = await bench.obey(f"vein-1 {words}")
    assert answer.startswith("ok"), answer


async def test_a_burst_comes_under_the_lamps_that_were_asked_for(bench: Bench, source: CableSource) -> None:
    assert isinstance(source, Lamps)
    await order(bench, "TOUCH 1003 hold")
    first = await source.frame()
    source.light(ALL)
    frames = [await source.frame() for _ in ALL]
    assert tuple(frame.light for frame in frames) == ALL
    side, off, on = (float(frame.pixels.mean()) for frame in frames)
    assert off < 0.6 * side
    assert abs(on - first.pixels.mean()) < 0.1 * on
    assert (await source.frame()).light is Light.ON


async def test_a_burst_of_a_finger_that_was_lifted_is_gone(bench: Bench, source: CableSource) -> None:
    await order(bench, "TOUCH 1003 hold")
    (await source.frame()).wipe()
    await order(bench, "LIFT")
    source.light(ALL)
    with pytest.raises(FingerGone):
        await source.frame()
    with pytest.raises(FingerGone):
        await source.frame()


async def test_what_was_not_fetched_of_a_burst_is_dropped(bench: Bench, source: CableSource) -> None:
    await order(bench, "TOUCH 1003 hold")
    source.light(ALL)
    (await source.frame()).wipe()
    await order(bench, "LIFT")
    await source.lifted()
    await order(bench, "TOUCH 1003 hold")
    assert (await source.frame()).light is Light.ON


async def test_a_picture_under_another_lamp_is_the_devices_fault(bench: Bench, source: CableSource) -> None:
    await order(bench, "TOUCH 1003 hold")
    source.light([Light.OFF])
    source._lit[0] = Light.SIDE  # pyright: ignore[reportPrivateUsage] - as if the device had mixed them up
    with pytest.raises(DriverError) as caught:
        await source.frame()
    assert caught.value.fault is Fault.PROTOCOL


async def test_a_burst_is_bounded(bench: Bench) -> None:
    plug = await Plug.connect(str(bench.devices["vein-1"].cable))
    await order(bench, "TOUCH 1003 hold")
    plug.begin(Want.BURST, b"1?0xs")
    assert [(await plug.answer()).say for _ in range(3)] == [Say.IMAGE] * 3
    plug.close()


async def test_a_recording_answers_each_lamp_as_before_whatever_the_order(bench: Bench, source: CableSource) -> None:
    await order(bench, "TOUCH 1003 hold")
    source.light(ALL)
    before = {(await source.frame()).light: 0 for _ in ALL}
    await order(bench, "LIFT")
    taken: list[dict[Light, bytes]] = []
    for lights in (ALL, ALL[::-1]):
        await order(bench, "REPLAY hold")
        source.light(lights)
        frames = [await source.frame() for _ in lights]
        taken.append({frame.light: frame.pixels.tobytes() for frame in frames})
        await order(bench, "LIFT")
    assert before.keys() == taken[0].keys()
    assert taken[0] == taken[1]


async def said(bench: Bench, reader: VeinReader, words: str) -> Probe | Feedback:
    """Lay something down until it is a probe, or it was tried often enough; a recording of the last touch once."""
    last: Probe | Feedback | None = None
    for _ in range(6):
        async with aclosing(reader.run(Capture("0" * 32), no_prompt)) as events:
            async for event in events:
                if event == StateChange(State.NEED_TOUCH):
                    await bench.obey("vein-1 AWAIT 2000")
                    await order(bench, f"{words} 60000")
                if isinstance(event, Probe | Feedback):
                    last = event
                    break
        await order(bench, "LIFT")
        if isinstance(last, Probe):
            break
    assert last is not None
    return last


@pytest_asyncio.fixture
async def reader(bench: Bench) -> AsyncIterator[VeinReader]:
    made = vein_reader.READER({"cable": str(bench.devices["vein-1"].cable)})
    assert isinstance(made, VeinReader)
    await made.open()
    yield made
    await made.close()


async def test_a_living_finger_passes(bench: Bench, reader: VeinReader) -> None:
    probe = await said(bench, reader, "TOUCH 1003")
    assert isinstance(probe, Probe)
    assert probe.pad is not None
    assert probe.pad > SUSPECT


@pytest.mark.parametrize("words", ["PRINT 1003", "PRINT 1003 right_index film", "PRINT 1003 inkjet", "SCREEN 1003"])
async def test_an_attack_does_not(bench: Bench, reader: VeinReader, words: str) -> None:
    probe = await said(bench, reader, words)
    assert isinstance(probe, Probe)
    assert probe.pad is not None
    assert probe.pad < SUSPECT


@pytest.mark.parametrize("words", ["REPLAY", "REPLAY still", "REPLAY order", "REPLAY changed"])
async def test_a_recording_does_not(bench: Bench, reader: VeinReader, words: str) -> None:
    assert isinstance(await said(bench, reader, "TOUCH 1003"), Probe)
    probe = await said(bench, reader, words)
    assert isinstance(probe, Probe)
    assert probe.pad is not None
    assert probe.pad < SUSPECT


@pytest.mark.parametrize(
    "words", ["PRINT", "PRINT 9999", "PRINT 1003 stone", "SCREEN", "SCREEN 1003 laser", "REPLAY sideways", "REPLAY"]
)
async def test_a_wrong_command_says_so(bench: Bench, words: str) -> None:
    assert (await bench.obey(f"vein-1 {words}")).startswith("error")


# The pictures.


def test_the_first_picture_of_a_living_finger_is_that_of_capture() -> None:
    rng = np.random.default_rng
    shown = living(anatomy("ann/right_index"), rng(1))
    assert (shown.picture(Lamp.ON, 0.0, rng(2)) == capture(anatomy("ann/right_index"), rng(1), grain=rng(2))).all()


def test_a_living_finger_moves_and_a_print_on_the_glass_may_not() -> None:
    shown = living(anatomy("ann/right_index"), np.random.default_rng(1))
    assert shown.life.shift(0.0) == (0.0, 0.0)
    assert np.hypot(*shown.life.shift(0.3)) > 0.01
    assert shown.life.brightness(0.0) == 1.0
    lives = [printed(_record(), Species.PRINT_LASER, np.random.default_rng(seed)).life for seed in range(20)]
    assert {life.tremor > 0 for life in lives} == {True, False}
    assert all(life.pulse == 0 for life in lives)


def _record() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.asarray(capture(anatomy("ann/right_index"), np.random.default_rng(1)))


@pytest.mark.parametrize("species", [*PRINTS, Species.SCREEN])
def test_an_attack_depends_on_its_seed_alone(species: Species) -> None:
    def made(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        wearer = anatomy("bob/right_index") if species is Species.PRINT_SLEEVE else None
        shown = on_screen(_record(), rng) if species is Species.SCREEN else printed(_record(), species, rng, wearer)
        return b"".join(shown.picture(lamp, 0.0, np.random.default_rng(0)).tobytes() for lamp in Lamp)

    assert made(1) == made(1)
    assert made(1) != made(2)
