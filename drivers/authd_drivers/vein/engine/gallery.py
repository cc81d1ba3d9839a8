"""Everybody's templates, and the search among them: a coarse look at all, a close one at those like the probe.

Templates are only ever compared with probes of the same profile: each profile has a bank of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from authd.driver import Reference, Scored
from authd_drivers.vein.engine.bank import Bank, Slot
from authd_drivers.vein.engine.compare import SAME, unmoved, words
from authd_drivers.vein.engine.template import parse

if TYPE_CHECKING:
    import numpy.typing as npt

    from authd_drivers.vein.engine.lattice import Lattice
    from authd_drivers.vein.engine.profile import SearchSettings

    Floats = npt.NDArray[np.float32]
    Words = npt.NDArray[np.uint64]
    Rows = npt.NDArray[np.intp]
    Refine = Callable[[Lattice, Words, Words, Floats], Floats]

REFINED = 16
"""Best templates that a second stage looks at."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """People by their best template, best first. exact: among those that passed the coarse filter."""

    people: tuple[Scored, ...]
    same: bool
    """A template is the probe itself, bit for bit or nearly."""
    fingers: tuple[Scored, ...] = ()
    """Each finger of each of them by its best template, best first."""
    incomparable: int = 0
    """Templates in scope that were made under another profile and so were not compared."""

    @property
    def margin(self) -> float:
        """How far the second-best person is behind; one who scores nothing is no nearer than nobody."""
        scores = [each.score for each in self.people[:2]] + [0.0, 0.0]
        return scores[0] - max(0.0, scores[1]) if self.people else 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """People in scope who reach the threshold, best first, and how far the second-best of all is behind the best."""

    candidates: tuple[Scored, ...]
    margin: float
    replayed: bool
    """A template is the probe itself: this is no new capture of a finger."""
    incomparable: int
    """Templates in scope that were made under another profile and so were not compared."""


class Gallery:
    """Templates by the profile that they were made under; forgetting a person overwrites their rows.

    search: shifts allowed by profile id; else all that leave enough overlap. refine: a closer look at the best
    `REFINED` templates, from the shifts, the probe, shape (32,), theirs, shape (n, 32), and their scores: their scores
    anew.
    """

    def __init__(self, search: Mapping[int, SearchSettings] | None = None, refine: Refine | None = None) -> None:
        self._search = search or {}
        self._refine = refine
        self._banks: dict[int, Bank] = {}
        self._held: dict[str, int] = {}
        """Profile by reference."""

    def __len__(self) -> int:
        return len(self._held)

    @property
    def bits(self) -> Mapping[int, Words]:
        """The rows held by profile, shape (n, 32); overwritten as soon as one of them is forgotten."""
        return {profile: bank.fine for profile, bank in self._banks.items()}

    @property
    def nbytes(self) -> int:
        """Of the packed templates and what is derived from them."""
        return sum(bank.nbytes for bank in self._banks.values())

    @property
    def codes(self) -> set[int]:
        """Profiles of which there are templates."""
        return {profile for profile, bank in self._banks.items() if len(bank)}

    @property
    def subjects(self) -> Sequence[str]:
        """Everybody."""
        return list(dict.fromkeys(subject for bank in self._banks.values() for subject in bank.fingers))

    def fingers(self, subject: str) -> Mapping[int, int]:
        """How many templates of each finger of a person there are, by its code."""
        found = [bank.fingers[subject] for bank in self._banks.values() if subject in bank.fingers]
        return found[0] if len(found) == 1 else sum(map(Counter, found), Counter[int]())

    def add(self, references: Sequence[Reference]) -> None:
        """Add templates, in place of any of the same id. Raises `DriverError`; then nothing was changed."""
        parsed = [parse(reference.data) for reference in references]
        ids = {reference.id for reference in references}
        if len(ids) != len(references):
            raise ValueError("two references have one id")
        if not ids.isdisjoint(self._held):
            self._drop(lambda slot: slot.reference in ids)
        for profile in dict.fromkeys(template.profile for template in parsed):
            pairs = [pair for pair in zip(references, parsed, strict=True) if pair[1].profile == profile]
            maps = np.stack([words(template.bits) for _, template in pairs])
            slots = [Slot(reference.subject, reference.id, template.finger) for reference, template in pairs]
            bank = self._banks.setdefault(profile, Bank(self._search.get(profile)))
            bank.add(slots, maps)
            maps.fill(0)
            self._held |= {slot.reference: profile for slot in slots}

    def forget(self, names: Collection[str]) -> None:
        """Forget every version of these templates (`tpl_...`)."""
        self._drop(lambda slot: slot.reference.partition("@")[0] in names)

    def profile_of(self, reference: str) -> int | None:
        """Return the profile that a template was made under; None: it is not here."""
        return self._held.get(reference)

    def finger_of(self, reference: str) -> tuple[Sequence[Slot], Words]:
        """Return the templates of the finger that this one is of, and their rows, shape (n, 32)."""
        bank = self._banks.get(self._held.get(reference, -1))
        slots = {slot.reference: slot for slot in bank.slots} if bank else {}
        if bank is None or reference not in slots:
            return (), np.zeros((0, 32), np.uint64)
        own = slots[reference]
        theirs: list[int] = bank.of([own.subject]).tolist()
        rows = [row for row in theirs if bank.slots[row].finger == own.finger]
        return [bank.slots[row] for row in rows], bank.fine[rows]

    def remove(self, subject: str) -> None:
        """Forget a person."""
        self._drop(lambda slot: slot.subject == subject)

    def clear(self) -> None:
        """Forget everybody."""
        self._drop(lambda _: True)

    def search(self, probe: bytes, scope: Iterable[str], threshold: float) -> Found:
        """Find the people in scope who are like a probe, a record of engine/template.py.

        Raises `DriverError` for a record that is malformed or of another version.
        """
        template = parse(probe)
        ranking = self.rank(words(template.bits), template.profile, scope)
        candidates = tuple(each for each in ranking.people if each.score >= threshold)
        return Found(candidates, ranking.margin, ranking.same, ranking.incomparable)

    def rank(self, probe: Words, profile: int, scope: Iterable[str], same: float = SAME) -> Ranking:
        """Compare with the templates of the people in scope that were made under the same profile."""
        people = list(scope)
        incomparable = sum(len(bank.of(people)) for other, bank in self._banks.items() if other != profile)
        bank = self._banks.get(profile)
        if bank is None or not (rows := bank.of(people)).size:
            return Ranking((), same=False, incomparable=incomparable)
        rows = bank.plausible(probe, rows)
        scores = bank.scores(probe, rows)
        twin = bool(unmoved(probe, bank.fine[rows]).max() > same)
        fingers = _by_finger(bank, rows, self._refined(probe, bank, rows, scores))
        best: dict[str, Scored] = {}
        for each in fingers:
            best.setdefault(each.subject, each)
        return Ranking(tuple(best.values()), twin, fingers, incomparable)

    def _refined(self, probe: Words, bank: Bank, rows: Rows, scores: Floats) -> Floats:
        if self._refine is not None:
            top = np.argsort(-scores, kind="stable")[:REFINED]
            scores[top] = self._refine(bank.lattice, probe, bank.fine[rows[top]], scores[top])
        return scores

    def _drop(self, leaves: Callable[[Slot], bool]) -> None:
        for bank in self._banks.values():
            gone = {row for row, slot in enumerate(bank.slots) if leaves(slot)}
            for row in gone:
                del self._held[bank.slots[row].reference]
            bank.drop(gone)


def _by_finger(bank: Bank, rows: Rows, scores: Floats) -> tuple[Scored, ...]:
    """Each finger by its best template, best first."""
    best: dict[tuple[str, int], Scored] = {}
    for place in np.argsort(-scores, kind="stable").tolist():
        slot = bank.slots[int(rows[place])]
        whose = slot.subject, slot.finger
        if whose not in best:
            best[whose] = Scored(slot.subject, slot.reference, float(scores[place]), slot.finger)
    return tuple(best.values())
