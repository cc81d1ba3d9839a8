"""The peer's equal error rate on any folder of vein pictures, in the peer's environment.

`.venv-peer/bin/python -m tests.bench.vein_peer_accuracy FOLDER PATTERN`: PATTERN as for `authd vein evaluate`. Fingers
are sorted by (subject, hand, finger); every third one is left to whoever fits something, the rest are reported. All
genuine pairs and a seeded choice of impostor pairs are compared, once with each displacement of the match that is
tried. Quoting the best of them flatters the peer a little.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.bench.vein_peer_pipeline import PIPELINES, Image, Peer, displacements

Floats = npt.NDArray[np.float64]
Pair = tuple[int, int]


def fingers(folder: Path, pattern: str) -> dict[tuple[str, ...], list[Path]]:
    """Pictures by (subject, hand, finger), both in order."""
    found: dict[tuple[str, ...], list[tuple[str, Path]]] = {}
    for path in sorted(folder.rglob("*.*")):
        match = re.search(pattern, path.relative_to(folder).as_posix())
        if match:
            parts = match.groupdict()
            key = (parts["subject"], parts.get("hand") or "", parts["finger"])
            found.setdefault(key, []).append((parts["sample"], path))
    in_order = sorted(found, key=lambda key: [_natural(name) for name in key])
    return {key: [path for _, path in sorted(found[key], key=lambda each: _natural(each[0]))] for key in in_order}


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sample 10 comes after sample 9, as in `authd vein evaluate`."""
    parts = (part for part in re.split(r"([0-9]+)", name) if part)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def reported(found: dict[tuple[str, ...], list[Path]], most: int, whole: bool = False) -> list[list[Path]]:
    """Two thirds of the fingers or the whole, or `most` of these, evenly spread."""
    rest = [paths for index, paths in enumerate(found.values()) if whole or index % 3]
    step = max(1.0, len(rest) / most)
    return [rest[int(at * step)] for at in range(min(most, len(rest)))]


def read(path: Path, turn: int, canvas: tuple[int, int] | None) -> Image:
    """Grey, turned by quarters anticlockwise; on a black canvas, if any, at the right and half way down."""
    with import_module("PIL.Image").open(path) as picture:  # of the peer's environment
        frame: Image = np.rot90(np.asarray(picture.convert("L"), np.uint8), turn // 90)
    if canvas is None:
        return np.ascontiguousarray(frame)
    above = max(0, frame.shape[0] - canvas[0]) // 2
    frame = frame[above : above + canvas[0], -canvas[1] :]
    wide = np.zeros(canvas, np.uint8)
    top = (canvas[0] - frame.shape[0]) // 2
    wide[top : top + frame.shape[0], canvas[1] - frame.shape[1] :] = frame
    return wide


def veins(path: Path, *, shows: str, turn: int, canvas: tuple[int, int] | None) -> npt.NDArray[Any]:
    return Peer(shows).extract(read(path, turn, canvas)).astype(np.uint8)


def score(pairs: Sequence[Pair], *, displacement: tuple[int, int]) -> list[float]:
    peer = Peer("finger")
    return [peer.compare(_maps[a], _maps[b], displacement) for a, b in pairs]


def score_all(pairs: list[Pair], maps: list[npt.NDArray[Any]], displacement: tuple[int, int], jobs: int) -> Floats:
    parts = [pairs[at : at + 50] for at in range(0, len(pairs), 50)]
    with get_context("spawn").Pool(jobs, _hold, (maps,)) as pool:
        return np.concatenate(pool.map(partial(score, displacement=displacement), parts))


_maps: list[npt.NDArray[Any]] = []


def _hold(maps: list[npt.NDArray[Any]]) -> None:
    _maps[:] = maps


def eer(genuine: Floats, impostor: Floats) -> float:
    at = np.unique(np.concatenate([genuine, impostor]))
    misses = np.searchsorted(np.sort(genuine), at) / len(genuine)
    false = 1 - np.searchsorted(np.sort(impostor), at) / len(impostor)
    best = int(np.abs(misses - false).argmin())
    return float(misses[best] + false[best]) / 2


def chosen(takes: list[int], impostors: int, rng: random.Random) -> tuple[list[Pair], list[Pair]]:
    """All pairs of one finger; and as many of two as asked for. takes: the finger of each picture."""
    genuine = [pair for pair in combinations(range(len(takes)), 2) if takes[pair[0]] == takes[pair[1]]]
    others: set[Pair] = set()
    while len(others) < impostors:
        a, b = rng.sample(range(len(takes)), 2)
        if takes[a] != takes[b]:
            others.add((a, b))
    return genuine, sorted(others)


def lines(asked: argparse.Namespace) -> Iterator[dict[str, object]]:
    """One line for each displacement."""
    taken = reported(fingers(asked.folder, asked.pattern), asked.fingers, asked.whole)
    paths = [path for each in taken for path in each]
    takes = [number for number, each in enumerate(taken) for _ in each]
    work = partial(veins, shows=asked.shows, turn=asked.turn, canvas=asked.canvas)
    with get_context("spawn").Pool(asked.jobs) as pool:
        maps = pool.map(work, paths, chunksize=4)
    genuine, others = chosen(takes, min(asked.impostors, len(takes) ** 2 // 4), random.Random(1))
    for name, displacement in displacements(*maps[0].shape).items():
        scores = score_all(genuine + others, maps, displacement, asked.jobs)
        split = np.split(scores, [len(genuine)])
        head = {
            "setting": f"{asked.shows}, {name}",
            "displacement": displacement,
            "fingers": len(taken),
            "pictures": len(paths),
        }
        counts = {"genuine": len(genuine), "impostor": len(others)}
        yield {**head, **counts, "eer_pct": round(100 * eer(split[0], split[1]), 2)}


def size(text: str) -> tuple[int, int]:
    rows, columns = text.split("x")
    return int(rows), int(columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("pattern")
    parser.add_argument("--shows", choices=PIPELINES, default="finger")
    parser.add_argument("--turn", type=int, choices=(0, 90, 180, 270), default=0, help="degrees anticlockwise")
    parser.add_argument("--canvas", type=size, help="rows x columns: pictures of different sizes laid on one")
    parser.add_argument("--fingers", type=int, default=1000, help="no more fingers than these")
    parser.add_argument(
        "--whole", action="store_true", help="every third finger too: of six a person they are of one kind"
    )
    parser.add_argument("--impostors", type=int, default=5000, help="impostor pairs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    for line in lines(parser.parse_args()):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
