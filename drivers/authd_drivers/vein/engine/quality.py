"""Step 6: how good a capture is, and what the person can do better."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from authd.driver import Hint
from authd_drivers.vein.engine.edges import Edges
from authd_drivers.vein.engine.profile import QualitySettings, SensorProfile
from authd_drivers.vein.engine.scratch import Scratch
from authd_drivers.vein.engine.unwrap import Shape

Floats = npt.NDArray[np.float32]

DARK = 25.0
"""Grey levels at which half of the noise is there without any light."""
PLAIN = 0.66
"""Of `odd_max`, below usual: what has no veins at all, or edges as straight as if they were drawn with a ruler."""
Doubles = npt.NDArray[np.float64] | np.float64
Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Lie:
    """Contrast of its edges, width as a share of the view, slope of its axis, least width by median."""

    contrast: float
    width: float
    slope: float
    taper: float


def lie_of(edges: Edges, shape: Shape, profile: SensorProfile) -> Lie:
    """How the finger with these edges lies."""
    slope = abs(float(np.polyfit(shape.columns, shape.centre, 1)[0]))
    return Lie(edges.contrast, _width(edges, profile), slope, float(shape.radius.min() / np.median(shape.radius)))


def lie_in_view(seen: Image, profile: SensorProfile) -> Lie:
    """How a finger lies that fills the view, shape (rows, columns). contrast: of all that is seen, by its logarithm."""
    middle = seen[:: max(1, len(seen) // 32), :: max(1, seen.shape[1] // 64)].astype(np.float32)
    return Lie(float(np.log(middle + profile.edges.floor).std()), 1.0, 0.0, 1.0)


def finger_there(edges: Edges, profile: SensorProfile) -> bool:
    """Whether the edges can be those of a finger at all."""
    return _there(edges.contrast, _width(edges, profile), profile.quality)


def something_there(seen: Image, profile: SensorProfile) -> bool:
    """Whether a view that ends at the finger's edges, shape (rows, columns), is neither dark nor flat nor full."""
    return lie_in_view(seen, profile).contrast >= profile.quality.edge_contrast


def pose_hint(lie: Lie, profile: SensorProfile) -> Hint | None:
    """Return what is wrong with how the finger lies, None if nothing is."""
    settings = profile.quality
    if not _there(lie.contrast, lie.width, settings):
        return Hint.CENTRE
    if lie.taper < settings.taper_min:
        return Hint.TOO_SHORT
    return Hint.SKEWED if lie.slope > settings.slope_max else None


def clarity_of(strength: Floats) -> float | None:
    """How clearly veins show: mean logarithm of the curvature at crests, None without any crest."""
    found = strength[strength > 0]
    return float(np.log(found).mean()) if found.size else None


def grain_of(skin: npt.NDArray[np.uint8], scratch: Scratch) -> float:
    """How rough the skin is at the finest scale: log of the variance of its Laplacian over what light makes of noise.

    A living finger lit from behind is soft: there is nothing but the sensor's noise, whose variance grows as the light.
    """
    rough = scratch(np.asarray(cv2.Laplacian(skin, cv2.CV_32F), np.float32))
    return math.log((float(rough.var()) + 0.1) / (float(skin.mean()) + DARK))


def grade(strength: Floats, grain: float, shape: Shape, profile: SensorProfile) -> tuple[float, Hint | None]:
    """Quality from 0 to 1, and a hint where it is not enough, or where it is too odd to be a finger."""
    settings = profile.quality
    clarity = clarity_of(strength)
    natural = settings.crests_min <= crests_of(strength) <= settings.crests_max
    if clarity is None or not natural or grain > settings.grain_max:
        return 0.0, Hint.REMOVE_AND_RETRY
    clear = (clarity - settings.clarity) / settings.clarity_spread
    rough = (shape.residual - settings.residual) / settings.residual_spread
    least = min(clear, rough) if profile.edges.traced else clear
    if max(clear, rough) > settings.odd_max or least < -PLAIN * settings.odd_max:
        return 0.0, Hint.REMOVE_AND_RETRY
    quality = float(quality_of(np.float64(clear), np.float64(rough), settings))
    if quality >= settings.accept:
        return quality, None
    return quality, Hint.CENTRE if settings.residual_weight * rough > -clear else Hint.REMOVE_AND_RETRY


def quality_of(clear: Doubles, rough: Doubles, settings: QualitySettings) -> Doubles:
    """Quality from 0 to 1 of captures that are so many standard deviations clearer and rougher than usual."""
    return np.asarray(1 / (1 + np.exp(-np.clip(clear - settings.residual_weight * rough, -30, 30))), np.float64)


def crests_of(strength: Floats) -> float:
    """Share of the pixels that lie on a crest of curvature, a vein or what looks like one."""
    return int(np.count_nonzero(strength)) / strength.size


def _there(contrast: float, width: float, settings: QualitySettings) -> bool:
    return contrast >= settings.edge_contrast and settings.width_min <= width <= settings.width_max


def _width(edges: Edges, profile: SensorProfile) -> float:
    return float(np.median(edges.rows[1] - edges.rows[0])) / profile.region.rows
