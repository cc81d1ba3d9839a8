"""Generated fingerprints: ridge patterns in which a minutiae detector finds what it finds in a real print.

    finger = Finger.of("staff 1003", 2)      # always the same ridges for the same words
    finger.picture(touch=7)                  # 256 x 256 bytes, 500 dpi, ridges dark; each touch is a little other

Nobody's finger: an orientation field with the singular points of a loop, a whorl or an arch (the zero-pole model of
Sherlock and Monro, 1993), and noise that is filtered along it until it is ridges (the idea of Cappelli's SFinGe, 2002).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SIDE = 256
PERIOD = 9.4
"""Ridge distance in pixels: about 0.48 mm at 500 dpi."""
_MARGIN = 48
_DIRECTIONS = 24
_ROUNDS = 18
Plane = NDArray[np.float64]


def _plane(values: object) -> Plane:
    return np.asarray(values, np.float64)


@dataclass(frozen=True, slots=True)
class Finger:
    """One generated finger; `seed` is all there is to it."""

    seed: int

    @staticmethod
    def of(*words: object) -> Finger:
        """Return the finger that these words always mean."""
        text = "\0".join(str(word) for word in words)
        return Finger(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))

    def picture(self, touch: int = 0, *, aside: float = 0.0, wear: float = 0.06) -> bytes:
        """Return SIDE x SIDE bytes, row by row.

        touch: which presentation (shift, turn, pressure and noise of its own; 0 lies straight and clean). aside: how
        much of the side is missing, 0 to 1. wear: standard deviation of the noise, 1 being black to white.
        """
        ridges = _ridges(self.seed)
        dice = np.random.default_rng((self.seed, touch))
        turn, shift = (0.0, (0.0, 0.0)) if touch == 0 else (dice.normal(0, 0.06), dice.normal(0, 5.0, 2))
        seen = _sampled(ridges, turn, (shift[0], shift[1]))
        print_ = 0.5 + 0.5 * np.tanh(2.2 * seen + (0.0 if touch == 0 else dice.normal(0, 0.15)))
        print_ += dice.normal(0, 0.0 if touch == 0 else wear, print_.shape)
        grey = 1 - (1 - print_) * _contact(aside)
        return np.clip(grey * 255, 0, 255).astype(np.uint8).tobytes()


def blank(grey: int = 250) -> bytes:
    """Return the picture of a sensor that nothing touches."""
    return bytes([grey]) * (SIDE * SIDE)


@lru_cache(maxsize=64)
def _ridges(seed: int) -> Plane:
    """Return the ridges with a margin around them, about -1 (valley: light) to 1, as the filters leave them."""
    dice = np.random.default_rng(seed)
    side = SIDE + 2 * _MARGIN
    directions = _orientation(dice, side)
    period = PERIOD * dice.uniform(0.94, 1.06)
    bank = _bank(side, period)
    nearest = np.round(directions / np.pi * _DIRECTIONS).astype(int) % _DIRECTIONS
    plane = dice.normal(0, 1, (side, side))
    for _ in range(_ROUNDS):
        spectrum = np.fft.rfft2(plane)
        filtered = np.zeros_like(plane)
        for index in range(_DIRECTIONS):
            where = nearest == index
            if where.any():
                filtered[where] = np.fft.irfft2(spectrum * bank[index], s=plane.shape)[where]
        plane = np.tanh(2.5 * filtered / (filtered.std() + 1e-9))
    return plane


def _orientation(dice: np.random.Generator, side: int) -> Plane:
    """Return the direction of the ridges at each point, 0 to pi."""
    y, x = np.mgrid[0:side, 0:side].astype(float)
    z = (x - side / 2) - 1j * (y - side / 2)  # up is positive
    kind = dice.choice(["loop", "loop", "whorl", "arch"])
    jitter = dice.normal(0, 14, 8)
    bent = _bends(dice, side)
    if kind == "arch":
        height = dice.uniform(0.5, 0.9)
        hill = -height * np.sin((z.real + jitter[0]) / 70) * np.exp(-(((z.imag + 20) / 110) ** 2))
        return _plane((np.arctan(hill) + bent) % np.pi)
    lean = dice.choice([-1, 1])
    cores = [complex(jitter[0], 12 + jitter[1])]
    deltas = [complex(lean * dice.uniform(50, 90), -95 + jitter[2])]
    if kind == "whorl":
        cores = [complex(jitter[0], 28 + jitter[1]), complex(jitter[3], -16 + jitter[4])]
        deltas = [complex(-100 + jitter[5], -105), complex(100 + jitter[6], -105)]
    turn = sum(np.angle(z - core) for core in cores) - sum(np.angle(z - delta) for delta in deltas)
    return _plane((0.5 * turn + bent) % np.pi)


def _bends(dice: np.random.Generator, side: int) -> Plane:
    """Return what makes one loop's flow differ from another's: a few slow waves, radians."""
    y, x = np.mgrid[0:side, 0:side].astype(float) / side
    waves = np.full((side, side), dice.normal(0, 0.12))
    for _ in range(5):
        along, across, phase = dice.uniform(-2.2, 2.2), dice.uniform(-2.2, 2.2), dice.uniform(0, 2 * np.pi)
        waves += dice.normal(0, 0.2) * np.sin(2 * np.pi * (along * x + across * y) + phase)
    return waves


@lru_cache(maxsize=8)
def _bank(side: int, period: float) -> tuple[Plane, ...]:
    """Return one filter for each direction of ridges, as half spectra."""
    v, u = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    spread = 0.28 / period
    out: list[Plane] = []
    for index in range(_DIRECTIONS):
        normal = index * np.pi / _DIRECTIONS + np.pi / 2
        fx, fy = np.cos(normal) / period, -np.sin(normal) / period
        near = ((u - fx) ** 2 + (v - fy) ** 2, (u + fx) ** 2 + (v + fy) ** 2)
        out.append(_plane(np.exp(-near[0] / (2 * spread**2)) + np.exp(-near[1] / (2 * spread**2))))
    return tuple(out)


def _sampled(ridges: Plane, turn: float, shift: tuple[float, float]) -> Plane:
    """Return SIDE x SIDE of the ridges, turned (radians) and shifted (pixels)."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(float) - SIDE / 2
    cos, sin = np.cos(turn), np.sin(turn)
    middle = ridges.shape[0] / 2
    rows = np.clip(sin * x + cos * y + middle + shift[0], 0, ridges.shape[0] - 2)
    columns = np.clip(cos * x - sin * y + middle + shift[1], 0, ridges.shape[1] - 2)
    top, left = rows.astype(int), columns.astype(int)
    down, right = rows - top, columns - left
    upper = ridges[top, left] * (1 - right) + ridges[top, left + 1] * right
    lower = ridges[top + 1, left] * (1 - right) + ridges[top + 1, left + 1] * right
    return _plane(upper * (1 - down) + lower * down)


def _contact(aside: float) -> Plane:
    """Return where the skin touches, 0 to 1: an upright oval with a soft edge."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(float) - SIDE / 2
    away = (x / (0.38 * SIDE)) ** 2 + (y / (0.44 * SIDE)) ** 2
    oval = 1 / (1 + np.exp((away - 1) * 18))
    return _plane(oval / (1 + np.exp((SIDE * aside - (x + SIDE / 2)) / 3)) if aside else oval)
