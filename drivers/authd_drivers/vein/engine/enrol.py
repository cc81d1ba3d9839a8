"""Enrolment: presentations that show one finger, each anew, and nobody's whom the gallery knows. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from authd.driver import Hint, Scored
from authd_drivers.vein.engine.compare import SAME, compare
from authd_drivers.vein.engine.gallery import Gallery
from authd_drivers.vein.engine.profile import SensorProfile
from authd_drivers.vein.engine.template import Template, pack, parse

if TYPE_CHECKING:
    import numpy.typing as npt

    Image = npt.NDArray[np.uint8]

FEWEST = 3
"""Presentations of a finger that an enrolment needs."""
KEPT = 5
"""Templates a finger that are kept at most."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What came of an enrolment: templates; or a hint for the person; or whom the gallery knows by this finger."""

    templates: tuple[bytes, ...] = ()
    hint: Hint | None = None
    known: Scored | None = None


def enrol(
    frames: Sequence[Image],
    profile: SensorProfile,
    gallery: Gallery | None = None,
    finger: int = 0,
) -> Enrolled:
    """Make the templates of one finger from at least `FEWEST` frames of it, each of another touch.

    finger: its code (template.FINGERS); gallery: all of it is searched for each sample. The frames are only read.
    Raises `DriverError` for a frame that does not fit the profile.
    """
    from authd_drivers.vein.engine.extract import extract  # cv2, which the verifier child never loads

    found = [extract(frame, profile) for frame in frames]
    if hint := next((each.hint for each in found if each.template is None), None):
        return Enrolled(hint=hint)
    records = [each.template for each in found if each.template is not None]
    try:
        templates = agreeing([parse(record) for record in records], profile, finger)
    except ValueError as error:
        return Enrolled(hint=Hint(str(error)))
    known = _known(records, profile, gallery) if gallery is not None else None
    return Enrolled(known=known) if known else Enrolled(tuple(templates))


def agreeing(samples: Sequence[Template], profile: SensorProfile, finger: int = 0) -> Sequence[bytes]:
    """Keep up to `KEPT` of at least `FEWEST` samples that all agree, those that agree best first, as this finger's.

    Raises `ValueError` with a `Hint` value where they are too few, do not agree, or one is a recording of another.
    """
    if len(samples) < FEWEST or len({sample.profile for sample in samples}) > 1:
        raise ValueError(Hint.REMOVE_AND_RETRY.value)
    score = _mutual(samples, profile)
    pairs = score[np.triu_indices(len(score), 1)]
    if pairs.min() < profile.decision.agree or pairs.max() > SAME:
        raise ValueError(Hint.REMOVE_AND_RETRY.value)
    order: list[int] = np.argsort(-score.sum(axis=1), kind="stable")[:KEPT].tolist()
    return [pack(replace(samples[index], finger=finger)) for index in order]


def _mutual(samples: Sequence[Template], profile: SensorProfile) -> npt.NDArray[np.float64]:
    """Scores of each pair, 0 on the diagonal."""
    score = np.zeros((len(samples), len(samples)))
    for i, j in combinations(range(len(samples)), 2):
        score[i, j] = score[j, i] = compare(samples[i].bits, samples[j].bits, profile.search)
    return score


def _known(records: Sequence[bytes], profile: SensorProfile, gallery: Gallery) -> Scored | None:
    """The person whom any of the samples resembles most, if that is enough."""
    found = [gallery.search(record, gallery.subjects, profile.decision.threshold) for record in records]
    likely = [each.candidates[0] for each in found if each.candidates]
    return max(likely, key=lambda each: each.score, default=None)
