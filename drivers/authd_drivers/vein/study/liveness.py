"""Fixes the limits of engine/pad.py's cues on living fingers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from authd_drivers.vein.engine.profile import PadSettings

TAIL = 0.0005
"""Share of living touches that a cue leaves outside each of its limits, before `SLACK`."""
SLACK = 1.1
LEAST_ROOM = 0.02


def fit_limits(measured: Sequence[Mapping[str, float]]) -> tuple[PadSettings, ...]:
    """Return the limits of each cue that was measured, from the cues of many living touches."""
    names = sorted({name for cues in measured for name in cues})
    return tuple(_row(name, [cues[name] for cues in measured if name in cues]) for name in names)


def _row(name: str, values: Sequence[float]) -> PadSettings:
    low, usual, high = np.quantile(values, [TAIL, 0.5, 1 - TAIL]).tolist()
    most = usual + max(LEAST_ROOM, SLACK * (high - usual))
    least = usual - max(LEAST_ROOM, SLACK * (usual - low))
    return PadSettings(name, round(usual, 3), round(least, 3), round(most, 3))
