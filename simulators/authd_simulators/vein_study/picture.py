"""Generated scores over recorded ones as a picture, by matplotlib (extra `[plots]`)."""

# pyright: reportUnknownMemberType=false
# matplotlib passes keywords on to classes that it does not name

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from authd_simulators.vein_study.spread import BINS, LOWEST, STEP, Record, Scores, Spread, distance, equal_error

WIDER = 4
"""Bins that are drawn as one."""
GENUINE, IMPOSTOR = "#0072b2", "#d55e00"
"""Told apart by colour-blind people too (Okabe and Ito 2008)."""


def draw(found: Mapping[str, Scores], real: Record, path: Path) -> None:
    """Draw one panel an algorithm: real scores filled, generated ones as lines, both axes' meaning written on them."""
    figure = Figure(figsize=(8, 3.4 * len(found)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, scores) in zip(rows, found.items(), strict=True):
        _panel(axes, name, scores, real.spreads[name])
    rows[-1].set_xlabel("score (phi)")
    figure.suptitle(f"filled: {real.source.split(';')[0]}; lines: generated", fontsize=9)
    figure.savefig(path, dpi=130, format="png")


def _panel(axes: Axes, name: str, scores: Scores, real: Scores) -> None:
    for kind, colour in (("genuine", GENUINE), ("impostor", IMPOSTOR)):
        mine, theirs = getattr(scores, kind), getattr(real, kind)
        axes.stairs(_shares(theirs), _edges(), fill=True, alpha=0.35, color=colour, label=f"{kind}, real")
        label = f"{kind}, generated (KS {distance(mine, theirs):.3f})"
        axes.stairs(_shares(mine), _edges(), color=colour, linewidth=1.4, label=label)
    axes.set_yscale("log")
    axes.set_ylim(1e-6, 1)
    axes.set_xlim(0, 1)
    axes.set_ylabel("share of comparisons a bin")
    axes.set_title(f"{name}: EER {100 * equal_error(scores):.2f} % generated, {100 * equal_error(real):.2f} % real")
    axes.legend(fontsize=8)


def _shares(spread: Spread) -> list[float]:
    shares = spread.counts.reshape(-1, WIDER).sum(axis=1) / max(1, spread.total)
    return [float(share) for share in shares]


def _edges() -> list[float]:
    return [float(edge) for edge in LOWEST + STEP * WIDER * np.arange(BINS // WIDER + 1)]
