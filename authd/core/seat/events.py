"""What can happen to a seat."""

from __future__ import annotations

from dataclasses import dataclass

from authd.core.model import Decision, Found, Hint, Instant, Nonce, ReaderId, SessionId, SubjectId


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class ReaderUp:
    """A reader that a finger can touch is there."""

    reader: ReaderId


@dataclass(frozen=True, slots=True)
class ReaderDown:
    """It is gone; `why` is its fault."""

    reader: ReaderId
    why: str


@dataclass(frozen=True, slots=True)
class First:
    """A touch that waits for another finger of the same person: its nonce, and when it was captured."""

    nonce: Nonce
    captured_at: Instant


@dataclass(frozen=True, slots=True)
class Armed:
    """The readers wait for a touch under this nonce, the second of a pair where there is a `first`."""

    nonce: Nonce
    first: First | None = None


@dataclass(frozen=True, slots=True)
class FingerDown:
    """Somebody touches a reader."""


@dataclass(frozen=True, slots=True)
class Hinted:
    """A reader asks for a better presentation."""

    hint: Hint


@dataclass(frozen=True, slots=True)
class Captured:
    """A sample has arrived under this nonce; this moment is its stamp."""

    nonce: Nonce


@dataclass(frozen=True, slots=True)
class Throttled:
    """The sample is not verified: too many tries before it."""

    nonce: Nonce
    until: Instant | None
    """None: the claimed credential is disabled."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verifier's answer, and the policy's for what this touch would do."""

    nonce: Nonce
    found: Found
    decision: Decision | None = None
    session: SessionId = SessionId("")
    """Name of the session to open, drawn outside."""
    shift_began: Instant | None = None
    """None: this touch begins the person's shift."""
    moving: bool = False
    """This person has a session at another seat, which will end."""


@dataclass(frozen=True, slots=True)
class Held:
    """The finger of the sample under this nonce has rested for 2 s."""

    nonce: Nonce


@dataclass(frozen=True, slots=True)
class Recorded:
    """The ledger has made the entry of this session or step-up durable."""

    id: str


@dataclass(frozen=True, slots=True)
class NotRecorded:
    """The ledger could not, or it took too long to know."""

    id: str


@dataclass(frozen=True, slots=True)
class Activity:
    """The seat's own agent saw its keyboard or mouse move."""


@dataclass(frozen=True, slots=True)
class Sensed:
    """The presence sensor's word."""

    present: bool


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button of the seat's screen."""

    logout: bool = False


@dataclass(frozen=True, slots=True)
class StepUpAsked:
    """An application wants a fresh touch of the owner for this purpose."""

    id: str
    purpose: str
    until: Instant


@dataclass(frozen=True, slots=True)
class Revoked:
    """This person may not have a session any more."""

    subject: SubjectId


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """This person has just sat down at another seat."""

    subject: SubjectId


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """The rules in force do not permit the open session any more, or the one that waits for the ledger."""


@dataclass(frozen=True, slots=True)
class LedgerHealth:
    """Whether the ledger can make anything durable."""

    healthy: bool


@dataclass(frozen=True, slots=True)
class Suspending:
    """The machine is about to sleep."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The machine is awake again."""


@dataclass(frozen=True, slots=True)
class Lent:
    """The readers are lent to an enrolment: their samples are not touches of this seat for now."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The enrolment is over; the readers are the seat's again."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Something broke in the daemon itself."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The daemon is ending."""


Event = (
    Tick
    | ReaderUp
    | ReaderDown
    | Armed
    | FingerDown
    | Hinted
    | Captured
    | Throttled
    | Verdict
    | Held
    | Recorded
    | NotRecorded
    | Activity
    | Sensed
    | Pressed
    | StepUpAsked
    | Revoked
    | Elsewhere
    | PolicyChanged
    | LedgerHealth
    | Suspending
    | Resumed
    | Lent
    | Returned
    | Failed
    | Shutdown
)
