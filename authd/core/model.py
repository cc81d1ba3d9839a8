"""The nouns: every word that two modules share, as frozen values made of the standard library's types.

The words are those of the field (ISO/IEC 2382-37, NIST SP 800-63-4, WebAuthn, XACML); docs/reference/nouns.md
lists them with their sources. Times are `Instant`: nanoseconds of CLOCK_BOOTTIME, which goes on counting while the
machine sleeps. Wall-clock time is for people only and never decides anything here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

SubjectId = NewType("SubjectId", str)
"""Opaque and stable (`sub_...`), never reused, kept for ever. Never a staff number, a name or an account."""
SeatId = NewType("SeatId", str)
ReaderId = NewType("ReaderId", str)
SessionId = NewType("SessionId", str)
Nonce = NewType("Nonce", str)
"""Names one verification: 128 random bits as hex, armed before the capture, cancelled by any lock."""
Epoch = NewType("Epoch", int)
"""Fencing number of a seat: raised at every restart of the daemon and at every change of owner."""
Instant = NewType("Instant", int)
"""Nanoseconds of CLOCK_BOOTTIME."""

FINGERS = tuple(
    f"{side}_{name}" for side in ("right", "left") for name in ("thumb", "index", "middle", "ring", "little")
)
"""In the order of their codes in ISO/IEC 19794: the first is 1; 0 is an unknown finger."""

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


class SeatState(StrEnum):
    """What a seat is doing. Start and every fault: LOCKED, or OUT_OF_SERVICE while no reader can be touched."""

    OUT_OF_SERVICE = "out_of_service"
    LOCKED = "locked"
    VERIFYING = "verifying"
    GRANTING = "granting"
    ACTIVE = "active"
    FADING = "fading"
    STEPPING_UP = "stepping_up"


class EndReason(StrEnum):
    """Why a session ended (closed list of DESIGN.md)."""

    LOCK = "lock"
    IDLE = "idle"
    ABSENCE = "absence"
    REMOVAL = "removal"
    HANDOVER = "handover"
    ELSEWHERE = "elsewhere"
    LOGOUT = "logout"
    EXPIRED = "expired"
    REVOKED = "revoked"
    POLICY = "policy"
    FAULT = "fault"
    CRASH = "crash"
    SHUTDOWN = "shutdown"


class Kind(StrEnum):
    """What a ledger entry records. `EVENT_KINDS` are published; the rest stay inside the ledger."""

    SESSION_STARTED = "session.started"
    SESSION_FADING = "session.fading"
    SESSION_KEPT = "session.kept"
    SESSION_STEPPED_UP = "session.stepped_up"
    SESSION_ENDED = "session.ended"
    ATTEMPT_REFUSED = "attempt.refused"
    ATTEMPT_NOT_RECOGNISED = "attempt.not_recognised"
    READER_AVAILABLE = "reader.available"
    READER_LOST = "reader.lost"
    ENROLMENT_FOUNDED = "enrolment.founded"
    ENROLMENT_CREATED = "enrolment.created"
    ENROLMENT_UPDATED = "enrolment.updated"
    ENROLMENT_DISABLED = "enrolment.disabled"
    POLICY_LOADED = "policy.loaded"
    POLICY_REFUSED = "policy.refused"
    LEDGER_GAP = "ledger.gap"
    VIEW_OPENED = "view.opened"
    # Rows of the ledger that no follower is told of.
    GRANT = "grant"
    VOID = "void"
    SHIFT_ENDED = "shift.ended"


INTERNAL_KINDS = frozenset({Kind.GRANT, Kind.VOID, Kind.SHIFT_ENDED})
EVENT_KINDS = frozenset(Kind) - INTERNAL_KINDS


class Grade(StrEnum):
    """How strong the evidence is that a person acted; every answer states it."""

    SIGNED = "A"
    """A person's act signed by their own key."""
    MATCHED = "B"
    """A person's act matched by this seat's reader."""
    DEVICE = "C"
    """What a device says."""
    STATEMENT = "D"
    """What somebody says."""


class Factor(StrEnum):
    """What a verification rested on."""

    VEIN = "vein"
    FINGERPRINT = "fingerprint"
    KEY = "key"
    CARD = "card"
    PIN = "pin"
    SEAT_KEY = "seat_key"


class Hint(StrEnum):
    """What the person can do better. A hint is never counted as a failed try."""

    TOO_SHORT = "too_short"
    CENTRE = "centre"
    REMOVE_AND_RETRY = "remove_and_retry"
    PRESS_HARDER = "press_harder"
    DRY = "dry"
    WET = "wet"
    TOO_FAST = "too_fast"
    SKEWED = "skewed"
    TOUCH_THE_KEY = "touch_the_key"
    PIN_WRONG = "pin_wrong"


class Fault(StrEnum):
    """What is wrong with the device. A fault is never counted or shown as a failed finger."""

    BUSY = "busy"
    NOT_PERMITTED = "not_permitted"
    REMOVED = "removed"
    SUSPENDED = "suspended"
    HOT = "hot"
    FULL = "full"
    DUPLICATE = "duplicate"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    CRASHED = "crashed"


class Message(StrEnum):
    """Ids of the sentences a seat screen may show; the words live in `authd/locale`, never in the core."""

    WAITING = "waiting"
    READING = "reading"
    START = "start"
    ONCE_MORE = "once_more"
    ANOTHER_FINGER = "another_finger"
    OTHER_WAY = "other_way"
    CONFIRM = "confirm"
    FADING = "fading"
    KEPT = "kept"
    LOCKED = "locked"
    MOVED_HERE = "moved_here"
    MOVED_AWAY = "moved_away"
    REFUSED = "refused"
    REFUSED_HOURS = "refused_hours"
    REFUSED_FACTORS = "refused_factors"
    WAIT = "wait"
    READER_LOST = "reader_lost"
    LEDGER_DOWN = "ledger_down"
    FAULT = "fault"
    LOGGED_OUT = "logged_out"


class Action(StrEnum):
    """What a fresh touch would do, as the policy is asked about it."""

    OPEN_SESSION = "open_session"
    KEEP_SESSION = "keep_session"
    STEP_UP = "step_up"
    UPDATE_TEMPLATE = "update_template"
    """Not of a touch: whether what was just matched may stand in place of an older template of the same finger."""


class Handover(StrEnum):
    """What becomes of the unfinished work of the person who hands the seat over."""

    PARK = "park"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session may last without what; spans in nanoseconds. Policy sets them, at each grant.

    `absence` None: the seat has no presence sensor. `fade` is the visible part at the end of `idle` and `absence`.
    """

    idle: int = 60 * SECOND
    absence: int | None = 10 * SECOND
    fade: int = 5 * SECOND
    overall: int = 12 * HOUR
    freshness: int = 10 * SECOND
    bounce: int = 2 * SECOND
    handover: Handover = Handover.CLOSE


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a session is believed to be this person's: which reader saw which act, and how well it matched."""

    reader: ReaderId
    factor: Factor
    grade: Grade
    nonce: Nonce
    captured_at: Instant
    reference: str
    """Template or credential that matched, with its version (`tpl_...@1`)."""
    score: float = 0.0
    margin: float = 0.0
    """Distance to the second-best person in the scope."""
    pad_level: str = "none"
    pad: float | None = None
    """Presentation attack score of the sample (`ports.Sample`), None where the reader cannot tell."""
    fingers: tuple[str, ...] = ()
    """The fingers that matched, by their names in `FINGERS`; empty where the reader cannot tell fingers apart."""
    first: Nonce = Nonce("")
    """Of the touch before, where it took two fingers; `nonce` is then the second's."""

    @property
    def shown(self) -> int:
        """How many different fingers it rests on: the same one twice is one."""
        return max(1, len(set(self.fingers)))


@dataclass(frozen=True, slots=True)
class Shift:
    """The time in which one finger is enough. A lock does not end it, a logout does."""

    subject: SubjectId
    begun_at: Instant
    factors: frozenset[Factor]
    lasts: int = Limits().overall


@dataclass(frozen=True, slots=True)
class Session:
    """From a grant to its end, at one seat, of one subject, with its evidence. Nothing resumes."""

    id: SessionId
    subject: SubjectId
    seat: SeatId
    epoch: Epoch
    evidence: Evidence
    limits: Limits
    shift_began: Instant
    granted_at: Instant
    policy: str = ""
    """Hash of the bundle that decided, and `@id`s of the rules that determined it, for the ledger."""
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """The verifier's answer: this is who it looks like. A match is not a permission."""

    subject: SubjectId
    evidence: Evidence


class Miss(StrEnum):
    """The verifier's other answers."""

    NOBODY = "nobody"
    """Nobody in the scope is close enough (or two people are too close to tell): no match is not an error."""
    NOT_CLAIMED = "not_claimed"
    """It is not the person that was claimed; charged to the claimed credential."""
    UNAVAILABLE = "unavailable"
    """The verifier is gone, slow or busy: nobody's fault, never charged."""
    REPLAYED = "replayed"
    """The probe is identical, or nearly so, to an earlier one: a recording, not a finger."""
    ATTACK = "attack"
    """The reader does not believe that it was a living finger. The person is told no more than at any other miss."""
    ANOTHER_FINGER = "another_finger"
    """This finger alone does not say it: another one of the same person is asked for. Names nobody, opens nothing."""


Found = Candidate | Miss


@dataclass(frozen=True, slots=True)
class Request:
    """What the policy is asked."""

    action: Action
    subject: SubjectId
    seat: SeatId
    factors: frozenset[Factor]
    """Of this touch and, while a shift is open, of the shift."""
    shift_open: bool
    grade: Grade
    margin: float = 0.0
    pad_level: str = "none"
    pad: float | None = None
    resource: str = ""
    """What a step-up is for, `system` or `system/purpose`; empty for a login."""
    fresh: frozenset[Factor] = frozenset()
    """Of this touch alone. May be left empty only while no shift is open: `factors` then says the same."""
    owner: SubjectId | None = None
    """Whose session is open at the seat: without one, nothing can be kept or stepped up."""
    fingers: int = 1
    """How many different fingers this touch rests on."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy answers: permitted only with no error and every named entity present."""

    permitted: bool
    rules: tuple[str, ...]
    """`@id`s of the policies that determined it."""
    bundle: str
    """Hash of the policy bundle that decided."""
    limits: Limits = Limits()
    message: Message = Message.REFUSED
    """What the screen says when it is not permitted."""


Value = str | int | float | bool | None
"""What an entry's `data` may hold: flat, so that a person can read it in twenty years."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, before the ledger has given it a place. Published as an event if its kind is one."""

    kind: Kind
    seat: SeatId | None = None
    epoch: Epoch = Epoch(0)
    subject: SubjectId | None = None
    session: SessionId | None = None
    at: Instant = Instant(0)
    reason: EndReason | None = None
    grade: Grade | None = None
    data: Mapping[str, Value] = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True)
class Counter:
    """Failed tries of one claimed credential, or of one seat, as they survive a restart."""

    failures: int = 0
    not_before: Instant = Instant(0)
    changed_at: Instant = Instant(0)
    boot: str = ""
    """Boot id under which the instants were taken; under another the whole delay starts again."""


@dataclass(frozen=True, slots=True)
class Face:
    """What the seat's screen is to show: a state, a sentence by its id and, at most, the staff member's own name."""

    seat: SeatId
    epoch: Epoch
    state: SeatState
    message: Message
    at: Instant
    subject: SubjectId | None = None
    session: SessionId | None = None
    hint: Hint | None = None
    until: Instant | None = None
    """When a fade ends in a lock, or a delay is over."""
    reader: bool = True
    """Whether a reader can be touched at all (else: key, or another seat)."""
