"""Signs that what lies on the reader is no living finger: prints, screens, recordings. Heuristics, no conformance.

Cues of one frame, of frames under several lamps, and of a series in time. Each is one number; the sensor's profile
says between which limits living fingers lie, and the worst cue decides. Nothing here was fitted to an attack.

* peak, grain: a printer's dots and a screen's pixels stand out in the spectrum (peak), paper and recompression change
  how rough the picture is at the finest scale (grain, the variance of its Laplacian against the sensor's own noise).
* glow: what still shines with every lamp off shines by itself.
* level, ink, lines, shade: under a lamp from the side skin is bright and creased, its veins are hardly seen, and a
  finger is round. Film throws nothing back (level), ink is seen as it is under the lamp above (ink) and little else
  (lines), paper is lit evenly (shade).
* paper: of level, ink, lines, peak and grain, how far they lie together to where paper would bring them: thin paper
  around a living finger hides in each of them alone.
* still: two frames that differ by less than the sensor's noise are one recording. drift: how far the finger moved.
* pulse: how much of a brightness that was followed for 2 to 3 seconds comes and goes with a heart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.edges import find_edges
from authd_drivers.vein.engine.profile import PadSettings, SensorProfile
from authd_drivers.vein.engine.region import view
from authd_drivers.vein.engine.scratch import Scratch

Floats = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

LAMP_CUES = frozenset({"glow", "level", "ink", "lines", "shade"})
PAPER = {"ink": 1, "lines": -1, "level": -1, "peak": 1, "grain": 1}
"""Which way paper moves each cue, by what it is and not by any measurement of it."""
ON, OFF, SIDE = "on", "off", "side"
STEEP = 4.0
SIZE = (64, 256)
"""Rows and columns at the middle of the finger that are looked at."""
FINEST = (0.18, 0.5)
"""Cycles a pixel: a living finger, lit from behind, has nothing but noise there."""
NOISE = 25.0
"""Variance of a sensor's noise grows as its grey level plus about this."""
HEART_HZ = np.arange(0.7, 3.01, 0.1)
LEAST_BEATS = 24
"""Frames of a series below which no pulse is looked for."""


def judge(cues: Mapping[str, float], limits: Sequence[PadSettings]) -> float | None:
    """Return a score from 0 (attack) to 1 (living), 0.5 where the worst cue is at its limit.

    None where the profile has no limit for anything that was measured. A cue that is no number is an attack.
    """
    cues = {**cues, **together(cues, limits)}
    far = [_distance(cues[row.cue], row) for row in limits if row.cue in cues]
    if not far:
        return None
    worst = max(far)
    return 1 / (1 + math.exp(min(60.0, STEEP * (worst - 1)))) if math.isfinite(worst) else 0.0


def together(cues: Mapping[str, float], limits: Sequence[PadSettings]) -> dict[str, float]:
    """Return the cue that is made of others, where all of them were measured and have limits."""
    rows = {row.cue: row for row in limits if row.cue in PAPER and row.cue in cues}
    if rows.keys() != PAPER.keys():
        return {}
    return {"paper": sum(sign * _signed(cues[cue], rows[cue]) for cue, sign in PAPER.items())}


def _distance(value: float, row: PadSettings) -> float:
    """How far from usual, 1 at the limit."""
    return abs(_signed(value, row)) if math.isfinite(value) else math.inf


def _signed(value: float, row: PadSettings) -> float:
    """How far above usual, 1 at the greatest and -1 at the least that a living finger has."""
    room = row.most - row.usual if value > row.usual else row.usual - row.least
    return (value - row.usual) / room


def measure(first: Image, more: Sequence[tuple[str, Image]], profile: SensorProfile) -> dict[str, float]:
    """Return the cues of one touch: its first frame, under the lamp above, and further ones with their lamp state.

    The frames have the profile's size; they are only read, and nothing made from them is left.
    """
    with Scratch() as scratch:
        seen = view(first, profile.region, scratch)
        window = _window(seen, profile, scratch)
        black = np.float32(np.percentile(seen[::4, ::4], 2))
        on = _part(seen, window, black, scratch)
        found = _texture(on, scratch)
        others = {light: _part(view(frame, profile.region, scratch), window, black, scratch) for light, frame in more}
        if ON in others:
            found |= _between(on, others[ON], scratch)
        if OFF in others:
            found["glow"] = float((others[OFF].mean() + 1) / (on.mean() + 1))
        if OFF in others and SIDE in others:
            found |= _sidelong(on, others[OFF], others[SIDE], scratch)
    return found


def _window(seen: Image, profile: SensorProfile, scratch: Scratch) -> tuple[slice, slice]:
    """Rows and columns of the middle of the finger, at most `SIZE`."""
    rows, columns = min(SIZE[0], seen.shape[0]), min(SIZE[1], seen.shape[1])
    centre, left, right = seen.shape[0] / 2, 0, seen.shape[1]
    if profile.edges.traced:
        edges = find_edges(seen, profile.edges, scratch)
        centre, left, right = float(np.median(edges.rows)), profile.edges.left, profile.edges.right
    top = int(min(max(0.0, centre - rows / 2), seen.shape[0] - rows))
    columns = min(columns, right - left)
    start = left + (right - left - columns) // 2
    return slice(top, top + rows), slice(start, start + columns)


def _part(seen: Image, window: tuple[slice, slice], black: np.float32, scratch: Scratch) -> Floats:
    """Return the window above black, as numbers."""
    part = scratch(seen[window].astype(np.float32))
    part -= black
    return part


def _texture(on: Floats, scratch: Scratch) -> dict[str, float]:
    """Return what is finer than a living finger."""
    smooth = scratch(np.asarray(cv2.GaussianBlur(on, (0, 0), 4.0), np.float32))
    taper, band = _band(on.shape[0], on.shape[1])
    fine = scratch((on - smooth) * taper)
    power = scratch(np.abs(np.fft.rfft2(fine)).astype(np.float32) ** 2)
    around = scratch(np.asarray(cv2.blur(power, (3, 3)), np.float32))
    peak = math.log((float(around[band].max()) + 1e-6) / (float(np.median(power[band])) + 1e-6))
    rough = scratch(np.asarray(cv2.Laplacian(on, cv2.CV_32F), np.float32))
    grain = math.log((float(rough.var()) + 0.1) / max(1.0, float(on.mean()) + NOISE))
    return {"peak": peak, "grain": grain}


@cache
def _band(rows: int, columns: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The window that tapers a picture's ends, and which waves of its spectrum are the finest."""
    taper = np.outer(np.hanning(rows), np.hanning(columns)).astype(np.float32)
    waves = np.hypot(np.fft.fftfreq(rows)[:, np.newaxis], np.fft.rfftfreq(columns)[np.newaxis])
    return taper, (waves > FINEST[0]) & (waves < FINEST[1])


def _between(one: Floats, other: Floats, scratch: Scratch) -> dict[str, float]:
    """Return how two frames under the same lamp differ: by noise, and by a shift (Lucas and Kanade 1981)."""
    level = max(1.0, float(one.mean()))
    gain = np.float32(one.mean() / max(1.0, float(other.mean())))
    apart = scratch(one - other * gain)
    still = math.log((float(apart.var()) + 1e-3) / (level + NOISE))
    smooth = scratch(np.asarray(cv2.GaussianBlur(one, (0, 0), 2.0), np.float32))
    apart = scratch(np.asarray(cv2.GaussianBlur(apart, (0, 0), 2.0), np.float32))
    along = scratch(np.asarray(cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=1 / 32), np.float32))
    across = scratch(np.asarray(cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=1 / 32), np.float32))
    square = np.array([[np.vdot(a, b) for a in (along, across)] for b in (along, across)], np.float64)
    moved = np.linalg.solve(square + np.eye(2), [np.vdot(along, apart), np.vdot(across, apart)])
    return {"still": still, "drift": math.log(float(np.hypot(*moved)) + 1e-3)}


def _sidelong(on: Floats, off: Floats, side: Floats, scratch: Scratch) -> dict[str, float]:
    """Compare what the lamp above and the lamp beside the camera add to the room's own light."""
    above, beside = scratch(on - off), scratch(side - off)
    third = max(1, len(on) // 3)
    level = math.log((max(0.0, float(beside.mean())) + 1) / (max(0.0, float(above.mean())) + 1))
    return {"level": level, "shade": _slope(beside, third), **_marks(above, beside, scratch)}


def _slope(lit: Floats, third: int) -> float:
    """Logarithm of the brightness of the upper third over that of the lower."""
    upper, lower = float(lit[:third].mean()), float(lit[-third:].mean())
    return math.log((max(0.0, upper) + 2) / (max(0.0, lower) + 2))


def _marks(above: Floats, beside: Floats, scratch: Scratch) -> dict[str, float]:
    """Return how alike the lines are that two pictures show, and how much stronger those of the second, as a log."""
    first, second = _lines(above, scratch), _lines(beside, scratch)
    sizes = math.sqrt(float(np.vdot(first, first))) + 1e-3, math.sqrt(float(np.vdot(second, second))) + 1e-3
    return {"ink": float(np.vdot(first, second)) / (sizes[0] * sizes[1]), "lines": math.log(sizes[1] / sizes[0])}


def _lines(lit: Floats, scratch: Scratch) -> Floats:
    level = scratch(np.log(np.maximum(lit, 0) + 4))
    fine = scratch(np.asarray(cv2.GaussianBlur(level, (0, 0), 1.5), np.float32))
    fine -= scratch(np.asarray(cv2.GaussianBlur(level, (0, 0), 8.0), np.float32))
    return fine


def brightness(frame: Image, profile: SensorProfile) -> float:
    """Return the mean brightness of the middle of a frame of the profile's size."""
    region = profile.region
    rows, columns = (region.bottom - region.top) // 3, (region.right - region.left) // 4
    return float(frame[region.top + rows : region.bottom - rows, region.left + columns : region.right - columns].mean())


def pulse(levels: Sequence[float], seconds: Sequence[float]) -> float:
    """Return how much of a series of brightnesses is one heart beat: log of explained over unexplained variance.

    levels: mean brightness of each frame; seconds: when it was taken. Not-a-number where there are too few, or too
    little time passed: then nobody can say that there is a pulse.
    """
    if len(levels) < LEAST_BEATS or seconds[-1] - seconds[0] < 1.5:
        return math.nan
    at, series = np.asarray(seconds) - seconds[0], np.log(np.maximum(levels, 1.0))
    slow = np.vander(at / at[-1], 3)
    series = series - slow @ np.linalg.lstsq(slow, series, rcond=None)[0]
    total = float(series @ series) + 1e-12
    left = min(_unexplained(series, at, float(hertz)) for hertz in HEART_HZ)
    return math.log((total - left + 1e-12) / (left + 1e-12))


def _unexplained(series: npt.NDArray[np.float64], at: npt.NDArray[np.float64], hertz: float) -> float:
    wave = np.stack([np.sin(2 * np.pi * hertz * at), np.cos(2 * np.pi * hertz * at)], axis=1)
    left = series - wave @ np.linalg.lstsq(wave, series, rcond=None)[0]
    return float(left @ left)
