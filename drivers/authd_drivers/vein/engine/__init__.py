"""The vein engine's public face: from a frame to a template, from two templates to a score.

    found = extract(frame, profile)            # Extraction(template | None, quality, hint, pad)
    score = compare(found.template, other)     # -1 to 1
    templates = enrol(records, profile)        # the best of at least three that agree with each other

Loaded on demand: what runs in the verifier child (`compare`, `enrol`, `Gallery`) never loads cv2.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from authd_drivers.vein.engine.extract import Extraction, extract
    from authd_drivers.vein.engine.profile import SensorProfile, load_profile, read_profile
    from authd_drivers.vein.engine.template import Template, pack, parse

__all__ = ["Extraction", "SensorProfile", "Template", "extract", "load_profile", "pack", "parse", "read_profile"]

_WHERE = {
    "Extraction": "extract",
    "SensorProfile": "profile",
    "Template": "template",
    "extract": "extract",
    "load_profile": "profile",
    "pack": "template",
    "parse": "template",
    "read_profile": "profile",
}


def __getattr__(name: str) -> Any:
    """Load a name of the face from its module."""
    if name not in _WHERE:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
