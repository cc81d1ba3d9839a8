"""How many templates a touch may be compared with, and with how many fingers (FEATURES.md 7).

If one comparison is wrong with probability at most `fmr`, a search among n templates names a wrong person with
probability at most 1 - (1 - fmr)^n <= fmr * n (Boole's inequality; the ISO/IEC 19795-1 estimate of an FPIR). Where the
comparator has measured whole searches, with one finger and with two, its own table says it better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from authd.driver import Roster, roster_size

AUTO = 0
"""As many fingers as the bound asks."""


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
    """The most templates with which this comparator stays within the limit, one finger at a time."""
    fingers: int = 1
    """Asked of each touch."""
    people: int = 0
    short: int = 0
    """People who have fewer fingers enrolled than are asked: they are not recognised here."""
    fnir_percent: float | None = None
    """Tries of theirs in a hundred that end without a name; None: nobody has measured that."""

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


def choose(
    fmr: float, people: Sequence[Mapping[str, int]], rows: Sequence[Roster], limit: float, wanted: int = AUTO
) -> Scope:
    """Say how many fingers a touch must show among these people: `wanted`, or one if that keeps the limit, else two.

    people: of each, the number of templates by finger; rows: the comparator's table.
    """
    one, two = _one(fmr, people, rows, limit), _two(people, rows, limit)
    if wanted == AUTO:
        return one if one.permitted or not two.permitted else two
    return two if wanted > 1 else one


def _one(fmr: float, people: Sequence[Mapping[str, int]], rows: Sequence[Roster], limit: float) -> Scope:
    plain = check_scope(fmr, sum(sum(each.values()) for each in people), limit)
    row = _row(people, rows, 1)
    measured = plain if row is None else replace(plain, bound=row.bound, fnir_percent=row.fnir_percent)
    return replace(measured, people=len(people), short=sum(not each for each in people))


def _two(people: Sequence[Mapping[str, int]], rows: Sequence[Roster], limit: float) -> Scope:
    """Without a row of the table nothing is known of two fingers, and what is not known is not permitted."""
    templates, short = sum(sum(each.values()) for each in people), sum(len(each) < 2 for each in people)
    row = _row(people, rows, 2)
    bound, fnir = (1.0, None) if row is None else (row.bound, row.fnir_percent)
    return Scope(bound, limit, templates, 0, 2, len(people), short, fnir)


def _row(people: Sequence[Mapping[str, int]], rows: Sequence[Roster], fingers: int) -> Roster | None:
    size = roster_size(people, fingers)
    held = [row for row in rows if row.fingers == fingers and row.people >= size and 0 < row.bound <= 1]
    return min(held, key=lambda row: row.people, default=None)
