"""What lies on the reader, seen under each of its lamps and at each moment: a living finger, or what attacks.py makes.

Three lamp states, as the vein driver's source.py names them: the lamp above shines through the finger (on), none is
lit (off), or a lamp beside the camera shines on the skin (side). None of it was measured on a device: the optics are
textbook (Lambert's law on a cylinder, light that is lost within the tissue), the amounts are drawn wide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import cv2
import numpy as np

from authd_simulators.vein_image.anatomy import Anatomy, Floats, floats
from authd_simulators.vein_image.capture import (
    BLACK_LEVEL,
    HEIGHT,
    WIDTH,
    Image,
    Look,
    Presentation,
    expose,
    housing,
    look,
)

FRAME_S = 1 / 30
"""From one frame to the next of a camera of this kind."""
TREMOR_HZ = (0.7, 2.1, 8.7)
LAMP_DEGREES = -55.0
"""Where the lamp beside the camera stands: 0 is the camera's own direction, -90 the picture's upper edge."""


class Lamp(StrEnum):
    """Which lamps are lit."""

    ON = "on"
    OFF = "off"
    SIDE = "side"


class Presented(Protocol):
    """Something in front of the camera."""

    def picture(self, lamp: Lamp, moment: float, grain: np.random.Generator) -> Image:
        """Take a picture `moment` seconds after the first; `grain` draws the sensor's noise."""
        ...


@dataclass(frozen=True, slots=True)
class Life:
    """What does not stand still: the blood, and the hand."""

    pulse: float = 0.0
    """Share of the light that comes and goes with the heart."""
    rate: float = 1.2
    """Heart beats a second."""
    tremor: float = 0.0
    """Pixels."""
    phases: tuple[float, ...] = (0.0,) * 7

    def brightness(self, moment: float) -> float:
        """Factor on the light that comes through; 1 at the first moment."""
        beat, start = 2 * math.pi * self.rate * moment + self.phases[6], self.phases[6]
        return 1 + self.pulse * (math.sin(beat) - math.sin(start))

    def shift(self, moment: float) -> tuple[float, float]:
        """Pixels to the right and down since the first moment: slow drift and a fine tremble."""
        x = y = 0.0
        for index, hertz in enumerate(TREMOR_HZ):
            size = self.tremor / (1 + index)
            turn, a, b = 2 * math.pi * hertz * moment, self.phases[index], self.phases[index + 3]
            x += size * (math.sin(turn + a) - math.sin(a))
            y += size * (math.sin(turn + b) - math.sin(b))
        return x, y


def life(rng: np.random.Generator, pulse: float, tremor: float) -> Life:
    """Draw one person's heart and hand around these amounts."""
    phases = tuple(rng.uniform(0, 2 * math.pi, 7).tolist())
    return Life(pulse * rng.uniform(0.4, 1.6), rng.uniform(0.8, 1.8), tremor * rng.uniform(0.4, 1.8), phases)


@dataclass(frozen=True, slots=True)
class Scene:
    """Light that reaches the sensor under each lamp, and what moves. Implements `Presented`."""

    lights: Mapping[Lamp, Floats]
    life: Life
    noise: float = 1.0

    def picture(self, lamp: Lamp, moment: float, grain: np.random.Generator) -> Image:
        """Take a picture."""
        light = self.lights[lamp]
        if moment:
            x, y = self.life.shift(moment)
            where = np.array([[1, 0, x], [0, 1, y]], np.float32)
            light = floats(cv2.warpAffine(light, where, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE))
            light *= np.float32(self.life.brightness(moment) if lamp is Lamp.ON else 1.0)
        return expose(light, self.noise, grain)


def living(anatomy: Anatomy, rng: np.random.Generator, presentation: Presentation = Presentation.GOOD) -> Scene:
    """Lay a living finger down. Its first picture under the lamp above is that of `capture` with the same `rng`."""
    seen = look(anatomy, rng, presentation)
    around = ambient(rng)
    lights = {Lamp.ON: seen.light, Lamp.OFF: off_light(seen, around), Lamp.SIDE: side_light(seen, rng) + around / 2}
    return Scene(lights, life(rng, 0.012, 0.35), seen.pose.noise)


def ambient(rng: np.random.Generator) -> np.float32:
    """Draw the room's own near-infrared light on the skin, in grey values: little under lamps, much at a window."""
    return np.float32(min(30.0, math.exp(rng.normal(0.7, 0.9))))


def off_light(seen: Look, around: np.float32) -> Floats:
    """Light of the room alone: on the skin, and a little of it through the finger as the lamp's goes."""
    through = (seen.light - np.float32(BLACK_LEVEL)) * (around / 400)
    return floats(np.float32(BLACK_LEVEL) + seen.inside * around * 0.5 + through + around * 0.1 * dim_housing())


def side_light(seen: Look, rng: np.random.Generator) -> Floats:
    """Light that the skin throws back: bright towards the lamp, creased, the veins hardly seen."""
    veins = np.log(np.maximum(seen.light - np.float32(BLACK_LEVEL - 2), 1))
    veins = veins - cv2.GaussianBlur(veins, (0, 0), 14)
    veins = cv2.GaussianBlur(floats(veins), (0, 0), 1.5) * np.float32(rng.uniform(0.03, 0.22))
    skin = grown(rng, 0.055, (40, 22)) + grown(rng, 0.05, (24, 60))
    level = np.float32(rng.uniform(65, 115))
    lit = level * shading(seen.sine) * np.exp(veins + skin) * seen.inside
    blurred = cv2.GaussianBlur(floats(lit), (0, 0), seen.pose.blur)
    return floats(np.float32(BLACK_LEVEL) + blurred + (1 - seen.inside) * 0.7 * dim_housing())


def shading(sine: Floats) -> Floats:
    """Lambert's law on a cylinder that the lamp beside the camera lights, 1 where it shines straight down."""
    bounded = np.clip(sine, -1, 1)
    lamp = math.radians(LAMP_DEGREES)
    facing = np.sqrt(1 - bounded * bounded) * np.float32(math.cos(lamp)) + bounded * np.float32(math.sin(lamp))
    return floats(np.float32(0.12) + np.float32(0.88) * np.maximum(facing, 0))


def grown(rng: np.random.Generator, size: float, knots: tuple[int, int]) -> Floats:
    """Return an uneven field over the picture of about this standard deviation, bent at a grid of (rows, columns)."""
    coarse = rng.normal(0, size, knots).astype(np.float32)
    return floats(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))


def dim_housing() -> Floats:
    """Return what of the housing is seen at all, above black."""
    return floats(housing() - np.float32(BLACK_LEVEL))
