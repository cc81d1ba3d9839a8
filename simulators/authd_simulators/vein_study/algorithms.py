"""Two ways to make a template, so that the order of algorithms can be compared on real and on generated pictures.

`unrolled` is the engine as it is shipped for the sensor. `flat` is the same without its first two steps: a fixed window
in place of the traced edges, so that a finger that lies elsewhere or is turned looks like another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.compare import words
from authd_drivers.vein.engine.extract import extract
from authd_drivers.vein.engine.profile import RegionSettings, SensorProfile, load_profile
from authd_drivers.vein.engine.template import parse
from authd_drivers.vein.study.measure import ungated

Image = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]

SENSOR = "sdumla"
WINDOW = RegionSettings(left=4, top=52, right=284, bottom=216, turn=0, columns=280, rows=164)
"""Where the finger of SDUMLA-HMT mostly is."""


def _flat(profile: SensorProfile) -> SensorProfile:
    untraced = replace(profile.edges, traced=False, left=0, right=WINDOW.columns)
    return replace(profile, region=WINDOW, edges=untraced)


_PROFILE = ungated(load_profile(SENSOR))
ALGORITHMS: Mapping[str, SensorProfile] = {"unrolled": _PROFILE, "flat": _flat(_PROFILE)}


def template(frame: Image, algorithm: str) -> Words:
    """Return the 32 words of a frame's template. Raises `ValueError` where the engine finds nothing at all in it."""
    made = extract(frame, ALGORITHMS[algorithm]).template
    if made is None:
        raise ValueError("nothing in the picture")
    return words(parse(made).bits)
