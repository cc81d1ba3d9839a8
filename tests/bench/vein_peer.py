"""The vein engine against the open peer, bob.bio.vein, on the same pictures in one run: times and their ratios.

`python -m tests.bench.vein_peer [--require-peer]`. The peer lives in an environment of its own (`make peer-vein`);
where that was not made, nothing is measured and the bench says so. Pictures are of AUTHD_SDUMLA if it is set, else
generated. Both sides are processes of one thread, asked in turn; a time is CPU time of the work alone, the median over
the items. The bars are for the peer's match with the displacement at which it is the most accurate on whole fingers
(`scaled`); by looking less far away it becomes slower (`near`), by looking farther, as it ships, faster (`shipped`).
"""

from __future__ import annotations

import base64
import json
import os
import random
import select
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from authd_simulators.vein_image import anatomy, capture
from tests.bench.report import Report

Image = npt.NDArray[np.uint8]

ROOT = Path(__file__).parents[2]
PEER = ROOT / ".venv-peer"
PICTURES, ROUNDS, ROW, SEARCHES, BESIDE, GALLERY = 24, 60, 4, 40, 4, 10_000
WAIT_SECONDS = 120
_ALONE = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")}


class Worker:
    """One side, asked one thing at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._requests, self._replies = process.stdin, process.stdout

    def ask(self, do: str, **what: object) -> dict[str, Any]:
        """Raises `RuntimeError` if no answer comes."""
        self._requests.write(json.dumps({"do": do, **what}) + "\n")
        self._requests.flush()
        ready, _, _ = select.select([self._replies], [], [], WAIT_SECONDS)
        line = self._replies.readline() if ready else ""
        if not line:
            raise RuntimeError(f"no answer to {do}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def extract(self, frame: Image) -> dict[str, Any]:
        return self.ask("extract", rows=len(frame), frame=base64.b64encode(frame.tobytes()).decode())

    def compare(self, probe: int, others: list[int], displacement: str = "") -> float:
        """Milliseconds a pair."""
        span: float = self.ask("compare", probe=probe, others=others, displacement=displacement)["ms"]
        return span


@contextmanager
def worker(python: Path, *arguments: str) -> Generator[Worker]:
    """A side in its environment, on one thread; ended on leaving."""
    command = [str(python), "-W", "ignore", "-m", "tests.bench.vein_peer_worker", *arguments]
    pipe, environment = subprocess.PIPE, {**os.environ, **_ALONE}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=environment) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


def pictures() -> tuple[str, str, list[Image]]:
    """Where they are from, the profile for them, and two of each of some fingers."""
    fingers = PICTURES // 2
    folder = os.environ.get("AUTHD_SDUMLA")
    if folder is None:
        rng = np.random.default_rng(3)
        generated = [capture(anatomy(f"finger {number}"), rng) for number in range(fingers) for _ in range(2)]
        return "generated", "sim", generated
    chosen = random.Random(3).sample(sorted(Path(folder).glob("*/*/*_1.bmp")), fingers)
    files = [path.with_name(path.name.replace("_1.", f"_{take}.")) for path in chosen for take in (1, 2)]
    return "SDUMLA-HMT", "sdumla", [np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8) for path in files]


def in_turn(peer: Worker, own: Worker, frames: Sequence[Image]) -> tuple[list[float], list[float], list[int]]:
    """Milliseconds of each side's extraction, and the frames in which the engine found a template."""
    times: tuple[list[float], list[float]] = ([], [])
    found: list[int] = []
    for number, frame in enumerate(frames):
        replies = [side.extract(frame) for side in (peer, own)]
        for spans, reply in zip(times, replies, strict=True):
            spans.append(reply["ms"])
        if all(reply["found"] for reply in replies):
            found.append(number)
    return times[0][1:], times[1][1:], found  # the first of each warms it up


@dataclass(frozen=True, slots=True)
class Spans:
    """Milliseconds a pair: of the peer by its displacement; of the engine in a row and of one pair alone."""

    peer: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in ("scaled", "near", "shipped")})
    row: list[float] = field(default_factory=list[float])
    alone: list[float] = field(default_factory=list[float])


def pairs(peer: Worker, own: Worker, found: list[int]) -> Spans:
    spans, rng = Spans(), random.Random(3)
    for _ in range(ROUNDS):
        a, b = rng.sample(found, 2)
        for name, times in spans.peer.items():
            times.append(peer.compare(a, [b], name))
        spans.row.append(own.compare(a, found * ROW))
        spans.alone.append(own.compare(a, [b]))
    return spans


def searches(peer: Worker, own: Worker, found: list[int]) -> tuple[list[float], list[float]]:
    """Milliseconds a template: the peer's comparison of one, the engine's search in a gallery."""
    own.ask("fill", templates=GALLERY)
    theirs, ours = list[float](), list[float]()
    for probe in (found * SEARCHES)[:SEARCHES]:
        theirs.append(peer.compare(probe, found[:BESIDE], "scaled"))
        ours.append(own.ask("search", probe=probe)["ms"])
    return theirs, ours


def ratio(report: Report, name: str, theirs: list[float], ours: list[float], bar: float) -> None:
    """Both medians, and the median of the ratios of what was measured one right after the other."""
    report.figure(f"peer_{name}_us", 1000 * median(theirs), "us")
    report.figure(f"own_{name}_us", 1000 * median(ours), "us")
    report.at_least(f"peer_ratio.{name}", median([a / b for a, b in zip(theirs, ours, strict=True)]), "x", bar)


def run(report: Report, require_peer: bool = False) -> None:
    """Figures `peer_ratio.extract`, `.compare` and `.search`, and what they are made of."""
    if not (PEER / ".installed").exists():
        print("vein_peer: not measured, the peer's environment is not made: make peer-vein", file=sys.stderr)
        if require_peer:
            report.figure("peer_environment", "missing", "", "make peer-vein", ok=False)
        return
    source, profile, frames = pictures()
    with worker(PEER / "bin" / "python", "peer") as peer, worker(Path(sys.executable), "own", profile) as own:
        theirs, ours, found = in_turn(peer, own, frames)
        report.figure("peer_pictures", source, f"{len(ours)} of {frames[0].shape[1]}x{frames[0].shape[0]}")
        ratio(report, "extract", theirs, ours, 100)
        spans = pairs(peer, own, found)
        report.figure("peer_pairs", ROUNDS, f"pairs; the engine's in rows of {ROW * len(found)}")
        ratio(report, "compare", spans.peer["scaled"], spans.row, 100)
        for name in ("near", "shipped"):
            report.figure(f"peer_compare_{name}_us", 1000 * median(spans.peer[name]), "us")
        report.figure("own_compare_alone_us", 1000 * median(spans.alone), "us")
        theirs, ours = searches(peer, own, found)
        report.figure(
            "peer_gallery", GALLERY, f"templates, {SEARCHES} searches, {SEARCHES * BESIDE} of the peer's pairs"
        )
        ratio(report, "search", theirs, ours, 1000)


def main() -> None:
    report = Report()
    run(report, "--require-peer" in sys.argv)
    report.exit()


if __name__ == "__main__":
    main()
