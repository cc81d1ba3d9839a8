"""The verb of a seat's desktop agent: it attends, and says whether the desktop is covered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from authd.core.model import SeatId
from authd.service.bus import wire
from authd.service.bus.house import Error, Peer, Refused
from authd.service.bus.verbs import SCREEN, Desk, Fields, Verb
from authd.service.evidence.covers import Cover, Loss


class Attend(wire.Call, frozen=True, tag="attend"):
    """The agent is there; `lost`: what became of the cover since it last spoke."""

    seat: wire.Name
    cover: Cover
    lost: Literal["died", "hung", "refused"] | None = None


def attend(desk: Desk, peer: Peer, call: Attend) -> Fields:
    """Hear the agent, and say what the seat is doing."""
    seat, covers = SeatId(call.seat), desk.house.evidence.covers
    desk.house.who(seat)
    if not covers.known(seat):
        raise Refused(Error.REFUSED, "this seat has no desktop: authd.toml says desktop = true where one is")
    state = covers.attend(seat, call.cover, Loss(call.lost) if call.lost is not None else None)
    return {"state": state.state, "session": state.owner.id if state.owner is not None else None}


VERBS: Final[Mapping[type[wire.Call], Verb]] = {Attend: Verb(SCREEN, instant=attend)}
