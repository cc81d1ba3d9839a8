"""Frames from a simulated device, by cable."""

from __future__ import annotations

import numpy as np

from authd.driver import DriverError, Fault
from authd_drivers.vein.source import FingerGone, Frame
from authd_simulators.cable import Answer, CableError, Plug, Say, Want
from authd_simulators.cable.wire import image_size


class CableSource:
    """A `Source` of the vein driver; the device itself follows the finger between the calls."""

    def __init__(self, cable: str) -> None:
        self._cable = cable
        self._plug: Plug | None = None

    async def open(self) -> None:
        """Plug in. Raises `DriverError`."""
        await self.close()
        self._plug = await Plug.connect(self._cable)

    async def finger(self) -> Frame:
        """Wait for a finger that comes down after this call and return its first frame."""
        return _picture(await self._ask(Want.FINGER))

    async def frame(self) -> Frame:
        """Return the next frame of the finger that is down. Raises `FingerGone`."""
        answer = await self._ask(Want.FRAME)
        if answer.say is Say.GONE:
            raise FingerGone
        return _picture(answer)

    async def lifted(self) -> None:
        """Return once no finger is down."""
        if (await self._ask(Want.LIFTED)).say is not Say.UP:
            raise DriverError(Fault.PROTOCOL, "an answer to another question")

    async def close(self) -> None:
        """Pull the plug; safe to call twice."""
        if self._plug is not None:
            self._plug.close()
            self._plug = None

    async def _ask(self, want: Want) -> Answer:
        if self._plug is None:
            raise DriverError(Fault.REMOVED, "not open")
        return await self._plug.ask(want)


def _picture(answer: Answer) -> Frame:
    """Look at the answer's bytes as a picture, without another copy. Raises `DriverError`."""
    if answer.say is not Say.IMAGE:
        raise DriverError(Fault.PROTOCOL, "an answer to another question")
    try:
        width, height, start = image_size(answer.body)
    except CableError as error:
        answer.body[:] = bytes(len(answer.body))
        raise DriverError(Fault.PROTOCOL, str(error)) from None
    pixels = np.frombuffer(answer.body, np.uint8, width * height, start)
    return Frame(pixels.reshape(height, width))
