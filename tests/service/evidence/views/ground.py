"""A host with two seats, of which only what views stand on is real: the ledger, and the pseudonyms."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

from authd.core.model import (
    Epoch,
    Evidence,
    Factor,
    Grade,
    Instant,
    Limits,
    Nonce,
    ReaderId,
    SeatId,
    Session,
    SessionId,
    SteppedUp,
    SubjectId,
)
from authd.service.evidence import Ground
from authd.service.evidence.records import Pseudonyms
from authd.service.evidence.views import Said, Views
from authd.service.keys import Keys
from tests.service.ledgers import BEGIN, HandClock, opened

ONE, TWO = SeatId("counter-1"), SeatId("counter-2")
SATO, ITO = SubjectId("sub_sato"), SubjectId("sub_ito")
KEY = bytes(range(32))
NAMES = Pseudonyms(KEY)


class Clock:
    """A `BootClock` that a test moves."""

    def __init__(self, hand: HandClock) -> None:
        self._hand = hand
        self.boot = hand.boot

    def now(self) -> Instant:
        return self._hand.now()

    def wall_ms(self) -> int:
        return self._hand.wall_ms


@dataclass
class Host:
    """What a test reaches."""

    views: Views
    ground: Ground
    hand: HandClock
    seats: dict[SeatId, Any]
    asked: list[tuple[SeatId, str]] = field(default_factory=list[tuple[SeatId, str]])
    """Who was asked for a touch, and for what."""
    touches: bool = True
    """Whether they do."""

    def open(self, seat: SeatId, subject: SubjectId, session: str) -> SessionId:
        """Somebody logs in, a second ago."""
        self.seats[seat] = SimpleNamespace(owner=sitting(seat, subject, session, Instant(self.hand.at - 10**9)))
        return SessionId(session)

    def end(self, seat: SeatId) -> None:
        """The session there ends."""
        self.seats[seat] = SimpleNamespace(owner=None)

    async def step_up(self, seat: SeatId, session: SessionId, purpose: str) -> SteppedUp:
        """Ask whoever sits there; they touch two seconds later."""
        self.asked.append((seat, purpose))
        self.hand.step(2)
        return SteppedUp(self.touches, auth_time=Instant(self.hand.at))

    def said(self, session_: SessionId, nonce: str = "nonce-0000000000001", **other: Any) -> Said:
        """A report as it should be."""
        record = NAMES.record("20481")
        said = Said("resident", session_, record, "juminhyo", "certificate", "", nonce, self.hand.wall_ms)
        return replace(said, **other)


def sitting(seat: SeatId, subject: SubjectId, session: str, at: Instant) -> Session:
    evidence = Evidence(ReaderId("vein-1"), Factor.VEIN, Grade.MATCHED, Nonce("n"), at, "tpl_1@1")
    return Session(SessionId(session), subject, seat, Epoch(3), evidence, Limits(), at, at)


@asynccontextmanager
async def hosting(folder: Path) -> AsyncGenerator[Host]:
    """A host whose ledger is in `folder`."""
    hand = HandClock()
    assert hand.wall_ms == BEGIN
    keys = create_autospec(Keys, instance=True)
    keys.record_key.return_value = KEY
    seats: dict[SeatId, Any] = {seat: SimpleNamespace(owner=None) for seat in (ONE, TWO)}
    nothing: Any = None
    clock: Any = Clock(hand)
    config: Any = SimpleNamespace(views_per_session=10.0, views_per_application=50.0)
    pipeline: Any = SimpleNamespace(seats=seats)
    async with opened(folder, hand) as ledger:
        ground = Ground(config, clock, keys, nothing, ledger, nothing, pipeline)
        views = Views(ground)
        await views.begin()
        host = Host(views, ground, hand, seats)
        pipeline.step_up = host.step_up
        yield host
