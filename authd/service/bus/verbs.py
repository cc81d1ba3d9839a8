"""What the house does for each verb. Both transports come here through `table.py`, and nothing else does."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, aclosing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

from authd.core.model import Acr, Instant, SeatId, SeatState, SessionId, SubjectId
from authd.driver import MAX_PROBE_BYTES
from authd.service.bus import wire
from authd.service.bus.asks import Asks
from authd.service.bus.envelope import Signer, attributes, iso
from authd.service.bus.house import Enrolment, Error, House, Occupancy, Peer, Person, Refused, Role, Source
from authd.service.bus.outlet import Outlet
from authd.service.bus.tally import Tally
from authd.service.bus.tickets import TicketError, TicketExpired, Tickets, TooManyTickets

Fields = Mapping[str, object]
C = TypeVar("C", bound=wire.Call)
TICKET_BYTES: Final = 32
MOST_TILES: Final = 200

ALL = frozenset(Role)
SCREEN = frozenset({Role.SCREEN})
APPLICATION = frozenset({Role.APPLICATION})
ADMIN = frozenset({Role.ADMIN})
FOLLOWERS = APPLICATION | ADMIN


class Now(Protocol):
    """The clock, as far as doors need it."""

    def now(self) -> Instant:
        """CLOCK_BOOTTIME."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What every verb can reach."""

    house: House
    source: Source
    outlet: Outlet
    clock: Now
    signer: Signer
    tickets: Tickets = field(default_factory=Tickets)
    asks: Asks = field(default_factory=Asks)
    tally: Tally = field(default_factory=Tally)


class Talk(Protocol):
    """A stream, as the verb that fills it sees it."""

    def peer(self) -> Peer:
        """Authorise the peer anew. Raises `Refused` once its key is revoked or its seat taken away."""
        ...

    def begin(self, fields: Fields) -> None:
        """Say that the request was accepted."""
        ...

    async def item(self, fields: Fields) -> None:
        """Send the next item, when the peer has read enough of those before."""
        ...

    async def event(self, event: bytes) -> None:
        """Send a signed event, as `item`."""
        ...

    def urgent(self, fields: Fields) -> None:
        """Send ahead of everything that waits."""
        ...

    def beating(self, beat: Callable[[], Fields]) -> AbstractContextManager[None]:
        """Send a beat now and every 0.5 s while the context lasts, each time with the peer authorised anew."""
        ...


@dataclass(frozen=True, slots=True)
class Verb:
    """One row of the table: exactly one of the three ways to answer is there."""

    roles: frozenset[Role]
    instant: Callable[[Desk, Peer, Any], Fields] | None = None
    waiting: Callable[[Desk, Peer, Any], Awaitable[Fields]] | None = None
    stream: Callable[[Desk, Talk, Any], Awaitable[None]] | None = None


def authorise(peer: Peer | None, call: wire.Call, verb: Verb) -> Peer:
    """Let the peer say this, or raise `Refused`. Asked at every message, and again at every item of a stream."""
    if peer is None:
        raise Refused(Error.NOT_PERMITTED, "this key is not known (any more)")
    if peer.role not in verb.roles:
        raise Refused(Error.NOT_PERMITTED, f"not for the role {peer.role.value}")
    seat = getattr(call, "seat", None)
    if seat is not None and not peer.has(SeatId(seat)):
        raise Refused(Error.NOT_PERMITTED, "not for this seat")
    return peer


def ping(desk: Desk, peer: Peer, call: wire.Ping) -> Fields:
    """Say who we are and whom we take the peer for."""
    head = desk.source.head if peer.role is not Role.SCREEN else None
    return {"host": desk.house.name, "audience": peer.name, "event_key": desk.signer.public, "head": head}


def who(desk: Desk, peer: Peer, call: wire.Who) -> Fields:
    """Say who is at the seat."""
    return _presence(desk.house, peer, desk.house.who(SeatId(call.seat)))


def activity(desk: Desk, peer: Peer, call: wire.Activity) -> Fields:
    """Pass on that the seat is being used."""
    desk.house.activity(SeatId(call.seat))
    return {}


async def press(desk: Desk, peer: Peer, call: wire.Press) -> Fields:
    """Pass on a button."""
    await desk.house.press(SeatId(call.seat), call.button)
    return {}


def answer(desk: Desk, peer: Peer, call: wire.Answer) -> Fields:
    """Pass on what was typed; it is not repeated."""
    desk.house.answer(SeatId(call.seat), call.typed)
    return {}


def roster(desk: Desk, peer: Peer, call: wire.RosterCall) -> Fields:
    """Say who may be named at the seat: no more of them than a person can look through."""
    people = sorted(desk.house.roster(SeatId(call.seat)), key=lambda person: (person.kana, person.name))
    tiles = [{"subject": each.subject, "name": each.name, "kana": each.kana} for each in people]
    return {"people": tiles[:MOST_TILES]}


def claim(desk: Desk, peer: Peer, call: wire.Claim) -> Fields:
    """Pass on who was named, if they may be named here."""
    seat = SeatId(call.seat)
    named = [
        each.subject
        for each in desk.house.roster(seat)
        if each.subject == call.subject or (call.subject is None and each.staff_number == call.staff_number)
    ]
    if len(named) != 1:
        raise Refused(Error.NOT_FOUND, "nobody of that name can be named here")
    desk.house.claim(seat, named[0])
    return {}


def webauthn_begin(desk: Desk, peer: Peer, call: wire.WebAuthnBegin) -> Fields:
    """Say what the seat's browser is to ask of a key."""
    return asdict(desk.house.ceremony(SeatId(call.seat)))


def webauthn_done(desk: Desk, peer: Peer, call: wire.WebAuthnDone) -> Fields:
    """Pass on what the browser got."""
    response = call.response.encode("utf-8", "surrogatepass")
    if len(response) > MAX_PROBE_BYTES:
        raise Refused(Error.BAD_REQUEST, f"a response has at most {MAX_PROBE_BYTES} bytes")
    desk.house.signed(SeatId(call.seat), response)
    return {}


def ticket(desk: Desk, peer: Peer, call: wire.OpenTicket) -> Fields:
    """Tie a browser to the session that is active at the screen's seat."""
    seat = SeatId(call.seat)
    pages = (each for each in desk.house.applications(seat) if each.url)
    application = next((each for each in pages if each.name == call.application), None)
    if application is None:
        raise Refused(Error.NOT_FOUND, "no such application at this seat")
    occupancy = desk.house.who(seat)
    if occupancy.state is not SeatState.ACTIVE or occupancy.session is None:
        raise Refused(Error.REFUSED, "nobody is logged in")
    token = secrets.token_urlsafe(TICKET_BYTES)
    try:
        desk.tickets.open(token, seat, occupancy.session, application.name, desk.clock.now())
    except TooManyTickets:
        raise Refused(Error.BUSY, "too many open tickets") from None
    joint = "&" if "?" in application.url else "?"
    return {"ticket": token, "url": f"{application.url}{joint}ticket={token}"}


def exchange(desk: Desk, peer: Peer, call: wire.Exchange) -> Fields:
    """Spend a ticket: whose session opened the application, at which seat."""
    try:
        spent = desk.tickets.redeem(call.ticket, peer.name, desk.clock.now())
    except TicketExpired:
        raise Refused(Error.EXPIRED, "the ticket is too old") from None
    except TicketError:
        raise Refused(Error.NOT_FOUND, "no such ticket") from None
    if not peer.has(spent.seat):
        raise Refused(Error.NOT_PERMITTED, "not for this seat")
    occupancy = desk.house.who(spent.seat)
    if occupancy.session != spent.session:
        raise Refused(Error.NOT_FOUND, "no such ticket")
    return _presence(desk.house, peer, occupancy)


async def step_up(desk: Desk, peer: Peer, call: wire.StepUpCall) -> Fields:
    """Ask the owner of a session at one of the application's seats for a fresh touch."""
    session = SessionId(call.session)
    seat = next((seat for seat in peer.seats if desk.house.who(seat).session == session), None)
    if seat is None:
        raise Refused(Error.NOT_FOUND, "no such session")
    acr = next(iter(call.acr_values or ()), Acr.ONE)  # in the order of the application's preference; each can be asked
    return asdict(await desk.house.step_up(seat, session, f"{peer.name}/{call.purpose}", acr, call.max_age))


async def history(desk: Desk, talk: Talk, call: wire.History) -> None:
    """Stream the sessions of a seat between two times."""
    start, end = moment(call.start), moment(call.end)
    for stay in await desk.house.history(SeatId(call.seat), start, end):
        peer = talk.peer()
        fields = {
            "session": stay.session,
            "subject": stay.subject,
            "person": attributes(desk.house.person(stay.subject), peer),
            "start": iso(stay.start_ms),
            "end": iso(stay.end_ms) if stay.end_ms is not None else None,
            "grade": stay.grade,
            "reason": stay.reason,
            "seq": stay.first_seq,
        }
        await talk.item({"item": fields})


async def people(desk: Desk, talk: Talk, call: wire.People) -> None:
    """Stream everyone who was ever enrolled."""
    for person in await desk.house.people():
        await talk.item({"item": _staff(person)})


async def enrol(desk: Desk, talk: Talk, call: wire.Enrol) -> None:
    """Carry out an enrolment, and stream how far it is."""
    order = Enrolment(
        SeatId(call.seat),
        call.staff_number,
        call.name,
        call.kana,
        call.section,
        call.finger,
        call.officer,
        call.found,
        call.more,
        call.add,
        call.means,
    )
    async with aclosing(desk.house.enrol(order)) as steps:  # a caller who goes away gives the seat's reader back
        async for step in steps:
            talk.peer()
            await talk.item({"item": asdict(step)})


async def seal(desk: Desk, peer: Peer, call: wire.SealCall) -> Fields:
    """Seal what is not sealed."""
    return {"covered": await desk.house.seal()}


async def disable(desk: Desk, peer: Peer, call: wire.Disable) -> Fields:
    """Disable a person."""
    await desk.house.disable(SubjectId(call.subject), SeatId(call.seat), erase=call.erase)
    return {}


async def keys(desk: Desk, talk: Talk, call: wire.Keys) -> None:
    """Stream what a person has enrolled."""
    for credential in await desk.house.credentials(SubjectId(call.subject)):
        await talk.item({"item": asdict(credential)})


async def revoke(desk: Desk, peer: Peer, call: wire.Revoke) -> Fields:
    """Revoke a key or card."""
    await desk.house.revoke(call.reference, SeatId(call.seat))
    return {}


async def broken_glass(desk: Desk, talk: Talk, call: wire.BreakGlassCall) -> None:
    """Stream the sessions that were opened outside the rules."""
    for each in await desk.house.broken_glass():
        times = {
            "opened": iso(each.opened_ms),
            "reviewed": iso(each.reviewed_ms) if each.reviewed_ms is not None else None,
        }
        fields = {name: value for name, value in asdict(each).items() if not name.endswith("_ms")}
        await talk.item({"item": fields | times})


async def review(desk: Desk, peer: Peer, call: wire.ReviewCall) -> Fields:
    """Record that such a session was reviewed."""
    await desk.house.review(SessionId(call.session), SeatId(call.seat))
    return {}


def status(desk: Desk, peer: Peer, call: wire.Status) -> Fields:
    """Say how the daemon is, and what its doors refused."""
    return {"status": {**desk.house.status(), "door": desk.tally.snapshot(), "tickets": len(desk.tickets)}}


async def stop(desk: Desk, peer: Peer, call: wire.Stop) -> Fields:
    """Begin to end the daemon."""
    await desk.house.stop()
    return {}


def _presence(house: House, peer: Peer, occupancy: Occupancy) -> Fields:
    subject = occupancy.subject
    return {
        "seat": occupancy.seat,
        "state": occupancy.state,
        "session": occupancy.session,
        "subject": subject,
        "since": iso(occupancy.since_ms) if occupancy.since_ms is not None else "",
        "grade": occupancy.grade,
        "person": attributes(house.person(subject), peer) if subject is not None else {},
    }


def _staff(person: Person) -> Fields:
    return {
        "subject": person.subject,
        "staff_number": person.staff_number,
        "name": person.name,
        "kana": person.kana,
        "section": person.section,
        "officer": person.officer,
        "disabled": person.disabled,
    }


def moment(text: str) -> int:
    """Read RFC 3339 as wall-clock milliseconds."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(Error.BAD_REQUEST, "a time is RFC 3339, such as 2026-11-22T13:05:00+09:00") from None
    if read.tzinfo is None:
        raise Refused(Error.BAD_REQUEST, "a time needs its offset from UTC")
    return int((read - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
