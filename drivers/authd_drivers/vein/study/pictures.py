"""The DET curve and the score histograms as PNG and SVG, by matplotlib (extra `[plots]`)."""

# pyright: reportUnknownMemberType=false
# matplotlib passes keywords on to classes that it does not name

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from authd_drivers.vein.study.evaluate import Evaluation, Part
from authd_drivers.vein.study.figures import name_of

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#444444", "#999933")
"""Told apart by colour-blind people too (Okabe and Ito 2008)."""
BIN = 0.01

Floats = npt.NDArray[np.float32]


def draw(found: Evaluation, folder: Path) -> list[Path]:
    """Write `det` and `scores`, each as PNG and SVG; returns the files. Raises `OSError`."""
    written: list[Path] = []
    parts = [part for part in found.parts if part.comparisons]
    if not parts:
        return written
    with mpl.rc_context({"svg.hashsalt": "authd", "font.size": 10}):
        written += _save(folder / "det", (7, 6), lambda figure: _det(figure.add_subplot(), found, parts))
        written += _save(folder / "scores", (8, 3.2 * len(parts)), lambda figure: _scores(figure, found, parts))
    return written


def _save(stem: Path, size: tuple[float, float], paint: Callable[[Figure], None]) -> list[Path]:
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    paint(figure)
    files = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
    figure.savefig(files[0], dpi=150)
    figure.savefig(files[1], metadata={"Date": None})
    return files


def _det(axes: Axes, found: Evaluation, parts: Sequence[Part]) -> None:
    """Draw FNMR against FMR, both logarithmic; below one error the axes end, for nothing is known there."""
    least_false = min(1 / len(part.comparisons.impostor) for part in parts)
    least_missed = min(1 / len(part.comparisons.genuine) for part in parts)
    for part, colour in zip(parts, _colours(parts), strict=True):
        false, missed = _known(*part.comparisons.det(), least_missed)
        label = f"{name_of(found, part)} (EER {100 * part.comparisons.eer:.2f} %)"
        if not len(false):  # nothing to draw on logarithmic axes
            label = f"{name_of(found, part)} (no threshold with errors of both kinds)"
        axes.step(false, missed, "--" if part.gate else "-", where="post", color=colour, label=label)
        own = None if part.threshold is None else part.comparisons.at(part.threshold)
        if own and own.fmr.errors and own.fnmr.errors:
            axes.plot(own.fmr.value, own.fnmr.value, "o", color=colour, markersize=5)
    diagonal = [max(least_false, least_missed), 1]
    axes.plot(diagonal, diagonal, ":", color="#888888", linewidth=1, label="equal error rate")
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(least_false / 1.5, 1),
        ylim=(least_missed / 1.5, 1),
        xlabel="false match rate (FMR)",
        ylabel="false non-match rate (FNMR)",
        title=f"{found.data.folder.name}, profile {found.profile.name}",
    )
    axes.grid(which="major", color="#cccccc", linewidth=0.6)
    axes.grid(which="minor", color="#eeeeee", linewidth=0.4)
    axes.legend(loc="best", fontsize=8)


def _known(false: Floats, missed: Floats, least: float) -> tuple[Floats, Floats]:
    """Cut a curve to where there are errors of both kinds; from the last of them it falls below the axis."""
    both = (false > 0) & (missed > 0)
    if not both.any():
        return false[:0], missed[:0]
    last = int(both.nonzero()[0][-1]) + 1
    fall = false[last : last + 1]
    return np.concatenate([false[both], fall]), np.concatenate([missed[both], np.full_like(fall, least / 10)])


def _scores(figure: Figure, found: Evaluation, parts: Sequence[Part]) -> None:
    """Draw how genuine and impostor scores lie, on a logarithmic scale: what matters is where the tails meet."""
    rows = figure.subplots(len(parts), 1, squeeze=False)[:, 0]
    for axes, part in zip(rows, parts, strict=True):
        genuine, impostor = part.comparisons.genuine, part.comparisons.impostor
        low = np.floor(min(float(genuine[0]), float(impostor[0])) / BIN) * BIN
        edges = np.arange(low, max(1, float(genuine[-1]), float(impostor[-1])) + BIN, BIN)
        for scores, colour, name in ((impostor, COLOURS[1], "impostor"), (genuine, COLOURS[0], "genuine")):
            counts = np.histogram(scores, edges)[0]
            label = f"{name}, {len(scores):,}"
            axes.stairs(counts / len(scores), edges, color=colour, fill=True, alpha=0.45, label=label)
            axes.stairs(counts / len(scores), edges, color=colour)
        if part.threshold is not None:
            axes.axvline(part.threshold, color="#222222", ls="--", lw=1, label=f"threshold {part.threshold}")
        axes.set(yscale="log", ylabel="share of scores", title=name_of(found, part), ylim=(0.5 / len(impostor), 1))
        axes.grid(color="#dddddd", linewidth=0.5)
        axes.set_axisbelow(True)
        axes.legend(loc="upper right", fontsize=8)
    rows[-1].set_xlabel("score")


def _colours(parts: Sequence[Part]) -> list[str]:
    """A protocol has one colour, with the gate or without."""
    kinds = list(dict.fromkeys(part.kind for part in parts))
    return [COLOURS[kinds.index(part.kind) % len(COLOURS)] for part in parts]
