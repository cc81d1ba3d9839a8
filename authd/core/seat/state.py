"""What a seat knows, and what can be read off it without changing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from authd.core import presence
from authd.core.model import (
    SECOND,
    Acr,
    Action,
    Confirms,
    Epoch,
    Face,
    Factor,
    Helper,
    Hint,
    Insertion,
    Instant,
    Message,
    Nonce,
    Prompt,
    ReaderId,
    Rung,
    SeatId,
    SeatState,
    Session,
    SubjectId,
)
from authd.core.presence import Watch
from authd.core.seat.events import NO_NONCE, First

VERDICT_WITHIN = 10 * SECOND
"""A capture whose verdict takes longer is thrown away."""
ANOTHER_WITHIN = 10 * SECOND
"""How long a touch waits for another one of the same person, or for a second person's."""
INSERTED_WITHIN = 10 * SECOND
"""A card that asks for nothing more says that its person is here for this long after they put it in."""
MOST_STAYS = 32
LEDGER_GRACE = 5 * SECOND
"""How long open sessions outlive the ledger."""
CONFIRMS = {f"authd/{each.value}": each for each in Confirms}
"""By the purpose of a step-up; no application's begins like this."""
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
    """The touch before, if this one is to be taken together with it. Whatever drops this one drops that one too."""
    acted: bool = True
    """Whether putting the key or card in, just now and for this, was somebody's act."""


@dataclass(frozen=True, slots=True)
class Stay:
    """A key or card that is in a reader. `used`: putting it in has had its effect, or something has locked since."""

    what: Insertion
    at: Instant
    used: bool = False


@dataclass(frozen=True, slots=True)
class Removed:
    """A bound key or card was taken out; until then it may come back and prove itself, else the session ends."""

    what: Insertion
    reference: str
    until: Instant
    again: Insertion | None = None
    """What has come in its place, and is being asked."""
    nonce: Nonce = NO_NONCE


@dataclass(frozen=True, slots=True)
class Claim:
    """Who is about to touch, as a tile or a card's number says."""

    subject: SubjectId
    until: Instant


@dataclass(frozen=True, slots=True)
class Ladder:
    """Two people are to touch; `helper`: the colleague who has vouched already."""

    rung: Rung
    until: Instant
    helper: Helper | None = None


@dataclass(frozen=True, slots=True)
class StepUp:
    """A step-up that is asked for; `recording`: the touch was good, the ledger is writing."""

    id: str
    purpose: str
    until: Instant
    asked_at: Instant
    recording: bool = False
    acr: Acr = Acr.ONE
    max_age: int | None = None


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
    left: bool = False
    """Nothing would cover its desktop."""
    lent: bool = False
    """The readers serve an enrolment; nothing they say is a touch."""
    closed: bool = False
    message: Message = Message.READER_LOST
    message_until: Instant | None = None
    hint: Hint | None = None
    stays: tuple[Stay, ...] = ()
    removed: Removed | None = None
    """Only in FADING."""
    claim: Claim | None = None
    ladder: Ladder | None = None
    """Only in LOCKED, VERIFYING."""
    prompt: tuple[ReaderId, Prompt] | None = None
    acted_at: Instant = Instant(0)
    """When the owner's last act was captured, and by what: how old their authentication is (RFC 9470)."""
    acted_by: frozenset[Factor] = frozenset()


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
    dues += [each.until for each in (seat.removed, seat.claim, seat.ladder) if each is not None and _counts(seat, each)]
    if seat.step_up is not None:
        dues.append(seat.step_up.until)
    if seat.message_until is not None:
        dues.append(seat.message_until)
    return min(dues, default=None)


def began_at(open_: Verification) -> Instant:
    """When the older of its touches was captured."""
    assert open_.captured_at is not None
    return open_.captured_at if open_.first is None else open_.first.captured_at


def _counts(seat: Seat, waits: Removed | Claim | Ladder) -> bool:
    """A touch that came in time is judged by what was so then: claim and ladder wait for its verdict."""
    open_ = seat.verification
    return isinstance(waits, Removed) or open_ is None or open_.captured_at is None


def overdue(seat: Seat, waits: Removed | Claim | Ladder | None, now: Instant) -> bool:
    """Whether this has waited long enough."""
    return waits is not None and now >= waits.until and _counts(seat, waits)


def waiting_first(seat: Seat) -> First | None:
    """The touch that waits for another one, if one does."""
    open_ = seat.verification
    return open_.first if open_ is not None and open_.captured_at is None else None


def waits_until(first: First) -> Instant:
    """From here this touch is forgotten."""
    return Instant(first.captured_at + ANOTHER_WITHIN)


def action_for(seat: Seat, subject: SubjectId) -> Action:
    """What a touch of this person would do here, for the policy to judge."""
    if seat.owner is None or seat.owner.subject != subject:
        return _ASKED_FOR[seat.ladder.rung] if seat.ladder and seat.ladder.helper is None else Action.OPEN_SESSION
    return Action.STEP_UP if seat.state is S.STEPPING_UP else Action.KEEP_SESSION


_ASKED_FOR = {Rung.VOUCH: Action.VOUCH, Rung.BREAK_GLASS: Action.BREAK_GLASS}


def calm(seat: Seat) -> bool:
    """Somebody works here, and nothing is asked of them."""
    return seat.state is S.ACTIVE


def claimed(seat: Seat) -> SubjectId | None:
    """Whose finger is waited for where a reader cannot search: who was named, or who may keep the seat, or confirm."""
    if seat.owner is not None:
        return None if calm(seat) else seat.owner.subject
    return seat.claim.subject if seat.claim is not None else None


def inserted(seat: Seat, what: Insertion) -> bool:
    """Whether this stay goes on."""
    return any(stay.what == what for stay in seat.stays)


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
        prompt=seat.prompt[1] if seat.prompt else None,
        break_glass=seat.owner is not None and seat.owner.break_glass,
        claim=seat.claim.subject if seat.claim and seat.owner is None else None,
        lent=seat.lent,
        confirms=_confirms(seat),
    )


def looks(seat: Seat) -> tuple[object, ...]:
    """All that `face_of` reads, cheap to compare: seats that look the same show the same face."""
    owner = seat.owner.id if seat.owner is not None else None
    shown = seat.epoch, seat.state, seat.message, owner, seat.hint, _until(seat), bool(seat.readers)
    return (*shown, seat.prompt, seat.claim, seat.lent, _confirms(seat))


def _confirms(seat: Seat) -> Confirms | None:
    return CONFIRMS.get(seat.step_up.purpose) if seat.step_up is not None else None


def _until(seat: Seat) -> Instant | None:
    if seat.owner is not None and seat.state is S.FADING:
        ends_at = presence.due(seat.watch, seat.owner.limits, seat.owner.shift_began).ends_at
        return ends_at if seat.removed is None else min(ends_at, seat.removed.until)
    return seat.message_until if seat.message is Message.WAIT else None


def resting(seat: Seat) -> Message:
    """What a seat says when nothing happens."""
    if seat.state is S.FADING:
        return Message.FADING
    if seat.prompt is not None and seat.owner is None:
        return Message.PIN
    if (first := waiting_first(seat)) is not None:
        return first.wants
    if seat.owner is not None:
        return Message.START if seat.step_up is None else Message.CONFIRM
    if seat.left:
        return Message.UNATTENDED
    if not seat.readers:
        return Message.READER_LOST
    if seat.ladder is not None and seat.ledger_lost_at is None:
        return _LADDER[seat.ladder.rung] if seat.ladder.helper is None else Message.VOUCHED
    return Message.LEDGER_DOWN if seat.ledger_lost_at is not None else Message.WAITING


_LADDER = {Rung.VOUCH: Message.COLLEAGUE, Rung.BREAK_GLASS: Message.BREAK_GLASS}


def home(seat: Seat) -> SeatState:
    """Where a seat without an owner rests."""
    return S.LOCKED if seat.readers and not seat.closed else S.OUT_OF_SERVICE


def stale_at(session: Session) -> Instant:
    """From here a grant comes too late: the touch is not fresh any more."""
    return Instant(session.evidence.captured_at + session.limits.freshness)
