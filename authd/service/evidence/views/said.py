"""What is said of a view, what becomes of it, and why one is refused."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from authd.core.model import SeatId, Session, SessionId, SubjectId
from authd.service.evidence.records import RecordId


class Why(StrEnum):
    """Why a report of a view is refused (closed list). Stands in the ledger; `told` is what the application hears."""

    NO_SESSION = "no_session"
    """No such session is active anywhere: none was ever, or it has ended."""
    FOREIGN_SEAT = "foreign_seat"
    """It is active, at a seat that is not this application's."""
    FOREIGN_SESSION = "foreign_session"
    """It is active, and of another person than the application believes."""
    ENDED = "ended"
    """It ended while the row was being written: the row stands, the refusal's `view` names it: nothing may be shown."""
    REPLAYED = "replayed"
    FUTURE = "future"
    LATE = "late"
    NO_PURPOSE = "no_purpose"
    SESSION_RATE = "session_rate"
    APPLICATION_RATE = "application_rate"
    TOO_MANY = "too_many"
    """As many records as one session may open."""


_NO_SESSION = "no such session at a seat of this application: show nothing, and ask `who` whose session it is now"
_RATE = "too many views a second: show nothing, and report again more slowly"
_TOLD = {
    Why.NO_SESSION: _NO_SESSION,
    Why.FOREIGN_SEAT: _NO_SESSION,  # not even whether it is active elsewhere
    Why.FOREIGN_SESSION: _NO_SESSION,
    Why.ENDED: _NO_SESSION,
    Why.REPLAYED: "this nonce was used before: make a new one for each view",
    Why.FUTURE: "the view lies in the future: set this machine's clock",
    Why.LATE: "the view is too old: report each view before the record is shown, and set this machine's clock",
    Why.NO_PURPOSE: "a view needs a purpose, or the call it is for: ask the person for one",
    Why.SESSION_RATE: _RATE,
    Why.APPLICATION_RATE: _RATE,
    Why.TOO_MANY: "this session has opened as many records as one may: the person is to log in again",
}


class ViewRefused(Exception):
    """A report was refused, and that is recorded."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why

    @property
    def told(self) -> str:
        """What the application is told, in one line."""
        return _TOLD[self.why]


@dataclass(frozen=True, slots=True)
class Said:
    """What an application says: this record is being opened in this session, for this."""

    system: str
    """Who says it: the application's name, by its key."""
    session: SessionId
    record: RecordId
    screen: str
    purpose: str
    call: str
    nonce: str
    at_ms: int
    """When, by the application's wall clock."""
    subject: SubjectId | None = None
    """Whose session the application believes it is."""
    guard: str = ""
    """Where the guard was asked: `open`, or `masked`, which is all that was shown."""
    run: str = ""
    """Of a call or a letter: the procedure that was passed for this record."""


@dataclass(frozen=True, slots=True)
class View:
    """A view that is durable: what a receipt is made of, and what hooks are told."""

    said: Said
    seat: SeatId
    session: Session
    acted_ms: int
    """When the person acted who opened the session, by this host's wall clock."""
    seq: int
    leaf: int
    """Index of the row in the ledger's tree, from 0."""
    row: bytes
    """Hash of the row as a leaf of the tree (RFC 9162, 2.1.1), 32 bytes."""
    wall_ms: int
    """When the row was made."""
    opened: int
    """Records that the session has opened, this one too."""
