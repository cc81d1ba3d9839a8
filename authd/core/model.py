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
Insertion = tuple[ReaderId, str]
"""One stay of one key or card in one reader: the reader, and the driver's name for the stay. Never used again."""

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
    ENROLMENT_REVOKED = "enrolment.revoked"
    POLICY_LOADED = "policy.loaded"
    POLICY_REFUSED = "policy.refused"
    LEDGER_GAP = "ledger.gap"
    LEDGER_RETIRED = "ledger.retired"
    """Segments older than they are kept went: how many, up to which row, and the tree's root then."""
    VIEW_OPENED = "view.opened"
    VIEW_REFUSED = "view.refused"
    VIEW_ACKNOWLEDGED = "view.acknowledged"
    """A protected record was opened with a fresh touch; the exact text that was shown stands in it."""
    FLAG_REQUESTED = "flag.requested"
    FLAG_SET = "flag.set"
    FLAG_RENEWED = "flag.renewed"
    FLAG_RELEASED = "flag.released"
    FLAG_DROPPED = "flag.dropped"
    """A request of the first person that came to nothing: refused, overtaken or too old."""
    FLAG_HELD = "flag.held"
    """A linked system holds this version of the registry."""
    CARRYOUT_REQUESTED = "carryout.requested"
    CARRYOUT_GRANTED = "carryout.granted"
    CARRYOUT_REFUSED = "carryout.refused"
    CARRYOUT_USED = "carryout.used"
    CARRYOUT_EXPORTED = "carryout.exported"
    CARRYOUT_CLOSED = "carryout.closed"
    """What was carried out came back, or was erased."""
    CARRYOUT_BLOCKED = "carryout.blocked"
    """Something would leave without a capability: a print, a drive, a file."""
    CARRYOUT_TRIPPED = "carryout.tripped"
    """More records were opened than a person's work explains."""
    CARRYOUT_OVERDUE = "carryout.overdue"
    """What was carried out should have come back, or been erased, and nobody has said that it did."""
    CARRYOUT_BASELINE = "carryout.baseline"
    """A data set that existed before is known by its fingerprints from now on."""
    PROCEDURE_STARTED = "procedure.started"
    PROCEDURE_ANSWERED = "procedure.answered"
    PROCEDURE_FINISHED = "procedure.finished"
    REVIEW_SIGNED = "review.signed"
    REVIEW_ESCALATED = "review.escalated"
    DISCIPLINE_NOTED = "discipline.noted"
    """A login or logout outside what the roster says, a seat left open, an owner seen elsewhere."""
    ROSTER_IMPORTED = "roster.imported"
    COVER_LOST = "cover.lost"
    """A seat's desktop could not be covered, or what covers it died or hung."""
    CREDENTIAL_SEALED = "credential.sealed"
    """A password of an old system was handed over, and is known to nobody from its first rotation on."""
    CREDENTIAL_ROTATED = "credential.rotated"
    UNATTRIBUTED_FOUND = "unattributed.found"
    """Something is logged in to a wired system and belongs to no session of authd."""
    UNATTRIBUTED_ENDED = "unattributed.ended"
    SEAT_ENROLLED = "seat.enrolled"
    BREAKGLASS_OPENED = "breakglass.opened"
    BREAKGLASS_REVIEWED = "breakglass.reviewed"
    # Rows of the ledger that no follower is told of.
    GRANT = "grant"
    VOID = "void"
    SHIFT_ENDED = "shift.ended"
    LEDGER_SEALED = "ledger.sealed"
    """A span of rows is in the completeness index from now on; the root over all spans stands in it."""


INTERNAL_KINDS = frozenset({Kind.GRANT, Kind.VOID, Kind.SHIFT_ENDED, Kind.LEDGER_SEALED})
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
    """The key of the enrolled seat itself: possession, never a person."""
    VOUCH = "vouch"
    """A colleague's fresh touch in place of a second factor."""


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
    PIN_INVALID = "pin_invalid"
    """Too short, too long, or not what the key accepts as a new one."""
    FINGER_AGAIN = "finger_again"
    """The key's own sensor, or the service's, did not recognise the finger; it still has tries."""
    TOO_SLOW = "too_slow"
    HOLD_LONGER = "hold_longer"
    """The card left the field in the middle."""
    ONE_AT_A_TIME = "one_at_a_time"


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


class Denial(StrEnum):
    """Why a key, a card or a service's word was not accepted. Stands in the ledger; the screen says it plainly."""

    UNKNOWN = "unknown_credential"
    """No credential of this office on it, or none that anybody here has enrolled."""
    REVOKED = "revoked"
    CLONED = "cloned"
    """Its signature counter stood still or went back."""
    FOREIGN = "foreign"
    """Signed for another office, or by another application's page."""
    UNVERIFIED = "unverified"
    """The authenticator did not verify who touched it."""
    ABSENT = "absent"
    """Nobody touched it."""
    REPLAYED = "replayed"
    """Signed for another question than the one that was asked."""
    SIGNATURE = "signature"
    """It does not verify with the enrolled public key."""
    NOT_ALLOWED = "not_allowed"
    """A model that the office does not allow, or without the attestation it asks for."""
    SYNCED = "synced"
    """The credential can be copied to other devices (backup eligible), or is no more what was enrolled."""
    BLOCKED = "blocked"
    """The key or card has locked itself after wrong PINs or fingers; only its issuer helps."""
    DUPLICATE = "duplicate"
    """Enrolled already, of this person or another."""


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
    ANOTHER_FACTOR = "another_factor"
    """Recognised; the first login of a shift wants a second factor."""
    KEY_UNKNOWN = "key_unknown"
    KEY_REFUSED = "key_refused"
    KEY_BLOCKED = "key_blocked"
    CARD_ALONE = "card_alone"
    """The number of a card names, and proves nothing."""
    PIN = "pin"
    REMOVED = "removed"
    """Locked, because the key or card was taken out."""
    COLLEAGUE = "colleague"
    """A colleague is to touch, to vouch."""
    VOUCHED = "vouched"
    """A colleague has vouched; now the touch of the person it is for."""
    BREAK_GLASS = "break_glass"
    """The first of two people is to touch."""
    SECOND_PERSON = "second_person"
    UNATTENDED = "unattended"
    """Nothing would cover the desktop of this seat, so nobody may sit down at it."""


class Confirms(StrEnum):
    """What authd itself wants confirmed, and the screen says; an application's step-up is asked for without a word."""

    CARRYOUT = "carryout"
    FLAGS = "flags"
    REVIEW = "review"
    ENROLMENT = "enrolment"
    """Of staff: who is enrolled, disabled, or given another key."""
    ROSTER = "roster"
    VIEWS = "views"
    """A look-up in the ledger, or of a protection."""


class Action(StrEnum):
    """What a fresh touch would do, as the policy is asked about it."""

    OPEN_SESSION = "open_session"
    KEEP_SESSION = "keep_session"
    STEP_UP = "step_up"
    UPDATE_TEMPLATE = "update_template"
    """Not of a touch: whether what was just matched may stand in place of an older template of the same finger."""
    VOUCH = "vouch"
    """Stand for a colleague in place of their second factor; opens nothing by itself."""
    BREAK_GLASS = "break_glass"
    """Open a session outside the rules, two people together."""
    CARRY_OUT = "carry_out"
    """Not of a touch: whether what two people ask together may leave a system."""


class Rung(StrEnum):
    """What another person's touch can do for somebody at a locked seat: the rungs that take two people."""

    VOUCH = "vouch"
    BREAK_GLASS = "break_glass"


class Acr(StrEnum):
    """How much a step-up asks, in the words of RFC 9470 (`acr_values`)."""

    ONE = "authd:one"
    """A fresh act of one factor."""
    TWO = "authd:two"
    """Fresh acts of two factors."""


class Handover(StrEnum):
    """What becomes of the unfinished work of the person who hands the seat over."""

    PARK = "park"
    CLOSE = "close"


class PromptId(StrEnum):
    """What authd's own prompt asks for. The words live in `authd/locale`."""

    PIN = "pin"
    NEW_PIN = "new_pin"
    """At enrolment, of a key that has none."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Something to be typed at the seat's screen; `left`: tries before the key or card locks itself, if it says so."""

    id: PromptId
    left: int | None = None
    again: bool = False
    """The last one was wrong."""


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
    removal: int = 0
    """How long a key or card that was taken out may take to come back and prove itself; at most 0.8 s."""


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
    """Of the touch before, where it took two fingers or two factors; `nonce` is then the second's."""
    more: frozenset[Factor] = frozenset()
    """Further factors of the same act, or of the touch before: the PIN, or the finger that the key itself verified."""
    bound: tuple[Insertion, ...] = ()
    """What must stay inserted for as long as the session lasts: `(reader, insertion)` of each key or card."""
    held: tuple[str, ...] = ()
    """The credential of each of `bound`, in its order; empty: it is `reference`."""

    @property
    def factors(self) -> frozenset[Factor]:
        """All of it."""
        return frozenset({self.factor}) | self.more

    @property
    def shown(self) -> int:
        """How many different fingers it rests on: the same one twice is one."""
        return max(1, len(set(self.fingers)))


@dataclass(frozen=True, slots=True)
class Helper:
    """Another person whose own verified touch stands beside the owner's: who vouched, or the second of two."""

    subject: SubjectId
    rung: Rung
    evidence: Evidence


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
    helper: Helper | None = None
    asked: str = ""
    """What was decided about: `Decision.asked`."""

    @property
    def break_glass(self) -> bool:
        """Whether two people opened it outside the rules: no carry-out, red frame, a review afterwards."""
        return self.helper is not None and self.helper.rung is Rung.BREAK_GLASS


@dataclass(frozen=True, slots=True)
class SteppedUp:
    """What became of a step-up, in the words of RFC 9470; `acr` and `auth_time` mean nothing where it was refused."""

    granted: bool
    acr: Acr = Acr.ONE
    auth_time: Instant = Instant(0)
    """When the owner acted, on the clock of `Instant`."""


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


@dataclass(frozen=True, slots=True)
class Denied:
    """A key, card or service's word that was not accepted; `subject` where it is known whose it is."""

    why: Denial
    subject: SubjectId | None = None
    reference: str = ""


Found = Candidate | Denied | Miss


@dataclass(frozen=True, slots=True)
class Load:
    """What would be carried out, as the policy is asked about it."""

    kind: str
    """`export`, `print`, `file` or `usb`."""
    rows: int
    destination: str
    covered: bool
    """The system it leaves has told that it holds the newest protections; a silent one lets nothing out."""


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
    helper: SubjectId | None = None
    """Who vouches, or the second of two people; None: nobody has touched yet, or nobody is asked to."""
    vouches: int = 0
    """How often somebody has vouched for this person in this calendar month."""
    acr: Acr = Acr.ONE
    """Of a step-up: what the application asks."""
    max_age: int | None = None
    """Of a step-up: seconds that the owner's act may be old; None: it must be a new one."""
    break_glass: bool = False
    """The session that is open here was opened outside the rules."""
    load: Load | None = None
    """Of a carry-out."""


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
    another_factor: bool = False
    """Refused for want of one thing only, which the next touch can add: a second factor, or a second person."""
    asked: str = ""
    """The question as it was put, people and seat as they were: JSON, for the ledger, so that it can be put again."""


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
    prompt: Prompt | None = None
    """What is to be typed; whatever is typed goes to the reader that asks, and nowhere else."""
    break_glass: bool = False
    """The session was opened by two people, outside the rules: the screen says so for as long as it lasts."""
    claim: SubjectId | None = None
    """Whom a card or a tile has named: their finger is waited for on readers that cannot search."""
    lent: bool = False
    """The readers are lent to an enrolment: what is touched now means nothing to this seat."""
    confirms: Confirms | None = None
    """What the touch that a step-up waits for allows, where authd itself has asked."""
