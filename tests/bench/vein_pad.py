"""Presentation attacks on the vein reader, all of them simulated: error rates by species, at limits fixed on others.

    python -m tests.bench.vein_pad [--living N] [--attacks N]     report: seeds of the second half
    python -m tests.bench.vein_pad --fix [--living N]          print [[pad]] of a profile: seeds of the first

Terms of ISO/IEC 30107-3: APCER, attacks taken for a finger, by species; BPCER, fingers taken for an attack;
IAPAR, attack presentations that would be accepted as their victim. What gives no template is no response and is counted
apart. With `AUTHD_SDUMLA`: how many real pictures the single-frame limits of profiles/sdumla.toml would refuse.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from authd.core.ports import SUSPECT
from authd.driver import Probe
from authd_drivers.vein.engine.compare import compare
from authd_drivers.vein.engine.extract import extract
from authd_drivers.vein.engine.pad import judge, measure
from authd_drivers.vein.engine.profile import PadSettings, SensorProfile, load_profile, upper_bound
from authd_drivers.vein.engine.retake import Takes
from authd_drivers.vein.engine.template import parse
from authd_drivers.vein.reader import VeinReader
from authd_drivers.vein.study.liveness import fit_limits
from authd_simulators.vein_image import Presentation, anatomy
from authd_simulators.vein_image.attacks import PRINTS, REPLAYS, Injected, Species, on_screen, printed
from authd_simulators.vein_image.lamps import Presented, living
from tests.bench.report import Report
from tests.drivers.presented import Bench, touch

FIX, TEST = 1, 3
"""Seeds of the people whose touches fix the limits, and of those with whom they are tried."""
TOUCHES = 3
"""By each living person, at one reader: also a finger's earlier touches must not make it a recording."""
ENROLLED = 3
PULSE_SECONDS = 2.5
JOBS, TASK = 2, 20
APCER_BAR, BPCER_BAR = 2.0, 1.0


@dataclass(slots=True)
class Count:
    """Presentations of one kind: `of` gave a template, `caught` of them were refused, `matched` had their victim's."""

    of: int = 0
    caught: int = 0
    silent: int = 0
    matched: int = 0
    matched_and_missed: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def wilful(rng: np.random.Generator) -> Presentation:
    """Most fingers lie well; some are wet or dry."""
    return Presentation(rng.choice(["good", "wet", "dry"], p=[0.9, 0.05, 0.05]))


def finger(fold: int, person: int) -> str:
    return f"pad{fold}:{person}/right_index"


def people(fold: int, some: range) -> Iterator[tuple[int, list[Presented]]]:
    """Persons and their touches."""
    for person in some:
        rng, seed = np.random.default_rng([fold, person]), finger(fold, person)
        yield person, [living(anatomy(seed), rng, wilful(rng)) for _ in range(TOUCHES)]


class Noting(VeinReader):
    """Keeps the cues of what it is shown."""

    def __init__(self, bench: Bench, profile: SensorProfile, pulse: float) -> None:
        every = tuple(PadSettings(cue, 0.0, -1.0, 1.0) for cue in ("glow", "retake", "pulse"))
        super().__init__(bench, replace(profile, pad=every), pulse)
        self.cues: list[Mapping[str, float]] = []

    def _judged(self, cues: Mapping[str, float]) -> float:
        self.cues.append(dict(cues))
        return 1.0


def cues_of(fold: int, count: int, pulse: float = 0.0) -> list[Mapping[str, float]]:
    """Return the cues of the living touches that gave a template."""
    found: list[Mapping[str, float]] = []
    for person, touches in people(fold, range(count)):
        bench = Bench(person)
        reader = Noting(bench, load_profile("sim"), pulse)
        for shown in touches:
            touch(reader, bench, shown)
        found += reader.cues
    return found


def attack(
    species: Species, record: np.ndarray[Any, Any], frames: Sequence[Any], rng: np.random.Generator
) -> Presented:
    """Make one presentation of a species from what the reader took of the victim."""
    if species in REPLAYS:
        return Injected(species, frames, seed=int(rng.integers(1 << 32)))
    if species is Species.SCREEN:
        return on_screen(record, rng)
    wearer = anatomy(f"wearer:{rng.integers(1 << 32)}/right_index") if species is Species.PRINT_SLEEVE else None
    return printed(record, species, rng, wearer)


def present(fold: int, victims: range) -> dict[Species, Count]:
    """Try each species on these victims, whose recorded touch the reader itself has seen."""
    counts, profile = {species: Count() for species in (*PRINTS, Species.SCREEN, *REPLAYS)}, load_profile("sim")
    for person in victims:
        rng, seed = np.random.default_rng([fold, 7, person]), finger(fold, 100_000 + person)
        bench = Bench(person)
        reader = VeinReader(bench, profile, dice=random.Random(f"{fold}/{person}"))
        enrolled = [said.data for said in _living(reader, bench, seed, rng, ENROLLED)]
        recorded = _living(reader, bench, seed, rng, 1)
        if len(enrolled) < ENROLLED or not recorded:
            continue
        frames = list(bench.recorded)
        for species, counted in counts.items():
            said = touch(reader, bench, attack(species, frames[0][1], frames, rng))
            note(counted, said if isinstance(said, Probe) else None, enrolled, profile)
    return counts


def _living(reader: VeinReader, bench: Bench, seed: str, rng: np.random.Generator, wanted: int) -> list[Probe]:
    """Touch until so many probes came, or it was tried often enough."""
    found: list[Probe] = []
    for _ in range(4 * wanted):
        said = touch(reader, bench, living(anatomy(seed), rng))
        if isinstance(said, Probe):
            found.append(said)
        if len(found) == wanted:
            break
    return found


def note(counted: Count, said: Probe | None, enrolled: Sequence[bytes], profile: SensorProfile) -> None:
    if said is None or said.pad is None:
        counted.silent += 1
        return
    counted.of += 1
    missed = said.pad >= SUSPECT
    score = max(compare(parse(said.data).bits, parse(each).bits, profile.search) for each in enrolled)
    matched = score >= profile.decision.threshold
    counted.caught += not missed
    counted.matched += matched
    counted.matched_and_missed += matched and missed


def bona_fide(fold: int, some: range) -> Count:
    """Count living touches that would be refused."""
    counted = Count()
    for person, touches in people(fold, some):
        bench = Bench(person)
        reader = VeinReader(bench, load_profile("sim"), dice=random.Random(f"{fold}/{person}"))
        for shown in touches:
            said = touch(reader, bench, shown)
            if isinstance(said, Probe):
                assert said.pad is not None
                counted.of += 1
                counted.caught += said.pad < SUSPECT
            else:
                counted.silent += 1
    return counted


def percent(errors: int, of: int) -> tuple[float, str]:
    """Return a rate, and its exact upper 95 % bound with the numbers, in words."""
    return 100 * errors / max(1, of), f"{errors} of {of}, 95 % bound {100 * upper_bound(errors, of):.2f}"


def run(report: Report, living_people: int = 500, attacks: int = 400) -> None:
    """Report all figures; every one of them is of simulated presentations."""
    with ProcessPoolExecutor(JOBS, mp_context=get_context("spawn")) as pool:
        counted = sum(pool.map(partial(bona_fide, TEST), parts(living_people)), Count())
        tried = list(pool.map(partial(present, TEST), parts(attacks)))
    rate, words = percent(counted.caught, counted.of)
    report.figure("pad.simulated.bpcer_percent", rate, "%", f"<= {BPCER_BAR:g} ({words})", rate <= BPCER_BAR)
    report.figure("pad.simulated.bona_fide_no_response", counted.silent, "touches", f"of {living_people * TOUCHES}")
    for species in tried[0]:
        species_figures(report, species, sum((counts[species] for counts in tried), Count()))
    real(report)


def parts(count: int) -> list[range]:
    """Cut so many people into tasks."""
    return [range(first, min(count, first + TASK)) for first in range(0, count, TASK)]


def species_figures(report: Report, species: Species, counts: Count) -> None:
    rate, words = percent(counts.of - counts.caught, counts.of)
    name = f"pad.simulated.apcer_percent.{species}"
    report.figure(name, rate, "%", f"<= {APCER_BAR:g} ({words}, {counts.silent} no response)", rate <= APCER_BAR)
    shown = counts.of + counts.silent
    without, words = percent(counts.matched, shown)
    report.figure(f"pad.simulated.iapar_percent_without_pad.{species}", without, "%", words)
    rate, words = percent(counts.matched_and_missed, shown)
    report.figure(f"pad.simulated.iapar_percent.{species}", rate, "%", words)


def real(report: Report) -> None:
    """Try the limits of one frame, and of its noise, on real pictures of people who did not fix them."""
    folder = os.environ.get("AUTHD_SDUMLA")
    if folder is None:
        return
    limits = load_profile("sdumla").pad
    found = list(real_cues(Path(folder), range(54, 107)))
    refused = sum((judge(cues, limits) or 0.0) < SUSPECT for cues in found)
    rate, words = percent(refused, len(found))
    report.figure("pad.sdumla.single_frame.bpcer_percent", rate, "%", f"<= {BPCER_BAR:g} ({words})", rate <= BPCER_BAR)


def real_cues(folder: Path, subjects: Iterable[int]) -> Iterator[Mapping[str, float]]:
    """Cues of every picture that gives a template. The frames of one finger are one reader's."""
    profile = load_profile("sdumla")
    for subject in subjects:
        for hand, name in product(("left", "right"), ("index", "middle", "ring")):
            takes = Takes()
            for path in sorted((folder / f"{subject:03}" / hand).glob(f"{name}_*.bmp")):
                frame = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)
                template = extract(frame, profile).template
                if template is None:
                    continue
                likest = takes.likest(template, frame)
                takes.keep(template, [frame])
                yield measure(frame, [], profile) | ({} if likest is None else {"retake": likest})


def fix(count: int) -> None:
    """Print limits."""
    measured = cues_of(FIX, count, 0.0)
    write(fit_limits(measured), f"Fixed on {len(measured)} simulated living touches")
    beating = cues_of(FIX, max(1, count // 8), PULSE_SECONDS)
    write([row for row in fit_limits(beating) if row.cue == "pulse"], f"on {len(beating)}")
    if folder := os.environ.get("AUTHD_SDUMLA"):
        found = list(real_cues(Path(folder), range(1, 54)))
        write(fit_limits(found), f"profile sdumla: fixed on {len(found)} pictures of the people 001-053")


def write(rows: Sequence[PadSettings], title: str) -> None:
    sys.stdout.write(f"# {title}\n")
    for row in rows:
        sys.stdout.write(f'[[pad]]\ncue = "{row.cue}"\nusual = {row.usual}\nleast = {row.least}\nmost = {row.most}\n\n')


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.vein_pad", description=__doc__)
    parser.add_argument("--fix", action="store_true", help="print limits instead of figures")
    parser.add_argument("--living", type=int, default=500, help="living people, three touches each (%(default)s)")
    parser.add_argument(
        "--attacks", type=int, default=400, help="victims, each attacked by every species (%(default)s)"
    )
    asked = parser.parse_args()
    if asked.fix:
        fix(asked.living)
        return
    report = Report()
    run(report, asked.living, asked.attacks)
    report.exit()


if __name__ == "__main__":
    main()
