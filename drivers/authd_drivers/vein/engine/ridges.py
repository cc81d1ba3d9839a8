"""Step 3: veins as crests: where the brightness across a direction is most of a dent.

What makes a template (`vein_strength`) is measured with filters that are longer along the vein than across it, in eight
directions, on the logarithm of brightness: noise has no direction, and a dark picture's veins are as deep as a bright
one's. How clear a capture is (`ridge_strength`) is the curvature in grey levels (Miura, Nagasaka and Miyatake 2007,
"maximum curvature"), four directions: in a dark picture it must be less.
"""

from __future__ import annotations

import math
from functools import cache

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

DIRECTIONS = 8
ELONGATION = 1.43
"""Length of a filter's Gaussian along the vein, for one across it. 1.15 to 1.7 are hardly worse, 1.4 times less is."""
FLOOR = 16.0
"""Grey levels added before the logarithm."""
COARSE = 3.0
"""From this sigma on, half of the resolution is enough to filter with."""


def vein_strength(skin: Image, settings: RidgeSettings, scratch: Scratch) -> Floats:
    """Sum over the directions of the filters' answers at their crests across the vein; the shape of `skin`."""
    shrink = 2 if settings.sigma >= COARSE else 1
    level = _level(skin, shrink, scratch)
    answer = scratch(np.empty_like(level))
    height, width = skin.shape
    strength = scratch(np.zeros((height, width), np.float32))
    padded = scratch(np.zeros((height + 2, width + 2), np.float32))
    here = scratch.floats(height, width)
    for kernel, step in _filters(settings.sigma / shrink):
        cv2.filter2D(level, cv2.CV_32F, kernel, dst=answer, borderType=cv2.BORDER_REPLICATE)
        cv2.resize(answer, (width, height), dst=here, interpolation=cv2.INTER_LINEAR)
        np.maximum(here, 0, out=padded[1:-1, 1:-1])
        strength += _crests(padded, step)
    return strength


def _level(skin: Image, shrink: int, scratch: Scratch) -> Floats:
    """Logarithm of brightness, at one in `shrink` of the resolution."""
    height, width = skin.shape
    small = scratch(cv2.resize(skin, (width // shrink, height // shrink), interpolation=cv2.INTER_AREA))
    level = scratch.floats(*small.shape)
    np.add(small, np.float32(FLOOR), out=level)
    return np.log(level, out=level)


@cache
def _filters(sigma: float) -> list[tuple[Floats, tuple[int, int]]]:
    """For each direction a filter that answers to a dark line along it, and the step across that line.

    The filter is the second derivative of a Gaussian across the line, in size such that its absolute values sum to 1.
    """
    reach = round(2 * ELONGATION * sigma)
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    filters: list[tuple[Floats, tuple[int, int]]] = []
    for angle in np.arange(DIRECTIONS) * math.pi / DIRECTIONS:
        along = (right * math.cos(angle) + down * math.sin(angle)) / (ELONGATION * sigma)
        across = (down * math.cos(angle) - right * math.sin(angle)) / sigma
        kernel = (across**2 - 1) * np.exp(-(along**2 + across**2) / 2)
        kernel -= kernel.mean()
        step = (round(math.cos(angle)), round(-math.sin(angle)))
        filters.append(((kernel / np.abs(kernel).sum()).astype(np.float32), step))
    return filters


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
