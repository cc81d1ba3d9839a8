"""Step 3: veins as crests of curvature (Miura, Nagasaka and Miyatake 2007, "maximum curvature"), in four directions.

A vein is darker than its surroundings, so that the brightness across it is a dent. Where the curvature of the
brightness along one of four directions has a positive local maximum in that direction, the pixel lies on a crest.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.profile import RidgeSettings
from authd_drivers.vein.engine.scratch import Scratch

Floats = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

_ONE = np.array([1], np.float32)
_FIRST = np.array([-0.5, 0, 0.5], np.float32)
_SECOND = np.array([1, -2, 1], np.float32)
_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))


def ridge_strength(skin: Image, settings: RidgeSettings, scratch: Scratch) -> Floats:
    """Sum over the directions of the curvature at crests, 0 elsewhere; the shape of `skin`."""
    smooth = scratch(skin.astype(np.float32))
    cv2.GaussianBlur(smooth, (0, 0), settings.sigma, dst=smooth, borderType=cv2.BORDER_REPLICATE)
    height, width = skin.shape
    strength = scratch(np.zeros((height, width), np.float32))
    padded = scratch(np.zeros((height + 2, width + 2), np.float32))
    for curvature, step in zip(_curvatures(smooth, scratch), _STEPS, strict=True):
        padded[1:-1, 1:-1] = curvature
        strength += _crests(padded, step)
    return strength


def ridge_pixels(strength: Floats, settings: RidgeSettings) -> npt.NDArray[np.bool_]:
    """Keep the strongest share `keep` of the ridge pixels."""
    found = strength[strength > 0]
    if not found.size:
        return np.zeros(strength.shape, np.bool_)
    weakest = int((1 - settings.keep) * (found.size - 1))
    kept: npt.NDArray[np.bool_] = strength > np.partition(found, weakest)[weakest]
    return kept


def _curvatures(smooth: Floats, scratch: Scratch) -> list[Floats]:
    """Curvature of the profile along each direction of `_STEPS`, negative ones as 0."""
    dx, dy = _derivative(smooth, _FIRST, _ONE, scratch), _derivative(smooth, _ONE, _FIRST, scratch)
    dxx, dyy = _derivative(smooth, _SECOND, _ONE, scratch), _derivative(smooth, _ONE, _SECOND, scratch)
    dxy = _derivative(smooth, _FIRST, _FIRST, scratch)
    half = np.float32(0.5)
    diagonal = half * (dxx + dyy)
    return [
        scratch(_curvature(dx * dx, dxx)),
        scratch(_curvature(dy * dy, dyy)),
        scratch(_curvature(half * (dx + dy) ** 2, diagonal + dxy)),
        scratch(_curvature(half * (dx - dy) ** 2, diagonal - dxy)),
    ]


def _derivative(smooth: Floats, along: Floats, across: Floats, scratch: Scratch) -> Floats:
    out = scratch(np.empty_like(smooth))
    cv2.sepFilter2D(smooth, cv2.CV_32F, along, across, dst=out, borderType=cv2.BORDER_REPLICATE)
    return out


def _curvature(slope_squared: Floats, second: Floats) -> Floats:
    """F'' / (1 + f'^2)^(3/2), and 0 where the profile is not a dent."""
    steepness = slope_squared + np.float32(1)
    steepness *= np.sqrt(steepness)
    np.divide(np.maximum(second, 0, out=second), steepness, out=steepness)
    return steepness


def _crests(padded: Floats, step: tuple[int, int]) -> Floats:
    """Curvature where it is greater than at both neighbours along `step`; `padded` has a border of one pixel."""
    down, right = step
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    here = padded[1:-1, 1:-1]
    after = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
    before = padded[1 - down : 1 - down + height, 1 - right : 1 - right + width]
    return here * ((here > after) & (here >= before))
