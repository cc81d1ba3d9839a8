"""Which comparisons count: single pictures, enrolled fingers, and what is left out of both.

All protocols read one matrix of scores (measure.py). Pairs that say nothing are taken out of it once, by a value that
no score has: the same picture under two names, two fingers that are one by somebody's word, and, where only different
people count as impostors, two fingers of one person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from authd_drivers.vein.study.dataset import Dataset
from authd_drivers.vein.study.rates import Comparisons

OUT = np.float32(-2)
"""In place of a score: this pair is not compared."""
_LEAST = np.float32(-1.5)
_ROWS = 256

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


def take_out(scores: Floats, data: Dataset, pairs: Iterable[tuple[int, int]], *, people_only: bool) -> None:
    """Mark the pairs of fingers that are not compared."""
    for one, other in pairs:
        scores[np.ix_(np.flatnonzero(data.finger == one), np.flatnonzero(data.finger == other))] = OUT
    if not people_only:
        return
    owner = data.subject[data.finger]
    for person in range(len(data.subjects)):
        rows = np.flatnonzero(owner == person)
        block = scores[np.ix_(rows, rows)]
        block[data.finger[rows][:, np.newaxis] != data.finger[rows]] = OUT
        scores[np.ix_(rows, rows)] = block


def take_out_twins(scores: Floats, digests: Sequence[bytes]) -> list[tuple[int, int]]:
    """Mark pairs of the very same picture, and return them."""
    groups: dict[bytes, list[int]] = {}
    for number, digest in enumerate(digests):
        if digest:
            groups.setdefault(digest, []).append(number)
    pairs = [(a, b) for group in groups.values() for at, a in enumerate(group) for b in group[at + 1 :]]
    for one, other in pairs:
        scores[one, other] = scores[other, one] = OUT
    return pairs


def single(scores: Floats, data: Dataset, usable: Mask, session: Numbers | None = None) -> Comparisons:
    """Each usable picture against each other one; with `session`, genuine pairs only of different sessions."""
    genuine: list[Floats] = []
    finger: list[Numbers] = []
    impostor: list[Floats] = []
    chosen = np.flatnonzero(usable)
    for at in range(0, len(chosen), _ROWS):
        rows, columns = chosen[at : at + _ROWS], chosen[at:]
        part = scores[np.ix_(rows, columns)]
        later = (columns > rows[:, np.newaxis]) & (part > _LEAST)
        same = data.finger[rows][:, np.newaxis] == data.finger[columns]
        impostor.append(part[later & ~same])
        own = later & same
        if session is not None:
            own &= session[rows][:, np.newaxis] != session[columns]
        genuine.append(part[own])
        finger.append(data.finger[rows][np.nonzero(own)[0]])
    others = _floats(impostor)
    impostor.clear()
    return Comparisons(_floats(genuine), _numbers(finger), others)


@dataclass(frozen=True, slots=True, eq=False)
class Enrolled:
    """Fingers enrolled by their first pictures, and the others tried against all of them.

    best: shape (probes, fingers), the best score of a probe with a finger's templates; probe: finger of each probe;
    fingers: which are enrolled; failed: fingers with pictures enough of which too few were usable; short: fingers that
    have too few pictures in the folder.
    """

    best: Floats
    probe: Numbers
    fingers: Numbers
    failed: int
    short: int

    def comparisons(self) -> Comparisons:
        """Each probe against each enrolled finger."""
        own = self.probe[:, np.newaxis] == self.fingers
        counts = self.best > _LEAST
        genuine, impostor = self.best[own & counts], self.best[~own & counts]
        return Comparisons(genuine, self.probe[np.nonzero(own & counts)[0]], impostor)


def enrol(scores: Floats, data: Dataset, usable: Mask, count: int, session: Numbers | None = None) -> Enrolled:
    """Enrol each finger by its first `count` usable pictures; with `session`, those of its first session alone."""
    fingers: list[int] = []
    references: list[Numbers] = []
    probes: list[Numbers] = []
    failed = short = 0
    for finger, pictures in _by_finger(data):
        first = pictures if session is None else pictures[session[pictures] == session[pictures[0]]]
        good = first[usable[first]]
        short += len(first) < count
        failed += len(good) < count <= len(first)
        if len(good) < count:
            continue
        rest = good[count:] if session is None else pictures[usable[pictures] & ~np.isin(pictures, first)]
        fingers.append(finger)
        references.append(good[:count])
        probes.append(rest)
    rows = _numbers(probes)
    best = _best(scores, rows, np.stack(references)) if fingers else np.zeros((0, 0), np.float32)
    return Enrolled(best, data.finger[rows], np.array(fingers, np.intp), failed, short)


def two_fingers(enrolled: Enrolled, data: Dataset) -> Comparisons:
    """Two touches with two fingers of one person, judged by the sum of their scores (engine/fusion.py).

    Each person's enrolled fingers are taken two by two in order, as if that were all that is enrolled of somebody; the
    first picture to try of one goes with the first of the other. Impostors are other people only.
    """
    pairs = _pairs(enrolled, data)
    owner = data.subject[enrolled.fingers[pairs[:, 0]]]
    genuine: list[Floats] = []
    number: list[Numbers] = []
    impostor: list[Floats] = []
    for pair, columns in enumerate(pairs):
        rows = [np.flatnonzero(enrolled.probe == enrolled.fingers[column]) for column in columns]
        tries = min(len(rows[0]), len(rows[1]))
        one, other = enrolled.best[rows[0][:tries]], enrolled.best[rows[1][:tries]]
        sums = np.maximum(_sum(one, other, pairs), _sum(other, one, pairs))
        counts = sums > _LEAST
        genuine.append(sums[counts[:, pair], pair])
        number.append(np.full(len(genuine[-1]), pair, np.intp))
        impostor.append(sums[counts & (owner != owner[pair])])
    return Comparisons(_floats(genuine), _numbers(number), _floats(impostor))


def _pairs(enrolled: Enrolled, data: Dataset) -> Numbers:
    """Columns of the enrolled fingers that are tried, two of each person in each row."""
    tried = np.flatnonzero(np.isin(enrolled.fingers, enrolled.probe))
    owner = data.subject[enrolled.fingers[tried]]
    pairs: list[Numbers] = [np.zeros((0, 2), np.intp)]
    for person in np.unique(owner):
        own = tried[owner == person]
        pairs.append(own[: len(own) // 2 * 2].reshape(-1, 2))
    return np.concatenate(pairs)


def _sum(one: Floats, other: Floats, pairs: Numbers) -> Floats:
    """Sum of the scores of one touch with the first finger of each pair and of the other with the second."""
    first, second = one[:, pairs[:, 0]], other[:, pairs[:, 1]]
    return np.where((first > _LEAST) & (second > _LEAST), first + second, OUT)


def _by_finger(data: Dataset) -> Iterator[tuple[int, Numbers]]:
    order = np.argsort(data.finger, kind="stable")
    starts = np.searchsorted(data.finger[order], np.arange(len(data.fingers) + 1))
    for finger in range(len(data.fingers)):
        yield finger, order[starts[finger] : starts[finger + 1]]


def _best(scores: Floats, probes: Numbers, references: Numbers) -> Floats:
    best = np.empty((len(probes), len(references)), np.float32)
    for at in range(0, len(probes), _ROWS):
        part = scores[np.ix_(probes[at : at + _ROWS], references.ravel())]
        best[at : at + _ROWS] = part.reshape(len(part), *references.shape).max(axis=2)
    return best


def _floats(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _numbers(parts: Sequence[Numbers]) -> Numbers:
    return np.concatenate([np.zeros(0, np.intp), *parts])
