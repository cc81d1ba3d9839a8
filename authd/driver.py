"""The face for driver authors: import this and nothing else of authd.

A driver is a package with a `manifest.toml` beside it (read before any of its code, the sandbox is made from it) and a
`READER` factory: `READER(settings: Mapping[str, str]) -> Reader`. It runs in a child process of its own, which has no
network, no file and no device but those its manifest names. `authd_drivers.example` is there to be copied;
`tests/conformance` is the class every driver must pass.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from authd.core.model import Denial, Fault, Hint, Prompt, PromptId

__all__ = [
    "Ask",
    "Candidates",
    "Capture",
    "Checked",
    "Checker",
    "Claimed",
    "Comparator",
    "Confirm",
    "Delete",
    "Denial",
    "Denied",
    "DriverError",
    "Enroll",
    "Enrolled",
    "Event",
    "Fault",
    "Feedback",
    "Hint",
    "Identifier",
    "Known",
    "NoMatch",
    "NotAccepted",
    "Op",
    "Probe",
    "Progress",
    "Prompt",
    "PromptId",
    "Proof",
    "Reader",
    "ReaderFactory",
    "Reference",
    "Roster",
    "Scored",
    "State",
    "StateChange",
    "Verify",
    "Watch",
    "challenge_of",
    "roster_size",
]

MAX_PROBE_BYTES = 60_000
K = TypeVar("K", bound=Hashable)


class DriverError(Exception):
    """The device's trouble, as one of `Fault`. Everything else a driver raises counts as a crash of its child."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(f"{fault.value}: {detail}" if detail else fault.value)
        self.fault = fault
        self.detail = detail


class State(StrEnum):
    """What a device can say of itself without naming anybody."""

    NEED_TOUCH = "need_touch"
    FINGER_DOWN = "finger_down"
    FINGER_UP = "finger_up"
    PROCESSING = "processing"
    SUSPENDED = "suspended"
    HOT = "hot"
    DEVICE_REMOVED = "device_removed"
    CREDENTIAL_INSERTED = "credential_inserted"
    CREDENTIAL_REMOVED = "credential_removed"
    PERSON_PRESENT = "person_present"
    PERSON_ABSENT = "person_absent"


# What core asks of a reader.


@dataclass(frozen=True, slots=True)
class Capture:
    """One good sample of a finger that comes down after this was asked; a finger already resting does not count."""

    nonce: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Report states until closed (presence sensors; a held finger; a key or card that stays, and goes)."""


@dataclass(frozen=True, slots=True)
class Verify:
    """As `Capture`, of one person who was named; `reference`: the name under which the device knows them."""

    nonce: str
    reference: str


@dataclass(frozen=True, slots=True)
class Confirm:
    """Whether this very credential is here, answered by the device alone: nobody is asked for anything."""

    nonce: str
    credential: bytes
    """As `Checker.credential` gave it."""


@dataclass(frozen=True, slots=True)
class Enroll:
    """Make a credential on a key, read a card's, or take a finger into the device's own store. Ends with `Enrolled`."""

    nonce: str
    account: str
    """Opaque: the subject. A device that shows or stores a name is given this one."""
    finger: str = ""
    """Name of the finger, for devices that keep fingers themselves."""
    exclude: tuple[bytes, ...] = ()
    """Credentials of this person that are enrolled already (`Checker.credential`): not the same key twice."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Forget what `Enroll` left in the device. Ends without an event where it is done, or was not there."""

    reference: str


Op = Capture | Watch | Verify | Confirm | Enroll | Delete


# What a reader answers.


@dataclass(frozen=True, slots=True)
class StateChange:
    """A device's state.

    insertion: which stay of a key or card `CREDENTIAL_INSERTED` begins and `CREDENTIAL_REMOVED` ends: any text of at
    most 64 characters that this driver's process never gives twice. A session is bound to it.
    """

    state: State
    insertion: str = ""


@dataclass(frozen=True, slots=True)
class Feedback:
    """A quality reject: what the person can do better."""

    hint: Hint


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long operation is, 0 to 1."""

    done: float


@dataclass(frozen=True, slots=True)
class Probe:
    """The features of one sample, to be compared by authd's verifier. Ends a `Capture`.

    data: the driver's own format, at most `MAX_PROBE_BYTES`; quality and pad: 0 (worst) to 1; pad None: cannot tell.
    Scale pad so that 0.5 is the driver's own limit: below it the sample is refused as an attack, whoever it looks like.
    """

    data: bytes
    quality: float
    nonce: str
    pad: float | None = None


@dataclass(frozen=True, slots=True)
class NoMatch:
    """A device that matches on its own found nobody. Ends the operation."""

    nonce: str


@dataclass(frozen=True, slots=True)
class Proof:
    """Signed by a key or card over `challenge_of(nonce)`, to be checked by authd's verifier. Ends the operation.

    data: the driver's own format, at most `MAX_PROBE_BYTES`; insertion: the stay it comes from, if the session is to
    end with it; silent: nobody's act was asked for (the answer to `Confirm`).
    """

    data: bytes
    nonce: str
    insertion: str = ""
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """A service, or a sensor's own chip, says that the finger is the one of `Verify`. Ends the operation."""

    reference: str
    nonce: str
    data: bytes = b""
    """What else it says (which finger), the driver's own format."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """The number of a card: any three-line fake can say it, and alone it opens nothing. Ends the operation."""

    data: bytes
    nonce: str
    insertion: str = ""


@dataclass(frozen=True, slots=True)
class Denied:
    """The device itself says no, and no better presentation would help. Ends the operation; never a failed finger."""

    why: Denial
    nonce: str


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What `Enroll` made: for `Checker.enrol`, the driver's own format, at most `MAX_PROBE_BYTES`."""

    data: bytes
    nonce: str


Event = StateChange | Feedback | Progress | Probe | NoMatch | Proof | Claimed | Identifier | Denied | Enrolled

Ask = Callable[[Prompt], Awaitable[str]]
"""Asks the person for a PIN in authd's own prompt. Waits as long as the operation lives; never ask again unasked."""


def challenge_of(nonce: str) -> bytes:
    """Return the 32 bytes that a key or card signs under this nonce: driver and verifier compute it each for itself."""
    import hashlib  # and with it OpenSSL, which a presence sensor has no use for

    return hashlib.sha256(b"authd challenge 1\0" + nonce.encode()).digest()


class Reader(Protocol):
    """One device. Three methods, one operation in flight."""

    async def open(self) -> None:
        """Claim the device. Raises `DriverError`."""
        ...

    def run(self, op: Op, ask: Ask) -> AsyncIterator[Event]:
        """Carry out one operation; closing the iterator cancels it within 500 ms. Raises `DriverError`.

        The manifest's `capabilities` say which operations will come.

        Begin each operation by saying how things are: `FINGER_DOWN` or `NEED_TOUCH` (a sensor: `PERSON_PRESENT` or
        `PERSON_ABSENT`); afterwards say each change. Never block the event loop: the child beats five times a second,
        and one that is silent for 0.8 s is replaced (`asyncio.to_thread` is for calls that wait).
        """
        ...

    async def close(self) -> None:
        """Release the device; safe to call twice, and after an error."""
        ...


ReaderFactory = Callable[[Mapping[str, str]], Reader]
"""The `settings` are the strings of the reader's table in `authd.toml`."""


# The other half of a modality: it runs in the verifier child, which has no device, file or network.


@dataclass(frozen=True, slots=True)
class Reference:
    """A stored object of comparison, decrypted, as it is held in the verifier child."""

    subject: str
    id: str
    """`tpl_...@version`"""
    data: bytes


@dataclass(frozen=True, slots=True)
class Scored:
    """One person in the scope with their best reference. Scores grow with likeness."""

    subject: str
    reference: str
    """Where two fingers made it: both, joined by `+`."""
    score: float
    finger: int = 0
    """Code of the reference's finger (ISO/IEC 19794); 0: unknown."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The best person above the threshold, if anyone, and how far the second-best person was behind.

    best None: nobody, or nobody clearly enough. `replayed`: the probe is a recording of an earlier one. `fingers`:
    codes of the fingers that matched, in the order of the touches; two only for two different, known fingers.
    """

    best: Scored | None
    margin: float
    replayed: bool = False
    fingers: tuple[int, ...] = ()
    unsure: bool = False
    """best None, but somebody is likely, and another finger of theirs would tell."""


@dataclass(frozen=True, slots=True)
class Known:
    """Whom the samples of an enrolment resemble, however close the next person is.

    replayed: one of them is a recording; again: they are of one of the fingers that were taken before.
    """

    best: Scored | None = None
    replayed: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Roster:
    """What one touch (`fingers` 1) or two (2) cost among up to `people` people of two fingers and six references each.

    bound: upper 95 % bound of the chance that a try names somebody else; fnir_percent: tries of theirs without a name.
    """

    people: int
    fingers: int
    bound: float
    fnir_percent: float


def roster_size(people: Iterable[Mapping[K, int]], fingers: int) -> int:
    """How many people of two fingers and six references each these are as hard as; never fewer.

    people: of each, the number of references by finger. With one touch each reference can be mistaken for the probe's,
    with two each pair of fingers.
    """
    if fingers == 1:
        return -(-sum(sum(one.values()) for one in people) // 6)
    pairs = ((math.comb(len(one), 2), -(-sum(one.values()) // 6)) for one in people if len(one) > 1)
    return sum(max(pair) for pair in pairs)


class Comparator(Protocol):
    """Compares probes of one modality. Pure computation: no device, file or network.

    Its factory is called without arguments or, where a reader's manifest says so (`shared`), with the texts of the
    files that the readers' settings name: `factory(texts: Sequence[str])`.
    """

    def enrol(self, probes: Sequence[bytes], finger: int = 0) -> Sequence[bytes]:
        """Make the templates of one finger, whose code goes into them, from at least three probes of it.

        Raises `DriverError` with `Fault.PROTOCOL` where a probe is malformed, and `ValueError` with a `Hint` value as
        its only argument where the presentations do not agree with each other.
        """
        ...

    def load(self, references: Sequence[Reference]) -> None:
        """Replace the gallery."""
        ...

    def add(self, references: Sequence[Reference]) -> None:
        """Add to the gallery; a newer version of a template (`tpl_...@2`) in place of the older one."""
        ...

    def remove(self, subject: str) -> None:
        """Forget a person; nothing of them stays in memory."""
        ...

    @property
    def fmr(self) -> float:
        """Upper 95 % bound of the false match rate of one comparison with one reference at the threshold in use."""
        ...

    @property
    def rosters(self) -> Sequence[Roster]:
        """What was measured of whole searches, for the rules; empty: nothing was, and two fingers are never judged."""
        ...

    def search(self, probe: bytes, scope: Sequence[str], first: bytes = b"") -> Candidates:
        """Compare with the references of the people in scope. Raises `DriverError` for a malformed probe.

        `first`: the probe of the touch before. Whom both name by two different fingers is answered with two `fingers`;
        else this probe is judged alone.
        """
        ...

    def renew(self, probe: bytes, reference: str) -> tuple[str, bytes] | None:
        """Make a template of a probe that has just matched this reference, clearly and in good quality.

        Returns it with the reference of the same finger in whose place it is best put; None: it must change nothing.
        """
        ...

    def known(self, probes: Sequence[bytes], earlier: Sequence[bytes] = ()) -> Known:
        """Look for the samples of an enrolment in the whole gallery, and among `earlier` ones of other fingers."""
        ...


# Keys, cards and services that match by themselves: what they say is not compared but checked, in the verifier child.


class NotAccepted(Exception):
    """What a key or card offered at enrolment is not good enough; `why` is for the officer and the ledger."""

    def __init__(self, why: Denial) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, slots=True)
class Checked:
    """What a proof is worth. `denial` set: nothing, for this reason (subject and reference where they are known)."""

    subject: str = ""
    reference: str = ""
    """`tpl_...@version` of the credential."""
    factors: tuple[str, ...] = ()
    """Values of `authd.core.model.Factor`, the main one first: `("key", "pin")`, `("card",)`, `("fingerprint",)`."""
    grade: str = ""
    """A: signed by the person's own key; B: matched by this seat's reader; C: a number."""
    counter: int | None = None
    """Signature counter to be kept before the answer is believed; None: nothing to keep."""
    denial: Denial | None = None


class Checker(Protocol):
    """Checks what authenticators sign and services say. Pure computation, as a `Comparator`; same entry-point group.

    Its factory is called without arguments or, where a reader's manifest says so (`shared`), with the texts of the
    files that the readers' settings name: `factory(texts: Sequence[str])`. Every method may raise `DriverError` with
    `Fault.PROTOCOL` for bytes that are not of its format, and nothing else.
    """

    def admit(self, enrolled: bytes, nonce: str, account: str) -> bytes:
        """Return the credential to be sealed and kept, from what `Enrolled` carried. Raises `NotAccepted`.

        The same credential twice is `Denial.DUPLICATE`.
        """
        ...

    def credential(self, reference: str) -> bytes:
        """Return what a reader needs to find this credential again (`Confirm`, `Enroll.exclude`): never a secret."""
        ...

    def name(self, reference: str) -> str:
        """Return the name under which a device itself keeps it (`Verify`, `Delete`); empty where none does."""
        ...

    def load(self, references: Sequence[Reference], counters: Mapping[str, int]) -> None:
        """Replace all credentials. counters: signature counter by reference, as last kept."""
        ...

    def add(self, references: Sequence[Reference]) -> None:
        """Add credentials."""
        ...

    def remove(self, subject: str, reference: str = "") -> None:
        """Forget a person's credentials, or the one that was revoked; it answers `Denial.REVOKED` from now on."""
        ...

    def check(self, given: bytes, nonce: str, scope: Sequence[str], *, silent: bool = False) -> Checked:
        """Check the data of a `Proof`, `Claimed` or `Identifier` under the nonce that it was asked with.

        scope: people who may be named, one where a person was claimed. Each nonce is checked once: core sees to that.
        """
        ...
