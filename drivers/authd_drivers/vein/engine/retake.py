"""Whether a frame was seen before, by its noise: chance draws it anew at every exposure, and a recording has it still.

What is kept of a frame is the sign of the sensor's noise in each pixel, and a map of 16 x 32 cells of where the veins
are, to look at few frames only. No frame can be made from it, and nobody be recognised by it. A recording that was
shifted, brightened, resized by less than a pixel or made noisier is still found; one that was compressed until its
noise is gone is too smooth, which engine/pad.py sees (grain).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.scratch import Scratch
from authd_drivers.vein.engine.template import COLUMNS, ROWS, parse

Image = npt.NDArray[np.uint8]
Signs = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]

KEPT = 256
LOOKED_AT = 8
"""Frames that are kept, and how many of them, those with the likest veins, are compared with a new one."""
REACH = 4
"""Pixels by which a recording may be shifted."""
SIZE = (216, 256)
"""Rows and columns of noise that are kept: four words a row. A smaller frame gives less."""
_CURVE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
"""The second derivative along and across: a finger has none to speak of, noise has."""


class Takes:
    """Noise of the last frames of one reader, all of one size of at least 72 x 9 pixels, in a ring."""

    def __init__(self, kept: int = KEPT) -> None:
        self._noise: Words | None = None
        self._veins = np.zeros((kept, ROWS // 2 * COLUMNS // 2), np.float32)
        self._seen = 0

    def likest(self, template: bytes, frame: Image) -> float | None:
        """Return the greatest correlation of this frame's noise with that of a kept frame, None if there is none."""
        count = min(self._seen, len(self._veins))
        signs = noise_of(frame)
        if self._noise is None or count == 0:
            return None
        alike = self._veins[:count] @ _veins(template)
        rows = np.argsort(-alike)[:LOOKED_AT]
        return max(_correlation(shifted, self._noise[rows]) for shifted in _shifted(signs))

    def keep(self, template: bytes, frames: Sequence[Image]) -> None:
        """Remember the frames of a touch that gave this template."""
        veins = _veins(template)
        for frame in frames:
            noise = _words(_middle(noise_of(frame))).ravel()
            if self._noise is None:
                self._noise = np.zeros((len(self._veins), noise.size), np.uint64)
            place = self._seen % len(self._veins)
            self._noise[place], self._veins[place] = noise, veins
            self._seen += 1


def noise_of(frame: Image) -> Signs:
    """Return the sign of a frame's noise in its middle, with a margin of `REACH` on each side."""
    rows, columns = (min(size + 2 * REACH, have) for size, have in zip(SIZE, frame.shape, strict=True))
    columns -= (columns - 2 * REACH) % 64
    top, left = (frame.shape[0] - rows) // 2, (frame.shape[1] - columns) // 2
    with Scratch() as scratch:
        levels = scratch(frame[top : top + rows, left : left + columns].astype(np.float32))
        return np.asarray(scratch(np.asarray(cv2.filter2D(levels, -1, _CURVE), np.float32)) > 0)


def _middle(signs: Signs) -> Signs:
    return signs[REACH:-REACH, REACH:-REACH]


def _shifted(signs: Signs) -> Iterator[Words]:
    """Return the middle as it is, and as it would be had the frame been shifted by up to `REACH` pixels."""
    rows, columns = signs.shape[0] - 2 * REACH, signs.shape[1] - 2 * REACH
    for right in range(2 * REACH + 1):
        words = _words(signs[:, right : right + columns])
        yield from (words[down : down + rows].ravel() for down in range(2 * REACH + 1))


def _words(signs: Signs) -> Words:
    """Pack each row, whose length is a multiple of 64."""
    return np.packbits(signs, axis=1).view(np.uint64)


def _correlation(noise: Words, kept: Words) -> float:
    """Return the greatest correlation of signs with rows of them."""
    unlike = np.bitwise_count(kept ^ noise).sum(axis=1, dtype=np.int64).min()
    return float(1 - 2 * unlike / (noise.size * 64))


def _veins(template: bytes) -> npt.NDArray[np.float32]:
    """Return where the veins are in 16 x 32 cells, a little blurred, so that a small shift changes little."""
    cells = np.unpackbits(np.frombuffer(parse(template).bits, np.uint8), bitorder="little").reshape(ROWS, COLUMNS)
    rough = cells.reshape(ROWS // 2, 2, COLUMNS // 2, 2).mean(axis=(1, 3), dtype=np.float32)
    blurred = np.asarray(cv2.blur(rough, (3, 3)), np.float32).ravel()
    blurred -= blurred.mean()
    return np.asarray(blurred / (np.linalg.norm(blurred) + 1e-6), np.float32)
