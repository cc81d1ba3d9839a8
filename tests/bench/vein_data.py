"""SDUMLA-HMT as scores: extraction and all comparisons within a fold. The pictures are measured with, never kept.

Two folds by subject (001-053, 054-106). What depends on data is fixed on one fold and used on the other; scores of the
two are pooled. Left out: the pair of fingers of subject 068 that are one and the same (right index and middle), and
pairs of the very same picture under two names.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.compare import FINE, words
from authd_drivers.vein.engine.profile import SensorProfile, load_profile
from authd_drivers.vein.engine.template import parse

FOLDS = ((1, 53), (54, 106))
FINGERS = tuple((hand, finger) for hand in ("left", "right") for finger in ("index", "middle", "ring"))
TAKES = 6
_TWINS = ((68, 3), (68, 4))
_CHUNK = 53

Floats = npt.NDArray[np.float32]
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One half of the people. templates: (n, 32) words, by subject, finger and take; scores: (n, n), symmetric."""

    name: str
    first_subject: int
    templates: Words
    quality: Floats
    scores: Floats

    @property
    def finger(self) -> npt.NDArray[np.intp]:
        """Number of the finger of each template."""
        return np.arange(len(self.templates)) // TAKES

    @property
    def person(self) -> npt.NDArray[np.intp]:
        """Number of the person of each template."""
        return self.finger // len(FINGERS)

    def comparable(self) -> Mask:
        """Pairs of fingers, shape (fingers, fingers): False for the two that are one."""
        count = len(self.templates) // TAKES
        mask = np.ones((count, count), np.bool_)
        twins = [(subject - self.first_subject) * len(FINGERS) + finger for subject, finger in _TWINS]
        if all(0 <= twin < count for twin in twins):
            mask[twins[0], twins[1]] = mask[twins[1], twins[0]] = False
        return mask


def measure(folder: Path) -> tuple[Fold, Fold, Floats]:
    """Extract and compare everything: the folds, and the scores of one with the other. Minutes."""
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        one, other = (_fold(pool, folder, first, last) for first, last in FOLDS)
        across = _all(pool, one.templates, other.templates, "across")
    return one, other, across


def _fold(pool: ProcessPoolExecutor, folder: Path, first: int, last: int) -> Fold:
    name = f"{first:03}-{last:03}"
    files = [
        folder / f"{subject:03}" / hand / f"{finger}_{take}.bmp"
        for subject in range(first, last + 1)
        for hand, finger in FINGERS
        for take in range(1, TAKES + 1)
    ]
    chunks = [files[at : at + _CHUNK] for at in range(0, len(files), _CHUNK)]
    parts = list(_progress(pool.map(extract_files, chunks), len(chunks), f"{name} extract"))
    templates = np.concatenate([part[0] for part in parts])
    scores = _all(pool, templates, None, name)
    return Fold(name, first, templates, np.concatenate([part[1] for part in parts]), np.maximum(scores, scores.T))


def _all(pool: ProcessPoolExecutor, probes: Words, templates: Words | None, name: str) -> Floats:
    parts = [probes[at : at + _CHUNK] for at in range(0, len(probes), _CHUNK)]
    rest = [probes[at:] if templates is None else templates for at in range(0, len(probes), _CHUNK)]
    scored = list(_progress(pool.map(score_rows, parts, rest), len(parts), f"{name} compare"))
    width = max(each.shape[1] for each in scored)
    return np.concatenate([np.pad(each, ((0, 0), (width - each.shape[1], 0)), constant_values=-1) for each in scored])


def ungated(profile: SensorProfile) -> SensorProfile:
    """The same profile without a gate, so that every picture gets a template and a quality."""
    always = replace(
        profile.quality, accept=-1.0, edge_contrast=0.0, width_min=0.0, width_max=9.0, slope_max=9.0, taper_min=-9.0
    )
    return replace(profile, quality=always)


def extract_files(files: Sequence[Path]) -> tuple[Words, Floats]:
    """Templates and qualities of some pictures."""
    import cv2

    from authd_drivers.vein.engine.extract import extract

    profile = ungated(load_profile("sdumla"))
    templates = np.zeros((len(files), 32), np.uint64)
    quality = np.zeros(len(files), np.float32)
    for row, file in enumerate(files):
        frame = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        if frame is None:
            raise SystemExit(f"{file}: no picture; AUTHD_SDUMLA must be the folder with 001/left/index_1.bmp")
        result = extract(np.asarray(frame, np.uint8), profile)
        assert result.template is not None
        templates[row], quality[row] = words(parse(result.template).bits), result.quality
    return templates, quality


def score_rows(probes: Words, templates: Words) -> Floats:
    """Scores of each probe with each template, shape (probes, templates)."""
    return np.stack([FINE.scores(probe, templates) for probe in probes])


def _progress(items: Iterator[_Item], count: int, what: str) -> Iterator[_Item]:
    for number, item in enumerate(items, 1):
        sys.stderr.write(f"\r{what} {number}/{count} ")
        sys.stderr.flush()
        yield item
    sys.stderr.write("\n")
