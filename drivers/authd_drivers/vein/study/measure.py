"""Templates of many pictures, and the scores of all pairs of them, on all cores and in bounded memory.

`extract_all(paths, profile)` and `score_all(templates)`; both take `jobs` and a `progress` (pool.py).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from authd.driver import DriverError
from authd_drivers.vein.engine.compare import lattices, words
from authd_drivers.vein.engine.deform import judged
from authd_drivers.vein.engine.profile import SearchSettings, SensorProfile
from authd_drivers.vein.engine.template import parse
from authd_drivers.vein.study.pool import Progress, cores, in_order, silent

PICTURES = 24
"""In one task."""
PAIRS = 12_000
"""In one task: about a second."""
IN_MEMORY = 1 << 28
"""Bytes of scores beyond which they are kept in an unnamed file."""
MAX_TEMPLATES = 12_000
"""Then the scores take 0.6 GB of disc, and sorting them about as much memory for each protocol."""

Floats = npt.NDArray[np.float32]
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one picture.

    fault: why there is no template at all (`file`, `format`, `depth`, `size`, or a hint of the engine without any
    gate), empty if there is one. passed: the profile's own gate lets it through; hint: what it says if not. digest: of
    the picture's pixels, so that one picture under two names is known; size: width and height, 0 x 0 if unread.
    """

    bits: bytes | None
    quality: float
    fault: str
    passed: bool
    hint: str
    digest: bytes
    size: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Extracted:
    """Templates of pictures in order, shape (n, 32), all 0 where there is none.

    found: where there is one; passed: where the profile's gate agrees too.
    """

    templates: Words
    quality: Floats
    found: Mask
    passed: Mask
    taken: tuple[Taken, ...]


def ungated(profile: SensorProfile) -> SensorProfile:
    """The same profile without a gate, so that every picture of a finger gets a template and a quality."""
    shape = {"width_min": 0.0, "width_max": 9.0, "slope_max": 9.0, "taper_min": -9.0, "crests_min": 0.0}
    always = replace(
        profile.quality, accept=-1.0, edge_contrast=0.0, grain_max=99.0, odd_max=1e9, crests_max=9.0, **shape
    )
    return replace(profile, quality=always)


def extract_all(paths: Sequence[Path], profile: SensorProfile, jobs: int = 0, progress: Progress = silent) -> Extracted:
    """Make a template of each picture as far as possible, and say which of them the profile's gate lets through."""
    jobs = jobs or cores()
    taken: list[Taken] = []
    tasks = ((paths[at : at + PICTURES], profile) for at in range(0, len(paths), PICTURES))
    for part in in_order(extract_files, tasks, jobs):
        taken += part
        progress("extract", len(taken), len(paths))
    templates = np.zeros((len(taken), 32), np.uint64)
    for row, each in zip(templates, taken, strict=True):
        if each.bits is not None:
            row[:] = words(each.bits)
    return Extracted(
        templates,
        np.array([each.quality for each in taken], np.float32),
        np.array([each.bits is not None for each in taken], np.bool_),
        np.array([each.passed for each in taken], np.bool_),
        tuple(taken),
    )


def extract_files(paths: Sequence[Path], profile: SensorProfile) -> list[Taken]:
    """One task of `extract_all`."""
    return [_take(path, profile, ungated(profile)) for path in paths]


def _take(path: Path, profile: SensorProfile, always: SensorProfile) -> Taken:
    from authd_drivers.vein.engine.extract import extract  # cv2: only where pictures are read
    from authd_drivers.vein.study.images import Unread, read_image

    frame = read_image(path)
    if isinstance(frame, Unread):
        return Taken(None, 0.0, frame.value, passed=False, hint="", digest=b"", size=(0, 0))
    size = frame.shape[1], frame.shape[0]
    if size != (profile.width, profile.height):
        return Taken(None, 0.0, "size", passed=False, hint="", digest=b"", size=size)
    digest = hashlib.sha256(frame.tobytes()).digest()
    try:
        gated = extract(frame, profile)
        free = gated if gated.template else extract(frame, always)
    except DriverError as error:
        return Taken(None, 0.0, str(error.fault), passed=False, hint="", digest=digest, size=size)
    fault = "" if free.template else str(free.hint or "refused")
    bits = parse(free.template).bits if free.template else None
    hint = "" if gated.template else str(gated.hint or "")
    return Taken(bits, free.quality, fault, gated.template is not None, hint, digest, size)


def score_all(
    templates: Words, jobs: int = 0, progress: Progress = silent, search: SearchSettings | None = None
) -> Floats:
    """Scores of all templates (n, 32) with each other: shape (n, n), symmetric, on disc where that is large.

    search: the profile's limits of shifts; see `score_rows`. Raises `ValueError` for more than `MAX_TEMPLATES`.
    """
    count = len(templates)
    scores = _matrix(count, count)
    for first, part in _rows(templates, None, jobs or cores(), progress, search):
        last = first + len(part)
        scores[first:last, first:] = part
        scores[first:, first:last] = part.T
    return scores


def score_across(
    probes: Words,
    templates: Words,
    jobs: int = 0,
    progress: Progress = silent,
    search: SearchSettings | None = None,
) -> Floats:
    """Scores of probes (n, 32) with templates (m, 32): shape (n, m)."""
    scores = _matrix(len(probes), len(templates))
    for first, part in _rows(probes, templates, jobs or cores(), progress, search):
        scores[first : first + len(part)] = part
    return scores


def score_rows(probes: Words, templates: Words, search: SearchSettings | None = None) -> Floats:
    """One task: scores of each probe with each template, shape (probes, templates).

    With a profile's limits they are those that its searches decide by (engine/deform.py), without any the rigid ones.
    """
    fine, _ = lattices(search)
    if search is None:
        return np.stack([fine.scores(probe, templates) for probe in probes])
    return np.stack([judged(fine, probe, templates) for probe in probes])


def _rows(
    probes: Words, templates: Words | None, jobs: int, progress: Progress, search: SearchSettings | None
) -> Iterator[tuple[int, Floats]]:
    """Rows of scores by their first probe; without `templates` those with the probe itself and all that follow."""
    against = probes if templates is None else templates
    cuts = _cuts(len(probes), len(against), square=templates is None)
    tasks = (
        (probes[first:last], against if templates is not None else against[first:], search) for first, last in cuts
    )
    total = sum((last - first) * (len(against) - (first if templates is None else 0)) for first, last in cuts)
    done = 0
    for (first, _), part in zip(cuts, in_order(score_rows, tasks, jobs), strict=True):
        done += part.size
        progress("compare", done, total)
        yield first, part


def _cuts(probes: int, templates: int, *, square: bool) -> list[tuple[int, int]]:
    """Blocks of probes of about `PAIRS` comparisons each."""
    cuts: list[tuple[int, int]] = []
    first = 0
    while first < probes:
        rows = max(1, PAIRS // max(1, templates - (first if square else 0)))
        cuts.append((first, min(probes, first + rows)))
        first = cuts[-1][1]
    return cuts


def _matrix(rows: int, columns: int) -> Floats:
    if max(rows, columns) > MAX_TEMPLATES:
        raise ValueError(f"at most {MAX_TEMPLATES} templates are compared with each other")
    if rows * columns * 4 <= IN_MEMORY:
        return np.zeros((rows, columns), np.float32)
    with tempfile.TemporaryFile() as file:  # it lives as long as the array does
        return np.memmap(file, np.float32, "w+", shape=(rows, columns))
