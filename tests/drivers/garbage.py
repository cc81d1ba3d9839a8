"""Frames that never were a finger, of many kinds, each drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Field = npt.NDArray[Any]
Draw = Callable[[np.random.Generator, int, int], Field]


def _spread(field: Any, rng: np.random.Generator) -> Field:
    """Bring a field to grey levels of some brightness and contrast."""
    field = (field - field.mean()) / (field.std() + 1e-9)
    return np.asarray(rng.uniform(40, 200) + field * rng.uniform(5, 70))


def white(rng: np.random.Generator, height: int, width: int) -> Field:
    """Independent pixels."""
    return (
        rng.uniform(0, 255, (height, width)) if rng.random() < 0.5 else _spread(rng.normal(0, 1, (height, width)), rng)
    )


def coloured(rng: np.random.Generator, height: int, width: int) -> Field:
    """Noise whose amplitude falls with frequency: clouds (pink, brown and steeper)."""
    waves = np.hypot(np.fft.fftfreq(height)[:, None] * rng.uniform(0.4, 2.5), np.fft.rfftfreq(width)[None])
    spectrum = np.fft.rfft2(rng.normal(0, 1, (height, width))) / (waves + 1 / width) ** rng.uniform(0.5, 3)
    return _spread(np.asarray(np.fft.irfft2(spectrum, (height, width))), rng)


def stripes(rng: np.random.Generator, height: int, width: int) -> Field:
    """Parallel bands at any angle and width, hard or soft, sometimes with noise."""
    v, u = np.mgrid[0:height, 0:width]
    turn, period = rng.uniform(0, np.pi), rng.uniform(2, 240)
    wave = np.sin(2 * np.pi * (u * np.cos(turn) + v * np.sin(turn)) / period + rng.uniform(0, 7))
    wave = np.sign(wave) if rng.random() < 0.5 else wave
    return _spread(wave + rng.normal(0, rng.uniform(0, 0.5), wave.shape), rng)


def gradient(rng: np.random.Generator, height: int, width: int) -> Field:
    """A slope of light, straight or bent, with a little noise."""
    size = max(height, width)
    v, u = np.arange(height)[:, None] / size, np.arange(width)[None] / size
    field = u * rng.normal() + v * rng.normal() + (u - rng.random()) ** 2 * rng.normal() + (v - rng.random()) ** 2 * 3
    return np.asarray(_spread(field, rng) + rng.normal(0, rng.uniform(0, 8), field.shape))


def text(rng: np.random.Generator, height: int, width: int) -> Field:
    """Lines of letters of any size."""
    page, size = np.full((height, width), 230, np.uint8), rng.uniform(0.3, 2.0)
    for row in range(int(12 * size), height + 20, int(26 * size) + 4):
        line = "".join(chr(each) for each in rng.integers(33, 126, 60))
        cv2.putText(
            page, line, (int(rng.integers(-30, 9)), row), 0, size, float(rng.uniform(0, 120)), int(1 + size * 2)
        )
    return page + rng.normal(0, rng.uniform(0, 12), page.shape)


def checkers(rng: np.random.Generator, height: int, width: int) -> Field:
    """A checkerboard, turned, with noise."""
    v, u = np.mgrid[0:height, 0:width]
    turn, period = rng.uniform(0, np.pi / 2), rng.uniform(2, 120)
    a, b = (u * np.cos(turn) + v * np.sin(turn)) / period, (v * np.cos(turn) - u * np.sin(turn)) / period
    board = (np.floor(a) + np.floor(b)) % 2
    return _spread(board + rng.normal(0, rng.uniform(0, 0.4), board.shape), rng)


def silhouette(rng: np.random.Generator, height: int, width: int) -> Field:
    """A bright bar across the picture as wide as a finger, round and softly lit, with noise but without a vein."""
    v = np.arange(height)[:, None]
    middle = height * rng.uniform(0.35, 0.65) + np.linspace(-1, 1, width)[None] * rng.normal(0, 12)
    radius = height * rng.uniform(0.16, 0.4) * (1 + np.linspace(-1, 1, width)[None] * rng.normal(0, 0.08))
    across = np.clip((v - middle) / radius, -1, 1)
    inside = np.abs(across) < 1
    level = rng.uniform(60, 190) * (1 + rng.normal(0, 0.3) * across + rng.normal(0, 0.3) * across**2)
    level = level * (1 + rng.normal(0, 0.2) * np.sin(np.linspace(0, rng.uniform(1, 9), width))[None])
    bar = np.where(inside, level, rng.uniform(0, 25))
    soft = np.asarray(cv2.GaussianBlur(bar, (0, 0), rng.uniform(0.6, 4)), np.float64)
    return soft + rng.normal(0, rng.uniform(0.3, 6), bar.shape)


def blobs(rng: np.random.Generator, height: int, width: int) -> Field:
    """Round and straight things of any brightness."""
    page = np.full((height, width), rng.uniform(0, 120))
    for _ in range(int(rng.integers(1, 40))):
        at = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        to = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        shade, size = float(rng.uniform(0, 255)), int(rng.integers(1, 60))
        if rng.random() < 0.5:
            cv2.circle(page, at, size, shade, -1)
        else:
            cv2.line(page, at, to, shade, 1 + size // 4)
    return np.asarray(cv2.GaussianBlur(page, (0, 0), rng.uniform(0.5, 5)), np.float64) + rng.normal(0, 3, page.shape)


def flat(rng: np.random.Generator, height: int, width: int) -> Field:
    """Black, full, or one grey all over; sometimes a lone bright pixel, or half the rows missing."""
    page = np.full((height, width), rng.choice([0.0, 1.0, 254.0, 255.0, rng.uniform(0, 255)]))
    if rng.random() < 0.5:
        page[rng.integers(0, height), rng.integers(0, width)] = rng.uniform(0, 255)
    if rng.random() < 0.5:
        page[int(rng.integers(0, height)) :] = rng.uniform(0, 255)
    return page


KINDS: tuple[Draw, ...] = (white, coloured, stripes, gradient, text, checkers, silhouette, blobs, flat)


def garbage(seed: int, height: int = 240, width: int = 320) -> tuple[str, Image]:
    """Return the kind and the frame of this number."""
    rng = np.random.default_rng([77, seed])
    draw = KINDS[seed % len(KINDS)]
    return draw.__name__, np.asarray(np.clip(draw(rng, height, width), 0, 255), np.uint8)


def accepted(numbers: Iterator[int] | range, extract: Callable[[Image], object]) -> list[tuple[int, str]]:
    """Return those of which `extract` makes a template."""
    found: list[tuple[int, str]] = []
    for number in numbers:
        kind, frame = garbage(number)
        if extract(frame) is not None:
            found.append((number, kind))
    return found
