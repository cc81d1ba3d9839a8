"""What the one path calls. `authd/service` implements these with I/O, the simulator in `tests/` with faults.

Every method may fail with `PortError`; anything else it raises is a bug, and the pipeline answers a bug by locking.
"""

from __future__ import annotations

from asyncio import Event
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from authd.core.model import Counter as Counter
from authd.core.model import (
    Decision,
    Denial,
    Entry,
    Epoch,
    Face,
    Fault,
    Found,
    Hint,
    Instant,
    Nonce,
    Prompt,
    ReaderId,
    Request,
    SeatId,
    SessionId,
    SubjectId,
)


class PortError(Exception):
    """The world said no: a disk, a child, a peer. Never the person's fault."""


class LedgerDown(PortError):
    """The ledger cannot make anything durable now (full, read-only, corrupt, slow): no session may open."""


class Unavailable(PortError):
    """A child process is gone, hung or busy; it is being restarted."""


SUSPECT = 0.5
"""A sample whose presentation attack score is below this is refused, whoever it looks like."""


class Given(StrEnum):
    """What a sample is."""

    PROBE = "probe"
    """Features of a finger, to be compared."""
    PROOF = "proof"
    """Signed by a key or card, to be checked."""
    CLAIMED = "claimed"
    """A service's word that the finger is the claimed person's."""
    IDENTIFIER = "identifier"
    """A number that names a card and proves nothing."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What left the reader child under a nonce: features (never an image), a signature. At most 64 kB framed."""

    reader: ReaderId
    nonce: Nonce
    probe: bytes
    quality: float
    """0 (useless) to 1 (best)."""
    pad: float | None = None
    """Presentation attack score, 0 (attack) to 1 (living finger); None where the reader cannot tell.

    A driver scales it so that its own limit is `SUSPECT`: a sample below that is an attack.
    """
    claim: SubjectId | None = None
    """The person whose finger it claims to be, where the reader or a tile named one (1:1)."""
    given: Given = Given.PROBE
    insertion: str = ""
    """Which stay of a key or card it comes from; empty where nothing stays (a finger, a card that is tapped)."""
    silent: bool = False
    """Answered without anybody's act: says that the credential is there, and never opens anything."""


@dataclass(frozen=True, slots=True)
class FingerDown:
    """Something touches the reader; nothing is known of whom."""


@dataclass(frozen=True, slots=True)
class FingerUp:
    """The reader is free again."""


@dataclass(frozen=True, slots=True)
class Held:
    """The finger of the last sample has now rested for 2 s: the gesture for logout."""

    nonce: Nonce


@dataclass(frozen=True, slots=True)
class Hinted:
    """The reader asks for a better presentation (a quality reject: not a failed try)."""

    hint: Hint


@dataclass(frozen=True, slots=True)
class ReaderUp:
    """A reader of the seat can be touched."""

    reader: ReaderId


@dataclass(frozen=True, slots=True)
class ReaderDown:
    """A reader of the seat is unplugged, suspended, hung or crashed; its supervisor is bringing it back."""

    reader: ReaderId
    fault: Fault


@dataclass(frozen=True, slots=True)
class Sensed:
    """The presence sensor's word: somebody is there, or nobody is. Never who."""

    present: bool


@dataclass(frozen=True, slots=True)
class TurnedDown:
    """The device itself says no to this nonce: no credential of ours on the key, the key is blocked."""

    reader: ReaderId
    nonce: Nonce
    why: Denial


@dataclass(frozen=True, slots=True)
class Inserted:
    """A key or card is in the reader; nothing is known of whose."""

    reader: ReaderId
    insertion: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """That stay is over: the key or card was taken out, or its reader or service is gone."""

    reader: ReaderId
    insertion: str


@dataclass(frozen=True, slots=True)
class Asking:
    """The reader asks for something to be typed in authd's own prompt; `prompt` None: not any more."""

    reader: ReaderId
    prompt: Prompt | None


Heard = (
    FingerDown
    | FingerUp
    | Held
    | Hinted
    | ReaderUp
    | ReaderDown
    | Sensed
    | Sample
    | TurnedDown
    | Inserted
    | Withdrawn
    | Asking
)


class Readers(Protocol):
    """The devices of one host, behind their children."""

    def listen(self, seat: SeatId) -> AsyncIterator[Heard]:
        """Everything the seat's devices say, in order, for as long as the daemon lives."""
        ...

    def arm(self, seat: SeatId, nonce: Nonce, claim: SubjectId | None = None, *, calm: bool = False) -> None:
        """Ask the seat's readers for one sample under this nonce; replaces an earlier one. Never blocks.

        claim: whom a tile or card has named, for the readers that can only verify a named person. calm: somebody works
        here and nothing is asked of them, so that no key shall blink and no prompt shall show. The same nonce may come
        again with another `claim` or `calm`: a reader for which that changes nothing goes on with what it is doing.
        """
        ...

    def confirm(self, seat: SeatId, nonce: Nonce, reader: ReaderId, reference: str) -> None:
        """Ask this reader whether that credential is in it again, without anybody's act: a silent `Sample`, or none."""
        ...

    def answer(self, seat: SeatId, reader: ReaderId, typed: str) -> None:
        """Hand what was typed to the reader that asks; dropped where it asks no more. Never logged."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer must rest on to be believed."""

    fingers: int = 1
    """1: one finger is enough where it is clear; 2: it never is."""
    first: Sample | None = None
    """The sample before, of the same try: another finger of the same person, to be compared together with this one."""
    alone: SubjectId | None = None
    """Of this person one finger is always enough: they sit there, and mean to lock or to stay."""


ONE_FINGER = Asked()


class Verifier(Protocol):
    """The child that alone holds decrypted templates."""

    async def identify(self, sample: Sample, scope: Sequence[SubjectId], asked: Asked = ONE_FINGER) -> Found:
        """Compare with the references of the people in scope (1:N), or of `sample.claim` alone (1:1).

        A candidate is of the scope, its evidence names the sample's reader and nonce (and the first's, if two fingers
        made it), and it rests on the fingers that were asked, or it is not believed. Raises `Unavailable` when the
        child cannot answer within 10 s.
        """
        ...


class Ledger(Protocol):
    """One append-only ledger a host, one writer."""

    async def append(self, entry: Entry) -> int:
        """Return the entry's sequence number once it is durable. Raises `LedgerDown`."""
        ...

    def write(self, entry: Entry) -> None:
        """Queue the entry in order, without waiting. Never fails: on a full disk it comes from reserved space."""
        ...

    async def unfinished(self) -> Sequence[Entry]:
        """Grants without `session.started` or `void`, and sessions started without an end, from earlier lives."""
        ...


class Counters(Protocol):
    """Durable store of `Counter`s, by key (`subject:...` or `seat:...`)."""

    async def load(self) -> dict[str, Counter]:
        """Every counter that was saved."""
        ...

    async def save(self, key: str, counter: Counter) -> None:
        """Return once it is durable. Raises `PortError`."""
        ...


class Roster(Protocol):
    """Who may be looked for at which seat; asked anew at every touch, so that a disabled person is gone at once."""

    def scope(self, seat: SeatId) -> Sequence[SubjectId]:
        """People whose templates a touch at this seat is compared with."""
        ...

    def members(self, seat: SeatId) -> Sequence[SubjectId]:
        """People whom a key, a card or a tile may name at this seat: no false match bounds how many."""
        ...

    def fingers(self, seat: SeatId, *, claimed: bool) -> int:
        """1 or 2: how many fingers a touch here must show; `claimed`: of a person who was named (1:1)."""
        ...

    def disabled(self, subject: SubjectId) -> bool:
        """Whether no session of this person may open or go on."""
        ...

    def vouches(self, subject: SubjectId) -> int:
        """How many sessions of this person a colleague's word has opened in this calendar month, by the ledger."""
        ...


class Seats(Protocol):
    """Who may speak for a seat: one process at a time, by fencing epoch. One host: a durable counter."""

    async def claim(self, seat: SeatId) -> Epoch:
        """Durably raise the number of the seat's lives by one and return it. The pipeline counts owners below it."""
        ...

    def vouch(self, seat: SeatId, nonce: Nonce) -> bool:
        """Whether the enrolled seat's own key has just signed this nonce, and the signature verifies.

        Synchronous and cheap; never raises: a seat whose key is missing, or not the anchored one, vouches for nothing.
        """
        ...


class Policy(Protocol):
    """The policy decision point. Synchronous, so that nothing can happen between its answer and its use."""

    def decide(self, request: Request) -> Decision:
        """Never raises: an error is a refusal with its reason."""
        ...


class Publish(Protocol):
    """Doors to the outside: pushed at once, never waited for."""

    def event(self, entry: Entry) -> None:
        """Tell followers now (the durable, numbered event reaches them from the ledger)."""
        ...

    def face(self, face: Face) -> None:
        """Show this on the seat's screen."""
        ...


class Clock(Protocol):
    """Time, passed in."""

    boot: str
    """The kernel's boot id."""

    def now(self) -> Instant:
        """CLOCK_BOOTTIME."""
        ...

    async def sleep_until(self, instant: Instant | None, woken: Event) -> None:
        """Return at `instant` (None: never), soon after a suspend that passed it, or when `woken` is set."""
        ...


class Random(Protocol):
    """Unpredictable names."""

    def nonce(self) -> Nonce:
        """128 bits, hex."""
        ...

    def session(self) -> SessionId:
        """`ses_` and 128 bits."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """All of the world that the pipeline knows."""

    readers: Readers
    verifier: Verifier
    ledger: Ledger
    counters: Counters
    roster: Roster
    seats: Seats
    policy: Policy
    publish: Publish
    clock: Clock
    random: Random
