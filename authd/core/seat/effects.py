"""What a seat asks of the pipeline, carried out in the order given."""

from __future__ import annotations

from dataclasses import dataclass

from authd.core.model import Entry, Face, ReaderId, Session, SubjectId
from authd.core.seat.events import First


@dataclass(frozen=True, slots=True)
class Arm:
    """Arm the readers under a fresh nonce and say so with `Armed`, for the touch after `first` if there is one."""

    first: First | None = None


@dataclass(frozen=True, slots=True)
class Append:
    """Make this durable, then say `Recorded(id)`, or `NotRecorded(id)` within 2 s."""

    entry: Entry
    id: str


@dataclass(frozen=True, slots=True)
class Write:
    """Publish this at once if it is an event, and queue it for the ledger. Waits for nothing."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Show:
    """Show this on the seat's screen."""

    face: Face


@dataclass(frozen=True, slots=True)
class EndElsewhere:
    """End this person's sessions at every other seat, now."""

    subject: SubjectId


@dataclass(frozen=True, slots=True)
class BeginShift:
    """One factor is enough for this person from now on."""

    session: Session


@dataclass(frozen=True, slots=True)
class EndShift:
    """Two factors again at this person's next login."""

    subject: SubjectId


@dataclass(frozen=True, slots=True)
class Confirm:
    """Ask this reader, under a fresh nonce and without anybody's act, whether that credential is in it again."""

    reader: ReaderId
    reference: str


@dataclass(frozen=True, slots=True)
class StepUpDone:
    """Answer the application that asked."""

    id: str
    granted: bool


Effect = Arm | Append | Write | Show | Confirm | EndElsewhere | BeginShift | EndShift | StepUpDone
