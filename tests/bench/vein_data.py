"""SDUMLA-HMT as scores: extraction and all comparisons. The pictures are measured with, never kept.

Two folds by subject (001-053, 054-106). What depends on data is fixed on one fold and used on the other; scores of the
two are pooled. Left out: the pair of fingers of subject 068 that are one and the same (right index and middle), and
pairs of the very same picture under two names.

A score is what the comparator decides by (`judged` of engine/deform.py). It refines its best candidates only, so that
below its thresholds a few scores differ.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from authd_drivers.vein.engine.compare import lattices, words
from authd_drivers.vein.engine.deform import judged
from authd_drivers.vein.engine.profile import load_profile
from authd_drivers.vein.engine.template import parse
from authd_drivers.vein.study.measure import ungated

FOLDS = ((1, 53), (54, 106))
FINGERS = tuple((hand, finger) for hand in ("left", "right") for finger in ("index", "middle", "ring"))
TAKES = 6
PER_PERSON = len(FINGERS) * TAKES
_TWINS = ((68, 3), (68, 4))
_CHUNK = 53

Floats = npt.NDArray[np.float32]
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """All captures by subject, finger and take. templates: (n, 32) words; scores: (n, n), symmetric."""

    templates: Words
    quality: Floats
    scores: Floats

    def fold(self, first: int, last: int) -> Data:
        """Captures of the subjects from `first` to `last`, among each other."""
        part = slice((first - 1) * PER_PERSON, last * PER_PERSON)
        return Data(self.templates[part], self.quality[part], self.scores[part, part])

    @property
    def finger(self) -> npt.NDArray[np.intp]:
        """Number of the finger of each capture."""
        return np.arange(len(self.quality)) // TAKES

    @property
    def person(self) -> npt.NDArray[np.intp]:
        """Number of the person of each capture."""
        return np.arange(len(self.quality)) // PER_PERSON


def twins(first: int, fingers: int) -> Mask:
    """Pairs of fingers that are one finger, shape (fingers, fingers), where the first person is subject `first`."""
    mask = np.zeros((fingers, fingers), np.bool_)
    one, other = ((subject - first) * len(FINGERS) + finger for subject, finger in _TWINS)
    if 0 <= one < fingers and 0 <= other < fingers:
        mask[one, other] = mask[other, one] = True
    return mask


def measure(folder: Path) -> Data:
    """Extract and compare everything. Minutes."""
    files = [
        folder / f"{subject:03}" / hand / f"{finger}_{take}.bmp"
        for subject in range(FOLDS[0][0], FOLDS[-1][1] + 1)
        for hand, finger in FINGERS
        for take in range(1, TAKES + 1)
    ]
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        chunks = [files[at : at + _CHUNK] for at in range(0, len(files), _CHUNK)]
        parts = list(_progress(pool.map(extract_files, chunks), len(chunks), "extract"))
        templates = np.concatenate([part[0] for part in parts])
        quality = np.concatenate([part[1] for part in parts])
        rows = [range(at, min(at + _CHUNK, len(files))) for at in range(0, len(files), _CHUNK)]
        scores = np.zeros((len(files), len(files)), np.float32)
        scored = pool.map(score_rows, rows, [templates[each.start :] for each in rows])
        for each, found in zip(rows, _progress(scored, len(rows), "compare"), strict=True):
            scores[each.start : each.stop, each.start :] = found
    return Data(templates, quality, np.maximum(np.triu(scores), np.triu(scores).T))


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


def score_rows(rows: range, templates: Words) -> Floats:
    """Scores of the first of some templates with all after them, shape (rows, templates); 0 with those before."""
    lattice = lattices(load_profile("sdumla").search)[0]
    scores = np.zeros((len(rows), len(templates)), np.float32)
    for row in range(len(rows)):
        scores[row, row:] = judged(lattice, templates[row], templates[row:])
    return scores


def _progress(items: Iterator[_Item], count: int, what: str) -> Iterator[_Item]:
    for number, item in enumerate(items, 1):
        sys.stderr.write(f"\r{what} {number}/{count} ")
        sys.stderr.flush()
        yield item
    sys.stderr.write("\n")
