"""The words of carry-out: what is asked for, what became of it, and why something does not leave."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from authd.core.model import Grade, Instant, SeatId, SessionId, SubjectId
from authd.service.bus.house import Error, Refused

TOKEN_BYTES: Final = 32
_PREFIX: Final = "cap_"


class Leaving(StrEnum):
    """The ways out."""

    EXPORT = "export"
    """`authd export` writes the file, with canary rows, and keeps its fingerprints."""
    PRINT = "print"
    FILE = "file"
    """An application writes the file by itself."""
    USB = "usb"


class Stage(StrEnum):
    """What became of a request. It only goes forward."""

    REQUESTED = "requested"
    GRANTED = "granted"
    USED = "used"
    """Out, until somebody says that it came back or was erased."""
    CLOSED = "closed"


class Closing(StrEnum):
    """How what was out is out no more."""

    RETURNED = "returned"
    ERASED = "erased"


class Why(StrEnum):
    """Why not. For people: `SAID`, and `carryout_why.*` of `authd/locale`."""

    UNKNOWN = "unknown"
    WAITING = "waiting"
    """Nobody has allowed it yet."""
    GRANTED = "granted"
    """Somebody has allowed it before."""
    SPENT = "spent"
    EXPIRED = "expired"
    KIND = "kind"
    DESTINATION = "destination"
    ROWS = "rows"
    COPIES = "copies"
    SYSTEM = "system"
    PERSON = "person"
    """The session is not that of the person whom it was given to."""
    NOBODY = "nobody"
    """Whoever it was given to is at no seat of this host now."""
    NO_SESSION = "no_session"
    BREAK_GLASS = "break_glass"
    SILENT = "silent"
    """The system has not told that it holds the newest protections."""
    ONESELF = "oneself"
    COLLEAGUE = "colleague"
    HOURS = "hours"
    POLICY = "policy"
    TOUCH = "touch"
    MOST_ROWS = "most_rows"
    LONG = "long"
    DUE = "due"
    MANY = "many"
    NOT_OUT = "not_out"
    """Nothing of it is out."""


SAID: Final[Mapping[Why, str]] = MappingProxyType(
    {
        Why.UNKNOWN: "there is no such carry-out: ask for one (authd carryout request) and have it allowed",
        Why.WAITING: "nobody has allowed this carry-out yet: a second person runs authd carryout approve",
        Why.GRANTED: "this carry-out was allowed before: it can be used once",
        Why.SPENT: "this carry-out was used already: each is for one time; ask for another one",
        Why.EXPIRED: "this carry-out was not used in time: ask for another one",
        Why.KIND: "this carry-out is for another way out: ask for one of the kind you mean",
        Why.DESTINATION: "this carry-out is for another destination: take it there, or ask for another one",
        Why.ROWS: "these are more rows than were allowed, or nobody said how many: ask for as many as you need",
        Why.COPIES: "one copy was allowed: print one copy, or ask for as many carry-outs as copies",
        Why.SYSTEM: "this carry-out is for another system, or the system is not in authd.toml",
        Why.PERSON: "this carry-out was given to somebody else: they use it, at their own session",
        Why.NOBODY: "the person whom it was given to is at no seat here: log in with a touch and try again",
        Why.NO_SESSION: "no such session: the person logs in with a touch, and the application names that session",
        Why.BREAK_GLASS: "nothing leaves under a session that was opened in an emergency: wait until it is over",
        Why.SILENT: "this system has not told that it holds the newest protections: see authd flags coverage, mend it, "
        "and try again",
        Why.ONESELF: "another person must do that: nobody allows, or gives back, their own carry-out",
        Why.COLLEAGUE: "a colleague of the same section, or an officer, must allow it",
        Why.HOURS: "nothing leaves outside the duty hours: try again then, or have the machine's clock set",
        Why.POLICY: "the policy does not allow this: authd policy explain says which rule",
        Why.TOUCH: "the touch did not come: ask again, and touch the reader while the screen asks for it",
        Why.MOST_ROWS: "this is not a number of rows that one carry-out may have (settings.toml: most_rows)",
        Why.LONG: "a carry-out cannot stay usable for so long (settings.toml: expires_h)",
        Why.DUE: "a carry-out must be back sooner (settings.toml: return_days)",
        Why.MANY: "too many carry-outs are open: record first which of them are back or erased",
        Why.NOT_OUT: "nothing of this carry-out has left: there is nothing to give back",
    }
)


class NotOut(Refused):
    """Why something does not leave, or a step of its way is not done."""

    def __init__(self, why: Why, error: Error = Error.REFUSED) -> None:
        super().__init__(error, f"{why.value}: {SAID[why]}")
        self.why = why


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for. `system`: the application whose data it is; `title`: of the one document to be printed."""

    kind: Leaving
    system: str
    rows: int
    purpose: str
    destination: str
    expires_h: float
    return_days: int
    title: str = ""


@dataclass(frozen=True, slots=True)
class Carryout:
    """One request, and what became of it. `digest`: of its capability, which itself is nowhere kept."""

    id: str
    order: Order
    digest: str
    requester: SubjectId
    seat: SeatId
    session: SessionId
    grade: Grade
    factors: str
    margin: float
    expires: Instant
    """On the clock of this boot: a reboot ends what nobody has used."""
    expires_ms: int
    due_ms: int
    """Wall clock: a day for people."""
    stage: Stage = Stage.REQUESTED
    approver: SubjectId | None = None
    used_ms: int | None = None
    exported: bool = False
    overdue: bool = False

    @property
    def out(self) -> bool:
        """Whether it left, and has not come back."""
        return self.stage is Stage.USED


@dataclass(frozen=True, slots=True)
class Shown:
    """What stands at the door through which something would leave."""

    kind: Leaving
    destination: str
    capability: str = ""
    """Empty: found by kind, destination and title, of the one who is at a seat of this host."""
    title: str = ""
    rows: int | None = None
    copies: int = 1
    system: str | None = None
    """An application's own name; None: authd itself asks (an export, the printer, the bus of drives)."""
    session: SessionId | None = None
    user: str = ""
    """Who printed, as the print server says."""


def new_token() -> str:
    """Return a capability: 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def digest_of(token: str) -> str:
    """Return what is kept of a capability: its SHA-256, hex. 256 random bits need no salt and no stretching."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def new_id() -> str:
    """Return a name by which people speak of a carry-out; it opens nothing."""
    return "co_" + secrets.token_hex(6)
