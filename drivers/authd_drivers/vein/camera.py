"""A near-infrared camera (V4L2) as a source of frames; that a finger is there is seen in the picture."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from authd.driver import DriverError, Fault
from authd_drivers.vein.source import FingerGone, Frame, Image, Light

SETTLED = 2
"""Frames in a row that must agree before a finger counts as down, or as gone."""
QUEUED = 4
STALE_NS = 150_000_000
"""Frames that the kernel may have kept for us, and the pause after which they are old."""
FRAME_SECONDS = 2.0
SETTLING = 2
"""Frames after a lamp was switched that may still show the one before."""


class Device(Protocol):
    """What is used of `cv2.VideoCapture`."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Whether there is a device."""
        ...

    def read(self) -> tuple[bool, Any]:
        """Wait for the next frame."""
        ...

    def release(self) -> None:
        """Let go of the device."""
        ...


class CameraSource:
    """Implements `Source` for a camera. `sees` tells whether a finger is in a frame."""

    def __init__(
        self,
        path: str,
        width: int,
        height: int,
        sees: Callable[[Image], bool],
        connect: Callable[[str, int, int], Device] | None = None,
    ) -> None:
        self._path, self._size, self._sees = path, (width, height), sees
        self._connect = connect or _connect
        self._device: Device | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._read_at = 0
        self._saw = True

    async def open(self) -> None:
        """Claim the camera. Raises `DriverError`."""
        await self.close()
        self._thread = ThreadPoolExecutor(1, "camera")
        self._device = device = await self._in_thread(lambda: self._connect(self._path, *self._size))
        if not device.isOpened():
            await self.close()
            raise _trouble(self._path)

    async def finger(self) -> Frame:
        """Wait until no finger is seen, then for one, and return the frame in which it had settled."""
        await self._catch_up()
        if self._saw:  # else the frame just before this call was without one
            (await self._until(seen=False, needed=1)).wipe()
        return await self._until(seen=True, needed=SETTLED)

    async def frame(self) -> Frame:
        """Return the next frame with the finger in it. Raises `FingerGone`."""
        await self._catch_up()
        frame = await self._grab()
        if not self._looks(frame):
            frame.wipe()
            raise FingerGone
        return frame

    async def lifted(self) -> None:
        """Return once no finger is seen."""
        await self._catch_up()
        (await self._until(seen=False, needed=SETTLED)).wipe()

    async def close(self) -> None:
        """Let go of the camera. A read that hangs in the kernel is left to end with the process."""
        thread, device, self._thread, self._device = self._thread, self._device, None, None
        if thread is not None:
            if device is not None:
                thread.submit(device.release)
            thread.shutdown(wait=False)

    async def _until(self, *, seen: bool, needed: int) -> Frame:
        agreed = 0
        while True:
            frame = await self._grab()
            agreed = agreed + 1 if self._looks(frame) is seen else 0
            if agreed == needed:
                return frame
            frame.wipe()

    def _looks(self, frame: Frame) -> bool:
        try:
            self._saw = self._sees(frame.pixels)
            return self._saw
        except BaseException:
            frame.wipe()
            raise

    async def _catch_up(self) -> None:
        """Drop what the kernel kept from before this call."""
        if time.clock_gettime_ns(time.CLOCK_BOOTTIME) - self._read_at > STALE_NS:
            self._saw = True
            for _ in range(QUEUED):
                (await self._grab()).wipe()

    async def _grab(self) -> Frame:
        try:
            async with asyncio.timeout(FRAME_SECONDS):
                frame: Frame = await self._in_thread(self._read)
        except TimeoutError:
            raise DriverError(Fault.TIMEOUT, f"no frame within {FRAME_SECONDS:g} s") from None
        self._read_at = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return frame

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        """Run in the camera's thread; what comes of it after a cancel is wiped."""
        if self._thread is None:
            raise DriverError(Fault.REMOVED, "not open")
        future = self._thread.submit(work)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            future.add_done_callback(_wipe_late)
            raise

    def _read(self) -> Frame:
        assert self._device is not None
        good, picture = self._device.read()
        if not good:
            raise _trouble(self._path)
        return Frame(_grey(picture, self._size))


class Switch(Protocol):
    """What switches the lamps (lamps.py)."""

    def open(self) -> None:
        """Claim them and light the one above. Raises `DriverError`."""
        ...

    def light(self, light: Light) -> None:
        """Light this lamp alone. Raises `DriverError`."""
        ...

    def close(self) -> None:
        """Let go of them; safe to call twice."""
        ...


class LitCameraSource(CameraSource):
    """Implements `Source` and `Lamps`: the same camera beside lamps that can be switched.

    Its exposure must be fixed (`v4l2-ctl -c auto_exposure=1`): one that follows the light would undo what the lamps do.
    """

    def __init__(
        self,
        path: str,
        width: int,
        height: int,
        sees: Callable[[Image], bool],
        switch: Switch,
        connect: Callable[[str, int, int], Device] | None = None,
    ) -> None:
        super().__init__(path, width, height, sees, connect)
        self._switch = switch
        self._lit: deque[Light] = deque()
        self._now = Light.ON

    async def open(self) -> None:
        """Claim the camera and the lamps. Raises `DriverError`."""
        await super().open()
        try:
            self._switch.open()
        except BaseException:
            await self.close()
            raise
        self._now = Light.ON

    def light(self, lights: Sequence[Light]) -> None:
        """Part of `Lamps`."""
        self._lit = deque(lights)

    async def finger(self) -> Frame:
        """Part of `Source`."""
        await self._plain()
        return await super().finger()

    async def frame(self) -> Frame:
        """Part of `Source`: the next frame that `light` asked for. Without the lamp above no finger is looked for."""
        if not self._lit:
            await self._plain()
            return await super().frame()
        await self._to(self._lit.popleft())
        return Frame((await self._grab()).pixels, self._now)

    async def lifted(self) -> None:
        """Part of `Source`."""
        await self._plain()
        await super().lifted()

    async def close(self) -> None:
        """Let go of the lamps and the camera."""
        self._lit.clear()
        self._switch.close()
        await super().close()

    async def _plain(self) -> None:
        self._lit.clear()
        await self._to(Light.ON)

    async def _to(self, light: Light) -> None:
        """Light this lamp and drop the frames in which the one before may still be seen."""
        if light is self._now:
            return
        self._switch.light(light)
        self._now = light
        for _ in range(SETTLING):
            (await self._grab()).wipe()


def _connect(path: str, width: int, height: int) -> Device:
    device = cv2.VideoCapture(path, cv2.CAP_V4L2)
    device.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    device.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    device.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return device


def _grey(picture: npt.NDArray[np.uint8], size: tuple[int, int]) -> Image:
    """Return the grey levels in a new array and wipe the camera's. Raises `DriverError` for another size."""
    try:
        if picture.shape[:2] != size[::-1] or picture.dtype != np.uint8:
            raise DriverError(Fault.PROTOCOL, f"frames of {size[0]}x{size[1]} are expected")
        if picture.ndim == 2:
            return picture.copy()
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
    finally:
        picture.fill(0)


def _trouble(path: str) -> DriverError:
    if not Path(path).exists():
        return DriverError(Fault.REMOVED, path)
    return DriverError(Fault.BUSY, f"{path} gives no frames")


def _wipe_late(future: Future[Any]) -> None:
    if not future.cancelled() and future.exception() is None and isinstance(future.result(), Frame):
        future.result().wipe()
