"""Whether the verifier's answer is one to this very question: what it does not fit is not believed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from authd.core.model import Candidate, Evidence, Factor, Found, Grade, Insertion, SubjectId
from authd.core.ports import Asked, Given, Sample

_FINGERS = frozenset({Factor.VEIN, Factor.FINGERPRINT})
_GRADES = {
    Given.PROBE: Grade.MATCHED,
    Given.PROOF: Grade.SIGNED,
    Given.CLAIMED: Grade.MATCHED,
    Given.IDENTIFIER: Grade.DEVICE,
}
_FIRST = {
    Given.PROBE: _FINGERS,
    Given.PROOF: frozenset({Factor.KEY, Factor.CARD}),
    Given.CLAIMED: _FINGERS,
    Given.IDENTIFIER: frozenset({Factor.CARD}),
}
_MORE = {Given.PROOF: frozenset({Factor.PIN, Factor.FINGERPRINT})}
"""Of the same act: what the key or card itself has asked for."""
log = logging.getLogger("authd.core.fits")


def fits(found: Found, sample: Sample, scope: Sequence[SubjectId], asked: Asked) -> bool:
    """Whether a candidate is an answer to this very question, and not another's that came in its place."""
    if not isinstance(found, Candidate):
        return True
    seen = found.evidence
    good = found.subject in scope and seen.nonce == sample.nonce and seen.reader == sample.reader
    good = good and _kind(seen, sample) and _fingers(seen, sample, asked, found.subject)
    if not good:
        log.error("the verifier answered for another sample than the one of %s", sample.reader)
    return good


def _kind(seen: Evidence, sample: Sample) -> bool:
    """What a sample of this kind can show, and no more: neither a stronger grade, nor a factor that nobody showed."""
    given, stay = sample.given, stay_of(sample)
    shown = seen.factor in _FIRST[given] and seen.more <= _MORE.get(given, frozenset())
    return shown and seen.grade is _GRADES[given] and seen.bound == ((stay,) if stay else ()) and not seen.held


def _fingers(seen: Evidence, sample: Sample, asked: Asked, subject: SubjectId) -> bool:
    """Whether it rests on as many fingers as were asked: two are two touches of this try, of different fingers."""
    if sample.given is not Given.PROBE:
        return not seen.first and seen.shown == 1
    return enough(seen, asked, subject)


def enough(seen: Evidence, asked: Asked, subject: SubjectId) -> bool:
    """As `_fingers`, of a probe."""
    if seen.first:
        return asked.first is not None and seen.first == asked.first.nonce and seen.shown > 1
    return seen.shown == 1 and (asked.fingers == 1 or subject == asked.alone)


def stay_of(sample: Sample) -> Insertion | None:
    """What a session that rests on this is bound to."""
    return (sample.reader, sample.insertion) if sample.insertion else None
