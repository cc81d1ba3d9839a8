"""Searches in a roster (1:N): how often the right finger is not named, and how often somebody is who is not there.

Every enrolled finger stands in exactly one roster, drawn by a fixed seed. A search names the finger with the best
score, if that is at or above the threshold and ahead of the second by the margin, as the verifier does. Closed set:
probes of fingers in the roster. Open set: all other probes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.profile import DecisionSettings
from authd_drivers.vein.study.protocol import Enrolled
from authd_drivers.vein.study.rates import Rate

SEED = 19795

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Identification:
    """Rates of searches among `size` fingers, in `rosters` of them.

    fnir: closed set, the right finger is not named; wrong: closed set, another one is; fpir: open set, any is.
    first: closed set, the right one does not even have the best score (no threshold).
    """

    size: int
    rosters: int
    fnir: Rate
    wrong: Rate
    fpir: Rate
    first: Rate


def identify(enrolled: Enrolled, size: int, decision: DecisionSettings) -> Identification | None:
    """Search with every probe in every roster; None where there are too few fingers, or no probes."""
    if size < 1 or size > len(enrolled.fingers) or not len(enrolled.probe):
        return None
    order = np.random.default_rng(SEED).permutation(len(enrolled.fingers))
    rosters = [order[at : at + size] for at in range(0, len(order) - size + 1, size)]
    tallies = np.array([_search(enrolled, roster, decision) for roster in rosters]).sum(axis=0)
    mated, missed, wrong, second, strangers, named = (int(number) for number in tallies)
    return Identification(
        size, len(rosters), Rate(missed, mated), Rate(wrong, mated), Rate(named, strangers), Rate(second, mated)
    )


def _search(enrolled: Enrolled, roster: Numbers, decision: DecisionSettings) -> tuple[int, ...]:
    """Mated searches, missed, wrong name, not first; searches of strangers, somebody named."""
    scores = enrolled.best[:, roster]
    best = scores.argmax(axis=1)
    top = scores[np.arange(len(scores)), best]
    named = (top >= np.float32(decision.threshold)) & (top - _second(scores) >= np.float32(decision.margin))
    mated = np.isin(enrolled.probe, enrolled.fingers[roster])
    right = enrolled.fingers[roster][best] == enrolled.probe
    return (
        int(mated.sum()),
        int((mated & ~(named & right)).sum()),
        int((mated & named & ~right).sum()),
        int((mated & ~right).sum()),
        int((~mated).sum()),
        int((~mated & named).sum()),
    )


def _second(scores: Floats) -> Floats:
    """The second-best score of each row, at least 0, as the verifier counts the margin."""
    if scores.shape[1] == 1:
        return np.zeros(len(scores), np.float32)
    return np.maximum(np.partition(scores, -2, axis=1)[:, -2], np.float32(0))
