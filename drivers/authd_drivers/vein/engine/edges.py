"""Step 1: the two long edges of the finger, by dynamic programming over the vertical gradient (Viterbi)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.profile import EdgeSettings
from authd_drivers.vein.engine.scratch import Scratch

Floats = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """The upper and lower edge in pixels of the frame.

    columns: shape (n,), where the edges were traced; rows: shape (2, n); steps: gradient there, shape (2, n), in
    natural logarithms of brightness over the filter's width.
    """

    columns: Floats
    rows: Floats
    steps: Floats

    @property
    def contrast(self) -> float:
        """Mean gradient along the worse of the two."""
        return float(self.steps.mean(axis=1).min())


def find_edges(frame: Image, settings: EdgeSettings, scratch: Scratch) -> Edges:
    """Trace the edges of the finger in a frame of shape (height, width)."""
    gradient = _gradient(frame, settings, scratch)
    if not settings.bright:
        np.negative(gradient, out=gradient)
    half = round(settings.rows * settings.reach)
    gain = scratch(np.stack([gradient[:half], -gradient[::-1][:half]]))
    path = _best_paths(gain, settings.stiffness)
    steps = np.take_along_axis(gain, path[:, np.newaxis, :], axis=1)[:, 0]
    path[1] = settings.rows - 1 - path[1]
    step = (settings.right - settings.left) / settings.columns
    columns = settings.left + (np.arange(settings.columns, dtype=np.float32) + 0.5) * step - 0.5
    rows = (path.astype(np.float32) + 0.5) * (frame.shape[0] / settings.rows) - 0.5
    return Edges(columns.astype(np.float32), rows.astype(np.float32), steps)


def _gradient(frame: Image, settings: EdgeSettings, scratch: Scratch) -> Floats:
    """Downward gradient of the logarithm of brightness, on a coarse grid."""
    window = frame[:, settings.left : settings.right]
    small = scratch(cv2.resize(window, (settings.columns, settings.rows), interpolation=cv2.INTER_AREA))
    level = scratch.floats(settings.rows, settings.columns)
    np.add(small, np.float32(settings.floor), out=level)
    np.log(level, out=level)
    along, across = _kernels(settings.blur)
    gradient = scratch.floats(settings.rows, settings.columns)
    cv2.sepFilter2D(level, cv2.CV_32F, along, across, dst=gradient, borderType=cv2.BORDER_REPLICATE)
    return np.clip(gradient, -settings.clip, settings.clip, out=gradient)


@cache
def _kernels(blur: float) -> tuple[Floats, Floats]:
    """Smoothing along the finger, and the derivative of a Gaussian across it that sums to one on either side."""
    reach = np.arange(-3, 4, dtype=np.float32)
    across = reach * np.exp(-(reach**2) / (2 * blur**2))
    across /= np.abs(across).sum() / 2
    return np.asarray(cv2.getGaussianKernel(5, 1.0, cv2.CV_32F), np.float32), across.astype(np.float32)


def _best_paths(gain: Floats, stiffness: float) -> npt.NDArray[np.intp]:
    """Row of the path of the highest gain at each column, for each layer of `gain` (layers, rows, columns)."""
    layers, rows, columns = gain.shape
    penalty = (stiffness * np.abs(np.arange(-1, 2))).astype(np.float32)
    padded = np.full((layers, rows + 2), -np.inf, dtype=np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=1)
    came = np.empty((columns, layers, rows), dtype=np.int8)
    padded[:, 1:-1] = gain[:, :, 0]
    for column in range(1, columns):
        options = windows - penalty
        came[column] = options.argmax(axis=2)
        padded[:, 1:-1] = options.max(axis=2) + gain[:, :, column]
    return _trace(padded[:, 1:-1].argmax(axis=1), came)


def _trace(last: npt.NDArray[np.intp], came: npt.NDArray[np.int8]) -> npt.NDArray[np.intp]:
    """Follow the best steps back from the last column."""
    columns, layers, _ = came.shape
    path = np.empty((layers, columns), dtype=np.intp)
    path[:, -1] = last
    layer = np.arange(layers, dtype=np.intp)
    for column in range(columns - 1, 0, -1):
        path[:, column - 1] = path[:, column] + came[column, layer, path[:, column]] - 1
    return path
