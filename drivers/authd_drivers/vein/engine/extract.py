"""The whole way from a frame to a template. Runs in the reader child; what looks like a finger stays there."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from authd.driver import DriverError, Fault, Hint
from authd_drivers.vein.engine.edges import find_edges
from authd_drivers.vein.engine.profile import SensorProfile
from authd_drivers.vein.engine.quality import (
    Lie,
    clarity_of,
    crests_of,
    finger_there,
    grade,
    grain_of,
    lie_in_view,
    lie_of,
    pose_hint,
    something_there,
)
from authd_drivers.vein.engine.region import view
from authd_drivers.vein.engine.ridges import ridge_pixels, ridge_strength, vein_strength
from authd_drivers.vein.engine.scratch import Scratch
from authd_drivers.vein.engine.template import Template, pack, pool
from authd_drivers.vein.engine.unwrap import Shape, fit_shape, unwrap, whole_view

Image = npt.NDArray[np.uint8]

cv2.setNumThreads(1)  # the pictures are small, and the sandbox counts threads


@dataclass(frozen=True, slots=True)
class Extraction:
    """What came of one frame. template: record of template.py, None where the capture was not good enough.

    quality: 0 to 1; hint: what the person can do better, None with a template; pad: 0 (attack) to 1 (living), None
    where it was not looked at.
    """

    template: bytes | None
    quality: float
    hint: Hint | None
    pad: float | None = None


def extract(frame: Image, profile: SensorProfile) -> Extraction:
    """Make a template from a frame of the profile's size. The frame is only read; the caller wipes it.

    Raises `DriverError` (`Fault.PROTOCOL`) for a frame of another size or kind.
    """
    _check(frame, profile)
    with Scratch() as scratch:
        seen = view(frame, profile.region, scratch)
        shape, lie = _shape(seen, profile, scratch)
        if hint := pose_hint(lie, profile):
            return Extraction(None, 0.0, hint)
        skin = unwrap(seen, shape, profile.unwrap, scratch)
        strength = ridge_strength(skin, profile.ridges, scratch)
        quality, hint = grade(strength, grain_of(skin, scratch), shape, profile)
        if hint:
            return Extraction(None, quality, hint)
        bits = pool(ridge_pixels(vein_strength(skin, profile.ridges, scratch), profile.ridges))
    return Extraction(pack(Template(profile.id, quality, bits)), quality, None)


def sees_finger(frame: Image, profile: SensorProfile) -> bool:
    """Whether a finger is in the frame, well laid or not; about a quarter of the time of `extract`."""
    _check(frame, profile)
    with Scratch() as scratch:
        seen = view(frame, profile.region, scratch)
        if not profile.edges.traced:
            return something_there(seen, profile)
        return finger_there(find_edges(seen, profile.edges, scratch), profile)


@dataclass(frozen=True, slots=True)
class Measures:
    """What the gate judges by. See quality.py. clarity: None where nothing was found; residual: pixels."""

    lie: Lie
    clarity: float | None
    residual: float
    grain: float
    crests: float


def measures(frame: Image, profile: SensorProfile) -> Measures:
    """Return what the gate would judge a frame by, for whoever sets a gate. Raises `DriverError` as `extract` does."""
    _check(frame, profile)
    with Scratch() as scratch:
        seen = view(frame, profile.region, scratch)
        shape, lie = _shape(seen, profile, scratch)
        skin = unwrap(seen, shape, profile.unwrap, scratch)
        strength = ridge_strength(skin, profile.ridges, scratch)
        return Measures(lie, clarity_of(strength), shape.residual, grain_of(skin, scratch), crests_of(strength))


def _shape(seen: Image, profile: SensorProfile, scratch: Scratch) -> tuple[Shape, Lie]:
    """Where the finger is in the view, and how it lies there."""
    if not profile.edges.traced:
        return whole_view(profile.region.columns, profile.region.rows, profile.unwrap), lie_in_view(seen, profile)
    edges = find_edges(seen, profile.edges, scratch)
    shape = fit_shape(edges, profile.region.columns, profile.unwrap)
    return shape, lie_of(edges, shape, profile)


def _check(frame: Image, profile: SensorProfile) -> None:
    if frame.shape != (profile.height, profile.width) or frame.dtype != np.uint8:
        raise DriverError(Fault.PROTOCOL, f"grey frames of {profile.width}x{profile.height} are expected")
