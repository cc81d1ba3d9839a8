"""A sensor's quality gate from its own pictures: what is usual there, and the worst of it that is asked for again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.profile import QualitySettings, SensorProfile

Floats = npt.NDArray[np.float64]

ASKED_AGAIN = 0.05
"""Share of presentations that the gate refuses."""
RARE = 0.005
"""Share of presentations that may lie more oddly than the limits of the pose, before their slack."""
ROUGHER = 0.5
"""Added to the roughest grain: a little more noise is still a finger, paper and letters are far off."""
ODD = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """How pictures look to the engine, a row each: `COLUMNS`, all of quality.py."""

    table: Floats

    def column(self, name: str) -> Floats:
        """One measure of all pictures."""
        return self.table[:, COLUMNS.index(name)]


COLUMNS = ("contrast", "width", "slope", "taper", "clarity", "residual", "grain", "crests")


def look_at(paths: Sequence[Path], profile: SensorProfile) -> list[tuple[float, ...]]:
    """Measures of some pictures, those left out that show nothing. One task."""
    from authd_drivers.vein.study.images import Unread, read_image

    rows: list[tuple[float, ...]] = []
    for path in paths:
        frame = read_image(path)
        if not isinstance(frame, Unread) and frame.shape == (profile.height, profile.width):
            rows += filter(None, [_measures(frame, profile)])
    return rows


def _measures(frame: npt.NDArray[np.uint8], profile: SensorProfile) -> tuple[float, ...] | None:
    """One row, None where nothing is seen."""
    from authd_drivers.vein.engine.extract import measures

    found = measures(frame, profile)
    if found.clarity is None:
        return None
    lie = found.lie
    lying = (lie.contrast, lie.width, lie.slope, lie.taper)
    return *lying, found.clarity, found.residual, found.grain, found.crests


def gate(rows: Sequence[tuple[float, ...]], profile: SensorProfile) -> QualitySettings:
    """Limits by which `ASKED_AGAIN` of such pictures are asked for again. Raises `ValueError` for fewer than 20."""
    if len(rows) < 20:
        raise ValueError("too few pictures")
    looks = Looks(np.array(rows, np.float64))
    clarity, clarity_spread = _usual(looks.column("clarity"))
    residual, residual_spread = _usual(looks.column("residual"))
    low = {name: float(np.quantile(looks.column(name), RARE)) for name in COLUMNS}
    high = {name: float(np.quantile(looks.column(name), 1 - RARE)) for name in COLUMNS}
    found = QualitySettings(
        clarity=clarity,
        clarity_spread=clarity_spread,
        residual=residual,
        residual_spread=residual_spread,
        residual_weight=0.5 if profile.edges.traced else 0.0,
        accept=0.0,
        edge_contrast=max(0.02, 0.5 * low["contrast"]),
        width_min=max(0.05, 0.85 * low["width"]),
        width_max=1.15 * high["width"],
        slope_max=max(0.15, 1.25 * high["slope"]),
        taper_min=min(0.6, 0.8 * low["taper"]),
        grain_max=high["grain"] + ROUGHER,
        odd_max=ODD,
        crests_min=0.85 * low["crests"],
        crests_max=1.15 * high["crests"],
    )
    return _rounded(replace(found, accept=float(np.quantile(_quality(looks, found), ASKED_AGAIN))))


def _usual(values: Floats) -> tuple[float, float]:
    """Median and spread (as a standard deviation) of the middle of the values."""
    low, middle, high = np.quantile(values, [0.1587, 0.5, 0.8413])
    return float(middle), max(1e-3, float(high - low) / 2)


def _quality(looks: Looks, settings: QualitySettings) -> Floats:
    """The quality of each picture."""
    from authd_drivers.vein.engine.quality import quality_of

    clear = (looks.column("clarity") - settings.clarity) / settings.clarity_spread
    rough = (looks.column("residual") - settings.residual) / settings.residual_spread
    return np.asarray(quality_of(clear, rough, settings), np.float64)


def _rounded(settings: QualitySettings) -> QualitySettings:
    """Three figures are more than such a folder knows."""

    def short(value: float) -> float:
        return round(value, 2 - math.floor(math.log10(abs(value)))) if value else 0.0

    return QualitySettings(*(short(getattr(settings, name)) for name in QualitySettings.__slots__))
