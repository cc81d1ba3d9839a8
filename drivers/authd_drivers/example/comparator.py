"""The other half of the modality: compares the example's probes, in the verifier child.

Entry point `example = "authd_drivers.example.comparator:ExactComparator"` in the group `authd.comparators`. It is made
with no arguments, has no device, file or network, and keeps the gallery in memory.
"""

from __future__ import annotations

from collections.abc import Sequence

from authd.driver import Candidates, DriverError, Fault, Hint, Known, Reference, Roster, Scored

PROBE_BYTES = 32


class ExactComparator:
    """Equal bytes are the same button. A real one compares features and has a threshold."""

    # Of one comparison, at the threshold in use: the upper 95 % bound, from so many comparisons. authd multiplies it
    # with the templates of a seat and refuses a seat where that is above 1e-4. Never print one that was not measured.
    fmr = 1e-9

    def __init__(self) -> None:
        self._gallery: dict[str, list[Reference]] = {}

    # Measured tables of one finger and of two; without any, authd never asks for a second finger.
    rosters: Sequence[Roster] = ()

    def enrol(self, probes: Sequence[bytes], finger: int = 0) -> Sequence[bytes]:
        """Make the templates of one finger. A button has no finger to keep with it."""
        # A malformed probe is the device's fault; presentations that do not agree are a hint to the person.
        if len(probes) < 3 or any(len(probe) != PROBE_BYTES for probe in probes):
            raise DriverError(Fault.PROTOCOL, "three probes of 32 bytes are expected")
        if len(set(probes)) != 1:
            raise ValueError(Hint.REMOVE_AND_RETRY)
        return [probes[0]]

    def load(self, references: Sequence[Reference]) -> None:
        """Replace the gallery."""
        self._gallery.clear()
        self.add(references)

    def add(self, references: Sequence[Reference]) -> None:
        """Add to the gallery."""
        for reference in references:
            held = self._gallery.setdefault(reference.subject, [])
            name = reference.id.partition("@")[0]
            held[:] = [each for each in held if each.id.partition("@")[0] != name] + [reference]

    def remove(self, subject: str) -> None:
        """Forget a person."""
        self._gallery.pop(subject, None)

    def renew(self, probe: bytes, reference: str) -> tuple[str, bytes] | None:
        """A button does not change."""
        return None

    def known(self, probes: Sequence[bytes], earlier: Sequence[bytes] = ()) -> Known:
        """Who has this button already."""
        held = [each for references in self._gallery.values() for each in references if each.data in probes]
        best = Scored(held[0].subject, held[0].id, 1.0) if held else None
        return Known(best, again=not set(probes).isdisjoint(earlier))

    def search(self, probe: bytes, scope: Sequence[str], first: bytes = b"") -> Candidates:
        """Compare with the people in scope, and with nobody else; what came `first` tells nothing more of a button."""
        if len(probe) != PROBE_BYTES:  # lengths are checked before anything is parsed
            raise DriverError(Fault.PROTOCOL, "a probe of 32 bytes is expected")
        hits = [
            reference for subject in scope for reference in self._gallery.get(subject, ()) if reference.data == probe
        ]
        # Two people who look alike are nobody: a margin that is too small is no answer.
        if len({hit.subject for hit in hits}) != 1:
            return Candidates(best=None, margin=0.0)
        return Candidates(Scored(hits[0].subject, hits[0].id, 1.0), margin=1.0)
