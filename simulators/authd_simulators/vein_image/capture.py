"""One look through the camera at a finger: what differs from touch to touch, then optics, then the sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from authd_simulators.vein_image.anatomy import MAP_HEIGHT, MAP_WIDTH, MARGIN, Anatomy, Floats, Rank, floats
from authd_simulators.vein_image.recipe import Recipe

WIDTH = 320
HEIGHT = 240
BLACK_LEVEL = 8.0
CEILING = 172.0
"""Grey value at which this sensor is full."""

Image = NDArray[np.uint8]


class Presentation(StrEnum):
    """How the finger is laid down."""

    GOOD = "good"
    WET = "wet"
    DRY = "dry"
    SHORT = "short"
    OFF_CENTRE = "off_centre"
    FAST = "fast"


@dataclass(slots=True)
class Pose:
    """Everything that is drawn anew at each touch. Pixels, degrees and factors."""

    dx: float
    dy: float
    angle: float
    roll: float
    scale: float
    warp: float
    dilation: float
    dropout: float
    exposure: float
    lamp: float
    """How much more light comes from above than from below."""
    contrast: float
    blur: float
    motion: float
    noise: float
    veil: float = 0.0
    haze: float = 0.0
    """Share of the light that was scattered on the skin and shows nothing."""
    tip: float = math.inf
    """Map column where the finger ends."""


@dataclass(frozen=True, slots=True)
class Look:
    """One finger in front of the camera. Arrays are float32 of shape (240, 320)."""

    pose: Pose
    light: Floats
    """Grey values before the noise."""
    column: Floats
    """Map column of each pixel."""
    sine: Floats
    """Sine of the angle around the finger, beyond -1 and 1 outside it."""
    inside: Floats
    """Share of finger in each pixel."""


def capture(
    anatomy: Anatomy,
    rng: np.random.Generator,
    presentation: Presentation = Presentation.GOOD,
    grain: np.random.Generator | None = None,
) -> Image:
    """Take one picture: uint8, shape (240, 320), the finger's tip at the right.

    `rng` draws how the finger lies, `grain` (if given) the sensor's noise: pictures of one touch share the first only.
    """
    seen = look(anatomy, rng, presentation)
    return expose(seen.light, seen.pose.noise, grain or rng)


def look(
    anatomy: Anatomy,
    rng: np.random.Generator,
    presentation: Presentation = Presentation.GOOD,
    again: np.random.Generator | None = None,
) -> Look:
    """Lay the finger down; what the camera then sees under the lamp above, before the sensor's noise.

    `again` draws what is new in another picture of a finger that was not lifted.
    """
    pose = draw_pose(anatomy, rng, presentation)
    if again:
        _fidget(pose, anatomy.recipe, again)
    column, sine, inside = _project(anatomy, pose)
    tissue = _tissue(anatomy, pose, rng, column, sine)
    if again:
        tissue *= np.exp(_uneven(again, pose.veil * anatomy.recipe.again * 2))
    if presentation in (Presentation.WET, Presentation.DRY):
        tissue = _hazy(tissue, pose.haze) * _skin(rng, presentation)
    light = np.where(inside > 0, tissue * inside + housing() * (1 - inside), housing())
    return Look(pose, _smear(light.astype(np.float32), pose, rng), column, sine, inside)


def empty(rng: np.random.Generator) -> Image:
    """Take a picture of the reader with no finger on it."""
    return expose(housing(), 1.0, rng)


def draw_pose(anatomy: Anatomy, rng: np.random.Generator, presentation: Presentation) -> Pose:
    """Draw one touch of a person as wilful as `anatomy` says, laid down as `presentation` says."""
    recipe = anatomy.recipe
    w = min(recipe.worst, max(recipe.best, anatomy.wilfulness * math.exp(recipe.mood * rng.standard_t(3.5))))
    pose = Pose(
        dx=rng.normal(0, recipe.dx * w),
        dy=anatomy.centre + rng.normal(0, recipe.dy * w),
        angle=rng.normal(0, recipe.angle * w),
        roll=rng.normal(0, recipe.roll * w),
        scale=1 + rng.normal(0, recipe.scale * w),
        warp=recipe.warp * w,
        dilation=math.exp(rng.normal(0, recipe.dilation)),
        dropout=min(0.5, recipe.dropout * w),
        exposure=math.exp(rng.normal(0, 0.10)),
        lamp=rng.normal(0, 0.10),
        contrast=anatomy.contrast * math.exp(rng.normal(0, recipe.contrast_touches)),
        blur=1.0 + abs(rng.normal(0, recipe.blur * w)),
        motion=abs(rng.normal(0, recipe.motion * w)),
        noise=1.0,
        veil=recipe.veil * math.sqrt(w),
    )
    _spoil(pose, presentation, rng)
    return pose


def _fidget(pose: Pose, recipe: Recipe, rng: np.random.Generator) -> None:
    """Move a little."""
    pose.dx += rng.normal(0, recipe.dx * recipe.again)
    pose.dy += rng.normal(0, recipe.dy * recipe.again)
    pose.roll += rng.normal(0, recipe.roll * recipe.again)
    pose.contrast *= math.exp(rng.normal(0, recipe.contrast_touches * recipe.again))
    pose.exposure *= math.exp(rng.normal(0, 0.1 * recipe.again))


def _spoil(pose: Pose, presentation: Presentation, rng: np.random.Generator) -> None:
    """Change the pose by what is wrong with this touch."""
    match presentation:
        case Presentation.GOOD:
            pass
        case Presentation.WET:
            pose.haze = rng.uniform(0.82, 0.94)
            pose.blur += 4.5
            pose.exposure *= 1.25
        case Presentation.DRY:
            pose.haze = rng.uniform(0.6, 0.85)
            pose.blur += 3.5
            pose.noise *= 2.5
            pose.dropout = 0.6
        case Presentation.SHORT:
            pose.tip = MARGIN + rng.uniform(120, 165)
        case Presentation.OFF_CENTRE:
            pose.dy = rng.choice([-1, 1]) * rng.uniform(75, 95)
        case Presentation.FAST:
            pose.motion = rng.uniform(28, 45)


def _project(anatomy: Anatomy, pose: Pose) -> tuple[Floats, Floats, Floats]:
    """Return for each pixel its map column, the sine of its angle around the finger, and its share of finger."""
    v, u = _grid()
    u, v = u - np.float32(WIDTH / 2 + pose.dx), v - np.float32(HEIGHT / 2 + pose.dy)
    turn = math.radians(pose.angle)
    cosine, sine_of_turn = np.float32(math.cos(turn) / pose.scale), np.float32(math.sin(turn) / pose.scale)
    column = u * cosine + v * sine_of_turn + np.float32(WIDTH / 2 + MARGIN)
    across = v * cosine - u * sine_of_turn
    index = np.clip(column, 0, MAP_WIDTH - 1).astype(np.int32)
    radius = np.maximum(anatomy.radius * _dome(pose.tip), np.float32(1e-3))[index]
    sine = (across - anatomy.axis[index]) / radius
    inside = np.clip((1 - np.abs(sine)) * radius * np.float32(0.8), 0, 1)
    return floats(column), floats(sine), floats(np.where(radius > 1, inside, 0))


def _dome(tip: float) -> Floats:
    """Factor on the radius for each map column: a half ellipse that closes at the tip."""
    reach = np.clip((np.arange(MAP_WIDTH) - (tip - 42)) / 42, 0, 1) if math.isfinite(tip) else np.zeros(MAP_WIDTH)
    return np.sqrt(1 - reach**2).astype(np.float32)


def _tissue(anatomy: Anatomy, pose: Pose, rng: np.random.Generator, column: Floats, sine: Floats) -> Floats:
    """Light that comes through the finger at each pixel: glow, rim and vessels."""
    bounded = np.clip(sine, -1, 1)
    degrees = np.degrees(np.arcsin(bounded)) + np.float32(pose.roll + MAP_HEIGHT / 2)
    rows = degrees + _field(rng, pose.warp)
    columns = column + _field(rng, pose.warp)
    through = _transmission(anatomy, pose, rng) * anatomy.glow
    seen = cv2.remap(through, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    square = bounded * bounded
    rim = np.float32(0.90) + np.float32(0.25) * square + np.float32(0.35) * square**4 + np.float32(0.75) * square**24
    lamp = 1 - np.float32(pose.lamp) * bounded
    veil = np.exp(_uneven(rng, pose.veil))
    return floats(seen * rim * lamp * veil * np.float32(pose.exposure) + np.float32(BLACK_LEVEL))


def _transmission(anatomy: Anatomy, pose: Pose, rng: np.random.Generator) -> Floats:
    """Share of light that the vessels let by on the unrolled map, each blurred by the tissue above it.

    Drawn at half the size: nothing here is sharper than that.
    """
    layers = np.zeros((3, MAP_HEIGHT // 2, MAP_WIDTH // 2), np.uint8)
    for vessel in sorted(anatomy.vessels, key=lambda each: each.darkness):
        if vessel.rank is Rank.TWIG and rng.random() < 3 * pose.dropout:
            continue
        if vessel.rank is Rank.LINK and rng.random() < pose.dropout:
            continue
        layer = layers[min(2, int(vessel.depth * 3))]
        thickness = max(1, round(vessel.width * pose.dilation / 2))
        line = vessel.line * 8 + np.array([0, MAP_HEIGHT * 4], np.float32)
        cv2.polylines(layer, [line.astype(np.int32)], False, vessel.darkness * 255, thickness, cv2.LINE_AA, 4)
    density = np.zeros(layers.shape[1:], np.float32)
    for layer, sigma in zip(layers, (2.4, 3.6, 5.2), strict=True):
        density += cv2.GaussianBlur(layer.astype(np.float32), (0, 0), sigma / 2 * anatomy.recipe.depth_blur)
    density = cv2.resize(density, (MAP_WIDTH, MAP_HEIGHT), interpolation=cv2.INTER_LINEAR)
    return floats(np.exp(density * np.float32(-pose.contrast / 255)))


def _uneven(rng: np.random.Generator, size: float) -> Floats:
    """Field over the picture that changes within about 8 pixels."""
    coarse = rng.normal(0, size * 1.4, (HEIGHT // 8, WIDTH // 8)).astype(np.float32)
    return floats(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))


def _field(rng: np.random.Generator, size: float) -> Floats:
    """Smooth random displacement of each pixel: the skin gives way."""
    coarse = rng.normal(0, size, (5, 7)).astype(np.float32)
    return floats(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))


def _hazy(tissue: Floats, share: float) -> Floats:
    """Mix with light from everywhere around."""
    return floats(tissue * np.float32(1 - share) + cv2.GaussianBlur(tissue, (0, 0), 24) * np.float32(share))


def _skin(rng: np.random.Generator, presentation: Presentation) -> Floats:
    """Factor on the light: a film of water has bright patches, dry skin has flakes and creases across the finger."""
    if presentation is Presentation.WET:
        patches = rng.normal(0, 0.03, (6, 8)).astype(np.float32)
        return floats(np.exp(cv2.resize(patches, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)))
    flakes = rng.normal(0, 0.06, (HEIGHT // 8, WIDTH // 2)).astype(np.float32)
    return floats(np.exp(cv2.resize(flakes, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)))


def _smear(light: Floats, pose: Pose, rng: np.random.Generator) -> Floats:
    """Blur by the lens and by the finger's movement during the exposure."""
    light = floats(cv2.GaussianBlur(light, (0, 0), pose.blur))
    length = round(pose.motion)
    if length < 2:
        return light
    kernel = np.zeros((length, length), np.float32)
    tilt = rng.uniform(-0.5, 0.5) * length
    cv2.line(kernel, (0, round(length / 2 - tilt / 2)), (length - 1, round(length / 2 + tilt / 2)), 1.0)
    return floats(cv2.filter2D(light, -1, kernel / kernel.sum()))


def expose(light: Floats, noise: float, rng: np.random.Generator) -> Image:
    """Photons arrive by chance (normal approximation of Poisson, 100 electrons a grey value), then the read noise."""
    spread = np.sqrt(np.maximum(light, 0) * np.float32(0.01) + np.float32(0.25)) * np.float32(noise)
    grains = rng.standard_normal((HEIGHT, WIDTH), np.float32) * spread
    counts = np.minimum(light, CEILING) + grains + np.float32(0.5)
    return np.asarray(np.clip(counts, 0, CEILING + 3), np.uint8)


@lru_cache(maxsize=1)
def _grid() -> tuple[Floats, Floats]:
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return v, u


@lru_cache(maxsize=1)
def housing() -> Floats:
    """Look of the reader itself: dark, with two guide posts that catch some light."""
    view = np.full((HEIGHT, WIDTH), BLACK_LEVEL, np.float32)
    view[36:228, :9] = 78
    view[224:230, :34] = 60
    view[44:226, 288:] = 40
    view[44:226, 286:289] = 74
    cv2.ellipse(view, (26, 38), (7, 3), 0, 0, 360, 110.0, -1)
    cv2.ellipse(view, (252, 38), (6, 2), 0, 0, 360, 70.0, -1)
    view = floats(cv2.GaussianBlur(view, (0, 0), 1.5))
    view.flags.writeable = False
    return view
