"""A folder of recorded captures as a source of frames: real pictures, without a device.

Two ways to say when a finger comes down (`Showing`): by itself, some time after it was asked for (`Turns`), or by a
small text file that names the picture (`Pointer`), which a script writes: `002/left/index_4.bmp` lays that finger down,
an empty file lifts it. The same picture shown twice is a recording shown twice, and the comparator says so.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from authd.driver import DriverError, Fault
from authd_drivers.vein.source import FingerGone, Frame

POLL_SECONDS = 0.01
MAX_PICTURES = 100_000
MAX_POINTER = 4096
MAX_FILE = 64 * 1024 * 1024
SUFFIXES = frozenset({".bmp", ".png", ".pgm", ".jpg", ".jpeg", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class Shown:
    """One touch: `serial` tells it from every other, also of the same picture."""

    serial: int
    picture: Path


class Showing(Protocol):
    """Says which picture lies on the reader now."""

    def begin(self, pictures: list[Path]) -> None:
        """Take the folder's pictures, in order of their names. Called when the reader opens."""
        ...

    def asked(self) -> None:
        """Take note that a finger is waited for."""
        ...

    def now(self) -> Shown | None:
        """Return what is shown, None for no finger. Raises `DriverError`."""
        ...


class Turns:
    """Each picture once, in order, `after` seconds after a finger was asked for, for `stay` seconds; then no more."""

    def __init__(self, clock: Callable[[], int], after: float, stay: float) -> None:
        self._clock = clock
        self._after, self._stay = int(after * 1e9), int(stay * 1e9)
        self._pictures: list[Path] = []
        self._serial = -1
        self._down = self._up = 0

    def begin(self, pictures: list[Path]) -> None:
        """Start again with the first one."""
        self._pictures, self._serial, self._down, self._up = pictures, -1, 0, 0

    def asked(self) -> None:
        """Plan the next touch, if none is under way."""
        now = self._clock()
        if now >= self._up and self._serial + 1 < len(self._pictures):
            self._serial += 1
            self._down, self._up = now + self._after, now + self._after + self._stay

    def now(self) -> Shown | None:
        """Return what is shown."""
        if self._down <= self._clock() < self._up:
            return Shown(self._serial, self._pictures[self._serial])
        return None


class Pointer:
    """The picture whose path, relative to the folder, stands in a text file; every writing of it is a new touch."""

    def __init__(self, folder: Path, file: Path) -> None:
        self._folder, self._file = folder.resolve(), file

    def begin(self, pictures: list[Path]) -> None:
        """Nothing to prepare: the file may name any picture at any time."""

    def asked(self) -> None:
        """Nothing to plan."""

    def now(self) -> Shown | None:
        """Return what is shown. Raises `DriverError` for a file that names nothing in the folder."""
        try:
            with self._file.open("rb") as file:
                serial = os.fstat(file.fileno()).st_mtime_ns
                text = file.read(MAX_POINTER)
                if os.fstat(file.fileno()).st_mtime_ns != serial:
                    return None  # it is being written; the next look will see it whole
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DriverError(Fault.NOT_PERMITTED, str(error)) from None
        name = text.strip()
        if not name:
            return None
        return Shown(serial, self._inside(name))

    def _inside(self, name: bytes) -> Path:
        with suppress(ValueError, OSError):  # not UTF-8, a NUL, far too long
            picture = (self._folder / name.decode()).resolve()
            if picture.is_relative_to(self._folder) and picture.suffix.lower() in SUFFIXES and picture.is_file():
                return picture
        raise DriverError(Fault.PROTOCOL, "the trigger names no picture of the folder")


class FolderSource:
    """Implements `Source` for a folder of pictures."""

    def __init__(self, folder: Path, showing: Showing) -> None:
        self._folder, self._showing = folder, showing
        self._open = self._replaced = False

    async def open(self) -> None:
        """List the pictures. Raises `DriverError` if there is no folder or nothing in it."""
        pictures = _pictures(self._folder)
        if not pictures:
            raise DriverError(Fault.REMOVED, f"no pictures in {self._folder}")
        self._showing.begin(pictures)
        self._open, self._replaced = True, False

    async def finger(self) -> Frame:
        """Wait for a picture that is shown after this call."""
        before = None if self._replaced else self._now()
        self._replaced = False
        while True:
            self._showing.asked()
            shown = self._now()
            if shown and not (before and shown.serial == before.serial):
                return await _frame(shown.picture)
            before = before if shown else None
            await asyncio.sleep(POLL_SECONDS)

    async def frame(self) -> Frame:
        """Return the picture once more."""
        shown = self._now()
        if shown is None:
            raise FingerGone
        return await _frame(shown.picture)

    async def lifted(self) -> None:
        """Return once no picture is shown, or another one than now: that one has come down since."""
        before = shown = self._now()
        while before and shown and shown.serial == before.serial:
            await asyncio.sleep(POLL_SECONDS)
            shown = self._now()
        self._replaced = shown is not None

    async def close(self) -> None:
        """Forget that it was open."""
        self._open = False

    def _now(self) -> Shown | None:
        if not self._open or not self._folder.is_dir():
            raise DriverError(Fault.REMOVED, "no folder" if self._open else "not open")
        return self._showing.now()


def _pictures(folder: Path) -> list[Path]:
    try:
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    except OSError as error:
        raise DriverError(Fault.NOT_PERMITTED, str(error)) from None
    if len(found) > MAX_PICTURES:
        raise DriverError(Fault.FULL, f"at most {MAX_PICTURES} pictures are expected")
    return found


async def _frame(picture: Path) -> Frame:
    """Read a picture, in a thread: a large one takes its time. Raises `DriverError`."""
    return await asyncio.to_thread(_read, picture)


def _read(picture: Path) -> Frame:
    """Read a picture as grey levels. The bytes of the file stay OpenCV's; it is a recording, not a capture."""
    try:
        if picture.stat().st_size > MAX_FILE:
            raise DriverError(Fault.PROTOCOL, f"{picture.name}: at most {MAX_FILE} bytes are expected")
        pixels = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    except (OSError, MemoryError, cv2.error) as error:
        raise DriverError(Fault.PROTOCOL, f"{picture.name}: {type(error).__name__}") from None
    if pixels is None:
        raise DriverError(Fault.PROTOCOL, f"{picture.name} is no picture")
    if pixels.dtype != np.uint8:
        raise DriverError(Fault.PROTOCOL, f"{picture.name}: 8 bits a pixel are expected")
    return Frame(np.asarray(pixels, np.uint8))
