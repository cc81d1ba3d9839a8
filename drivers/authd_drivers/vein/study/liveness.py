"""Fixes the limits of engine/pad.py's cues on living fingers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from authd_drivers.vein.engine.pad import together
from authd_drivers.vein.engine.profile import PadSettings

TAIL = 0.0005
"""Share of living touches that a cue leaves outside each of its limits, before `SLACK`."""
SLACK = 1.3
TAIL_TOGETHER = 0.003
"""Of the cue that is made of others: without slack, and only on the side of paper."""
FAR = 10.0
LEAST_ROOM = 0.02


def fit_limits(measured: Sequence[Mapping[str, float]]) -> tuple[PadSettings, ...]:
    """Return the limits of each cue that was measured, from the cues of many living touches."""
    names = sorted({name for cues in measured for name in cues})
    rows = tuple(_row(name, [cues[name] for cues in measured if name in cues], TAIL, SLACK) for name in names)
    made = [value for cues in measured for value in together(cues, rows).values()]
    return (*rows, replace(_row("paper", made, TAIL_TOGETHER, 1.0), least=-FAR)) if made else rows


def _row(name: str, values: Sequence[float], tail: float, slack: float) -> PadSettings:
    low, usual, high = np.quantile(values, [tail, 0.5, 1 - tail]).tolist()
    most = usual + max(LEAST_ROOM, slack * (high - usual))
    least = usual - max(LEAST_ROOM, slack * (usual - low))
    return PadSettings(name, round(usual, 3), round(least, 3), round(most, 3))
