"""Who a finger is: the half of the vein modality that runs in the verifier child. NumPy only, never cv2.

The rule is fixed: the best person is named if their best template reaches the profile's threshold and the second-best
person is at least the profile's margin behind. Two touches are judged by the sum of their scores with two different
fingers of one person, each of which must itself look like that person's. Every probe is remembered for a while: a
recording of one is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from authd.driver import Candidates, DriverError, Fault, Hint, Known, Reference, Roster, Scored, roster_size
from authd_drivers.vein.decision import decide, decide_two
from authd_drivers.vein.engine.compare import SAME, compare, unmoved, words
from authd_drivers.vein.engine.deform import refine
from authd_drivers.vein.engine.enrol import agreeing
from authd_drivers.vein.engine.fusion import roster_row
from authd_drivers.vein.engine.gallery import Gallery, Ranking
from authd_drivers.vein.engine.profile import (
    RosterSettings,
    SensorProfile,
    load_profile,
    profile_names,
    readable_profiles,
)
from authd_drivers.vein.engine.template import Template, pack, parse
from authd_drivers.vein.renewal import replaced

if TYPE_CHECKING:
    import numpy.typing as npt

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

    def __init__(self, shared: Sequence[str] = (), *, profiles: Sequence[SensorProfile] = ()) -> None:
        """Know the shipped profiles and those of the `shared` texts; or `profiles` alone."""
        known = profiles or [*(load_profile(name) for name in profile_names()), *readable_profiles(shared)]
        self._profiles = {profile.id: profile for profile in known}
        self._gallery = Gallery({profile.id: profile.search for profile in known}, refine)
        self._recent = Recent()

    def __len__(self) -> int:
        """Templates held."""
        return len(self._gallery)

    def enrol(self, probes: Sequence[bytes], finger: int = 0) -> Sequence[bytes]:
        """Keep up to `KEPT` of at least `FEWEST` probes that all agree, those that agree best first.

        finger: its code, which goes into the templates. Raises `DriverError` (`Fault.PROTOCOL`) for a malformed probe,
        `ValueError` with a `Hint` value otherwise.
        """
        samples = [self._parse(probe) for probe in probes]
        if not samples:
            raise ValueError(Hint.REMOVE_AND_RETRY.value)
        return agreeing(samples, self._profiles[samples[0].profile], finger)

    def load(self, references: Sequence[Reference]) -> None:
        """Replace the gallery. Raises `DriverError` for a malformed template; then the gallery is empty."""
        self._gallery.clear()
        self.add(references)

    def add(self, references: Sequence[Reference]) -> None:
        """Add to the gallery, a newer version in place of the older one.

        Raises `DriverError` for a malformed template; then nothing was added.
        """
        for reference in references:
            self._parse(reference.data)
        self._gallery.forget({reference.id.partition("@")[0] for reference in references if reference.id[-2:] != "@1"})
        self._gallery.add(references)

    def remove(self, subject: str) -> None:
        """Forget a person; their rows are overwritten."""
        self._gallery.remove(subject)

    @property
    def fmr(self) -> float:
        """Exact upper 95 % bound of the false match rate of one comparison, the worst of the profiles in use."""
        codes = self._gallery.codes or self._profiles.keys()
        return max(self._profiles[code].fmr_bound for code in codes)

    @property
    def rosters(self) -> Sequence[Roster]:
        """What the profiles in use say of whole searches; of several, the worst, and only where all have measured."""
        tables = [self._profiles[code].roster for code in self._gallery.codes or self._profiles.keys()]
        rows: dict[tuple[int, int], list[RosterSettings]] = {}
        for row in (row for table in tables for row in table):
            rows.setdefault((row.people, row.fingers), []).append(row)
        return [_worst(measured) for measured in rows.values() if len(measured) == len(tables)]

    def search(self, probe: bytes, scope: Sequence[str], first: bytes = b"") -> Candidates:
        """Find the person in scope whose finger this is. Raises `DriverError` for a malformed probe."""
        template = self._parse(probe)
        ranking = self._ranked(template, scope)
        if self._recent.replayed(words(template.bits)) or ranking.same:
            return Candidates(None, 0.0, replayed=True)
        two = self._row(template.profile, scope, 2)
        if first:
            before = self._parse(first)
            if two is not None and before.profile == template.profile:
                floor = self._profiles[template.profile].decision.agree
                pair = decide_two(self._ranked(before, scope), ranking, two, floor)
                if pair.best is not None:
                    return pair
        decision = self._row(template.profile, scope, 1) or self._profiles[template.profile].decision
        found = decide(ranking, decision.threshold, decision.margin)
        likely = found.best is None and two is not None and self._likely(ranking, template.profile)
        return replace(found, unsure=likely and not first)

    def renew(self, probe: bytes, reference: str) -> tuple[str, bytes] | None:
        """Make a template of a probe that shows the reference's finger beyond doubt (renewal.py).

        Returns it with the reference in whose place it is best put. Raises `DriverError` for a malformed probe.
        """
        template = self._parse(probe)
        slots, rows = self._gallery.finger_of(reference)
        if not slots or not slots[0].finger or self._gallery.profile_of(reference) != template.profile:
            return None
        place = replaced(template, [row.astype("<u8").tobytes() for row in rows], self._profiles[template.profile])
        return None if place is None else (slots[place].reference, pack(replace(template, finger=slots[0].finger)))

    def known(self, probes: Sequence[bytes], earlier: Sequence[bytes] = ()) -> Known:
        """Look for an enrolment's samples in the whole gallery. Raises `DriverError` for a malformed probe."""
        likely: list[Scored] = []
        for template in map(self._parse, probes):
            ranking = self._ranked(template, self._gallery.subjects)
            if self._recent.replayed(words(template.bits)) or ranking.same:
                return Known(replayed=True)
            threshold = self._profiles[template.profile].decision.threshold
            likely += [each for each in ranking.people[:1] if each.score >= threshold]
            others = [self._parse(probe).bits for probe in earlier]
            search = self._profiles[template.profile].search
            if any(compare(template.bits, other, search) >= threshold for other in others):
                return Known(again=True)
        return Known(max(likely, key=lambda each: each.score, default=None))

    def _ranked(self, template: Template, scope: Sequence[str]) -> Ranking:
        return self._gallery.rank(words(template.bits), template.profile, scope)

    def _row(self, profile: int, scope: Sequence[str], fingers: int) -> RosterSettings | None:
        """What was measured for a roster like this one."""
        size = roster_size((self._gallery.fingers(subject) for subject in scope), fingers)
        return roster_row(self._profiles[profile].roster, size, fingers)

    def _likely(self, ranking: Ranking, profile: int) -> bool:
        """Whether the best person resembles the probe as no one in thousands does, and has another finger to show."""
        likely = [each for each in ranking.people[:1] if each.score >= self._profiles[profile].decision.agree]
        return any(len(self._gallery.fingers(each.subject).keys() - {0}) > 1 for each in likely)

    def _parse(self, data: bytes) -> Template:
        template = parse(data)
        if template.profile not in self._profiles:
            raise DriverError(Fault.PROTOCOL, "no profile has this id: this template was made under other settings")
        return template


def _worst(rows: Sequence[RosterSettings]) -> Roster:
    bound, fnir = max(row.bound for row in rows), max(row.fnir_percent for row in rows)
    return Roster(rows[0].people, rows[0].fingers, bound, fnir)
