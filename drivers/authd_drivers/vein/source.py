"""Where the frames of a finger come from: a camera, a folder of recorded captures, a simulated reader.

`VeinReader` (reader.py) does everything above this line in the same way whatever the source, so a simulated reader
runs the very code of a real one. A source knows no nonce, no person and no quality; it knows whether a finger is there.

The contract, for authors of sources:

* One caller, one call in flight. Every wait may be cancelled at any moment and must return within 100 ms of that.
* The source follows the finger also between calls, as a device does: a finger that came down and went away while
  nobody asked is gone, and nobody is told.
* A `Frame` belongs to its receiver, who wipes it. A source keeps no second copy: it wipes what it read the frame from.
* Trouble with the device is `DriverError` (`Fault.REMOVED`, `TIMEOUT`, `PROTOCOL`, `NOT_PERMITTED`, ...). After
  `Fault.REMOVED` the source is closed and opened anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""Grey levels, shape (height, width), dtype uint8."""


class Light(StrEnum):
    """Which lamps were lit."""

    ON = "on"
    """The one above: its light comes through the finger. Templates are made of such frames alone."""
    OFF = "off"
    SIDE = "side"
    """One beside the camera, and no other: its light is thrown back by the skin."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a finger, in a buffer that its receiver must wipe."""

    pixels: Image
    light: Light = Light.ON

    def wipe(self) -> None:
        """Overwrite the picture. Safe to call twice."""
        self.pixels.fill(0)


class FingerGone(Exception):
    """The finger was lifted before another frame could be had."""


class Source(Protocol):
    """A stream of frames that knows whether a finger is there."""

    async def open(self) -> None:
        """Claim the device. Raises `DriverError`."""
        ...

    async def finger(self) -> Frame:
        """Wait for a finger that comes down after this call and return its first frame.

        A finger that already rests on the reader does not count: it must be lifted and come again.
        """
        ...

    async def frame(self) -> Frame:
        """Return the next new frame of the finger that is down. Raises `FingerGone` once it was lifted."""
        ...

    async def lifted(self) -> None:
        """Return once no finger is down, at once if none is."""
        ...

    async def close(self) -> None:
        """Release the device; safe to call twice, and after an error. Every buffer is wiped."""
        ...


@runtime_checkable
class Lamps(Protocol):
    """What a source has besides if it can switch its lamps. A plain camera or folder cannot, and has none of this."""

    def light(self, lights: Sequence[Light]) -> None:
        """Say under which lamps the next frames are to be taken; returns at once.

        The next calls of `Source.frame` return them in this order, then frames under the lamp above again. What was
        not fetched when something else is called is dropped. Raises `DriverError`.
        """
        ...
