"""Pictures of fingers that nobody has, and their templates, for the tests of the vein driver."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from authd.driver import Reference
from authd_drivers.vein.engine.extract import extract
from authd_drivers.vein.engine.profile import SensorProfile, load_profile
from authd_simulators.vein_image import Presentation, anatomy, capture

Image = npt.NDArray[np.uint8]


def sim() -> SensorProfile:
    return load_profile("sim")


def picture(finger: str, touch: int, presentation: Presentation = Presentation.GOOD) -> Image:
    """One capture of a finger; the same finger and touch are the same picture."""
    rng = np.random.default_rng([touch, *finger.encode()])
    return capture(anatomy(finger), rng, presentation)


@cache
def probes(finger: str, count: int) -> tuple[bytes, ...]:
    """The first `count` probes of a finger that pass the quality gate."""
    found: list[bytes] = []
    for touch in range(10 * count):
        template = extract(picture(finger, touch), sim()).template
        if template is not None:
            found.append(template)
        if len(found) == count:
            return tuple(found)
    raise AssertionError(f"{finger} hardly ever passes the gate")


def references(subject: str, templates: tuple[bytes, ...]) -> list[Reference]:
    return [Reference(subject, f"tpl_{subject}_{number}@1", data) for number, data in enumerate(templates)]
