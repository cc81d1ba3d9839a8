"""Two touches with different fingers: one score a person, and when two are needed.

Runs in the verifier child: standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from authd_drivers.vein.engine.profile import RosterSettings, SensorProfile

TOLERATED = 1e-4
"""Chance of a false identification in a touch that is accepted at most."""

Scores = Mapping[int, float]
"""Of one probe with one person: the best score by finger code."""


def fused(first: Scores, second: Scores) -> float:
    """Sum of the two probes' scores with one person, each with another of their fingers; -2 where they have only one.

    A finger of unknown code (0) counts as one finger: who is enrolled without codes has no second.
    """
    pairs = product(first.items(), second.items())
    return max((one + other for (code, one), (second_code, other) in pairs if code != second_code), default=-2.0)


def shown(first: Scores, second: Scores, floor: float) -> tuple[int, int] | None:
    """Codes of the two fingers that two probes show of one person; None where they do not show two.

    The sum alone does not say that: one good finger carries anything beside it (with it alone, one finger laid twice
    passes in 95 % of tries on SDUMLA, and somebody else's finger after it in 90 %). So each probe must look most like
    the finger that it is taken for (laid twice: 0.04 %), and each must reach `floor` (somebody else's: 0.02 % at 0.24).
    """
    if not first or not second:
        return None
    one, other = max(first, key=first.__getitem__), max(second, key=second.__getitem__)
    two = one > 0 and other > 0 and one != other and min(first[one], second[other]) >= floor
    return (one, other) if two else None


def fingers_needed(profile: SensorProfile, people: int) -> int:
    """How many fingers identify among `people` people: 1 where its bound is good enough, else 2."""
    row = roster_row(profile.roster, people, 1)
    return 1 if row is not None and row.bound <= TOLERATED else 2


def roster_row(rows: Sequence[RosterSettings], people: int, fingers: int) -> RosterSettings | None:
    """Return the row for the smallest roster of at least `people` people; None where nobody has measured that."""
    fit = [row for row in rows if row.fingers == fingers and row.people >= people]
    return min(fit, key=lambda row: row.people, default=None)
