"""What the verifier child holds, counted on this side: whose templates of which fingers, and how often it errs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from authd.core.model import SubjectId
from authd.driver import Roster
from authd.service.seal import SealedTemplate


class Holdings:
    """Base of `ChildVerifier`: the bound of a seat is made of these numbers."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, dict[str, set[str]]]] = {}
        """Templates, without their versions, by modality, person and finger."""
        self._fmr: dict[str, float] = {}
        self._rosters: dict[str, tuple[Roster, ...]] = {}
        self.checkers: frozenset[str] = frozenset()
        """Modalities where nothing is compared, so that nobody is ever taken for somebody else."""

    def templates(self, modality: str, scope: Iterable[SubjectId]) -> int:
        """Return how many references a touch is compared with."""
        return sum(sum(fingers.values()) for fingers in self.fingers(modality, scope))

    def fingers(self, modality: str, scope: Iterable[SubjectId]) -> Sequence[Mapping[str, int]]:
        """Return of each person how many references of each finger a touch is compared with."""
        counts = self._counts.get(modality, {})
        return [{finger: len(held) for finger, held in counts.get(subject, {}).items()} for subject in scope]

    def rosters(self, modality: str) -> Sequence[Roster]:
        """Return what the comparator has measured of whole searches."""
        return self._rosters.get(modality, ())

    def false_identification(self, modality: str, scope: Iterable[SubjectId]) -> float:
        """Return the bound FMR x templates of one touch; 1.0 while nothing is known of the comparator."""
        return min(1.0, self._fmr.get(modality, 1.0) * max(1, self.templates(modality, scope)))

    def fmr(self, modality: str) -> float | None:
        """Return the comparator's false match rate of one comparison; None until it has said."""
        return self._fmr.get(modality)

    def _count(self, templates: Iterable[SealedTemplate], anew: bool) -> None:
        if anew:
            self._counts.clear()
        for each in templates:
            fingers = self._counts.setdefault(each.modality, {}).setdefault(each.subject, {})
            fingers.setdefault(each.finger, set()).add(each.id)

    def _uncount(self, subject: str, template: str = "") -> None:
        for counts in self._counts.values():
            if not template:
                counts.pop(subject, None)
            for held in counts.get(subject, {}).values():
                held.discard(template)

    def _measured(
        self, fmr: Mapping[str, float], rosters: Mapping[str, tuple[Roster, ...]], checkers: Iterable[str]
    ) -> None:
        self._fmr, self._rosters, self.checkers = dict(fmr), dict(rosters), frozenset(checkers)
