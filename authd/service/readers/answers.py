"""What may end an operation of a reader, and the path's word for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from authd.core.model import Nonce, Prompt, ReaderId, SubjectId
from authd.core.ports import Given, Sample
from authd.driver import (
    Capture,
    Claimed,
    Confirm,
    Delete,
    Denied,
    Enroll,
    Enrolled,
    Event,
    Identifier,
    NoMatch,
    Op,
    Probe,
    Proof,
    Verify,
)
from authd.service.host.frames import Ended
from authd.service.readers.insertions import Insertions

Last = Probe | Proof | Claimed | Identifier | NoMatch | Denied | Enrolled
_ANSWERS: dict[type[Op], tuple[type[Last], ...]] = {
    Capture: (Probe, Proof, Identifier, Denied),
    Verify: (Claimed, NoMatch, Denied),
    Confirm: (Proof, NoMatch, Denied),
    Enroll: (Enrolled, NoMatch, Denied),
}
"""What may end which operation; nothing ends the others but their being over.

A device's own no is of somebody who was named: of nobody it would be no try, and leave the seat without a question.
"""


@dataclass(frozen=True, slots=True)
class Job:
    """An operation that is no arming. `tell` hears its events, then `Ended`; None: it was cut off."""

    op: Confirm | Enroll | Delete
    tell: Callable[[Event | Prompt | Ended | None], None]


def answers(event: Last, op: Op | None) -> bool:
    """Whether this is an answer to that: of its kind, under its nonce, silent where nobody was to be asked."""
    if op is None or not isinstance(event, _ANSWERS.get(type(op), ())):
        return False
    silent = isinstance(event, Proof) and event.silent
    return event.nonce == getattr(op, "nonce", None) and silent == (
        isinstance(op, Confirm) and isinstance(event, Proof)
    )


def sample(
    reader: ReaderId, event: Probe | Proof | Claimed | Identifier | NoMatch, claim: str | None, stays: Insertions
) -> Sample:
    """Return the path's word for it. Raises `BadStay` where it comes from a key or card that is not there.

    claim: who was named. A service's no is a sample too, of quality 0, so that it is charged like any other miss.
    """
    named, nonce = SubjectId(claim) if claim is not None else None, Nonce(event.nonce)
    match event:
        case Probe(data, quality, _, pad):
            return Sample(reader, nonce, data, quality, pad)
        case Proof(data, _, insertion, silent):
            stay = stays.stay(insertion)
            return Sample(reader, nonce, data, 1.0, given=Given.PROOF, insertion=stay, silent=silent)
        case Identifier(data, _, insertion):
            return Sample(reader, nonce, data, 1.0, given=Given.IDENTIFIER, insertion=stays.stay(insertion))
        case Claimed(_, _, data):
            return Sample(reader, nonce, data, 1.0, claim=named, given=Given.CLAIMED)
        case NoMatch():
            return Sample(reader, nonce, b"", 0.0, claim=named, given=Given.CLAIMED)
