"""What identification costs at a seat, by how many people work there, with one finger and with two (decision 0011).

Everybody has two fingers enrolled, three templates each. Thresholds: see `threshold_after`; each fold's is used on the
other fold's people, from whom rosters are drawn by chance (seeded): people with two of their six fingers, for 120 the
53 people's pairs (index, middle, ring of both hands), each as a person of its own. Tried are the three takes that are
not enrolled, without a gate; a miss is a touch, or a pair of them, that does not name its person.

The bound of a false identification is the union bound: the exact 95 % bound of one comparison, counted over all that
are not within the fold that fixed the threshold, times the comparisons of a touch: six templates a person, or one pair
of fingers a person. It gives the margin no credit. Comparisons of two fingers: any two of a person's fingers (three
takes, in turn those that the other half enrols) with any two of another person's. Each score is in 25 such sums, and
scores of one finger are alike: the bounds are as if all were independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from authd.driver import Reference
from authd_drivers.vein.comparator import VeinComparator
from authd_drivers.vein.engine.profile import RosterSettings, load_profile, upper_bound
from authd_drivers.vein.engine.template import Template, pack
from tests.bench.report import Report
from tests.bench.vein_data import FINGERS, FOLDS, PER_PERSON, TAKES, Data

SIZES = (20, 30, 40, 120)
DRAWS = 200
SHIPPED = 40
"""People with whom the comparator itself is tried."""
TEMPLATES = 6
"""Of a person of a roster."""
TAIL = (1e-3, 1e-5, 1e-7)
TWINS = (67, 1)
"""Person and pair of fingers, counted from 0, of which one finger is a finger of another pair."""

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

ANYBODY: Mask = np.ones((1, 1, 1), np.bool_)


def threshold_after(impostor: Floats) -> float:
    """Return the threshold for a fold's scores between people, a multiple of 0.01.

    It is where one in ten million would be if the tail fell on as it does from one in a thousand to one in 100,000.
    """
    ordered = np.sort(impostor)
    first, second = (float(ordered[len(ordered) - 1 - int(rate * len(ordered))]) for rate in TAIL[:2])
    decades = np.log10(TAIL[1] / TAIL[2]) / np.log10(TAIL[0] / TAIL[1])
    return float(np.ceil(100 * (second + decades * (second - first))) / 100)


@dataclass(frozen=True, slots=True)
class Limit:
    """A threshold that one fold fixed, and how many of the other comparisons between two people reach it."""

    threshold: float
    false: int
    comparisons: int

    @property
    def bound(self) -> float:
        """Exact upper 95 % bound of the false match rate of one comparison."""
        return upper_bound(self.false, self.comparisons)


@dataclass(slots=True)
class Tally:
    """What came of touches, or of pairs of them."""

    touches: int = 0
    misses: int = 0
    wrong: int = 0

    def count(self, right: Mask, wrong: Mask) -> None:
        self.touches += right.size
        self.misses += int((~right).sum())
        self.wrong += int(wrong.sum())

    @property
    def percent(self) -> float:
        return 100 * self.misses / self.touches


def by_finger(data: Data) -> Floats:
    """Best score of each probe with each finger: shape (2, people, fingers, 3, people, fingers).

    First the last three takes are tried on the first three, then the other way round.
    """
    takes = np.arange(len(data.quality)).reshape(-1, TAKES)
    people = len(takes) // len(FINGERS)
    shape = (people, len(FINGERS), 3, people, len(FINGERS), 3)
    halves = (takes[:, 3:], takes[:, :3]), (takes[:, :3], takes[:, 3:])
    return np.stack([data.scores[np.ix_(a.ravel(), b.ravel())].reshape(shape).max(axis=5) for a, b in halves])


def sums(best: Floats, probes: tuple[int, int], references: tuple[int, int]) -> Floats:
    """Sums of two probes' scores with two fingers in the better way, shape (2, people, 3, people)."""
    (a, b), (c, d) = probes, references
    one, other = best[:, :, a], best[:, :, b]
    both: Floats = np.maximum(one[..., c] + other[..., d], one[..., d] + other[..., c])
    return both


def limits_of_one(data: Data, fold: tuple[int, int]) -> Limit:
    strangers: Mask = np.triu(data.person[:, np.newaxis] != data.person)
    inside = _inside(data.person, fold)
    threshold = threshold_after(data.scores[strangers & inside])
    counted = data.scores[strangers & ~inside]
    return Limit(threshold, int((counted >= np.float32(threshold)).sum()), len(counted))


def limits_of_two(best: Floats, fold: tuple[int, int]) -> Limit:
    people = np.arange(best.shape[1], dtype=np.intp)
    strangers: Mask = people[:, np.newaxis] != people
    inside = _inside(people, fold)
    fixing: list[Floats] = []
    others: list[Floats] = []
    pairs = list(combinations(range(len(FINGERS)), 2))
    for probes in pairs:
        for references in pairs:
            found = sums(best, probes, references).transpose(0, 2, 1, 3)
            fixing.append(found[:, :, strangers & inside].ravel())
            others.append(found[:, :, strangers & ~inside].ravel())
    threshold = threshold_after(np.concatenate(fixing))
    false = sum(int((each >= np.float32(threshold)).sum()) for each in others)
    return Limit(threshold, false, sum(len(each) for each in others))


def _inside(people: npt.NDArray[np.intp], fold: tuple[int, int]) -> Mask:
    """Pairs of which both are in a fold of subjects (first, last)."""
    within = (people >= fold[0] - 1) & (people < fold[1])
    return np.asarray(within[:, np.newaxis] & within)


def drawn(fold: tuple[int, int], size: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.intp], ...]:
    """Draw a roster: people, shape (size,), and their two fingers, shape (size, 2)."""
    people = np.arange(fold[0] - 1, fold[1])
    if size <= len(people):
        fingers = np.stack([rng.permutation(len(FINGERS))[:2] for _ in range(size)])
        return rng.permutation(people)[:size], fingers
    half = len(FINGERS) // 2
    pairs = np.array([(person, pair) for person in people.tolist() for pair in range(half) if (person, pair) != TWINS])
    chosen = rng.permutation(pairs)[:size]
    return chosen[:, 0], np.stack([chosen[:, 1], chosen[:, 1] + half], axis=1)


def named(scores: Floats, threshold: float, margin: float, fit: Mask) -> tuple[Mask, Mask]:
    """Whether the right person is named, and whether a wrong one is. scores: shape (people, touches, people).

    fit: whether the person can be named at all, of a shape that fits.
    """
    people = len(scores)
    order = np.sort(scores, axis=2)
    clear = order[..., -1] - np.maximum(0, order[..., -2]) >= margin
    best = scores.argmax(axis=2)
    able = np.take_along_axis(np.broadcast_to(fit, scores.shape), best[..., np.newaxis], axis=2)[..., 0]
    taken = clear & able & (order[..., -1] >= threshold)
    own: Mask = best == np.arange(people)[:, np.newaxis]
    return taken & own, taken & ~own


def tried(best: Floats, fold: tuple[int, int], size: int, thresholds: tuple[float, float]) -> tuple[Tally, Tally]:
    """Draw rosters from a fold and try everybody, with one finger and with two, as the comparator decides."""
    profile = load_profile("sdumla")
    margin, floor = profile.decision.margin, profile.decision.agree
    rng = np.random.default_rng(size)
    one, two = Tally(), Tally()
    for _ in range(DRAWS):
        people, fingers = drawn(fold, size, rng)
        half = best[int(rng.integers(2))][people[:, np.newaxis], fingers]
        scores = half[:, :, :, people[:, np.newaxis], fingers]  # person, finger, take, person, finger
        single = scores.max(axis=4).reshape(size, -1, size)
        one.count(*named(single, thresholds[0], margin, ANYBODY))
        first, second = scores[:, 0], scores[:, 1]
        fused = np.maximum(first[..., 0] + second[..., 1], first[..., 1] + second[..., 0])
        differ: Mask = first.argmax(axis=3) != second.argmax(axis=3)
        fit = np.asarray(differ & (np.minimum(first.max(axis=3), second.max(axis=3)) >= floor), np.bool_)
        two.count(*named(fused, thresholds[1], margin, fit))
    return one, two


def rosters(report: Report, data: Data) -> None:
    """Print the table; the shipped one must be as good as stated."""
    best = by_finger(data)
    limits = {fold: (limits_of_one(data, fold), limits_of_two(best, fold)) for fold in FOLDS}
    for name, fold in zip(("fold1", "fold2"), FOLDS, strict=True):
        for kind, limit in zip(("one_finger", "two_fingers"), limits[fold], strict=True):
            report.figure(f"{name}.threshold.{kind}", limit.threshold, "phi")
            report.figure(f"{name}.false_matches.{kind}", limit.false, f"of {limit.comparisons}")
    distinct = len(data.quality) // 2
    for size in SIZES:
        folds = [tried(best, fold, size, _other(limits, fold)) for fold in FOLDS]
        for kind, place, each in (("one_finger", 0, TEMPLATES), ("two_fingers", 1, 1)):
            bound = size * each * max(limits[fold][place].bound for fold in FOLDS)
            threshold = max(limits[fold][place].threshold for fold in FOLDS)
            _row(report, f"roster{size}.{kind}", [tallies[place] for tallies in folds], distinct, bound)
            stated = next(
                row for row in load_profile("sdumla").roster if (row.people, row.fingers) == (size, place + 1)
            )
            fnir = sum(tallies[place].misses for tallies in folds) / sum(tallies[place].touches for tallies in folds)
            ok = as_stated(stated, threshold, 100 * fnir, bound)
            report.figure(f"shipped.roster{size}.{kind}", f"{stated.fnir_percent} {stated.bound}", "", "as stated", ok)


def shipped(report: Report, data: Data) -> None:
    """The comparator itself, with 40 people of each fold and their index fingers, and what the matrix says of them."""
    tally, scores = Tally(), by_finger(data)[0]
    profile = load_profile("sdumla")
    decision, fingers, takes = profile.decision, np.array([0, 3]), np.arange(len(data.quality)).reshape(-1, TAKES)
    differing = 0
    for first, _ in FOLDS:
        people = np.arange(first - 1, first - 1 + SHIPPED)
        comparator, scope = VeinComparator(profiles=[profile]), [f"sub_{person}" for person in people.tolist()]
        rows = takes.reshape(-1, len(FINGERS), TAKES)[people][:, fingers]
        comparator.load([_reference(data, row) for row in rows[:, :, :3].ravel().tolist()])
        best = scores[people[:, np.newaxis], fingers][:, :, :, people[:, np.newaxis], fingers].max(axis=4)
        best = best.reshape(SHIPPED, -1, SHIPPED)
        right, _ = named(best, decision.threshold, decision.margin, ANYBODY)
        for row, expected in zip(rows[:, :, 3:].ravel().tolist(), right.ravel().tolist(), strict=True):
            found = comparator.search(_record(data, row), scope)
            if not found.replayed:  # the very same picture under two names
                own = found.best is not None and found.best.subject == f"sub_{row // PER_PERSON}"
                tally.count(np.array([own]), np.array([found.best is not None and not own]))
                differing += own != expected
    report.at_most("comparator.wrong_person", float(tally.wrong), f"of {tally.touches} touches", 0)
    report.figure("comparator.fnir_percent", tally.percent, "%")
    report.figure("comparator.differs", differing, "touches at the threshold that the table counts otherwise")


def _reference(data: Data, row: int) -> Reference:
    return Reference(f"sub_{row // PER_PERSON}", f"tpl_{row}@1", _record(data, row))


def _record(data: Data, row: int) -> bytes:
    bits = data.templates[row].astype("<u8").tobytes()
    return pack(Template(load_profile("sdumla").id, float(data.quality[row]), bits, 1 + row // TAKES % len(FINGERS)))


def as_stated(row: RosterSettings, threshold: float, fnir_percent: float, bound: float) -> bool:
    """Whether a shipped row says what was measured, to the digits in which it says it."""
    near = abs(row.fnir_percent - fnir_percent) <= 0.006 and abs(row.bound / bound - 1) < 0.06
    return near and abs(row.threshold - threshold) < 1e-6


def _other(limits: dict[tuple[int, int], tuple[Limit, Limit]], fold: tuple[int, int]) -> tuple[float, float]:
    """Return the thresholds that the other fold fixed."""
    one, two = next(each for name, each in limits.items() if name != fold)
    return one.threshold, two.threshold


def _row(report: Report, name: str, folds: list[Tally], distinct: int, bound: float) -> None:
    touches, misses = sum(each.touches for each in folds), sum(each.misses for each in folds)
    report.figure(f"fnir_percent.{name}", 100 * misses / touches, "%")
    counted = round(misses / touches * distinct)
    report.figure(f"fnir_percent.{name}.bound95", 100 * upper_bound(counted, distinct), f"%, of {distinct} probes")
    for fold, tally in zip(("fold1", "fold2"), folds, strict=True):
        report.figure(f"{fold}.fnir_percent.{name}", tally.percent, "%")
    report.figure(f"searches.{name}", touches, "touches, of rosters drawn again and again")
    report.at_most(f"wrong_person.{name}", float(sum(each.wrong for each in folds)), "touches", 0)
    report.figure(f"false_identification_bound.{name}", bound, "a touch", "<= 0.0001: enough", None)
