"""What every part of the evidence stands on, and what each of them offers the daemon."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authd.core.model import SeatId, Session, SessionId
from authd.core.pipeline import Pipeline
from authd.service.clock import BootClock
from authd.service.config import Config
from authd.service.keys import Keys
from authd.service.ledger import Ledger
from authd.service.pdp import Pdp
from authd.service.store import Store


@dataclass(frozen=True, slots=True)
class Ground:
    """The parts of the daemon that evidence needs."""

    config: Config
    clock: BootClock
    keys: Keys
    store: Store
    ledger: Ledger
    pdp: Pdp
    pipeline: Pipeline

    def owner(self, session: SessionId) -> tuple[SeatId, Session] | None:
        """Return the seat and the session, while it is the one that is active there."""
        for seat, state in self.pipeline.seats.items():
            if state.owner is not None and state.owner.id == session:
                return seat, state.owner
        return None


class Part:
    """One part of the evidence: what it does when it has nothing to read, to run or to show."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    async def begin(self) -> None:
        """Read from the ledger what must be known before a door opens."""

    def jobs(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What runs for as long as the daemon."""
        return ()

    def state(self) -> Mapping[str, object]:
        """What `authd status` shows."""
        return {}
