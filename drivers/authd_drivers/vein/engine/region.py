"""Step 0: what of the frame is looked at: the finger along the rows, in about as many pixels as its veins need."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.profile import RegionSettings
from authd_drivers.vein.engine.scratch import Scratch

Image = npt.NDArray[np.uint8]

TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def view(frame: Image, region: RegionSettings, scratch: Scratch) -> Image:
    """Return the region of a frame, shape (rows, columns): the frame itself where that is all of it."""
    window = frame[region.top : region.bottom, region.left : region.right]
    if region.turn:
        window = scratch(np.asarray(cv2.rotate(window, TURNS[region.turn]), np.uint8))
    if window.shape == (region.rows, region.columns):
        return window
    larger = window.shape[0] >= region.rows
    how = cv2.INTER_AREA if larger else cv2.INTER_LINEAR
    return scratch(np.asarray(cv2.resize(window, (region.columns, region.rows), interpolation=how), np.uint8))
