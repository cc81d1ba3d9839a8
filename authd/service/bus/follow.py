"""The two streams that live as long as their followers: the ledger's events, and a seat's faces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from authd.core.model import MILLISECOND, Face, SeatId
from authd.service.bus import wire
from authd.service.bus.envelope import attributes, visible
from authd.service.bus.house import Error, Peer, Refused
from authd.service.bus.outlet import Lock
from authd.service.bus.verbs import Desk, Fields, Talk

BATCH: Final = 16
"""Events between two moments at which others have their turn: signing one takes some 30 us."""


@dataclass(slots=True)
class _Place:
    seq: int


async def follow(desk: Desk, talk: Talk, call: wire.Follow) -> None:
    """Stream every event behind `after` once, in order, signed; locks at once; a beat with the place reached.

    The place counts the rows that this peer may not see, so a follower resumes behind them.
    """
    head = desk.source.head
    if call.after is not None and call.after > head:
        raise Refused(Error.REFUSED, f"the ledger ends at {head}: it is another one, or has been cut")
    place = _Place(head if call.after is None else call.after)
    talk.begin({"after": place.seq, "head": head})
    beat = _beat(desk, place)
    with desk.outlet.locks(lambda lock: _tell(talk, lock)), talk.beating(beat):
        async for recorded in desk.source.follow(place.seq):
            peer = talk.peer()
            if visible(recorded, peer):
                await talk.event(desk.signer.told(recorded, peer, desk.house))
            place.seq = recorded.seq
            if place.seq % BATCH == 0:
                await asyncio.sleep(0)


async def watch(desk: Desk, talk: Talk, call: wire.Watch) -> None:
    """Stream what the seat's screen is to show."""
    talk.begin({})
    with desk.house.watched(SeatId(call.seat)), talk.beating(lambda: {"beat": 0}):
        async for face in desk.outlet.faces(SeatId(call.seat)):
            await talk.item({"face": _face(desk, talk.peer(), face)})


def _beat(desk: Desk, place: _Place) -> Callable[[], Fields]:
    return lambda: {"beat": place.seq, "head": desk.source.head}


def _tell(talk: Talk, lock: Lock) -> None:
    try:
        peer = talk.peer()
    except Refused:
        return
    if peer.has(lock.seat):
        talk.urgent({"lock": {"session": lock.session, "seat": lock.seat, "reason": lock.reason.value}})


def _face(desk: Desk, peer: Peer, face: Face) -> Fields:
    person = desk.house.person(face.subject) if face.subject is not None else None
    left = max(0, face.until - desk.clock.now()) // MILLISECOND if face.until is not None else None
    return {**msgspec.to_builtins(face), "person": attributes(person, peer), "left_ms": left}
