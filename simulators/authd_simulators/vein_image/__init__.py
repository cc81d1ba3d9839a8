"""Near-infrared pictures of fingers that nobody has: one anatomy from a seed, and any number of captures of it.

After VEIN.md, "Simulator of the reader": a vein graph in unrolled (x, theta), seen on a cylinder under a transmitted
light. `anatomy(seed)` is cached; `capture(...)` costs about 10 ms. What is not modelled is listed in
docs/reference/simulators.md.
"""

from authd_simulators.vein_image.anatomy import Anatomy, Finger, Vessel, anatomy, finger_seed
from authd_simulators.vein_image.capture import HEIGHT, WIDTH, Presentation, capture, empty
from authd_simulators.vein_image.sheet import contact_sheet

__all__ = [
    "HEIGHT",
    "WIDTH",
    "Anatomy",
    "Finger",
    "Presentation",
    "Vessel",
    "anatomy",
    "capture",
    "contact_sheet",
    "empty",
    "finger_seed",
]
