"""How the finger lies in a sensor's frames: which way round, in which part, brighter or darker than what is around it.

Looked at without knowing whose finger it is: each way round is traced on some pictures, and what the traced edges have
in common is a *framing*. Which of several is best is for fit.py to try.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.edges import Edges, find_edges
from authd_drivers.vein.engine.profile import EdgeSettings, RegionSettings
from authd_drivers.vein.engine.region import view
from authd_drivers.vein.engine.scratch import Scratch

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

COLUMNS = 320
"""Of the view: what the finger's veins need, whatever the camera has."""
SURVEY = EdgeSettings(True, True, 0, 0, 80, 120, 0.75, 16.0, 1.5, 1.0, 0.02)
"""How edges are traced while nothing is known yet; `left` and `right` are set for each way round."""
FAINT = 0.4, 0.15, -1.0
"""Shares of the usual gradient below which a column is taken to be beyond the finger; -1: none is. All are tried."""
MARGIN = 0.06
"""Room above and below the finger that stays in the view, as a share of its height."""


@dataclass(frozen=True, slots=True)
class Framing:
    """One way to look at a sensor's frames. contrast: of the traced edges, 0 where none are."""

    region: RegionSettings
    edges: EdgeSettings
    contrast: float


def framings(images: Sequence[Image]) -> list[Framing]:
    """Return ways to look at frames of one size that are worth a try, the likeliest first."""
    height, width = images[0].shape
    turns = (0, 90) if width >= height else (90, 0)
    ways = [_traced(images, turn, bright, FAINT[0]) for turn in turns for bright in (True, False)]
    ways.sort(key=lambda each: -each.contrast)
    longer = [
        _traced(images, way.region.turn, way.edges.bright, faint) for way in ways[:2] for faint in FAINT[1:]
    ]  # what shines into the frame from elsewhere may outshine the finger
    whole = [_whole(width, height, turn) for turn in turns]
    return list(dict.fromkeys([*ways[:2], *longer, *whole, *ways[2:]]))


def survey(images: Sequence[Image], region: RegionSettings, edges: EdgeSettings) -> list[Edges]:
    """Trace the edges in each frame."""
    traced: list[Edges] = []
    for image in images:
        with Scratch() as scratch:
            traced.append(find_edges(view(image, region, scratch), edges, scratch))
    return traced


def _whole(width: int, height: int, turn: int) -> Framing:
    """The whole frame is finger."""
    region = _sized(RegionSettings(0, 0, width, height, turn, 0, 0))
    edges = replace(SURVEY, traced=False, left=0, right=region.columns)
    return Framing(region, edges, 0.0)


def _traced(images: Sequence[Image], turn: int, bright: bool, faint: float) -> Framing:
    """Trace in the whole frame, keep the part that has a finger in it, and trace there again."""
    height, width = images[0].shape
    region = _sized(RegionSettings(0, 0, width, height, turn, 0, 0))
    edges = replace(SURVEY, bright=bright, right=region.columns)
    traced = survey(images, region, edges)
    region = _around(region, traced, faint)
    edges = replace(edges, right=region.columns, reach=0.52)
    traced = survey(images, region, edges)
    left, right = _lit_columns(traced, faint)
    edges = replace(edges, left=round(left), right=round(right), columns=max(16, round((right - left) / 4)))
    return Framing(region, edges, float(np.median([each.contrast for each in survey(images, region, edges)])))


def _sized(region: RegionSettings) -> RegionSettings:
    """The region in a view of `COLUMNS` columns and as many rows as that makes, within bounds."""
    along, across = region.right - region.left, region.bottom - region.top
    if region.turn in (90, 270):
        along, across = across, along
    rows = round(COLUMNS * across / along)
    return replace(region, columns=COLUMNS, rows=min(640, max(32, rows)))


def _around(region: RegionSettings, traced: Sequence[Edges], faint: float) -> RegionSettings:
    """The window around all fingers but a few that lie unlike the others, with some room above and below."""
    left, right = _lit_columns(traced, faint)
    inner = [(traced[0].columns >= left) & (traced[0].columns <= right)]
    rows = np.stack([each.rows[:, inner[0]] for each in traced])
    top, bottom = np.quantile(rows[:, 0].min(axis=1), 0.02), np.quantile(rows[:, 1].max(axis=1), 0.98)
    room = MARGIN * region.rows
    upper, lower = max(0.0, float(top) - room) / region.rows, min(1.0, (float(bottom) + room) / region.rows)
    first, last = left / region.columns, right / region.columns
    return _sized(_window(region, first, last, upper, lower))


def _window(region: RegionSettings, first: float, last: float, upper: float, lower: float) -> RegionSettings:
    """The part of a region, given in shares of its turned view, as a window of the frame."""
    width, height = region.right - region.left, region.bottom - region.top
    if region.turn == 90:  # the view's rows run along the frame's columns, its columns up the frame's rows
        first, last, upper, lower = upper, lower, 1 - last, 1 - first
    left, right = region.left + round(first * width), region.left + round(last * width)
    top, bottom = region.top + round(upper * height), region.top + round(lower * height)
    return replace(region, left=left, right=max(right, left + 16), top=top, bottom=max(bottom, top + 16))


def _lit_columns(traced: Sequence[Edges], faint: float) -> tuple[float, float]:
    """First and last column of the view between which both edges are as clear as they usually are."""
    steps = np.median(np.stack([each.steps.min(axis=0) for each in traced]), axis=0)
    widths = np.median(np.stack([each.rows[1] - each.rows[0] for each in traced]), axis=0)
    clear = steps >= faint * np.quantile(steps, 0.8)
    clear &= widths >= 0.6 * np.quantile(widths, 0.6)
    clear |= faint < 0
    best = max(_runs(clear), key=lambda run: run[1] - run[0], default=(0, len(clear)))
    columns = traced[0].columns
    step = float(columns[1] - columns[0])
    return max(0.0, float(columns[best[0]]) - step / 2 + 0.5), float(columns[best[1] - 1]) + step / 2 + 0.5


def _runs(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and one past the last index of each run of True; gaps of one are passed over."""
    closed = mask.copy()
    closed[1:-1] |= mask[:-2] & mask[2:]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], closed, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]
