from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest

from authd.driver import Capture, DriverError, Fault, Feedback, Probe, Reader, State, StateChange, Watch
from authd.service.host import manifest
from authd_drivers.vein import READER
from authd_drivers.vein.camera import CameraSource
from authd_drivers.vein.engine.extract import sees_finger
from authd_drivers.vein.folder import FolderSource, Pointer, Shown, Turns
from authd_drivers.vein.reader import VeinReader
from authd_drivers.vein.source import FingerGone, Frame
from authd_simulators.vein_image import Presentation, empty
from tests.conformance.reader import NONCE, PATIENCE, Device, ReaderConformance, no_prompt, opened, running, until
from tests.drivers.veins import Image, picture, sim

GOOD = tuple(picture("ann", touch) for touch in range(2))
BAD = picture("ann", 0, Presentation.SHORT)
EMPTY = empty(np.random.default_rng(0))


class Hand:
    """A `Showing` in the hands of a test."""

    def __init__(self) -> None:
        self.shown: Shown | None = None
        self.seen = asyncio.Event()
        self.serial = 0

    def begin(self, pictures: list[Path]) -> None:
        self.pictures = pictures

    def asked(self) -> None: ...

    def now(self) -> Shown | None:
        if self.shown:
            self.seen.set()
        return self.shown

    def show(self, picture: Path) -> None:
        self.seen.clear()
        self.serial += 1
        self.shown = Shown(self.serial, picture)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("veins")
    for name, pixels in [("good0.png", GOOD[0]), ("good1.png", GOOD[1]), ("short.png", BAD)]:
        cv2.imwrite(str(folder / name), pixels)
    return folder


class Folder(Device):
    def __init__(self, folder: Path) -> None:
        self.folder, self.hand, self.touches = folder, Hand(), 0

    def reader(self) -> Reader:
        return VeinReader(FolderSource(self.folder, self.hand), sim())

    async def touch(self) -> None:
        self.hand.show(self.folder / f"good{self.touches % 2}.png")
        self.touches += 1

    async def lift(self) -> None:
        self.hand.shown = None

    async def unplug(self) -> None:
        self.folder.rename(self.folder.with_suffix(".away"))

    async def plug(self) -> None:
        self.folder.with_suffix(".away").rename(self.folder)

    async def bad_touch(self) -> None:
        self.hand.show(self.folder / "short.png")
        await self.hand.seen.wait()
        await self.lift()

    async def repeat(self) -> None: ...


class TestFolder(ReaderConformance):
    @pytest.fixture
    def device(self, pictures: Path, tmp_path: Path) -> Device:
        folder = tmp_path / "veins"
        folder.mkdir()
        for file in pictures.iterdir():
            os.link(file, folder / file.name)
        return Folder(folder)


class FakeCamera:
    """What OpenCV's capture does; a finger is a picture that is in front of it."""

    def __init__(self, node: Path) -> None:
        self.node = node
        self.view: Image = EMPTY
        self.reads = 0
        self.more = threading.Condition()
        self.given: list[Image] = []

    def isOpened(self) -> bool:
        return self.node.exists()

    def read(self) -> tuple[bool, Any]:
        if not self.node.exists():
            return False, None
        frame = cv2.cvtColor(self.view, cv2.COLOR_GRAY2BGR)
        with self.more:
            self.reads += 1
            self.given.append(np.asarray(frame, np.uint8))
            self.more.notify_all()
        return True, frame

    def release(self) -> None: ...

    def wait_reads(self, count: int) -> None:
        with self.more:
            until = self.reads + count
            self.more.wait_for(lambda: self.reads >= until, PATIENCE)


class Camera(Device):
    def __init__(self, node: Path) -> None:
        node.touch()
        self.camera, self.touches = FakeCamera(node), 0

    def reader(self) -> Reader:
        def connect(path: str, width: int, height: int) -> FakeCamera:
            del path, width, height
            return self.camera

        sees = partial(sees_finger, profile=sim())
        return VeinReader(CameraSource(str(self.camera.node), 320, 240, sees, connect), sim())

    async def touch(self) -> None:
        self.camera.view = GOOD[self.touches % 2]
        self.touches += 1

    async def lift(self) -> None:
        self.camera.view = EMPTY

    async def unplug(self) -> None:
        self.camera.node.unlink()

    async def plug(self) -> None:
        self.camera.node.touch()

    async def bad_touch(self) -> None:
        self.camera.view = BAD
        await asyncio.to_thread(self.camera.wait_reads, 6)
        self.camera.view = EMPTY
        await asyncio.to_thread(self.camera.wait_reads, 4)

    async def repeat(self) -> None: ...


class TestCamera(ReaderConformance):
    @pytest.fixture
    def device(self, tmp_path: Path) -> Device:
        return Camera(tmp_path / "video0")


# Cameras.


async def test_a_camera_of_another_size_is_refused(tmp_path: Path) -> None:
    device = Camera(tmp_path / "video0")
    device.camera.view = np.zeros((480, 640), np.uint8)
    async with opened(device) as reader, running(reader, Watch()) as events:
        with pytest.raises(DriverError) as caught:
            await until(events, "never")
    assert caught.value.fault is Fault.PROTOCOL


async def test_what_the_camera_gave_is_wiped(tmp_path: Path) -> None:
    device = Camera(tmp_path / "video0")
    async with opened(device) as reader, running(reader, Capture(NONCE)) as events:
        await until(events, StateChange)
        await device.touch()
        await until(events, Probe)
    assert device.camera.given
    assert not any(frame.any() for frame in device.camera.given)


# The reader, with a source that shows what becomes of its frames.


class Watched:
    """A source of one finger; every frame it gave is kept to look at."""

    def __init__(self, *pixels: Image) -> None:
        self.pixels, self.given = pixels, list[Frame]()
        self.down = asyncio.Event()
        self.frames = 2

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def lifted(self) -> None: ...

    async def finger(self) -> Frame:
        await self.down.wait()
        self.down.clear()
        return self._give()

    async def frame(self) -> Frame:
        if not self.given or self.frames == 0:
            raise FingerGone
        self.frames -= 1
        return self._give()

    def _give(self) -> Frame:
        self.given.append(Frame(self.pixels[min(len(self.given), len(self.pixels) - 1)].copy()))
        return self.given[-1]


@pytest.mark.parametrize(("pixels", "wanted"), [(GOOD[0], Probe), (BAD, Feedback)])
async def test_every_frame_is_wiped_before_the_event_is_out(pixels: Image, wanted: type) -> None:
    source = Watched(pixels)
    async with running(VeinReader(source, sim()), Capture(NONCE)) as events:
        await until(events, StateChange)
        source.down.set()
        await until(events, wanted)
        assert source.given
        assert not any(frame.pixels.any() for frame in source.given)


async def test_a_frame_is_wiped_even_if_it_is_not_of_this_sensor() -> None:
    source = Watched(np.full((10, 10), 200, np.uint8))
    async with running(VeinReader(source, sim()), Capture(NONCE)) as events:
        await until(events, StateChange)
        source.down.set()
        with pytest.raises(DriverError):
            await until(events, "never")
    assert source.given
    assert not any(frame.pixels.any() for frame in source.given)


async def test_a_bad_first_frame_of_a_touch_is_followed_by_the_next() -> None:
    source = Watched(BAD, GOOD[0])
    async with running(VeinReader(source, sim()), Capture(NONCE)) as events:
        await until(events, StateChange)
        source.down.set()
        probe = await until(events, Probe, Feedback)
    assert isinstance(probe, Probe)
    assert len(source.given) == 2


async def test_a_finger_that_rests_is_said_once_and_its_lifting_too(pictures: Path) -> None:
    device = Folder(pictures)
    await device.touch()
    async with opened(device) as reader, running(reader, Watch()) as events:
        assert await until(events, StateChange) == StateChange(State.FINGER_DOWN)
        await device.lift()
        assert await until(events, StateChange) == StateChange(State.FINGER_UP)


# Folders.


class Clock:
    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


def test_turns_show_each_picture_once_after_it_was_asked_for() -> None:
    clock = Clock()
    turns = Turns(clock, after=1.0, stay=0.5)
    turns.begin([Path("a"), Path("b")])
    seen: list[str | None] = []
    for tenth in range(60):
        clock.ns = tenth * 100_000_000
        turns.asked()
        shown = turns.now()
        seen.append(shown.picture.name if shown else None)
    assert seen[9:15] == [None, "a", "a", "a", "a", "a"]
    assert seen[15:24] == [None] * 9
    assert [name for name in seen if name] == ["a"] * 5 + ["b"] * 5


async def test_a_folder_gives_each_picture_once_through_the_driver(pictures: Path) -> None:
    reader = READER({"source": f"folder:{pictures}", "profile": "sim", "after": "0", "stay": "0.05"})
    await reader.open()
    found: list[bytes] = []
    for nonce in ("1" * 32, "2" * 32):
        async with running(reader, Capture(nonce)) as events:
            probe = await until(events, Probe)
            assert isinstance(probe, Probe)
            assert probe.nonce == nonce
            found.append(probe.data)
    async with running(reader, Capture(NONCE)) as events:
        assert isinstance(await until(events, Feedback, Probe), Feedback)  # the third picture is a short finger
    await reader.close()
    assert found[0] != found[1]


async def test_a_trigger_file_names_the_picture(pictures: Path, tmp_path: Path) -> None:
    trigger = tmp_path / "finger"
    reader = READER({"source": f"folder:{pictures}", "profile": "sim", "trigger": str(trigger)})
    await reader.open()
    async with running(reader, Capture(NONCE)) as events:
        assert await until(events, StateChange) == StateChange(State.NEED_TOUCH)
        trigger.write_text("good1.png\n")
        await until(events, Probe)
    async with running(reader, Watch()) as events:
        assert await until(events, StateChange) == StateChange(State.FINGER_DOWN)
        trigger.write_text("")
        assert await until(events, StateChange) == StateChange(State.FINGER_UP)


@pytest.mark.parametrize(
    "text", ["../secret.png", "/etc/passwd", "good0.txt", "missing.png", "a\0b.png", "x" * 5000, b"\xff\xfe.png"]
)
def test_a_trigger_names_nothing_outside_the_folder(pictures: Path, tmp_path: Path, text: str | bytes) -> None:
    (pictures.parent / "secret.png").write_bytes(b"x")
    trigger = tmp_path / "finger"
    trigger.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DriverError) as caught:
        Pointer(pictures, trigger).now()
    assert caught.value.fault is Fault.PROTOCOL


async def test_a_picture_that_is_none_is_the_devices_fault(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    reader = READER({"source": f"folder:{tmp_path}", "after": "0"})
    await reader.open()
    async with running(reader, Capture(NONCE)) as events:
        with pytest.raises(DriverError) as caught:
            await until(events, Probe)
    assert caught.value.fault is Fault.PROTOCOL


# Settings and manifest.


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"source": "http://x"},
        {"source": "/etc/passwd"},
        {"source": "/dev/video9", "profile": "none"},
        {"source": "folder:/x", "after": "soon"},
        {"source": "folder:/x", "stay": "-1"},
        {"source": "folder:/x", "after": "nan"},
    ],
)
def test_a_wrong_setting_is_said(settings: dict[str, str]) -> None:
    with pytest.raises(DriverError) as caught:
        READER(settings)
    assert caught.value.fault is Fault.NOT_PERMITTED


async def test_a_camera_that_is_not_there_is_removed() -> None:
    with pytest.raises(DriverError) as caught:
        await READER({"source": "/dev/no-such-video"}).open()
    assert caught.value.fault is Fault.REMOVED


def test_the_manifest_grants_the_source_and_nothing_else() -> None:
    import authd_drivers.vein

    text = (Path(authd_drivers.vein.__file__).parent / "manifest.toml").read_bytes()
    parsed = manifest.parse(text)
    assert manifest.fill(parsed, {"source": "/dev/video0"}).devices == ("/dev/video0",)
    assert manifest.fill(parsed, {"source": "/dev/video0"}).read == ()
    grants = manifest.fill(parsed, {"source": "folder:/data", "trigger": "/run/x"})
    assert (grants.devices, grants.read, grants.unix_sockets) == ((), ("/data", "/run/x"), ())
    assert manifest.settled(parsed, {"source": "/dev/video0"}).pad_level == "none"
    lit = {"source": "/dev/video0", "lamp": "/dev/gpiochip0"}
    assert manifest.settled(parsed, lit).pad_level == "heuristic"
    assert manifest.fill(parsed, lit).devices == ("/dev/video0", "/dev/gpiochip0")


async def test_closing_the_events_in_the_middle_of_a_touch_wipes_its_frame() -> None:
    source = Watched(GOOD[0])
    events = cast("AsyncGenerator[Any, None]", VeinReader(source, sim()).run(Watch(), no_prompt))
    async with aclosing(events):
        await anext(events)
        source.down.set()
        await anext(events)
    assert source.given
    assert not any(frame.pixels.any() for frame in source.given)


async def test_a_picture_that_replaces_another_at_once_is_a_touch_of_its_own(pictures: Path) -> None:
    device = Folder(pictures)
    async with opened(device) as reader, running(reader, Watch()) as events:
        await until(events, StateChange)
        for _ in range(3):
            await device.touch()
            await until(events, StateChange(State.FINGER_DOWN))
        await device.lift()
        assert await until(events, StateChange) == StateChange(State.FINGER_UP)
