"""Bad input to the vein reader: a named result each time, never an exception of another kind, never a template."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from authd.driver import Capture, DriverError, Event, Fault, Feedback, Hint, Probe
from authd_drivers.vein import READER
from authd_drivers.vein.camera import CameraSource
from authd_drivers.vein.engine.extract import extract, sees_finger
from authd_drivers.vein.engine.profile import load_profile
from authd_drivers.vein.reader import VeinReader
from authd_drivers.vein.source import Frame, Light
from tests.conformance.reader import no_prompt
from tests.drivers.garbage import KINDS, accepted, garbage
from tests.drivers.presented import Bench, touch
from tests.drivers.veins import picture, sim

ANY = npt.NDArray[Any]
GOOD = picture("ann", 0)


def wrong_frames() -> dict[str, ANY]:
    deep = GOOD.astype(np.uint16) * 256
    return {
        "one pixel": np.zeros((1, 1), np.uint8),
        "no pixel": np.zeros((0, 0), np.uint8),
        "a row too few": GOOD[:-1],
        "another size": cv2.resize(GOOD, (640, 480)),
        "lying": GOOD.T,
        "16 bits": deep,
        "numbers": GOOD.astype(np.float32),
        "colours": cv2.cvtColor(GOOD, cv2.COLOR_GRAY2BGR),
        "100 megapixels": np.broadcast_to(np.uint8(9), (10_000, 10_000)),
    }


@pytest.mark.parametrize("name", wrong_frames())
@pytest.mark.parametrize("look", [extract, sees_finger])
def test_a_frame_of_another_kind_is_a_named_error(name: str, look: object) -> None:
    assert callable(look)
    with pytest.raises(DriverError) as caught:
        look(wrong_frames()[name], sim())
    assert caught.value.fault is Fault.PROTOCOL


def spoiled_frames() -> dict[str, ANY]:
    half = GOOD.copy()
    half[120:] = 0
    return {
        "black": np.zeros_like(GOOD),
        "saturated": np.full_like(GOOD, 255),
        "grey": np.full_like(GOOD, 128),
        "half of it missing": half,
        "one bright pixel": np.pad(np.full((1, 1), 255, np.uint8), ((100, 139), (100, 219))),
        "bits inverted": 255 - GOOD,
        "overexposed": np.clip(GOOD.astype(int) * 20, 0, 255).astype(np.uint8),
        "upright": np.ascontiguousarray(cv2.resize(GOOD.T, (320, 240))),
    }


@pytest.mark.parametrize("name", spoiled_frames())
@pytest.mark.parametrize("profile", ["sim", "sdumla"])
def test_a_spoiled_frame_is_a_hint(name: str, profile: str) -> None:
    found = extract(np.asarray(spoiled_frames()[name], np.uint8), load_profile(profile))
    assert (found.template, found.quality == 0.0 or found.quality < 0.1) == (None, True)
    assert isinstance(found.hint, Hint)


def test_a_profile_of_another_camera_is_a_named_error() -> None:
    larger = replace(sim(), width=640, height=480)
    with pytest.raises(DriverError) as caught:
        extract(GOOD, larger)
    assert caught.value.fault is Fault.PROTOCOL


@pytest.mark.parametrize("profile", ["sim", "sdumla"])
def test_no_template_is_made_of_garbage(profile: str) -> None:
    settings = load_profile(profile)
    assert accepted(range(45 * len(KINDS)), lambda frame: extract(frame, settings).template) == []


@pytest.mark.real
@pytest.mark.parametrize("profile", ["sim", "sdumla"])
def test_no_template_is_made_of_ten_thousand_pieces_of_garbage(profile: str) -> None:
    settings = load_profile(profile)
    assert accepted(range(10_000), lambda frame: extract(frame, settings).template) == []


def test_garbage_is_drawn_anew_each_time_and_again_by_its_number() -> None:
    assert garbage(3)[1].tobytes() == garbage(3)[1].tobytes()
    assert garbage(3)[1].tobytes() != garbage(3 + len(KINDS))[1].tobytes()


def test_the_fuzz_would_see_a_template() -> None:
    assert len(accepted(range(5), lambda frame: b"")) == 5


class Garbage:
    """Shows garbage, another piece at each look."""

    def __init__(self, number: int) -> None:
        self.number = number

    def picture(self, lamp: object, moment: float, grain: object) -> npt.NDArray[np.uint8]:
        self.number += 1
        return garbage(self.number)[1]


@pytest.mark.parametrize("number", range(0, 9 * 30, 30))
def test_garbage_on_the_reader_is_a_hint(number: int) -> None:
    bench = Bench(number)
    said = touch(VeinReader(bench, sim()), bench, Garbage(number))
    assert isinstance(said, Feedback)
    assert not any(frame.pixels.any() for frame in bench.taken)


# Files and cameras.


async def shown(pictures: Path, trigger: Path) -> AsyncGenerator[Event, None]:
    reader = READER({"source": f"folder:{pictures}", "profile": "sim", "trigger": str(trigger)})
    assert isinstance(reader, VeinReader)
    await reader.open()
    try:
        async with aclosing(reader.run(Capture("0" * 32), no_prompt)) as events:
            async for event in events:
                yield event
    finally:
        await reader.close()


async def result(tmp_path: Path, data: bytes, name: str = "x.png") -> Event | Fault:
    """Show one file of a folder and return what is said of it."""
    pictures, trigger = tmp_path / "pictures", tmp_path / "finger"
    pictures.mkdir()
    trigger.write_text("")
    (pictures / name).write_bytes(data)
    try:
        async with asyncio.timeout(60), aclosing(shown(pictures, trigger)) as events:
            async for event in events:
                trigger.write_text(name)
                if isinstance(event, Feedback | Probe):
                    return event
    except DriverError as error:
        return error.fault
    raise AssertionError("nothing was said")


def png(pixels: ANY) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def files() -> dict[str, bytes]:
    whole = png(GOOD)
    huge = b"P5\n10000 10000\n255\n"
    return {
        "empty": b"",
        "text": b"not a picture" * 100,
        "noise": np.random.default_rng(1).bytes(5000),
        "a head only": whole[:33],
        "half": whole[: len(whole) // 2],
        "another size": png(np.zeros((480, 640), np.uint8)),
        "one pixel": png(np.zeros((1, 1), np.uint8)),
        "16 bits": png(GOOD.astype(np.uint16) * 256),
        "a head that lies": huge,
        "far too large a head": b"P5\n2000000000 2000000000\n255\n",
    }


@pytest.mark.parametrize("name", files())
async def test_a_bad_file_is_named_or_gets_a_hint(name: str, tmp_path: Path) -> None:
    said = await result(tmp_path, files()[name], "x.pgm" if b"P5" in files()[name][:2] else "x.png")
    assert said is Fault.PROTOCOL or isinstance(said, Feedback)


async def test_a_file_of_a_hundred_megapixels_is_named(tmp_path: Path) -> None:
    said = await result(tmp_path, b"P5\n10000 10000\n255\n" + bytes(10_000 * 10_000), "x.pgm")
    assert said is Fault.PROTOCOL


async def test_a_hundred_megapixels_in_a_small_file_are_named(tmp_path: Path) -> None:
    said = await result(tmp_path, png(np.zeros((10_000, 10_000), np.uint8)))
    assert said is Fault.PROTOCOL


async def test_a_good_file_is_a_probe(tmp_path: Path) -> None:
    assert isinstance(await result(tmp_path, png(GOOD)), Probe)


async def test_a_file_that_needs_more_memory_than_there_is_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def imread(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(cv2, "imread", imread)
    assert await result(tmp_path, png(GOOD)) is Fault.PROTOCOL


class Camera:
    """Gives one picture for ever."""

    def __init__(self, pixels: ANY) -> None:
        self.pixels = pixels

    def isOpened(self) -> bool:
        return True

    def read(self) -> tuple[bool, ANY]:
        return True, self.pixels.copy()

    def release(self) -> None: ...


@pytest.mark.parametrize("name", [name for name in wrong_frames() if name not in ("colours", "100 megapixels")])
async def test_a_camera_that_does_not_fit_the_profile_is_named(name: str) -> None:
    source = CameraSource(
        "/dev/x", 320, 240, lambda seen: True, lambda path, width, height: Camera(wrong_frames()[name])
    )
    await source.open()
    with pytest.raises(DriverError) as caught:
        await source.frame()
    assert caught.value.fault is Fault.PROTOCOL
    await source.close()


def test_a_wiped_frame_is_no_finger() -> None:
    frame = Frame(GOOD.copy(), Light.ON)
    frame.wipe()
    assert extract(frame.pixels, sim()).template is None
