"""Twenty people enrol with three pictures through the folder reader, and are looked for with three others each.

Real pictures if `AUTHD_SDUMLA` names the folder of the SDUMLA-HMT finger-vein set (docs of `tests.bench.vein`; they are
never copied), generated ones otherwise. The path is the driver's own: folder source, reader, probe, comparator.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import pytest

from authd.driver import Candidates, Capture, Feedback, Probe, Reader, Reference, State, StateChange
from authd_drivers.vein import READER
from authd_drivers.vein.comparator import VeinComparator
from tests.conformance.reader import running, until
from tests.drivers.veins import picture

PEOPLE, TAKES, ENROLLED = 20, 6, 3
SHARE = {"sdumla": 0.95, "sim": 0.80}
"""Share of the searches that must name the right person; the bar for wrong people is none."""


@dataclass(frozen=True, slots=True)
class People:
    """Where the pictures are: each person's, relative to the folder, in order."""

    folder: Path
    profile: str
    pictures: Mapping[str, tuple[str, ...]]


def real(folder: Path) -> People:
    ids = [f"{number:03}" for number in range(1, PEOPLE + 1)]
    takes = range(1, TAKES + 1)
    return People(folder, "sdumla", {id_: tuple(f"{id_}/right/index_{take}.bmp" for take in takes) for id_ in ids})


def generated(folder: Path) -> People:
    names: dict[str, tuple[str, ...]] = {}
    for number in range(PEOPLE):
        files = tuple(f"{number:03}_{take}.png" for take in range(TAKES))
        for take, file in enumerate(files):
            cv2.imwrite(str(folder / file), picture(f"person {number}", take))
        names[f"{number:03}"] = files
    return People(folder, "sim", names)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    if folder := os.environ.get("AUTHD_SDUMLA"):
        return real(Path(folder))
    return generated(tmp_path_factory.mktemp("veins"))


@asynccontextmanager
async def pointed(people: People, trigger: Path) -> AsyncGenerator[Reader, None]:
    """Give an open reader of the folder that shows the picture `trigger` names."""
    reader = READER({"source": f"folder:{people.folder}", "profile": people.profile, "trigger": str(trigger)})
    await reader.open()
    try:
        yield reader
    finally:
        await reader.close()


def point(trigger: Path, file: str) -> None:
    trigger.write_text(file)


async def touched(reader: Reader, trigger: Path, file: str) -> bytes | None:
    """Lay the picture on the reader; None where the person is asked to lay the finger down again."""
    point(trigger, "")
    async with running(reader, Capture("0" * 32)) as events:
        await until(events, StateChange(State.NEED_TOUCH))
        point(trigger, file)
        event = await until(events, Probe, Feedback)
    return event.data if isinstance(event, Probe) else None


@dataclass(slots=True)
class Tally:
    """What came of the searches."""

    right: int = 0
    nobody: int = 0
    wrong: int = 0
    again: int = 0
    """Presentations that the quality gate asked for again."""
    recordings: int = 0
    """The very same picture under two names, which the data set has."""

    def line(self) -> str:
        searched = self.right + self.nobody + self.wrong
        return f"{self.right} of {searched} recognised ({self.right / searched:.1%}), {self}"


async def test_twenty_people_are_told_apart(people: People, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comparator, trigger, tally = VeinComparator(), tmp_path / "finger", Tally()
    tried: dict[str, list[bytes]] = {}
    async with pointed(people, trigger) as reader:
        for subject, files in people.pictures.items():
            samples = [await touched(reader, trigger, file) for file in files]
            good = [sample for sample in samples if sample is not None]
            tally.again += len(samples) - len(good)
            templates = enrolled(comparator, good)
            comparator.add([Reference(subject, f"tpl_{subject}_{n}@1", each) for n, each in enumerate(templates)])
            tried[subject] = [sample for sample in good if sample not in templates]
    for subject, probes in tried.items():
        for probe in probes:
            count(tally, subject, comparator.search(probe, list(people.pictures)))
    with capsys.disabled():  # the share is what this test is run for
        sys.stdout.write(f"\n{people.profile}, {PEOPLE} people: {tally.line()}\n")
    assert tally.wrong == 0
    assert tally.right >= SHARE[people.profile] * (tally.right + tally.nobody)


def enrolled(comparator: VeinComparator, samples: Sequence[bytes]) -> Sequence[bytes]:
    """Enrol with the first three that agree: who enrols somebody asks for another presentation where they do not."""
    for three in combinations(samples, ENROLLED):
        with suppress(ValueError):
            return comparator.enrol(three)
    raise AssertionError("no three presentations of a finger agree")


def count(tally: Tally, subject: str, found: Candidates) -> None:
    if found.replayed:
        tally.recordings += 1
    elif found.best is None:
        tally.nobody += 1
    elif found.best.subject == subject:
        tally.right += 1
    else:
        tally.wrong += 1
