"""Things that are shown to a vein reader in place of a finger: prints, screens, and recordings fed in at the cable.

Each is made from pictures that the reader itself took of the victim (the worst case: whoever attacks has had them).
The amounts are drawn wide and none was measured on a real printer, screen or reader. Not modelled: moulded fingers,
a screen that follows the lamps, anything that is warm or wet. Prints and their success: Tome, Vanoni and Marcel, "On
the vulnerability of finger vein recognition to spoofing" (BIOSIG 2014).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from authd_simulators.vein_image.anatomy import Anatomy, Floats, floats
from authd_simulators.vein_image.capture import BLACK_LEVEL, CEILING, HEIGHT, WIDTH, Image, Look, look
from authd_simulators.vein_image.lamps import Lamp, Scene, ambient, dim_housing, grown, life, shading

FINE = 4
"""Steps a pixel in which a printer's dots and a screen's pixels are drawn."""
PIXELS_A_MM = 8.4
"""Of the camera, where a finger is 15 mm wide."""
TONES = 4


class Species(StrEnum):
    """Kinds of presentation attack, as error rates are counted for each (ISO/IEC 30107-3: PAI species)."""

    PRINT_LASER = "print_laser"
    """Toner dots in a regular screen, on office paper."""
    PRINT_INKJET = "print_inkjet"
    """Scattered dots, finer than the camera sees, on coated paper."""
    PRINT_FILM = "print_film"
    """Toner on clear film: hardly anything is thrown back."""
    PRINT_SLEEVE = "print_sleeve"
    """Thin paper wrapped around the attacker's own living finger."""
    SCREEN = "screen"
    """A display: its own light, its own grid."""
    REPLAY_STILL = "replay_still"
    """One recorded frame, fed in at the cable whatever lamp is asked for."""
    REPLAY_ORDER = "replay_order"
    """A recorded touch, fed in in the order in which it was recorded."""
    REPLAY_LAMPS = "replay_lamps"
    """A recorded touch, the right frame for each lamp, a little changed: only what is remembered tells it."""


PRINTS = (Species.PRINT_LASER, Species.PRINT_INKJET, Species.PRINT_FILM, Species.PRINT_SLEEVE)
REPLAYS = (Species.REPLAY_STILL, Species.REPLAY_ORDER, Species.REPLAY_LAMPS)


@dataclass(frozen=True, slots=True)
class Paper:
    """What carries the ink: share of light through it and back from it, unevenness (cloudy, fibres)."""

    through: float
    back: float
    cloudy: float
    fibres: float


PAPERS = {
    Species.PRINT_LASER: Paper(0.35, 0.85, 0.09, 0.03),
    Species.PRINT_INKJET: Paper(0.25, 0.95, 0.04, 0.012),
    Species.PRINT_FILM: Paper(0.92, 0.04, 0.005, 0.003),
    Species.PRINT_SLEEVE: Paper(0.55, 0.70, 0.06, 0.02),
}


def printed(record: Image, species: Species, rng: np.random.Generator, wearer: Anatomy | None = None) -> Scene:
    """Print a recorded picture and lay it down; a sleeve goes around the finger of `wearer`."""
    paper, ink = PAPERS[species], laid(_ink(_wanted(record, rng), species, rng), rng)
    clouds = np.exp(grown(rng, paper.cloudy, (24, 32)))
    fibres = np.exp(rng.normal(0, paper.fibres, (HEIGHT, WIDTH)).astype(np.float32))
    worn = look(wearer, rng) if wearer is not None else None
    through = _lens(floats(ink * clouds * fibres * (_behind(worn) if worn else np.float32(1))), rng)
    back = _lens(floats(ink * fibres), rng) * np.float32(paper.back)
    around = ambient(rng)
    inside = worn.inside if worn else np.float32(1)
    lit = shading(worn.sine) if worn else _falloff(rng)
    lights = {
        Lamp.ON: _levelled(through, record, rng),
        Lamp.OFF: floats(BLACK_LEVEL + back * around * inside + through * around * 0.1),
        Lamp.SIDE: floats(BLACK_LEVEL + back * lit * inside * np.float32(rng.uniform(65, 130)) + dim_housing() * 0.2),
    }
    held = life(rng, 0.012, 0.35) if worn else life(rng, 0.0, 0.35 if rng.random() < 0.5 else 0.0)
    return Scene(lights, held)


def on_screen(record: Image, rng: np.random.Generator) -> Scene:
    """Show a recorded picture on a display held over the camera, as bright as it needs to be."""
    fine = cv2.resize(_wanted(record, rng), (WIDTH * FINE, HEIGHT * FINE), interpolation=cv2.INTER_CUBIC)
    seen = cv2.resize(floats(fine * _grid(rng)), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    own = _levelled(laid(_lens(floats(seen), rng), rng), record, rng)
    gloss = _falloff(rng) * np.float32(rng.uniform(2, 25))
    lights = {
        Lamp.ON: own,
        Lamp.OFF: floats(own + ambient(rng) * 0.2),
        Lamp.SIDE: floats(own + gloss),
    }
    return Scene(lights, life(rng, 0.0, 0.35 if rng.random() < 0.7 else 0.0))


@dataclass(slots=True)
class Injected:
    """Recorded frames fed in at the cable. Implements `Presented`; asked beyond the end, it begins again."""

    species: Species
    frames: Sequence[tuple[Lamp, Image]]
    change: float = 1.0
    """How much each feeding is changed (noise, brightness, shift, recompression); 0 for not a bit."""
    seed: int = 0
    _next: int = 0

    def picture(self, lamp: Lamp, moment: float, grain: np.random.Generator) -> Image:
        """Return the frame that this attack has for this question."""
        match self.species:
            case Species.REPLAY_STILL:
                frame = self.frames[0][1]
            case Species.REPLAY_ORDER:
                frame = self.frames[self._next % len(self.frames)][1]
                self._next += 1
            case _:
                fitting = [frame for state, frame in self.frames if state is lamp] or [self.frames[0][1]]
                frame = fitting[min(len(fitting) - 1, int(moment > 0 and len(fitting) > 1))]
        return reencoded(frame, self.change, np.random.default_rng(self.seed), grain) if self.change else frame.copy()


def reencoded(frame: Image, change: float, once: np.random.Generator, each: np.random.Generator) -> Image:
    """Shift and brighten as drawn for the whole feeding, add noise anew for each frame, compress in half of them."""
    x, y = once.normal(0, 1.2 * change, 2)
    gain, noise = 1 + once.normal(0, 0.05 * change), abs(once.normal(0, 1.2 * change))
    where = np.array([[1, 0, x], [0, 1, y]], np.float32)
    moved = floats(cv2.warpAffine(frame, where, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE))
    moved = floats(moved * np.float32(gain) + each.standard_normal(moved.shape, np.float32) * np.float32(noise))
    quality = int(once.integers(70, 97))
    if once.random() < 0.5:
        return np.asarray(np.clip(moved, 0, 255), np.uint8)
    good, data = cv2.imencode(".jpg", np.asarray(np.clip(moved, 0, 255), np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert good
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def laid(field: Floats, rng: np.random.Generator) -> Floats:
    """Lay a flat thing down about where the finger was: shifted, turned, at a slightly wrong scale."""
    middle = (WIDTH / 2, HEIGHT / 2)
    where = floats(cv2.getRotationMatrix2D(middle, rng.normal(0, 1.2), 1 + rng.normal(0, 0.015)))
    where[:, 2] += floats(rng.normal(0, (4, 6)))
    return floats(cv2.warpAffine(field, where, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE))


def _wanted(record: Image, rng: np.random.Generator) -> Floats:
    """Tones from 0 to 1 that the attacker prints or shows: the picture, its veins made stronger or left."""
    level = np.maximum(record.astype(np.float32) - BLACK_LEVEL, 0)
    blurred = cv2.GaussianBlur(level, (0, 0), 12)
    level = np.maximum(blurred + (level - blurred) * np.float32(rng.uniform(0.9, 2.2)), 0)
    return floats(np.clip(level / np.percentile(level, 99.5), 0.03, 1) ** rng.uniform(0.7, 1.3))


def _ink(wanted: Floats, species: Species, rng: np.random.Generator) -> Floats:
    """Share of light that the ink lets by, after the printer's dots, shape (240, 320)."""
    size = (WIDTH * FINE, HEIGHT * FINE)
    fine = cv2.resize(wanted, size, interpolation=cv2.INTER_CUBIC)
    if species is Species.PRINT_INKJET:
        noise = rng.random((size[1], size[0]), np.float32)
        threshold = floats(0.5 + 1.1 * (noise - cv2.GaussianBlur(noise, (0, 0), 1.2)))
    else:
        threshold = _screen(rng.uniform(75, 175))
    dots = floats(np.clip((fine - threshold) * TONES + 0.5, 0, 1))
    dots = floats(cv2.GaussianBlur(dots, (0, 0), rng.uniform(0.5, 1.2)))
    return floats(np.maximum(cv2.resize(dots, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), 0.04))


def _screen(lines_an_inch: float) -> Floats:
    """Thresholds of a clustered-dot screen at 45 degrees."""
    turn = 2 * math.pi * lines_an_inch / 25.4 / PIXELS_A_MM / FINE / math.sqrt(2)
    v, u = np.mgrid[0 : HEIGHT * FINE, 0 : WIDTH * FINE].astype(np.float32)
    return floats(0.5 + 0.25 * (np.cos((u + v) * turn) + np.cos((u - v) * turn)))


def _grid(rng: np.random.Generator) -> Floats:
    """Light and dark of a display's pixels, 90 to 520 an inch, turned a little."""
    turn = 2 * math.pi * rng.uniform(90, 520) / 25.4 / PIXELS_A_MM / FINE
    tilt = rng.normal(0, 0.03)
    v, u = np.mgrid[0 : HEIGHT * FINE, 0 : WIDTH * FINE].astype(np.float32)
    along, across = (u + v * tilt) * turn, (v - u * tilt) * turn
    return floats((0.75 + 0.25 * np.cos(along)) * (0.85 + 0.15 * np.cos(across)))


def _lens(field: Floats, rng: np.random.Generator) -> Floats:
    return floats(cv2.GaussianBlur(floats(field), (0, 0), 0.8 + abs(rng.normal(0, 0.3))))


def _behind(worn: Look) -> Floats:
    """Light that comes through the wearer's finger, about 1."""
    level = cv2.GaussianBlur(np.maximum(worn.light - np.float32(BLACK_LEVEL), 0), (0, 0), 3)
    return floats(level / np.percentile(level, 80))


def _falloff(rng: np.random.Generator) -> Floats:
    """Light of the lamp beside the camera on something flat: it only grows weaker with the distance."""
    rows = np.linspace(1, 1 - rng.uniform(0.1, 0.5), HEIGHT, dtype=np.float32)
    return floats(np.broadcast_to(rows[:, None], (HEIGHT, WIDTH)))


def _levelled(light: Floats, record: Image, rng: np.random.Generator) -> Floats:
    """Make it about as bright as the finger was: lamp and paper are chosen so."""
    target = (np.percentile(record, 95) - BLACK_LEVEL) * rng.uniform(0.75, 1.1)
    return floats(np.minimum(BLACK_LEVEL + light * (target / np.percentile(light, 95)), CEILING * 1.5))
