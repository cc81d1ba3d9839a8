"""Lamps of a camera, switched by GPIO lines: two outputs of a Linux GPIO character device, one a lamp.

`lamp="/dev/gpiochip0"`, `lamp_lines="17,27"`: the line of the lamp above, and of the one beside the camera. This is the
kernel's documented interface (Documentation/userspace-api/gpio/chardev.rst, version 2): boards have such lines, and
USB adapters make some. An ordinary webcam has no lamp that anybody could switch; then nothing is done with lamps.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable
from contextlib import suppress

from authd.driver import DriverError, Fault
from authd_drivers.vein.source import Light

GET_LINES = 0xC250_B407
"""GPIO_V2_GET_LINE_IOCTL"""
SET_VALUES = 0xC010_B40F
"""GPIO_V2_LINE_SET_VALUES_IOCTL"""
OUTPUT = 1 << 3
_REQUEST = struct.Struct("=64I32sQI20x240xII20xi")
"""struct gpio_v2_line_request: offsets, consumer, flags and number of attributes, lines, buffer size, descriptor."""
_VALUES = struct.Struct("=QQ")
"""struct gpio_v2_line_values: bits and mask."""
_BITS = {Light.ON: 0b01, Light.OFF: 0b00, Light.SIDE: 0b10}
MAX_LINE = 1023
Ioctl = Callable[[int, int, bytearray], object]


class GpioLamps:
    """Two lamps. `ioctl` is passed in by tests."""

    def __init__(self, path: str, lines: str, ioctl: Ioctl = fcntl.ioctl) -> None:
        """Read the settings. Raises `DriverError`."""
        self._path, self._lines, self._ioctl = path, _lines(lines), ioctl
        self._fd: int | None = None

    def open(self) -> None:
        """Claim both lines and light the lamp above. Raises `DriverError`."""
        self.close()
        request = bytearray(_REQUEST.pack(*self._lines, *[0] * 62, b"authd", OUTPUT, 0, 2, 0, 0))
        try:
            chip = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            try:
                self._ioctl(chip, GET_LINES, request)
            finally:
                os.close(chip)
        except OSError as error:
            raise _trouble(error, self._path) from None
        self._fd = _REQUEST.unpack(request)[-1]
        self.light(Light.ON)

    def light(self, light: Light) -> None:
        """Light this lamp alone. Raises `DriverError`."""
        if self._fd is None:
            raise DriverError(Fault.REMOVED, "lamps: not open")
        try:
            self._ioctl(self._fd, SET_VALUES, bytearray(_VALUES.pack(_BITS[light], 0b11)))
        except OSError as error:
            raise _trouble(error, self._path) from None

    def close(self) -> None:
        """Let go of the lines; what the lamps do then is the hardware's."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with suppress(OSError):
                os.close(fd)


def _lines(text: str) -> tuple[int, int]:
    words = text.split(",")
    if len(words) == 2 and all(word.isascii() and word.isdigit() and len(word) <= 4 for word in words):
        above, beside = int(words[0]), int(words[1])
        if above != beside and max(above, beside) <= MAX_LINE:
            return above, beside
    raise DriverError(Fault.NOT_PERMITTED, f"lamp_lines: two different numbers up to {MAX_LINE} are expected: 17,27")


def _trouble(error: OSError, path: str) -> DriverError:
    if isinstance(error, FileNotFoundError):
        return DriverError(Fault.REMOVED, path)
    fault = Fault.NOT_PERMITTED if isinstance(error, PermissionError) else Fault.BUSY
    return DriverError(fault, f"{path}: {error.strerror}")
