"""Step 6: how good a capture is, and what the person can do better."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from authd.driver import Hint
from authd_drivers.vein.engine.edges import Edges
from authd_drivers.vein.engine.profile import SensorProfile
from authd_drivers.vein.engine.unwrap import Shape

Floats = npt.NDArray[np.float32]


def finger_there(edges: Edges, profile: SensorProfile) -> bool:
    """Whether the edges can be those of a finger at all."""
    settings = profile.quality
    width = float(np.median(edges.rows[1] - edges.rows[0])) / profile.region.rows
    return edges.contrast >= settings.edge_contrast and settings.width_min <= width <= settings.width_max


def something_there(seen: npt.NDArray[np.uint8], profile: SensorProfile) -> bool:
    """Whether a view that ends at the finger's edges, shape (rows, columns), is neither dark nor flat nor full."""
    middle = seen[:: max(1, len(seen) // 32), :: max(1, seen.shape[1] // 64)].astype(np.float32)
    return float(np.log(middle + profile.edges.floor).std()) >= profile.quality.edge_contrast


def pose_hint(edges: Edges, shape: Shape, profile: SensorProfile) -> Hint | None:
    """Return what is wrong with how the finger lies, None if nothing is."""
    settings = profile.quality
    if not finger_there(edges, profile):
        return Hint.CENTRE
    if shape.radius.min() < settings.taper_min * np.median(shape.radius):
        return Hint.TOO_SHORT
    slope = float(np.polyfit(shape.columns, shape.centre, 1)[0])
    return Hint.SKEWED if abs(slope) > settings.slope_max else None


def grade(strength: Floats, shape: Shape, profile: SensorProfile) -> tuple[float, Hint | None]:
    """Quality from 0 to 1, and a hint where it is not enough."""
    settings = profile.quality
    found = strength[strength > 0]
    if not found.size:
        return 0.0, Hint.REMOVE_AND_RETRY
    clear = (float(np.log(found).mean()) - settings.clarity) / settings.clarity_spread
    rough = (shape.residual - settings.residual) / settings.residual_spread * settings.residual_weight
    quality = 1 / (1 + math.exp(-max(-30.0, min(30.0, clear - rough))))
    if quality >= settings.accept:
        return quality, None
    return quality, Hint.CENTRE if rough > -clear else Hint.REMOVE_AND_RETRY
