"""Which protection holds: a later set beats every earlier or queued release, in whatever order both are heard.

A release names the newest set that its two persons had seen when they asked for it, and takes back nothing newer. So
what stands of one record is two numbers that only grow, and hearing acts late, twice or in another order ends the same:
at the registry, at its rebuilding from the ledger, and at every linked system.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Act:
    """One change that two persons made. `version`: its place in the registry, never given twice.

    `of`: a release's newest set that it takes back; 0: it sets, or renews, which is a set again.
    """

    version: int
    of: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """A change that the first person asked for and the second has not yet approved. `at`: its place in the ledger."""

    at: int
    of: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one record. Nothing was ever heard of most."""

    set_in: int = 0
    """Version of the newest set or renewal."""
    taken_back: int = 0
    """Newest set that a release has taken back."""

    @property
    def protected(self) -> bool:
        """Whether it is to be masked."""
        return self.set_in > self.taken_back


NOTHING = Standing()


def heard(standing: Standing, act: Act) -> Standing:
    """Take one act into account; in any order, and any number of times."""
    if act.of:
        return Standing(standing.set_in, max(standing.taken_back, act.of))
    return Standing(max(standing.set_in, act.version), standing.taken_back)


def overtaken(standing: Standing, release: Asked, waiting: Iterable[Asked]) -> bool:
    """Whether a queued release comes to nothing: set anew since it was asked for, or somebody has asked for that."""
    return standing.set_in != release.of or any(not each.of and each.at > release.at for each in waiting)
