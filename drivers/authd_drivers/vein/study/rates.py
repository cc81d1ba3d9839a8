"""Error rates as counts, with exact bounds: terms of ISO/IEC 19795-1.

A comparison *matches* where its score is at or above the threshold. Every bound is the exact one-sided upper 95 %
bound (Clopper and Pearson 1934), as if comparisons were independent, which those of one finger are not. A false match
rate is only spoken of where the comparisons could show it: by the rule of three, `1 / rate` times three of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.profile import upper_bound

RULE_OF_THREE = 3
"""No error in n trials bounds a rate by 3 / n."""

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Rate:
    """Errors among trials."""

    errors: int
    trials: int

    @property
    def value(self) -> float:
        """The rate; 0 without trials."""
        return self.errors / self.trials if self.trials else 0.0

    @property
    def bound(self) -> float:
        """Exact upper 95 % bound, 1 without trials."""
        return upper_bound(self.errors, self.trials)


@dataclass(frozen=True, slots=True)
class Point:
    """What happens at one threshold."""

    threshold: float
    fmr: Rate
    fnmr: Rate


class Comparisons:
    """Genuine and impostor scores of one protocol, kept sorted. finger: the finger of each genuine score.

    The impostors' array is taken over and sorted where it is: there can be a hundred million.
    """

    def __init__(self, genuine: Floats, finger: Numbers, impostor: Floats) -> None:
        order = np.argsort(genuine, kind="stable")
        self.genuine, self.finger = genuine[order], finger[order]
        impostor.sort()
        self.impostor = impostor

    def __bool__(self) -> bool:
        """Whether there is something to count."""
        return bool(len(self.genuine) and len(self.impostor))

    def at(self, threshold: float) -> Point:
        """Count the errors at a threshold: misses below it, false matches at or above it."""
        least = np.float32(threshold)
        misses = int(np.searchsorted(self.genuine, least))
        false = len(self.impostor) - int(np.searchsorted(self.impostor, least))
        return Point(float(threshold), Rate(false, len(self.impostor)), Rate(misses, len(self.genuine)))

    def supports(self, fmr: float) -> bool:
        """Whether there are enough impostor comparisons to speak of this false match rate."""
        return bool(self) and len(self.impostor) * fmr >= RULE_OF_THREE * (1 - 1e-9)

    def at_fmr(self, fmr: float) -> Point:
        """The lowest threshold at which no more than `fmr` of the impostor comparisons match."""
        allowed = int(fmr * len(self.impostor) + 1e-9)
        return self.at(float(np.nextafter(self.impostor[-1 - allowed], np.float32(2))))

    @cached_property
    def equal(self) -> Point:
        """Where the two rates are as equal as they get."""
        lowest = int(np.searchsorted(self.impostor, self.genuine[:1])[0])
        at = np.unique(np.concatenate([self.genuine, self.impostor[lowest:]]))
        misses = np.searchsorted(self.genuine, at) / len(self.genuine)
        false = 1 - np.searchsorted(self.impostor, at) / len(self.impostor)
        return self.at(float(at[int(np.abs(misses - false).argmin())]))

    @property
    def eer(self) -> float:
        """Equal error rate."""
        return (self.equal.fmr.value + self.equal.fnmr.value) / 2

    def det(self, points: int = 400) -> tuple[Floats, Floats]:
        """False match and false non-match rates from the strictest threshold to the laxest, for a curve."""
        total = len(self.impostor)
        allowed = np.unique(np.geomspace(1, total, points).astype(np.int64)) - 1
        above = self.impostor[total - 1 - allowed]
        misses = np.searchsorted(self.genuine, above, side="right") / len(self.genuine)
        false = (total - np.searchsorted(self.impostor, above, side="right")) / total
        return false.astype(np.float32), misses.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Worst:
    """A finger that is missed often. typical: the median of its genuine scores."""

    finger: int
    misses: Rate
    typical: float


def worst(comparisons: Comparisons, threshold: float, most: int) -> list[Worst]:
    """Fingers with misses at a threshold, those with the most first, at most `most` of them."""
    found: list[Worst] = []
    missed = comparisons.genuine < np.float32(threshold)
    for finger in np.unique(comparisons.finger[missed]).tolist():
        own = comparisons.finger == finger
        rate = Rate(int((missed & own).sum()), int(own.sum()))
        found.append(Worst(finger, rate, float(np.median(comparisons.genuine[own]))))
    return sorted(found, key=lambda each: (-each.misses.errors, each.typical))[:most]
