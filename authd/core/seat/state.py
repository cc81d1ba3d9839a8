"""What a seat knows, and what can be read off it without changing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from authd.core import presence
from authd.core.model import (
    SECOND,
    Action,
    Epoch,
    Face,
    Hint,
    Instant,
    Message,
    Nonce,
    ReaderId,
    SeatId,
    SeatState,
    Session,
    SubjectId,
)
from authd.core.presence import Watch
from authd.core.seat.events import First

VERDICT_WITHIN = 10 * SECOND
"""A capture whose verdict takes longer is thrown away."""
ANOTHER_WITHIN = 10 * SECOND
"""How long a finger waits for another one of the same person."""
LEDGER_GRACE = 5 * SECOND
"""How long open sessions outlive the ledger."""
S = SeatState
OWNED = (S.ACTIVE, S.FADING, S.STEPPING_UP)


@dataclass(frozen=True, slots=True)
class Verification:
    """The one verification that is open; `captured_at` None: the readers wait for a touch."""

    nonce: Nonce
    captured_at: Instant | None = None
    meant: SeatState | None = None
    """What the seat was doing then. A touch is judged by what its person saw, not by what has come meanwhile."""
    first: First | None = None
    """The touch before, if this one is to be compared together with it. Whatever drops this one drops that one too."""


@dataclass(frozen=True, slots=True)
class StepUp:
    """A step-up that is asked for; `recording`: the touch was good, the ledger is writing."""

    id: str
    purpose: str
    until: Instant
    asked_at: Instant
    recording: bool = False


class Seat(NamedTuple):
    """Everything a seat knows. `owner` is set in ACTIVE, FADING and STEPPING_UP, `pending` in GRANTING, only.

    A named tuple, because each event makes one to three: `_replace` takes a seventh of `dataclasses.replace`'s time.
    """

    id: SeatId
    epoch: Epoch
    state: SeatState = S.OUT_OF_SERVICE
    owner: Session | None = None
    pending: Session | None = None
    verification: Verification | None = None
    step_up: StepUp | None = None
    watch: Watch = Watch(Instant(0))
    readers: frozenset[ReaderId] = frozenset()
    last_touch: tuple[Nonce, SubjectId] | None = None
    """Whose finger rests on the reader, for a hold that outlasts the session it ended. Never the touch that opened it:
    a hold of that is a slow finger, not a logout."""
    moving: bool = False
    """The pending person comes from another seat, and the screen will say so."""
    misses: int = 0
    ledger_lost_at: Instant | None = None
    asleep: bool = False
    lent: bool = False
    """The readers serve an enrolment; nothing they say is a touch."""
    closed: bool = False
    message: Message = Message.READER_LOST
    message_until: Instant | None = None
    hint: Hint | None = None


def deadline(seat: Seat) -> Instant | None:
    """When `Tick` is next needed, if nothing happens before."""
    dues: list[Instant] = []
    if seat.owner is not None:
        due = presence.due(seat.watch, seat.owner.limits, seat.owner.shift_began)
        dues.append(due.ends_at if seat.state is S.FADING else due.fades_at)
        if seat.ledger_lost_at is not None:
            dues.append(Instant(seat.ledger_lost_at + LEDGER_GRACE))
    if seat.pending is not None:
        dues.append(stale_at(seat.pending))
    if seat.verification is not None and seat.verification.captured_at is not None:
        dues.append(Instant(seat.verification.captured_at + VERDICT_WITHIN))
    if (first := waiting_first(seat)) is not None:
        dues.append(waits_until(first))
    if seat.step_up is not None:
        dues.append(seat.step_up.until)
    if seat.message_until is not None:
        dues.append(seat.message_until)
    return min(dues, default=None)


def began_at(open_: Verification) -> Instant:
    """When the older of its touches was captured."""
    assert open_.captured_at is not None
    return open_.captured_at if open_.first is None else open_.first.captured_at


def waiting_first(seat: Seat) -> First | None:
    """The finger that waits for another one, if one does."""
    open_ = seat.verification
    return open_.first if open_ is not None and open_.captured_at is None else None


def waits_until(first: First) -> Instant:
    """From here this finger is forgotten."""
    return Instant(first.captured_at + ANOTHER_WITHIN)


def action_for(seat: Seat, subject: SubjectId) -> Action:
    """What a touch of this person would do here, for the policy to judge."""
    if seat.owner is None or seat.owner.subject != subject:
        return Action.OPEN_SESSION
    return Action.STEP_UP if seat.state is S.STEPPING_UP else Action.KEEP_SESSION


def waits_for(seat: Seat, id_: str) -> bool:
    """Whether the ledger's answer for this session or step-up would still change anything."""
    pending, asked = seat.pending, seat.step_up
    return (pending is not None and pending.id == id_) or (asked is not None and asked.id == id_)


def face_of(seat: Seat, now: Instant) -> Face:
    """What the screen shows of this state."""
    return Face(
        seat=seat.id,
        epoch=seat.epoch,
        state=seat.state,
        message=seat.message,
        at=now,
        subject=seat.owner.subject if seat.owner else None,
        session=seat.owner.id if seat.owner else None,
        hint=seat.hint,
        until=_until(seat),
        reader=bool(seat.readers),
    )


def looks(seat: Seat) -> tuple[object, ...]:
    """All that `face_of` reads, cheap to compare: seats that look the same show the same face."""
    owner = seat.owner.id if seat.owner is not None else None
    return seat.epoch, seat.state, seat.message, owner, seat.hint, _until(seat), bool(seat.readers)


def _until(seat: Seat) -> Instant | None:
    if seat.owner is not None and seat.state is S.FADING:
        return presence.due(seat.watch, seat.owner.limits, seat.owner.shift_began).ends_at
    return seat.message_until if seat.message is Message.WAIT else None


def resting(seat: Seat) -> Message:
    """What a seat says when nothing happens."""
    if seat.state is S.FADING:
        return Message.FADING
    if waiting_first(seat) is not None:
        return Message.ANOTHER_FINGER
    if seat.owner is not None:
        return Message.START if seat.step_up is None else Message.CONFIRM
    if not seat.readers:
        return Message.READER_LOST
    return Message.LEDGER_DOWN if seat.ledger_lost_at is not None else Message.WAITING


def home(seat: Seat) -> SeatState:
    """Where a seat without an owner rests."""
    return S.LOCKED if seat.readers and not seat.closed else S.OUT_OF_SERVICE


def stale_at(session: Session) -> Instant:
    """From here a grant comes too late: the touch is not fresh any more."""
    return Instant(session.evidence.captured_at + session.limits.freshness)
