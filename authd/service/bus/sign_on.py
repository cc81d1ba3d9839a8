"""Verbs for a login of an operating system, a database or a terminal (PAM): the person behind it, by their own touch.

At a locked seat (`login`) the touch that begins a session is the answer; at a seat that somebody has, a step-up is, or
an act that is no older than `max_age`. Either way the policy is asked, and the act is durable before it is believed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta

from authd.core.model import SECOND, Acr, Message, SeatId, SeatState, SessionId
from authd.service.bus import wire
from authd.service.bus.asks import Ask
from authd.service.bus.envelope import account
from authd.service.bus.house import Error, Occupancy, Peer, Refused, Role
from authd.service.bus.verbs import ALL, Desk, Fields, Talk, Verb

FRESH_S: Final = 10
"""How old the touch that began the session may be, when the recording of it is asked for."""
_END: Final = r"(?![\s\S])"
Account = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.@\\+$-]*" + _END)]
Service = Annotated[str, Meta(max_length=32, pattern=r"^[A-Za-z0-9_.-]*" + _END)]


class Outcome(StrEnum):
    """What became of it. Only `yes` lets anybody in."""

    YES = "yes"
    OTHER = "other"
    """It is another person than the one whose account was named."""
    NOBODY = "nobody"
    """Nobody is logged in at the seat, and this is no login of theirs."""
    LATE = "late"
    REFUSED = "refused"
    ENDED = "ended"
    """The session ended meanwhile."""
    NO_ACCOUNT = "no_account"
    """The person's staff number makes no safe name."""
    UNAVAILABLE = "unavailable"
    """Nothing can be touched at the seat: nobody's fault."""
    WITHDRAWN = "withdrawn"
    """Another way in has answered; this one was given up, and charged to nobody."""


class Authenticate(wire.Call, frozen=True, tag="authenticate"):
    """Ask for the person. `user`: only this account will do; `present`: what is known now, and nobody is asked."""

    seat: wire.Name | None = None
    application: wire.Name | None = None
    user: Account | None = None
    service: Service = ""
    login: bool = False
    present: bool = False
    within: Annotated[int, Meta(ge=1, le=60)] = 30
    max_age: Annotated[int, Meta(ge=0, le=43_200)] | None = None
    acr: Acr | None = None


class Withdraw(wire.Call, frozen=True, tag="withdraw"):
    """Give up what this peer asks for at the seat."""

    seat: wire.Name | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The question with everything in it that the caller may leave out."""

    call: Authenticate
    seat: SeatId
    application: Peer
    """Whose account it is."""


async def authenticate(desk: Desk, talk: Talk, call: Authenticate) -> None:
    """Stream what the seat says meanwhile, and at last what became of it."""
    asked = _asked(desk, talk.peer(), call)
    talk.begin({"seat": asked.seat})
    with talk.beating(lambda: {"beat": 0}):
        if call.present:
            answer = _present(desk, asked)
        else:
            answer = await _patiently(desk, talk, asked)
    talk.peer()
    await talk.item({"item": answer})


def withdraw(desk: Desk, peer: Peer, call: Withdraw) -> Fields:
    """Give up what this peer asks for."""
    return {"withdrawn": desk.asks.withdraw(peer.name, _seat(desk, peer, call.seat))}


def _asked(desk: Desk, peer: Peer, call: Authenticate) -> Asked:
    seat = _seat(desk, peer, call.seat or _seat_of(desk, peer, call))
    application = peer if peer.role is Role.APPLICATION else _application(desk, seat, call.application)
    if call.application not in (None, application.name):
        raise Refused(Error.NOT_PERMITTED, "an application asks for its own accounts only")
    if not application.account:
        how = 'write account = "staff_{staff_number}", or what it calls a person, into it'
        raise Refused(Error.REFUSED, f"[application.{application.name}] has no accounts: {how}")
    return Asked(call, seat, application)


def _seat(desk: Desk, peer: Peer, name: str | None) -> SeatId:
    """The seat that is named, or the only one there is for this peer."""
    if name is None and len(peer.seats) != 1:
        raise Refused(Error.BAD_REQUEST, "seat is expected")
    seat = SeatId(name) if name is not None else next(iter(peer.seats))
    desk.house.who(seat)
    return seat


def _seat_of(desk: Desk, peer: Peer, call: Authenticate) -> SeatId | None:
    """Of several seats, for an account that was named: where that person sits, or one where they do not; no login."""
    if call.user is None or call.login or len(peer.seats) < 2:
        return None
    seats = sorted(peer.seats)
    return next((seat for seat in seats if _account_of(desk, peer, desk.house.who(seat)) == call.user), seats[0])


def _account_of(desk: Desk, application: Peer, found: Occupancy) -> str | None:
    """What the application calls whoever is there; None: nobody, or no safe name."""
    person = desk.house.person(found.subject) if found.subject is not None else None
    return account(person, application).get("account") if person is not None else None


def _application(desk: Desk, seat: SeatId, name: str | None) -> Peer:
    if name is None:
        raise Refused(Error.BAD_REQUEST, "application is expected: whose accounts these are")
    for each in desk.house.applications(seat):
        if each.name == name:
            return Peer(Role.APPLICATION, name, frozenset({seat}), account=each.account)
    raise Refused(Error.NOT_FOUND, f"no application {name} at this seat: add it to the seat's applications")


def _present(desk: Desk, asked: Asked) -> Fields:
    """Who is there now; no touch, and nothing is recorded."""
    occupancy = desk.house.who(asked.seat)
    return _named(desk, asked, occupancy) if occupancy.session is not None else _said(Outcome.NOBODY)


async def _patiently(desk: Desk, talk: Talk, asked: Asked) -> Fields:
    deadline = desk.clock.now() + asked.call.within * SECOND  # counts a sleep of the machine, as asyncio's does not
    ask = Ask(talk.peer().name, asked.seat, asked.call.login, asyncio.timeout(asked.call.within))
    answer: Fields = _said(Outcome.LATE)
    with desk.asks.open(ask):
        try:
            async with asyncio.TaskGroup() as group, ask.patience:
                teller = group.create_task(_tell(desk, talk, asked.seat))
                answer = await _judged(desk, asked)
                teller.cancel()
        except* TimeoutError:
            answer = _said(Outcome.WITHDRAWN if ask.withdrawn else Outcome.LATE)
        except* Refused as refused:
            raise refused.exceptions[0] from None
    return answer if desk.clock.now() <= deadline or answer["outcome"] != Outcome.YES else _said(Outcome.LATE)


async def _tell(desk: Desk, talk: Talk, seat: SeatId) -> None:
    """Pass on what the seat says, each thing once; never a name."""
    last: Message | None = None
    async for face in desk.outlet.faces(seat):
        if face.message is not last:
            last = face.message
            talk.peer()
            await talk.item({"item": {"say": last}})


async def _judged(desk: Desk, asked: Asked) -> Fields:
    """Wait until the seat has an owner who can be asked, and ask them."""
    waited = False
    async for _ in desk.outlet.faces(asked.seat):
        found = desk.house.who(asked.seat)
        if found.state is SeatState.OUT_OF_SERVICE:
            return _said(Outcome.UNAVAILABLE)
        if found.state is SeatState.LOCKED and not asked.call.login:
            return _said(Outcome.NOBODY)
        if found.state is SeatState.ACTIVE and found.session is not None:
            return await _owner(desk, asked, found, fresh=waited)
        waited = waited or found.state is SeatState.LOCKED
    raise AssertionError  # a seat's faces never end


async def _owner(desk: Desk, asked: Asked, found: Occupancy, *, fresh: bool) -> Fields:
    """Ask the owner, or take the touch with which they have just logged in; `fresh`: it came after the question."""
    call, answer = asked.call, _named(desk, asked, found)
    if answer["outcome"] != Outcome.YES or found.session is None:
        return answer
    max_age = max(call.max_age or 0, FRESH_S) if fresh else call.max_age
    purpose = f"{asked.application.name}/{call.service or 'login'}"
    done = await desk.house.step_up(asked.seat, SessionId(found.session), purpose, call.acr or Acr.ONE, max_age)
    if desk.house.who(asked.seat).session != found.session:
        return _said(Outcome.ENDED)
    return answer if done.stepped_up else _said(Outcome.REFUSED)


def _named(desk: Desk, asked: Asked, found: Occupancy) -> Fields:
    """The owner's account, if it is one and the one that was asked for."""
    name = _account_of(desk, asked.application, found)
    if name is None:
        return _said(Outcome.NO_ACCOUNT)
    if asked.call.user not in (None, name):
        return _said(Outcome.OTHER)
    return {**_said(Outcome.YES), "account": name, "session": found.session, "subject": found.subject}


def _said(outcome: Outcome) -> Fields:
    return {"outcome": outcome}


VERBS: Final[Mapping[type[wire.Call], Verb]] = {
    Authenticate: Verb(ALL, stream=authenticate),
    Withdraw: Verb(ALL, instant=withdraw),
}
