"""What stays the same from one touch to the next: the vessels, the joints and the outline of one finger.

Lengths are pixels of the 320x240 picture at scale 1; the unrolled map has one row a degree and one column a pixel.
What all people share (joints bright, veins along the finger, the trunks in about the same places) is kept on purpose:
without it two strangers would look less alike than they do, and the false match rate would be flattered.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from authd_simulators.vein_image.recipe import CALIBRATED, Recipe

MAP_WIDTH = 440
"""Columns of the unrolled map: the picture's 320 and what a shift brings in from either side."""
MAP_HEIGHT = 220
"""Rows of the unrolled map: -110 to +109 degrees around the finger, 0 facing the camera."""
MARGIN = (MAP_WIDTH - 320) // 2

Floats = NDArray[np.float32]


def floats(values: object) -> Floats:
    """Return the values as an array of float32."""
    return np.asarray(values, np.float32)


class Finger(StrEnum):
    """The fingers a vein reader takes."""

    RIGHT_INDEX = "right_index"
    RIGHT_MIDDLE = "right_middle"
    RIGHT_RING = "right_ring"
    LEFT_INDEX = "left_index"
    LEFT_MIDDLE = "left_middle"
    LEFT_RING = "left_ring"


class Rank(StrEnum):
    """How a vessel hangs in the graph: a twig is the first to vanish in the cold."""

    TRUNK = "trunk"
    LINK = "link"
    TWIG = "twig"


@dataclass(frozen=True, slots=True)
class Vessel:
    """One vein as a line in the unrolled map."""

    rank: Rank
    line: NDArray[np.float32]
    """Shape (n, 2): column and row of the map, `MAP_WIDTH` x `MAP_HEIGHT`."""
    width: float
    """Pixels across, at rest."""
    depth: float
    """0 (under the skin) to 1 (at the bone): the deeper, the more the tissue blurs it."""
    darkness: float
    """Optical density at its middle."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """One finger of one person."""

    vessels: tuple[Vessel, ...]
    radius: Floats
    """Half the finger's width for each map column."""
    axis: Floats
    """How far the middle line strays from straight, for each map column."""
    glow: Floats
    """Light that comes through the tissue at each cell of the map: joints let more through, the tip less."""
    contrast: float
    """How well this finger's veins show at all."""
    wilfulness: float
    """How differently this person lays the finger down each time: 1 usual, heavy-tailed up to 4."""
    centre: float
    """How far below the picture's middle this person lays the finger, pixels."""
    recipe: Recipe


def finger_seed(person: str, finger: Finger) -> str:
    """Seed of one finger. The person's own habits hang on the part before the slash."""
    return f"{person}/{finger.value}"


@lru_cache(maxsize=2048)
def anatomy(seed: str, recipe: Recipe = CALIBRATED) -> Anatomy:
    """Grow the finger that belongs to a seed of `finger_seed`; the same seed always gives the same finger."""
    person, _, finger = seed.partition("/")
    habits = generator(f"person:{person}")
    rng = generator(f"finger:{seed}")
    joints = (MARGIN + 45 + rng.normal(0, recipe.joint_along), MARGIN + 225 + rng.normal(0, recipe.joint_along))
    slim = recipe.thickness * (0.93 if finger.endswith("ring") else 1.0)
    size, showing, wilful, centre = habits.normal(1.0, 0.07), habits.normal(), habits.standard_t(3.5), habits.normal()
    showing = recipe.contrast_people * showing + recipe.contrast_fingers * rng.normal()
    return Anatomy(
        vessels=_vessels(rng, recipe),
        radius=_radius(rng, joints, slim * float(np.clip(size, 0.82, 1.2)), recipe.outline),
        axis=_slow_line(rng, 3.0 * recipe.outline),
        glow=_glow(rng, joints, recipe) * _tissue(rng, recipe),
        contrast=float(np.clip(recipe.contrast * np.exp(showing), 0.1, 1.5)),
        wilfulness=float(np.clip(np.exp(recipe.wilful * wilful), 0.2, 4.0)),
        centre=float(recipe.centre + recipe.centre_people * centre + rng.normal(0, 3.0)),
        recipe=recipe,
    )


def generator(seed: str) -> np.random.Generator:
    """Return a generator that depends on nothing but the text."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:16], "big"))


def _vessels(rng: np.random.Generator, recipe: Recipe) -> tuple[Vessel, ...]:
    trunks = _trunks(rng, recipe)
    links = [_link(rng, trunks) for _ in range(rng.integers(4, 11))]
    twigs = [_twig(rng, [*trunks, *links]) for _ in range(rng.integers(3, 10))]
    return (*trunks, *links, *twigs)


def _trunks(rng: np.random.Generator, recipe: Recipe) -> list[Vessel]:
    """Two to four veins along the whole finger, spread around its lower side."""
    count = int(rng.integers(2, 5))
    rows = np.linspace(-48, 48, count) + rng.normal(0, 13, count)
    return [_trunk(rng, float(row), recipe.wander) for row in rows]


def _trunk(rng: np.random.Generator, row: float, wander: float) -> Vessel:
    columns = np.linspace(-10, MAP_WIDTH + 10, 9)
    rows = row + rng.normal(0, 6) * np.linspace(-1, 1, 9) + np.cumsum(rng.normal(0, wander, 9))
    line = smooth_line(np.stack([columns, rows - rows.mean() + row], axis=1))
    return Vessel(Rank.TRUNK, line, rng.uniform(5.0, 8.5), rng.uniform(0.1, 0.8), rng.uniform(0.34, 0.62))


def _link(rng: np.random.Generator, trunks: list[Vessel]) -> Vessel:
    """Grow a vein from one trunk slantwise to a neighbour."""
    first, second = rng.permutation(len(trunks))[:2]
    stem, target = trunks[int(first)].line, trunks[int(second)].line
    start = stem[rng.integers(4, len(stem) - 4)]
    reach = start[0] + rng.choice([-1, 1]) * rng.uniform(40, 130)
    end = target[int(np.argmin(np.abs(target[:, 0] - reach)))]
    bend = (start + end) / 2 + np.array([rng.normal(0, 9), rng.normal(0, 7)])
    line = smooth_line(np.stack([start, bend, end]))
    return Vessel(Rank.LINK, line, rng.uniform(3.2, 6.0), rng.uniform(0.0, 0.7), rng.uniform(0.24, 0.48))


def _twig(rng: np.random.Generator, stems: list[Vessel]) -> Vessel:
    """Grow a short vein that leaves another one and is lost in the tissue."""
    stem = stems[rng.integers(len(stems))].line
    start = stem[rng.integers(len(stem))]
    heading = rng.choice([-1, 1]) * rng.uniform(0.2, 0.9) + rng.choice([0, np.pi])
    length = rng.uniform(18, 55)
    steps = np.linspace(0, 1, 4)[:, None]
    line = floats(start + steps * length * np.array([np.cos(heading), np.sin(heading)]))
    line += np.cumsum(rng.normal(0, 2.2, (4, 2)), axis=0) * steps
    return Vessel(Rank.TWIG, smooth_line(line), rng.uniform(2.2, 3.8), rng.uniform(0.0, 0.4), rng.uniform(0.16, 0.34))


def smooth_line(line: object) -> Floats:
    """Round off a polyline, shape (n, 2), by Chaikin's corner cutting; the ends stay."""
    points = floats(line)
    for _ in range(3):
        near = 0.75 * points[:-1] + 0.25 * points[1:]
        far = 0.25 * points[:-1] + 0.75 * points[1:]
        inner = np.stack([near, far], axis=1).reshape(-1, 2)
        points = floats(np.concatenate([points[:1], inner[1:-1], points[-1:]]))
    return points


def _radius(rng: np.random.Generator, joints: tuple[float, float], size: float, uneven: float) -> Floats:
    """Half the width: thicker towards the palm, a knuckle's bulge at each joint."""
    x = np.arange(MAP_WIDTH)
    radius = 63 - 13 * (x - MARGIN) / 320 + _slow_line(rng, uneven)
    for joint, bulge in zip(joints, (2.5, 3.5), strict=True):
        radius = radius + uneven * bulge * np.exp(-(((x - joint) / 32) ** 2))
    return floats(radius * size)


def _glow(rng: np.random.Generator, joints: tuple[float, float], recipe: Recipe) -> Floats:
    """Brightness over the map: a joint's cartilage passes light, bone and the nail's end do not."""
    x = np.arange(MAP_WIDTH)
    theta = np.arange(MAP_HEIGHT)[:, None] - MAP_HEIGHT / 2
    level = 60 * np.exp(rng.normal(0, recipe.level))
    glow = level + _slow_line(rng, 4.0)[None, :] + np.zeros((MAP_HEIGHT, 1), np.float32)
    for joint, height, spread in zip(joints, rng.normal((62, 44), 18), (32, 30), strict=True):
        along = np.exp(-(((x - joint) / (spread * rng.uniform(0.8, 1.25))) ** 2))
        middle, reach = rng.normal(-4, 10), recipe.joint_around * rng.uniform(0.75, 1.3)
        around = np.exp(-(((theta - middle) / reach) ** 2) / 2)
        glow = glow + recipe.joint * level / 60 * max(8.0, height) * along[None, :] * (0.15 + 0.85 * around)
    return floats(glow * (1 - 0.45 / (1 + np.exp(-(x - MARGIN - 300) / 14))))


def _slow_line(rng: np.random.Generator, size: float) -> Floats:
    return floats(slow_field(rng, size, (1, MAP_WIDTH), (2, 7))[0])


def _tissue(rng: np.random.Generator, recipe: Recipe) -> Floats:
    """Factor on the light, about 1: slow unevenness, and the grain of the tissue itself; no two fingers share it."""
    slow = slow_field(rng, recipe.cloud, (MAP_HEIGHT, MAP_WIDTH), (5, 8))
    fine = grain(rng, recipe.grain_fine, recipe.grain_size)
    return floats(np.exp(slow + fine + grain(rng, recipe.grain_coarse, 2 * recipe.grain_size)))


def grain(rng: np.random.Generator, size: float, reach: float) -> Floats:
    """Return a field over the map of standard deviation `size`, its grains about `reach` pixels, longer lengthwise."""
    noise = rng.standard_normal((MAP_HEIGHT, MAP_WIDTH), np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 1.3 * reach, sigmaY=reach)
    return floats(blurred * np.float32(size * 2 * np.sqrt(np.pi * 1.3) * reach))


def slow_field(rng: np.random.Generator, size: float, shape: tuple[int, int], knots: tuple[int, int]) -> Floats:
    """Return a smooth random field of standard deviation `size`, bent at a grid of `knots` (rows, columns)."""
    coarse = rng.normal(0, size, knots)
    rows = np.linspace(0, knots[0] - 1, shape[0])
    columns = np.linspace(0, knots[1] - 1, shape[1])
    return floats(_cubic(floats(_cubic(floats(coarse), floats(rows))).T, floats(columns)).T)


def _cubic(values: Floats, at: Floats) -> Floats:
    """Smoothstep interpolation along the first axis."""
    low = np.minimum(at.astype(int), len(values) - 2)
    t = at - low
    t = (t * t * (3 - 2 * t))[:, None]
    return floats(values[low] * (1 - t) + values[low + 1] * t)
