"""Who a finger is: the half of the vein modality that runs in the verifier child. NumPy only, never cv2.

The rule is fixed: the best person is named if their best template reaches the profile's threshold and the second-best
person is at least the profile's margin behind. Every probe is remembered for a while: a recording of one is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from authd.driver import Candidates, DriverError, Fault, Hint, Reference
from authd_drivers.vein.engine.compare import compare, unmoved, words
from authd_drivers.vein.engine.profile import DecisionSettings, SensorProfile, load_profile, profile_names
from authd_drivers.vein.engine.template import Template, parse
from authd_drivers.vein.gallery import Gallery, Ranking

if TYPE_CHECKING:
    import numpy.typing as npt

FEWEST = 3
"""Presentations of a finger that an enrolment needs."""
KEPT = 5
"""Templates a finger that are kept at most."""
SAME = 0.98
"""Correlation without any shift above which two probes are one recording; two touches of SDUMLA reach 0.875."""
REMEMBERED = 1024


class Recent:
    """The last probes, in a ring."""

    def __init__(self, size: int = REMEMBERED) -> None:
        self._ring: npt.NDArray[np.uint64] = np.zeros((size, 32), np.uint64)
        self._seen = 0

    def replayed(self, probe: npt.NDArray[np.uint64]) -> bool:
        """Whether this probe is one of the last ones; if not, it is from now on."""
        known = self._ring[: min(self._seen, len(self._ring))]
        if known.size and unmoved(probe, known).max() > SAME:
            return True
        self._ring[self._seen % len(self._ring)] = probe
        self._seen += 1
        return False


class VeinComparator:
    """Implements `authd.driver.Comparator`. Probes and templates are records of engine/template.py."""

    def __init__(self, profiles: Sequence[SensorProfile] = ()) -> None:
        known = profiles or [load_profile(name) for name in profile_names()]
        self._profiles = {profile.id: profile for profile in known}
        self._gallery = Gallery()
        self._recent = Recent()

    def __len__(self) -> int:
        """Templates held."""
        return len(self._gallery)

    def enrol(self, probes: Sequence[bytes]) -> Sequence[bytes]:
        """Keep up to `KEPT` of at least `FEWEST` probes that all agree, those that agree best first.

        Raises `DriverError` (`Fault.PROTOCOL`) for a malformed probe, `ValueError` with a `Hint` value otherwise.
        """
        templates = [self._parse(probe) for probe in probes]
        if len(templates) < FEWEST or len({template.profile for template in templates}) > 1:
            raise ValueError(Hint.REMOVE_AND_RETRY.value)
        score = _mutual([template.bits for template in templates])
        if not _agree(score, self._profiles[templates[0].profile].decision):
            raise ValueError(Hint.REMOVE_AND_RETRY.value)
        order = np.argsort(-score.sum(axis=1), kind="stable")[:KEPT]
        return [probes[int(index)] for index in order]

    def load(self, references: Sequence[Reference]) -> None:
        """Replace the gallery. Raises `DriverError` for a malformed template; then the gallery is empty."""
        self._gallery.clear()
        self.add(references)

    def add(self, references: Sequence[Reference]) -> None:
        """Add to the gallery. Raises `DriverError` for a malformed template; then nothing was added."""
        for reference in references:
            self._parse(reference.data)
        self._gallery.add(references)

    def remove(self, subject: str) -> None:
        """Forget a person; their rows are overwritten."""
        self._gallery.remove(subject)

    @property
    def fmr(self) -> float:
        """Exact upper 95 % bound of the false match rate of one comparison, the worst of the profiles in use."""
        codes = self._gallery.codes or self._profiles.keys()
        return max(self._profiles[code].fmr_bound for code in codes)

    def search(self, probe: bytes, scope: Sequence[str]) -> Candidates:
        """Find the person in scope whose finger this is. Raises `DriverError` for a malformed probe."""
        template = self._parse(probe)
        bits = words(template.bits)
        ranking = self._gallery.rank(bits, template.profile, scope, SAME)
        if self._recent.replayed(bits) or ranking.same:
            return Candidates(None, 0.0, replayed=True)
        return _decide(ranking, self._profiles[template.profile].decision)

    def _parse(self, data: bytes) -> Template:
        template = parse(data)
        if template.profile not in self._profiles:
            raise DriverError(Fault.PROTOCOL, "no profile has this id: this template was made under other settings")
        return template


def _decide(ranking: Ranking, decision: DecisionSettings) -> Candidates:
    """Name the best person if they are good enough and clearly ahead."""
    if not ranking.people:
        return Candidates(None, 0.0)
    best, *others = ranking.people
    margin = best.score - max(0.0, others[0].score if others else 0.0)
    named = best.score >= decision.threshold and margin >= decision.margin
    return Candidates(best if named else None, margin)


def _mutual(bits: Sequence[bytes]) -> npt.NDArray[np.float64]:
    """Scores of each pair, 0 on the diagonal."""
    score = np.zeros((len(bits), len(bits)))
    for i, j in combinations(range(len(bits)), 2):
        score[i, j] = score[j, i] = compare(bits[i], bits[j])
    return score


def _agree(score: npt.NDArray[np.float64], decision: DecisionSettings) -> bool:
    """Whether all show one finger, each anew: every two are alike, and none is a recording of another."""
    pairs = score[np.triu_indices(len(score), 1)]
    return bool(pairs.min() >= decision.agree and pairs.max() <= SAME)
