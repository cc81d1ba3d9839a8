"""How scores are spread, as histograms of fixed bins: those of real pictures, and those compared with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]

LOWEST, STEP, BINS = -0.3, 0.0025, 520
"""Bins from -0.3 to 1; what lies outside counts in the first or the last."""
RECORD = "sdumla_scores.json"


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """A histogram. counts: shape (520,)."""

    counts: Counts

    @property
    def total(self) -> int:
        """Number of comparisons."""
        return int(self.counts.sum())

    def share_below(self) -> npt.NDArray[np.float64]:
        """Share of scores below the upper end of each bin."""
        below: npt.NDArray[np.float64] = np.cumsum(self.counts) / max(1, self.total)
        return below

    def quantile(self, share: float) -> float:
        """Score that this share of the scores is below, between a bin's ends by proportion."""
        below = self.share_below()
        at = int(np.searchsorted(below, share))
        under = float(below[at - 1]) if at else 0.0
        part = (share - under) / max(1e-12, float(below[at]) - under)
        return LOWEST + STEP * (at + min(1.0, max(0.0, part)))


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Of one algorithm: takes of one finger; of these, those at least three takes apart; and of two fingers."""

    genuine: Spread
    apart: Spread
    impostor: Spread


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Scores of real pictures by algorithm, and the text that says where they are from."""

    source: str
    spreads: Mapping[str, Scores]


def spread_of(scores: Floats) -> Spread:
    """Count scores of any shape in the bins."""
    place = np.floor((scores.ravel().astype(np.float64) - LOWEST) / STEP).astype(np.int64)
    return Spread(np.bincount(np.clip(place, 0, BINS - 1), minlength=BINS).astype(np.int64))


def scores_of(matrix: Floats, takes: int, comparable: npt.NDArray[np.bool_] | None = None) -> Scores:
    """Part all scores of templates, shape (n, n), in order of finger and take.

    `comparable` (fingers, fingers) leaves out pairs. Pictures that are the same bit for bit (phi 1) are left out too.
    """
    number = np.arange(len(matrix))
    finger, take = number // takes, number % takes
    same = finger[:, np.newaxis] == finger
    upper = np.triu(np.ones_like(same), 1)
    far = np.abs(take[:, np.newaxis] - take) >= APART
    other = upper & ~same
    if comparable is not None:
        other &= comparable[np.ix_(finger, finger)]
    new = matrix < DUPLICATE
    parts = (upper & same & new, upper & same & far & new, other)
    genuine, apart, impostor = (spread_of(matrix[part]) for part in parts)
    return Scores(genuine, apart, impostor)


APART = 3
"""Takes from which on the finger was lifted in between, mostly."""
DUPLICATE = 0.9999


def distance(one: Spread, other: Spread) -> float:
    """Kolmogorov-Smirnov: the greatest difference of the two shares below a score, 0 to 1."""
    return float(np.abs(one.share_below() - other.share_below()).max())


def equal_error(scores: Scores) -> float:
    """Equal error rate, to half a bin."""
    missed = scores.genuine.share_below()
    false = 1 - scores.impostor.share_below()
    at = int(np.abs(missed - false).argmin())
    return float(missed[at] + false[at]) / 2


def recorded() -> Record:
    """Return the recorded scores of SDUMLA-HMT."""
    table = json.loads(files("authd_simulators.vein_study").joinpath(RECORD).read_text("utf-8"))
    return Record(table["source"], {name: _scores(part) for name, part in table["algorithms"].items()})


def write_record(path: Path, record: Record) -> None:
    """Write a record for `recorded`: of each histogram the first bin that is not empty, and the counts from there."""
    parts = {name: {kind: _row(getattr(part, kind)) for kind in KINDS} for name, part in record.spreads.items()}
    table = {"source": record.source, "lowest": LOWEST, "step": STEP, "algorithms": parts}
    path.write_text(json.dumps(table, indent=1).replace("\n    ", " ") + "\n", "utf-8")


KINDS = ("genuine", "apart", "impostor")


def _scores(table: Mapping[str, Any]) -> Scores:
    return Scores(*(_spread(table[kind]) for kind in KINDS))


def _spread(row: Mapping[str, Any]) -> Spread:
    counts = np.zeros(BINS, np.int64)
    counts[row["first"] : row["first"] + len(row["counts"])] = row["counts"]
    return Spread(counts)


def _row(spread: Spread) -> dict[str, object]:
    filled = np.flatnonzero(spread.counts)
    first, last = int(filled[0]), int(filled[-1])
    return {"comparisons": spread.total, "first": first, "counts": spread.counts[first : last + 1].tolist()}
