"""Invariant I9: no byte of a capture is readable 100 ms after the verdict.

A child makes probes from bursts of pictures (a lamp above, none, beside) that it reads through a pipe, without another
copy; then its whole memory is searched for pieces of the pictures and of the unrolled skin.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from authd_drivers.vein.engine.edges import find_edges
from authd_drivers.vein.engine.extract import extract
from authd_drivers.vein.engine.scratch import Scratch
from authd_drivers.vein.engine.unwrap import fit_shape, unwrap
from authd_simulators.vein_image import anatomy
from authd_simulators.vein_image.lamps import Lamp, living
from tests.drivers.veins import Image, sim

PIECE = 24
TOUCHES = 10
LAMPS = (Lamp.OFF, Lamp.SIDE, Lamp.ON)

CHILD = """
import asyncio, os, sys
import numpy as np
from authd.driver import Capture, Probe
from authd_drivers.vein.engine.profile import load_profile
from authd_drivers.vein.reader import VeinReader
from authd_drivers.vein.source import FingerGone, Frame, Light

class Pipe:
    lit = []
    async def open(self): ...
    async def close(self): ...
    async def lifted(self): ...
    def light(self, lights): self.lit = list(lights)
    async def frame(self):
        if not self.lit:
            raise FingerGone
        return self.read(self.lit.pop(0))
    async def finger(self): return self.read(Light.ON)
    def read(self, light):
        pixels = np.empty((240, 320), np.uint8)
        view, got = memoryview(pixels).cast("B"), 0
        while got < len(view):
            got += os.readv(0, [view[got:]])
        return Frame(pixels, light)

async def main():
    reader, wipe = VeinReader(Pipe(), load_profile("sim")), sys.argv[2] == "wipe"
    if not wipe:
        Frame.wipe = lambda self: kept.append(self)
    assert reader._lamps is not None and reader._takes is not None
    for _ in range(int(sys.argv[1])):
        async for event in reader.run(Capture("0" * 32), None):
            if isinstance(event, Probe):
                os.write(1, b"p")
    os.read(0, 1)

kept = []
asyncio.run(main())
"""


def pieces(pixels: Image) -> Iterator[bytes]:
    """Runs of grey levels from inside the finger that are too varied to be there by chance."""
    height, width = pixels.shape
    for row in range(height // 3, 2 * height // 3, height // 24):
        run = pixels[row, width // 2 : width // 2 + PIECE]
        if len(set(run.tolist())) > 5:
            yield run.tobytes()


def burst(touch: int) -> list[Image]:
    """The frames of one touch that passes the quality gate."""
    rng = np.random.default_rng([5, touch])
    while True:
        shown = living(anatomy("memory"), rng)
        frames = [shown.picture(lamp, 0.03 * place, rng) for place, lamp in enumerate((Lamp.ON, *LAMPS))]
        if extract(frames[0], sim()).template is not None:
            return frames


def skin(frame: Image) -> Image:
    with Scratch() as scratch:
        shape = fit_shape(find_edges(frame, sim().edges, scratch), sim().width, sim().unwrap)
        return unwrap(frame, shape, sim().unwrap, scratch).copy()


def found_in(pid: int, needles: list[bytes]) -> int:
    """How many of the needles are in the memory that the process can write."""
    found: set[bytes] = set()
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            place, access, *_ = line.split()
            if "w" not in access or "[v" in line:
                continue
            first, last = (int(part, 16) for part in place.split("-"))
            memory.seek(first)
            content = memory.read(last - first)
            found.update(needle for needle in needles if needle in content)
    return len(found)


def left_over(mode: str) -> int:
    """Pieces that are still there after ten touches."""
    bursts = [burst(touch) for touch in range(TOUCHES)]
    frames = [frame for each in bursts for frame in each]
    needles = [piece for frame in frames for piece in pieces(frame)]
    needles += [piece for first, *_ in bursts for piece in pieces(skin(first))]
    assert len(needles) > 100
    command = [sys.executable, "-c", CHILD, str(TOUCHES), mode]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for each in bursts:
            child.stdin.write(b"".join(frame.tobytes() for frame in each))
            child.stdin.flush()
            assert child.stdout.read(1) == b"p"
        time.sleep(0.1)  # the invariant's own time
        found = found_in(child.pid, needles)
        child.stdin.write(b"e")
    return found


@pytest.mark.real
def test_nothing_of_a_capture_is_left_in_memory() -> None:
    assert left_over("wipe") == 0


@pytest.mark.real
def test_the_search_finds_what_was_not_wiped() -> None:
    assert left_over("keep") > 50
