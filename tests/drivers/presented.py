"""What lies on the simulated reader, brought before the vein driver's reader in this process: no cable, no clock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import numpy as np

from authd.driver import Capture, DriverError, Fault, Feedback, Probe, Prompt
from authd_drivers.vein.reader import VeinReader
from authd_drivers.vein.source import FingerGone, Frame, Light
from authd_simulators.vein_image.lamps import FRAME_S, Lamp, Presented

NONCE = "0" * 32
MOST_FRAMES = 200


class Bench:
    """A source with three lamps, on which one thing after another is laid. Implements `Source` and `Lamps`."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._shown: Presented | None = None
        self._fresh = False
        self._lights: deque[Light] = deque()
        self.taken: list[Frame] = []
        """Frames of the last touch, in order."""
        self.recorded: list[tuple[Lamp, np.ndarray]] = []
        """Copies of the first of them: what somebody has who listens at the cable."""

    def lay(self, shown: Presented) -> None:
        """Lay this down in place of what was there."""
        self._shown, self._fresh = shown, True
        self.taken, self.recorded = [], []
        self._lights.clear()

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def lifted(self) -> None:
        self._shown = None

    async def finger(self) -> Frame:
        if not self._fresh:
            raise DriverError(Fault.REMOVED, "that was the last one")
        self._fresh = False
        return self._take(Light.ON)

    async def frame(self) -> Frame:
        if self._fresh or self._shown is None or len(self.taken) > MOST_FRAMES:
            raise FingerGone
        return self._take(self._lights.popleft() if self._lights else Light.ON)

    def light(self, lights: Sequence[Light]) -> None:
        self._lights = deque(lights)

    def _take(self, light: Light) -> Frame:
        assert self._shown is not None
        pixels = self._shown.picture(Lamp(light.value), len(self.taken) * FRAME_S, self._rng)
        self.taken.append(Frame(pixels, light))
        if len(self.recorded) < 8:
            self.recorded.append((Lamp(light.value), pixels.copy()))
        return self.taken[-1]


def touch(reader: VeinReader, bench: Bench, shown: Presented) -> Probe | Feedback:
    """Lay this down and return what the reader says of it."""
    bench.lay(shown)
    return asyncio.run(_touch(reader))


async def _touch(reader: VeinReader) -> Probe | Feedback:
    said: Feedback | None = None
    try:
        async for event in reader.run(Capture(NONCE), _no_prompt):
            if isinstance(event, Probe):
                return event
            if isinstance(event, Feedback):
                said = event
    except DriverError:
        assert said is not None
        return said
    raise AssertionError("a capture ends with a probe")


async def _no_prompt(_: Prompt) -> str:
    raise AssertionError("nobody is asked for a PIN")
