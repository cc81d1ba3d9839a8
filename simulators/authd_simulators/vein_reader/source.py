"""Frames from a simulated device, by cable."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from authd.driver import DriverError, Fault
from authd_drivers.vein.source import FingerGone, Frame, Light
from authd_simulators.cable import Answer, CableError, Plug, Say, Want
from authd_simulators.cable.wire import image_lamp, image_size

_LETTERS = {Light.ON: b"1", Light.OFF: b"0", Light.SIDE: b"s"}
_LIGHTS = {letter: light for light, letter in _LETTERS.items()}


class CableSource:
    """A `Source` with lamps of the vein driver; the device itself follows the finger between the calls."""

    def __init__(self, cable: str) -> None:
        self._cable = cable
        self._plug: Plug | None = None
        self._lit: deque[Light] = deque()

    async def open(self) -> None:
        """Plug in. Raises `DriverError`."""
        await self.close()
        self._plug = await Plug.connect(self._cable)

    async def finger(self) -> Frame:
        """Wait for a finger that comes down after this call and return its first frame."""
        return _picture(await self._ask(Want.FINGER))

    def light(self, lights: Sequence[Light]) -> None:
        """Ask for the frames that `frame` will return next, each under one of these lamps. Raises `DriverError`."""
        self._plugged().begin(Want.BURST, b"".join(_LETTERS[light] for light in lights))
        self._lit = deque(lights)

    async def frame(self) -> Frame:
        """Return the next frame of the finger that is down. Raises `FingerGone`."""
        wanted = self._lit.popleft() if self._lit else None
        try:
            answer = await (self._plugged().answer() if wanted else self._ask(Want.FRAME))
            if answer.say is Say.GONE:
                raise FingerGone
            return _picture(answer, wanted or Light.ON)
        except BaseException:
            self._lit.clear()
            raise

    async def lifted(self) -> None:
        """Return once no finger is down."""
        if (await self._ask(Want.LIFTED)).say is not Say.UP:
            raise DriverError(Fault.PROTOCOL, "an answer to another question")

    async def close(self) -> None:
        """Pull the plug; safe to call twice."""
        self._lit.clear()
        if self._plug is not None:
            self._plug.close()
            self._plug = None

    async def _ask(self, want: Want) -> Answer:
        self._lit.clear()
        return await self._plugged().ask(want)

    def _plugged(self) -> Plug:
        if self._plug is None:
            raise DriverError(Fault.REMOVED, "not open")
        return self._plug


def _picture(answer: Answer, light: Light = Light.ON) -> Frame:
    """Look at the answer's bytes as a picture under this lamp, without another copy. Raises `DriverError`."""
    if answer.say is not Say.IMAGE:
        raise DriverError(Fault.PROTOCOL, "an answer to another question")
    try:
        width, height, start = image_size(answer.body)
        if _LIGHTS[image_lamp(answer.body)] is not light:
            raise CableError("a picture under another lamp")
    except CableError as error:
        answer.body[:] = bytes(len(answer.body))
        raise DriverError(Fault.PROTOCOL, str(error)) from None
    pixels = np.frombuffer(answer.body, np.uint8, width * height, start)
    return Frame(pixels.reshape(height, width), light)
