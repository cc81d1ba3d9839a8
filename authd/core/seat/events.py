"""What can happen to a seat."""

from __future__ import annotations

from dataclasses import dataclass

from authd.core.model import (
    Acr,
    Action,
    Decision,
    Denial,
    Found,
    Helper,
    Hint,
    Instant,
    Message,
    Nonce,
    Prompt,
    ReaderId,
    Rung,
    SessionId,
    SubjectId,
)

NO_NONCE, NO_READER = Nonce(""), ReaderId("")


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
    """A touch that waits for the next one: its nonce, when the oldest act of it was captured, and what it wants."""

    nonce: Nonce
    captured_at: Instant
    wants: Message = Message.ANOTHER_FINGER
    """Or another factor of the same person, or a second person."""
    before: Nonce = NO_NONCE
    """A recognised touch before this one, of another factor, that goes on waiting too."""


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
    reader: ReaderId = NO_READER
    insertion: str = ""
    """The stay of the key or card that it comes from."""


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
    reader: ReaderId = NO_READER
    """Where the touch was."""
    action: Action = Action.OPEN_SESSION
    """What the policy was asked about."""
    helper: Helper | None = None
    """Whose touch beside the person's own made the decision; `found` is the person's, whatever came last."""
    names: bool = False
    """It is the number of a card, which proves nothing, and says whose finger to wait for."""


@dataclass(frozen=True, slots=True)
class TurnedDown:
    """A device says no by itself, before anybody's act."""

    reader: ReaderId
    nonce: Nonce
    why: Denial


@dataclass(frozen=True, slots=True)
class Inserted:
    """A key or card is in a reader."""

    reader: ReaderId
    insertion: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """That stay is over."""

    reader: ReaderId
    insertion: str


@dataclass(frozen=True, slots=True)
class Confirming:
    """The credential that came back is asked under this nonce whether it is the same one."""

    nonce: Nonce


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Its answer."""

    nonce: Nonce
    found: Found


@dataclass(frozen=True, slots=True)
class Asking:
    """A reader asks for something to be typed; None: not any more."""

    reader: ReaderId
    prompt: Prompt | None


@dataclass(frozen=True, slots=True)
class Named:
    """A tile says who is about to touch."""

    subject: SubjectId
    until: Instant


@dataclass(frozen=True, slots=True)
class HelpAsked:
    """A button of the locked screen: another person is to touch too."""

    rung: Rung
    until: Instant


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
    acr: Acr = Acr.ONE
    max_age: int | None = None


@dataclass(frozen=True, slots=True)
class StepUpDropped:
    """Whoever asked for it waits no more: the next touch means what it would have meant without it."""

    id: str


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
class Unattended:
    """Nothing is there any more that would cover the seat's desktop."""


@dataclass(frozen=True, slots=True)
class Attended:
    """It is there again."""


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
    | TurnedDown
    | Inserted
    | Withdrawn
    | Confirming
    | Confirmed
    | Asking
    | Named
    | HelpAsked
    | Held
    | Recorded
    | NotRecorded
    | Activity
    | Sensed
    | Pressed
    | StepUpAsked
    | StepUpDropped
    | Revoked
    | Elsewhere
    | PolicyChanged
    | LedgerHealth
    | Suspending
    | Resumed
    | Unattended
    | Attended
    | Lent
    | Returned
    | Failed
    | Shutdown
)
