"""Verbs about carry-out: asking for it, a second person's grant, the one use, and that it came back or was erased."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta

from authd.core.model import SeatId, Session, SessionId
from authd.service.bus import wire
from authd.service.bus.envelope import iso
from authd.service.bus.house import Error, Peer, Role
from authd.service.bus.verbs import ADMIN, FOLLOWERS, Desk, Fields, Talk, Verb
from authd.service.evidence.carryout import (
    Carryout,
    Carryouts,
    Closing,
    Exported,
    Leaving,
    NotOut,
    Order,
    Shown,
    Why,
)

_ONE_LINE: Final = r"^[^\x00-\x1f\x7f\x85\u2028-\u202e\u2066-\u2069]*(?![\s\S])"
Rows = Annotated[int, Meta(ge=0, le=100_000_000)]
Said = Annotated[str, Meta(min_length=1, max_length=200, pattern=_ONE_LINE)]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?![\s\S])")]
Hours = Annotated[float, Meta(gt=0, le=1_000)]
Days = Annotated[int, Meta(ge=1, le=1_000)]


class CarryoutRequest(wire.Call, frozen=True, tag="carryout_request"):
    """Ask to carry something out: whoever sits at the seat, or whose session it is, confirms it with a touch."""

    kind: Leaving
    rows: Rows
    purpose: Said
    destination: Said
    system: wire.Name | None = None
    seat: wire.Name | None = None
    session: wire.Name | None = None
    expires_h: Hours | None = None
    return_days: Days | None = None
    title: wire.Text = ""


class CarryoutApprove(wire.Call, frozen=True, tag="carryout_approve"):
    """Allow it: somebody else, with a touch."""

    carryout: wire.Name
    seat: wire.Name | None = None
    session: wire.Name | None = None


class CarryoutList(wire.Call, frozen=True, tag="carryouts"):
    """Stream what waits, may be used, or is out."""


class CarryoutUse(wire.Call, frozen=True, tag="carryout_use"):
    """Spend a capability: what leaves now is this."""

    kind: Leaving
    destination: Said
    capability: wire.Text = ""
    title: wire.Text = ""
    rows: Rows | None = None
    copies: Annotated[int, Meta(ge=1, le=10_000)] = 1
    session: wire.Name | None = None
    user: wire.Text = ""

    def __repr__(self) -> str:
        """Say nothing of the capability, wherever it might be written."""
        return "CarryoutUse(...)"


class CarryoutExported(wire.Call, frozen=True, tag="carryout_exported"):
    """Say what an export was, before its file has its name."""

    carryout: wire.Name
    rows: Rows
    canaries: Rows
    file: Digest
    prints: Digest


class CarryoutBaseline(wire.Call, frozen=True, tag="carryout_baseline"):
    """Say what a data set that was there before is."""

    carryout: wire.Name
    name: Said
    rows: Rows
    file: Digest
    prints: Digest


class CarryoutClose(wire.Call, frozen=True, tag="carryout_close"):
    """Say that it came back, or was erased: somebody else than who took it, with a touch."""

    carryout: wire.Name
    how: Closing
    seat: wire.Name | None = None
    session: wire.Name | None = None


async def request(desk: Desk, peer: Peer, call: CarryoutRequest) -> Fields:
    """Take a request; the capability is told once, and is good for nothing before somebody has allowed it."""
    seat, session = _sitting(desk, peer, call.seat, call.session)
    system = peer.name if peer.role is Role.APPLICATION else call.system
    if system is None or call.system not in (None, system):
        raise NotOut(Why.SYSTEM, Error.BAD_REQUEST)
    limits = _carryouts(desk).ground.pdp.bundle.settings.carryout
    order = Order(
        call.kind,
        system,
        call.rows,
        call.purpose,
        call.destination,
        limits.expires_h if call.expires_h is None else call.expires_h,
        limits.return_days if call.return_days is None else call.return_days,
        call.title,
    )
    asked, token = await _carryouts(desk).asking.request(seat, session, order)
    return {**_told(asked), "capability": token}


async def approve(desk: Desk, peer: Peer, call: CarryoutApprove) -> Fields:
    """Take the second person's word."""
    _own(desk, peer, call.carryout)
    seat, session = _sitting(desk, peer, call.seat, call.session)
    return _told(await _carryouts(desk).asking.approve(call.carryout, seat, session))


async def carryouts(desk: Desk, talk: Talk, call: CarryoutList) -> None:
    """Stream them, the oldest first."""
    for each in _carryouts(desk).book.all():
        talk.peer()
        late = each.out and each.due_ms < _carryouts(desk).ground.clock.wall_ms()
        await talk.item({"item": {**_told(each), "overdue": late}})


async def use(desk: Desk, peer: Peer, call: CarryoutUse) -> Fields:
    """Spend it; the answer comes after the durable row."""
    application = peer.role is Role.APPLICATION
    session = SessionId(call.session) if call.session is not None else None
    if application and session is not None and not _at_seats(desk, peer, session):
        session = None  # none of its sessions: refused as if it had named none, and recorded as any other
    shown = Shown(
        call.kind,
        call.destination,
        call.capability,
        call.title,
        call.rows,
        call.copies,
        peer.name if application else None,
        session,
        "" if application else call.user,
    )
    return _told(await _carryouts(desk).gate.use(shown))


async def exported(desk: Desk, peer: Peer, call: CarryoutExported) -> Fields:
    """Take down what an export was."""
    await _carryouts(desk).exported(call.carryout, Exported(call.rows, call.canaries, call.file, call.prints))
    return {}


async def baseline(desk: Desk, peer: Peer, call: CarryoutBaseline) -> Fields:
    """Take down a data set that was there before."""
    await _carryouts(desk).baseline(call.carryout, call.name, Exported(call.rows, 0, call.file, call.prints))
    return {}


async def close(desk: Desk, peer: Peer, call: CarryoutClose) -> Fields:
    """Take down that it is out no more."""
    seat, session = _sitting(desk, peer, call.seat, call.session)
    return _told(await _carryouts(desk).asking.close(call.carryout, call.how, seat, session))


def _carryouts(desk: Desk) -> Carryouts:
    return desk.house.evidence.carryouts


def _sitting(desk: Desk, peer: Peer, seat: str | None, session: str | None) -> tuple[SeatId, Session]:
    """Return who acts: at this seat, or in this session at one of the application's seats."""
    ground = _carryouts(desk).ground
    found = None
    if session is not None:
        found = ground.owner(SessionId(session))
    elif seat is not None and SeatId(seat) in ground.pipeline.seats:
        owner = ground.pipeline.seats[SeatId(seat)].owner
        found = (SeatId(seat), owner) if owner is not None else None
    if found is None or not peer.has(found[0]) or seat not in (None, found[0]):
        raise NotOut(Why.NO_SESSION, Error.NOT_FOUND)
    return found


def _at_seats(desk: Desk, peer: Peer, session: SessionId) -> bool:
    found = _carryouts(desk).ground.owner(session)
    return found is not None and peer.has(found[0])


def _own(desk: Desk, peer: Peer, id_: str) -> None:
    """An application speaks of what leaves itself, and of nothing else."""
    found = _carryouts(desk).book.get(id_)
    if found is None or (peer.role is Role.APPLICATION and found.order.system != peer.name):
        raise NotOut(Why.UNKNOWN, Error.NOT_FOUND)


def _told(each: Carryout) -> Fields:
    order = each.order
    return {
        "carryout": each.id,
        "stage": each.stage,
        "kind": order.kind,
        "system": order.system,
        "rows": order.rows,
        "purpose": order.purpose,
        "destination": order.destination,
        "title": order.title,
        "requester": each.requester,
        "approver": each.approver,
        "expires": iso(each.expires_ms),
        "due": iso(each.due_ms),
        "used": iso(each.used_ms) if each.used_ms is not None else None,
        "overdue": each.overdue,
    }


VERBS: Final[Mapping[type[wire.Call], Verb]] = {
    CarryoutRequest: Verb(FOLLOWERS, waiting=request),
    CarryoutApprove: Verb(FOLLOWERS, waiting=approve),
    CarryoutList: Verb(ADMIN, stream=carryouts),
    CarryoutUse: Verb(FOLLOWERS, waiting=use),
    CarryoutExported: Verb(ADMIN, waiting=exported),
    CarryoutBaseline: Verb(ADMIN, waiting=baseline),
    CarryoutClose: Verb(ADMIN, waiting=close),
}
