"""A camera beside lamps on GPIO lines: what the kernel is asked, and which frames are given."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from authd.driver import DriverError, Fault
from authd_drivers.vein.camera import SETTLING, LitCameraSource
from authd_drivers.vein.lamps import GET_LINES, SET_VALUES, GpioLamps
from authd_drivers.vein.source import Lamps, Light

LEVEL = {0b01: 200, 0b00: 5, 0b10: 90}


class Chip:
    """What the kernel does with two lines of a GPIO chip: 592 bytes, the descriptor at their end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self.lit: list[int] = []
        self.asked = b""
        self.line: int | None = None
        self.error: OSError | None = None

    def ioctl(self, fd: int, request: int, data: bytearray) -> int:
        if self.error is not None:
            raise self.error
        if request == GET_LINES:
            self.asked = bytes(data)
            self.line = os.open(self.path, os.O_RDONLY)
            data[588:592] = struct.pack("=i", self.line)
        else:
            assert request == SET_VALUES
            assert fd == self.line
            bits, mask = struct.unpack("=QQ", data)
            assert mask == 0b11
            self.lit.append(bits)
        return 0


@pytest.fixture
def chip(tmp_path: Path) -> Chip:
    return Chip(tmp_path / "gpiochip0")


def lamps(chip: Chip) -> GpioLamps:
    return GpioLamps(str(chip.path), "17,27", chip.ioctl)


def test_both_lines_are_claimed_as_outputs_and_the_lamp_above_is_lit(chip: Chip) -> None:
    switch = lamps(chip)
    switch.open()
    assert len(chip.asked) == 592
    assert struct.unpack_from("=2I", chip.asked) == (17, 27)
    assert struct.unpack_from("=Q", chip.asked, 288) == (1 << 3,)
    assert struct.unpack_from("=I", chip.asked, 560) == (2,)
    for light in (Light.OFF, Light.SIDE):
        switch.light(light)
    switch.close()
    switch.close()
    assert chip.lit == [0b01, 0b00, 0b10]


def test_a_chip_that_is_away_or_taken_is_named(chip: Chip) -> None:
    with pytest.raises(DriverError) as caught:
        GpioLamps(str(chip.path) + "x", "17,27", chip.ioctl).open()
    assert caught.value.fault is Fault.REMOVED
    chip.error = OSError(errno.EBUSY, "busy")
    with pytest.raises(DriverError) as caught:
        lamps(chip).open()
    assert caught.value.fault is Fault.BUSY
    with pytest.raises(DriverError) as caught:
        lamps(chip).light(Light.ON)
    assert caught.value.fault is Fault.REMOVED


class Lit:
    """A camera that sees the lamps, two frames late."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.late = [0b01] * SETTLING

    def isOpened(self) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray]:
        self.late.append(self.chip.lit[-1] if self.chip.lit else 0b01)
        return True, np.full((24, 32), LEVEL[self.late.pop(0)], np.uint8)

    def release(self) -> None: ...


def camera(chip: Chip) -> LitCameraSource:
    return LitCameraSource(
        "/dev/x", 32, 24, lambda seen: bool(seen.mean() > 150), lamps(chip), lambda path, width, height: Lit(chip)
    )


async def test_each_frame_is_under_the_lamp_that_was_asked_for(chip: Chip) -> None:
    source = camera(chip)
    assert isinstance(source, Lamps)
    await source.open()
    source.light([Light.SIDE, Light.ON, Light.OFF])
    frames = [await source.frame() for _ in range(4)]
    assert [frame.light for frame in frames] == [Light.SIDE, Light.ON, Light.OFF, Light.ON]
    assert [int(frame.pixels[0, 0]) for frame in frames] == [90, 200, 5, 200]
    await source.close()


async def test_what_was_not_fetched_is_dropped_and_the_lamp_above_is_lit_again(chip: Chip) -> None:
    source = camera(chip)
    await source.open()
    source.light([Light.OFF, Light.SIDE])
    (await source.frame()).wipe()
    finger = await source.frame()
    assert finger.light is Light.SIDE
    source.light([Light.OFF])
    chip.error = None
    await source.close()
    await source.open()
    assert chip.lit[-1] == 0b01
    assert (await source.frame()).light is Light.ON
    await source.close()


async def test_lamps_that_cannot_be_claimed_leave_the_camera_closed(chip: Chip) -> None:
    chip.error = PermissionError(errno.EACCES, "no")
    source = camera(chip)
    with pytest.raises(DriverError) as caught:
        await source.open()
    assert caught.value.fault is Fault.NOT_PERMITTED
    with pytest.raises(DriverError):
        await source.frame()
