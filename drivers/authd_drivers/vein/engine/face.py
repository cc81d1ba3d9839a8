"""The vein engine's public face: from a frame to a template, from two templates to a score, from a gallery to a person.

    profile = named("sdumla")
    found = extract(frame, profile)                  # Extraction(template | None, quality, hint, pad)
    score = compare(found.template, other)           # -1 to 1
    enrolled = enrol(frames, profile, gallery)       # templates of three touches that agree, or why not
    gallery.search(record, scope, threshold)         # candidates, with the margin to the second-best person

For tools and experiments. The reader child and the verifier child import the modules beneath: the latter never loads
cv2, which `extract` needs.
"""

from __future__ import annotations

from authd.driver import DriverError, Fault
from authd_drivers.vein.engine import compare as _compare
from authd_drivers.vein.engine.enrol import Enrolled, enrol
from authd_drivers.vein.engine.extract import Extraction, extract
from authd_drivers.vein.engine.gallery import Found, Gallery
from authd_drivers.vein.engine.profile import ProfileError, SearchSettings, SensorProfile, named
from authd_drivers.vein.engine.template import FINGERS, Template, pack, parse

__all__ = [
    "FINGERS",
    "Enrolled",
    "Extraction",
    "Found",
    "Gallery",
    "ProfileError",
    "SensorProfile",
    "Template",
    "compare",
    "enrol",
    "extract",
    "named",
    "pack",
    "parse",
]


def compare(a: bytes, b: bytes, search: SearchSettings | None = None) -> float:
    """Likeness of two records `AVT1`, -1 to 1, the same in either order; `search`: the profile's.

    Raises `DriverError` (`Fault.PROTOCOL`) for a malformed record, and for two of different profiles.
    """
    one, other = parse(a), parse(b)
    if one.profile != other.profile:
        raise DriverError(Fault.PROTOCOL, "templates of two profiles are never compared")
    return _compare.compare(one.bits, other.bits, search)
