"""How many templates a touch may be compared with (FEATURES.md 7).

If one comparison is wrong with probability at most `fmr`, a search among n templates names a wrong person with
probability at most 1 - (1 - fmr)^n <= fmr * n (Boole's inequality; the ISO/IEC 19795-1 estimate of an FPIR).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


def scope_bound(fmr: float, templates: int) -> float:
    """Upper bound of the false identification rate of one touch, 0 to 1. A rate of 0 bounds nothing: it counts as 1."""
    if templates <= 0:
        return 0.0
    return min(1.0, fmr * templates) if 0 < fmr <= 1 else 1.0


@dataclass(frozen=True, slots=True)
class Scope:
    """Whether a seat may identify (1:N), with the figures to show."""

    bound: float
    limit: float
    templates: int
    largest: int
    """The most templates with which this comparator stays within the limit."""

    @property
    def permitted(self) -> bool:
        """Whether the bound is within the limit."""
        return self.bound <= self.limit


def check_scope(fmr: float, templates: int, limit: float) -> Scope:
    """Compare the bound of a roster of so many templates with `settings.thresholds.max_false_identification`."""
    largest = math.floor(limit / fmr) if 0 < fmr <= 1 else 0
    while largest and scope_bound(fmr, largest) > limit:  # the division may round up
        largest -= 1
    return Scope(scope_bound(fmr, templates), limit, templates, largest)
