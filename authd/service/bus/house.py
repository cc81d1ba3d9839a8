"""What the doors ask of the rest of the daemon. The daemon implements `House`; the ledger implements `Source`.

The doors decide who may ask (role, seat, scope, at every message) before anything here is called, so an implementation
may trust its arguments to be well-formed, but not to name things that exist: it answers those with `Refused`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from authd.core.model import Acr, EndReason, Entry, Grade, Hint, SeatId, SeatState, SessionId, SubjectId

if TYPE_CHECKING:
    from authd.service.certificates import Certificates
    from authd.service.evidence import Evidence
    from authd.service.tokens import Tokens


class Error(StrEnum):
    """Why a request was not carried out (closed list; the words for people are the client's)."""

    NOT_PERMITTED = "not_permitted"
    UNKNOWN_VERB = "unknown_verb"
    BAD_REQUEST = "bad_request"
    BUSY = "busy"
    NOT_FOUND = "not_found"
    EXPIRED = "expired"
    LEDGER_DOWN = "ledger_down"
    REFUSED = "refused"
    SLOW = "slow"
    """The peer did not read what it had asked for; a follower may come back with its last number."""
    FAULT = "fault"
    """A bug or a dead part behind the door: nothing was changed."""


class DoorError(Exception):
    """Base of what goes wrong between a peer and the house."""


class Refused(DoorError):
    """The one error a `House` raises for what it will not do. `detail` is for the caller's log, never a secret."""

    def __init__(self, error: Error, detail: str = "") -> None:
        super().__init__(f"{error.value}: {detail}" if detail else error.value)
        self.error = error
        self.detail = detail


class Role(StrEnum):
    """What a peer's key (or uid, or inherited descriptor) makes of it."""

    SCREEN = "screen"
    """The agent of exactly one seat: shows its faces, reports its activity, opens its applications."""
    APPLICATION = "application"
    """Learns who is at the seats it is configured for, as far as its scope goes."""
    ADMIN = "admin"
    """The daemon's own account or root, on the local socket."""


class Attribute(StrEnum):
    """What an application may be told of a person beyond the opaque subject; its `scope` in authd.toml lists these."""

    NAME = "name"
    KANA = "kana"
    SECTION = "section"
    STAFF_NUMBER = "staff_number"


@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody at a door, as their key says, never as they say."""

    role: Role
    name: str
    """Audience of the events signed for it: the application's name, the screen's `screen:<seat>`, or `admin`."""
    seats: frozenset[SeatId] = frozenset()
    """A screen's one seat; the seats an application is configured for. Ignored for an admin, who has them all."""
    scope: frozenset[Attribute] = frozenset()
    account: str = ""
    """What the application calls a person, made of their staff number; empty: it has no accounts."""

    def has(self, seat: SeatId) -> bool:
        """Whether this peer may speak of the seat at all."""
        return self.role is Role.ADMIN or seat in self.seats


class Peers(Protocol):
    """Who holds which key; asked at every message, so that a revoked key is refused though its connection lives."""

    def of_key(self, key: str) -> Peer | None:
        """Return the peer with this CURVE public key (z85, 40 characters), or None: unknown or revoked."""
        ...

    def of_uid(self, uid: int) -> Peer | None:
        """Return the peer with this uid, by SO_PEERCRED on the local socket, or None."""
        ...

    def live(self) -> Sequence[tuple[str, Peer]]:
        """Return the keys that are good now, with their peers."""
        ...


class Person(Protocol):
    """A member of staff, as the store knows them."""

    @property
    def subject(self) -> SubjectId:
        """Opaque, for ever."""
        ...

    @property
    def staff_number(self) -> str:
        """As printed on the staff card."""
        ...

    @property
    def name(self) -> str:
        """In kanji, as colleagues write it."""
        ...

    @property
    def kana(self) -> str:
        """How the name is read."""
        ...

    @property
    def section(self) -> str:
        """Where they work."""
        ...

    @property
    def officer(self) -> bool:
        """Whether their touch allows enrolments."""
        ...

    @property
    def disabled(self) -> bool:
        """Whether no session of theirs may open."""
        ...


@dataclass(frozen=True, slots=True)
class Application:
    """A legacy application as configured; a ticket leads to its `url`."""

    name: str
    name_ja: str
    name_en: str
    url: str
    account: str = ""
    """What it calls a person, made of their staff number."""


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Who is at a seat now. `session`, `subject`, `since_ms` and `grade` are None together: nobody."""

    seat: SeatId
    state: SeatState
    session: SessionId | None = None
    subject: SubjectId | None = None
    since_ms: int | None = None
    """Wall clock, milliseconds since 1970: for people only."""
    grade: Grade | None = None


@dataclass(frozen=True, slots=True)
class Stay:
    """One session in a seat's history, from the ledger."""

    session: SessionId
    subject: SubjectId
    start_ms: int
    end_ms: int | None
    """None: it is still open."""
    grade: Grade
    reason: EndReason | None
    first_seq: int
    """Number of its `session.started` row, to find it in the ledger."""


@dataclass(frozen=True, slots=True)
class StepUp:
    """Whether the owner confirmed with a fresh touch; `reason` is empty, or a word such as `timeout` or `refused`."""

    stepped_up: bool
    reason: str = ""
    acr: str = ""
    """What it rests on (RFC 9470, `model.Acr`); empty where it was refused."""
    auth_time: int | None = None
    """When the owner acted: seconds since 1970, of the wall clock, for people and protocols only."""


class Means(StrEnum):
    """What is enrolled."""

    FINGER = "finger"
    """On a reader whose samples authd itself compares."""
    KEY = "key"
    CARD = "card"
    FINGERPRINT = "fingerprint"
    """A finger, in the store of a service or sensor that matches by itself."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Whom to enrol, at which seat's reader. `founding`: one of the first two officers, before any officer exists.

    adding: `finger`, and `more`, of somebody who is enrolled; `staff_number` says who, and the rest of them stays.
    means: what of theirs; of a key or card there is one in a sitting, and no finger.
    """

    seat: SeatId
    staff_number: str
    name: str
    kana: str
    section: str
    finger: str
    officer: bool = False
    founding: bool = False
    more: tuple[str, ...] = ()
    adding: bool = False
    means: Means = Means.FINGER

    @property
    def fingers(self) -> Sequence[str]:
        """Every finger to take, in this order."""
        return self.finger, *self.more


@dataclass(frozen=True, slots=True)
class EnrolStep:
    """How far an enrolment is. The last step of a successful one carries the subject; a failed one raises `Refused`."""

    step: str
    """A message id: whose touch is asked for now, or what was reached."""
    done: float = 0.0
    hint: Hint | None = None
    subject: SubjectId | None = None
    finger: str = ""
    """Whose touch is asked for, by its name in `FINGERS`."""
    left: int | None = None
    """Of a PIN that is asked for (step `pin`, `new_pin`; the answer is the verb `answer`): tries that are left."""
    again: bool = False
    """The last one was wrong."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a person has enrolled: a template of a finger, a key, a card."""

    reference: str
    """`tpl_...@version`, as evidence and ledger name it."""
    modality: str
    label: str
    """The finger's name, or `key-1`."""
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """A session that two people opened outside the rules, and whether somebody has looked at it since."""

    session: SessionId
    seat: SeatId
    subject: SubjectId
    helper: SubjectId | None
    opened_ms: int
    due: str
    """Day, `YYYY-MM-DD`, at whose end the review is late: the next working day."""
    reviewed_ms: int | None = None
    officer: SubjectId | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What a screen's browser is to ask of a key: WebAuthn's options as JSON; kind: `get` or `create`."""

    kind: str
    options: Mapping[str, object]


class Button(StrEnum):
    """What can be pressed on a seat's screen."""

    LOCK = "lock"
    LOGOUT = "logout"
    VOUCH = "vouch"
    """On a seat that is nobody's: a colleague's touch in place of a second factor."""
    BREAK_GLASS = "break_glass"
    """On a seat that is nobody's: two people open it outside the rules."""


class House(Protocol):
    """The daemon as its doors see it. Anything may raise `Refused`, `LedgerDown` or `Unavailable`."""

    @property
    def name(self) -> str:
        """Name of the host, as in the `source` of its events."""
        ...

    def who(self, seat: SeatId) -> Occupancy:
        """Answer at once, from the seat's machine; `Refused(NOT_FOUND)` where there is no such seat."""
        ...

    def person(self, subject: SubjectId) -> Person | None:
        """Answer at once; None where the store does not know (or no longer knows) the person."""
        ...

    def applications(self, seat: SeatId) -> Sequence[Application]:
        """Return what the seat's screen may open."""
        ...

    def activity(self, seat: SeatId) -> None:
        """Somebody used keyboard or mouse: idle starts anew. Never blocks."""
        ...

    async def press(self, seat: SeatId, button: Button) -> None:
        """Return once the seat's machine has acted."""
        ...

    def watched(self, seat: SeatId) -> AbstractContextManager[None]:
        """A screen of the seat watches for as long as the context lasts."""
        ...

    def answer(self, seat: SeatId, typed: str) -> None:
        """Hand what was typed to the reader that asks; `Refused(NOT_FOUND)` where none does. Never logged."""
        ...

    def roster(self, seat: SeatId) -> Sequence[Person]:
        """Return who may be named at the seat, for its readers that can only verify a named person."""
        ...

    def claim(self, seat: SeatId, subject: SubjectId) -> None:
        """Somebody says whose finger comes next; proves nothing. `Refused` where that means nothing here and now."""
        ...

    def ceremony(self, seat: SeatId) -> Ceremony:
        """What the screen's browser is to ask of a key, under the armed nonce; `Refused` where none is waited for."""
        ...

    def signed(self, seat: SeatId, response: bytes) -> None:
        """Take what the browser got from a key; `Refused` where none is waited for."""
        ...

    async def step_up(
        self, seat: SeatId, session: SessionId, purpose: str, acr: Acr = Acr.ONE, max_age: int | None = None
    ) -> StepUp:
        """Ask the session's owner for a fresh touch; returns when it came, was refused, or the time was over.

        max_age: seconds within which an earlier one is good enough.
        """
        ...

    async def history(self, seat: SeatId, start_ms: int, end_ms: int) -> Sequence[Stay]:
        """Return every session that touched [start, end), in order."""
        ...

    async def people(self) -> Sequence[Person]:
        """Return everyone ever enrolled, the disabled too."""
        ...

    def enrol(self, order: Enrolment) -> AsyncGenerator[EnrolStep, None]:
        """Carry an enrolment out, touch by touch; closing the iterator abandons it."""
        ...

    async def disable(self, subject: SubjectId, seat: SeatId, *, erase: bool = False) -> None:
        """After an officer's touch at the seat: end the person's sessions and let none follow."""
        ...

    async def credentials(self, subject: SubjectId) -> Sequence[Credential]:
        """Return what a person has enrolled, the oldest first, the revoked too."""
        ...

    async def revoke(self, reference: str, seat: SeatId) -> None:
        """After an officer's touch at the seat: end what rests on this key or card, and let nothing open with it."""
        ...

    async def broken_glass(self) -> Sequence[BreakGlass]:
        """Return every session that was opened outside the rules, the newest first."""
        ...

    async def review(self, session: SessionId, seat: SeatId) -> None:
        """After an officer's touch at the seat: such a session has been reviewed."""
        ...

    @property
    def evidence(self) -> Evidence:
        """What is known of records, and not of seats: views, protections, carry-outs, procedures, reviews."""
        ...

    @property
    def certificates(self) -> Certificates:
        """What the core certifies for databases."""
        ...

    @property
    def tokens(self) -> Tokens:
        """What the core signs for applications, of its own state."""
        ...

    def status(self) -> Mapping[str, object]:
        """Return what `authd status` shows: plain JSON values."""
        ...

    async def seal(self) -> int:
        """Bring every row there is into the ledger's completeness index; return how many are. Raises `LedgerDown`."""
        ...

    async def stop(self) -> None:
        """Begin to end the daemon; returns before it has ended."""
        ...


class Recorded(Protocol):
    """A ledger row: an entry and the place it was given."""

    @property
    def seq(self) -> int:
        """Grows from row to row; what it skips, a `ledger.gap` tells."""
        ...

    @property
    def wall_ms(self) -> int:
        """Wall clock, milliseconds since 1970: for people only."""
        ...

    @property
    def entry(self) -> Entry:
        """What happened."""
        ...


class Source(Protocol):
    """The ledger, as followers read it."""

    @property
    def head(self) -> int:
        """Number of the last durable row; 0 when there is none."""
        ...

    def follow(self, after: int) -> AsyncIterator[Recorded]:
        """Yield every durable row with `seq > after` in order, the old ones first, then each as it becomes durable."""
        ...
