"""Step 2: unroll the finger from a cylinder, so that a roll of the finger becomes a vertical shift."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.edges import Edges
from authd_drivers.vein.engine.profile import UnwrapSettings
from authd_drivers.vein.engine.scratch import Scratch

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The finger as a bent cylinder: at each column of the unrolled picture, its centre row and radius in pixels.

    residual: mean distance of the traced edges from the smooth ones, in pixels.
    """

    columns: Floats
    centre: Floats
    radius: Floats
    residual: float


def fit_shape(edges: Edges, width: int, settings: UnwrapSettings) -> Shape:
    """Lay a polynomial through each edge, with less weight for columns that are far off (Huber)."""
    columns, traced, wanted = _bases(width, settings, *_ends(edges), len(edges.columns))
    fit, residual = _robust_fit(traced, edges.rows.T.astype(np.float64), settings)
    top, bottom = (wanted @ fit).T.astype(np.float32)
    return Shape(columns, (top + bottom) / 2, (bottom - top) / 2, residual)


def whole_view(width: int, height: int, settings: UnwrapSettings) -> Shape:
    """Return the shape of a finger whose seen part fills the view to its upper and lower end."""
    columns = ((np.arange(settings.columns) + 0.5) * (width / settings.columns) - 0.5).astype(np.float32)
    radius = height / 2 / math.sin(math.radians(settings.degrees))
    level = np.ones_like(columns)
    return Shape(columns, level * np.float32(height / 2 - 0.5), level * np.float32(radius), 0.0)


def unwrap(frame: Image, shape: Shape, settings: UnwrapSettings, scratch: Scratch) -> Image:
    """Return the skin from -degrees to +degrees around the finger, shape (rows, columns)."""
    angles = np.deg2rad(np.linspace(-settings.degrees, settings.degrees, settings.rows))
    rows = shape.centre + shape.radius * np.sin(angles).astype(np.float32)[:, np.newaxis]
    columns = np.ascontiguousarray(np.broadcast_to(shape.columns, rows.shape))
    skin = scratch(np.empty(rows.shape, np.uint8))
    cv2.remap(frame, columns, rows, cv2.INTER_LINEAR, dst=skin, borderMode=cv2.BORDER_REPLICATE)
    return skin


def _ends(edges: Edges) -> tuple[float, float]:
    return float(edges.columns[0]), float(edges.columns[-1])


@cache
def _bases(
    width: int, settings: UnwrapSettings, first: float, last: float, count: int
) -> tuple[Floats, Doubles, Doubles]:
    """Columns of the unrolled picture, and the polynomial basis there and where the edges were traced.

    Beyond the traced columns the edges go on level: a polynomial would run away.
    """
    columns = (np.arange(settings.columns) + 0.5) * (width / settings.columns) - 0.5
    middle = width / 2
    traced: Doubles = np.vander((np.linspace(first, last, count) - middle) / middle, settings.degree + 1)
    wanted = np.vander((np.clip(columns, first, last) - middle) / middle, settings.degree + 1).astype(np.float64)
    return columns.astype(np.float32), traced, wanted


def _robust_fit(basis: Doubles, rows: Doubles, settings: UnwrapSettings) -> tuple[Doubles, float]:
    """Coefficients (degree + 1, 2) for rows of shape (n, 2), and the mean distance."""
    off = np.zeros_like(rows)
    fit: Doubles = np.zeros((basis.shape[1], 2))
    for _ in range(settings.rounds):
        weights = 1.0 / np.maximum(1.0, off / settings.slack)
        weighted = basis.T[np.newaxis] * weights.T[:, np.newaxis, :]
        fit = np.asarray(np.linalg.solve(weighted @ basis, weighted @ rows.T[:, :, np.newaxis])[:, :, 0].T, np.float64)
        off = np.abs(rows - basis @ fit)
    return fit, float(off.mean())
