"""Pictures from files as grey frames of 8 bits, or the reason why not."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

MAX_BYTES = 1 << 28
DEPTHS = (10, 12, 14, 16)

Image = npt.NDArray[np.uint8]


class Unread(StrEnum):
    """Why a file gave no frame."""

    FILE = "file"
    """It cannot be read, or is too large."""
    FORMAT = "format"
    """OpenCV finds no picture in it."""
    DEPTH = "depth"
    """Neither 8 nor 16 bits a pixel."""


def read_image(path: Path) -> Image | Unread:
    """Read a picture of any size as grey levels of 8 bits.

    One of 16 bits is scaled by the depth that its largest value asks for (10, 12, 14 or 16 bits), which is a property
    of a sensor and not of a picture.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError:
        return Unread.FILE
    if not data or len(data) > MAX_BYTES:
        return Unread.FILE
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    except (cv2.error, MemoryError):
        return Unread.FORMAT
    return Unread.FORMAT if pixels is None or not pixels.size else _grey(np.asarray(pixels))


def _grey(pixels: npt.NDArray[np.generic]) -> Image | Unread:
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    if pixels.dtype != np.uint16:
        return Unread.DEPTH
    needed = int(pixels.max()).bit_length()
    depth = next(depth for depth in DEPTHS if depth >= needed)
    return (pixels.astype(np.uint16) >> (depth - 8)).astype(np.uint8)
