"""The whole way from a frame to a template. Runs in the reader child; what looks like a finger stays there."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from authd.driver import DriverError, Fault, Hint
from authd_drivers.vein.engine.edges import find_edges
from authd_drivers.vein.engine.profile import SensorProfile
from authd_drivers.vein.engine.quality import finger_there, grade, pose_hint
from authd_drivers.vein.engine.ridges import ridge_pixels, ridge_strength
from authd_drivers.vein.engine.scratch import Scratch
from authd_drivers.vein.engine.template import Template, pack, pool
from authd_drivers.vein.engine.unwrap import fit_shape, unwrap

Image = npt.NDArray[np.uint8]

cv2.setNumThreads(1)  # the pictures are small, and the sandbox counts threads


@dataclass(frozen=True, slots=True)
class Extraction:
    """What came of one frame. template: wire form (template.py), None where the capture was not good enough.

    quality: 0 to 1; hint: what the person can do better, None with a template.
    """

    template: bytes | None
    quality: float
    hint: Hint | None


def extract(frame: Image, profile: SensorProfile) -> Extraction:
    """Make a template from a frame of the profile's size. The frame is only read; the caller wipes it.

    Raises `DriverError` (`Fault.PROTOCOL`) for a frame of another size or kind.
    """
    _check(frame, profile)
    with Scratch() as scratch:
        edges = find_edges(frame, profile.edges, scratch)
        shape = fit_shape(edges, profile.width, profile.unwrap)
        if hint := pose_hint(edges, shape, profile):
            return Extraction(None, 0.0, hint)
        skin = unwrap(frame, shape, profile.unwrap, scratch)
        strength = ridge_strength(skin, profile.ridges, scratch)
        quality, hint = grade(strength, shape, profile)
        if hint:
            return Extraction(None, quality, hint)
        bits = pool(ridge_pixels(strength, profile.ridges))
    return Extraction(pack(Template(profile.code, quality, bits)), quality, None)


def sees_finger(frame: Image, profile: SensorProfile) -> bool:
    """Whether a finger is in the frame, well laid or not; about a quarter of the time of `extract`."""
    _check(frame, profile)
    with Scratch() as scratch:
        return finger_there(find_edges(frame, profile.edges, scratch), profile)


def _check(frame: Image, profile: SensorProfile) -> None:
    if frame.shape != (profile.height, profile.width) or frame.dtype != np.uint8:
        raise DriverError(Fault.PROTOCOL, f"grey frames of {profile.width}x{profile.height} are expected")
