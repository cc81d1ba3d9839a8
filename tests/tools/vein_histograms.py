"""Records how the scores of real pictures are spread: `AUTHD_SDUMLA=FOLDER python -m tests.tools.vein_histograms`.

Numbers only: counts of scores in bins, for authd_simulators.vein_study to compare generated pictures with. To be run
again when the engine's scores change. Minutes on two cores.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

import authd_simulators.vein_study
from authd_drivers.vein.study.measure import score_all, score_rows
from authd_drivers.vein.study.pool import cores, in_order
from authd_simulators.vein_study.algorithms import ALGORITHMS, SENSOR, template
from authd_simulators.vein_study.spread import RECORD, Record, Scores, Spread, equal_error, scores_of, write_record

PEOPLE, TAKES = 106, 6
FINGERS = tuple((hand, finger) for hand in ("left", "right") for finger in ("index", "middle", "ring"))
ONE_FINGER = (67 * len(FINGERS) + 3, 67 * len(FINGERS) + 4)
"""Subject 068: right index and middle are one and the same."""
CHUNK = 36

Words = npt.NDArray[np.uint64]


def pictures(folder: Path) -> list[Path]:
    """Files in order of person, finger and take."""
    return [
        folder / f"{person:03}" / hand / f"{finger}_{take}.bmp"
        for person in range(1, PEOPLE + 1)
        for hand, finger in FINGERS
        for take in range(1, TAKES + 1)
    ]


def extract_files(files: Sequence[Path]) -> dict[str, Words]:
    """Templates of some pictures by algorithm, shape (files, 32)."""
    frames = [np.asarray(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), np.uint8) for file in files]
    return {name: np.stack([template(frame, name) for frame in frames]) for name in ALGORITHMS}


def comparable() -> npt.NDArray[np.bool_]:
    """Pairs of fingers that are two fingers."""
    mask = np.ones((PEOPLE * len(FINGERS),) * 2, np.bool_)
    mask[ONE_FINGER] = mask[ONE_FINGER[::-1]] = False
    return mask


def measured(folder: Path) -> dict[str, Scores]:
    """Extract and compare everything, by each algorithm."""
    files = pictures(folder)
    tasks = ((files[at : at + CHUNK],) for at in range(0, len(files), CHUNK))
    parts: list[dict[str, Words]] = []
    for part in in_order(extract_files, tasks, cores()):
        parts.append(part)
        show("extract", min(len(files), len(parts) * CHUNK), len(files))
    return {name: parted(np.concatenate([part[name] for part in parts])) for name in ALGORITHMS}


def parted(templates: Words) -> Scores:
    """Compare all takes of each finger, and every second take of all fingers."""
    own = [scores_of(score_rows(each, each), TAKES) for each in templates.reshape(-1, TAKES, 32)]
    genuine, apart = (Spread(np.sum([getattr(each, kind).counts for each in own], 0)) for kind in ("genuine", "apart"))
    others = scores_of(score_all(templates[::2], progress=show), TAKES // 2, comparable())
    return Scores(genuine, apart, others.impostor)


def show(what: str, done: int, total: int) -> None:
    """Tell the terminal how far it is."""
    sys.stderr.write(f"\r{what} {done}/{total} " + "\n" * (done == total))
    sys.stderr.flush()


def main() -> None:
    """Measure and write the record beside the simulators' code."""
    folder = os.environ.get("AUTHD_SDUMLA")
    if not folder:
        raise SystemExit("AUTHD_SDUMLA: the folder with 001/left/index_1.bmp is expected")
    spreads = measured(Path(folder))
    profile = ALGORITHMS["unrolled"]
    source = f"SDUMLA-HMT finger vein, {PEOPLE} people x 6 fingers x {TAKES} takes; profile {SENSOR} {profile.id:08x}"
    path = Path(authd_simulators.vein_study.__file__).parent / RECORD
    write_record(path, Record(source, spreads))
    for name, scores in spreads.items():
        tail = scores.impostor.quantile(0.9999)
        print(f"{name}: EER {100 * equal_error(scores):.2f} %, 99.99 % of impostors below {tail:.3f}")


if __name__ == "__main__":
    main()
