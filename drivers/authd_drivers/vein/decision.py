"""Whom a touch names, or two: the best person, if they are good enough and clearly ahead of the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from authd.driver import Candidates, Scored
from authd_drivers.vein.engine.fusion import fused, shown

if TYPE_CHECKING:
    from authd_drivers.vein.engine.gallery import Ranking
    from authd_drivers.vein.engine.profile import RosterSettings

Fingers = Mapping[int, Scored]
"""Of one person: the best template of each finger, by its code."""


def decide(ranking: Ranking, threshold: float, least: float) -> Candidates:
    """Name the best person by one finger. least: how far they must be ahead."""
    if not ranking.people:
        return Candidates(None, 0.0)
    best, *others = ranking.people
    margin = best.score - max(0.0, others[0].score if others else 0.0)
    named = best.score >= threshold and margin >= least
    return Candidates(best if named else None, margin, fingers=(best.finger,) if named and best.finger else ())


def decide_two(one: Ranking, other: Ranking, row: RosterSettings, floor: float) -> Candidates:
    """Name the best person by two different fingers, each of which reaches `floor` alone (engine/fusion.py)."""
    first, second = _by_person(one), _by_person(other)
    totals = {
        subject: fused(_scores(first[subject]), _scores(second[subject])) for subject in first.keys() & second.keys()
    }
    if not totals:
        return Candidates(None, 0.0)
    best, *others = sorted(totals, key=totals.__getitem__, reverse=True)
    margin = totals[best] - max(0.0, totals[others[0]] if others else 0.0)
    codes = shown(_scores(first[best]), _scores(second[best]), floor)
    if codes is None:
        return Candidates(None, margin)
    a, b = first[best][codes[0]], second[best][codes[1]]
    if a.score + b.score < row.threshold or margin < row.margin:
        return Candidates(None, margin)
    return Candidates(Scored(best, f"{a.reference}+{b.reference}", a.score + b.score), margin, fingers=codes)


def _by_person(ranking: Ranking) -> Mapping[str, Fingers]:
    found: dict[str, dict[int, Scored]] = {}
    for each in ranking.fingers:
        found.setdefault(each.subject, {})[each.finger] = each
    return found


def _scores(fingers: Fingers) -> Mapping[int, float]:
    return {code: each.score for code, each in fingers.items()}
