"""A host whose tokens are real, keys and ledger too; its seats are what a test says of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet

from authd.core.model import (
    EndReason,
    Entry,
    Epoch,
    Evidence,
    Factor,
    Grade,
    Instant,
    Kind,
    Limits,
    Nonce,
    ReaderId,
    SeatId,
    Session,
    SessionId,
    SubjectId,
)
from authd.service.evidence import Ground
from authd.service.keys import Keys
from authd.service.ledger import Ledger
from authd.service.tokens import Tokens
from authd.service.tokens.tokens import Asker
from tests.service.ledgers import HandClock, opened

ONE, TWO = SeatId("counter-1"), SeatId("counter-2")
SATO, ITO = SubjectId("sub_sato"), SubjectId("sub_ito")
ISSUER = "https://login.city.example"
RESIDENT = Asker("resident", frozenset({ONE}), lambda subject: {"name": "佐藤", "account": "staff_1001"})
TAX = Asker("tax", frozenset({TWO}), lambda subject: {})


@dataclass(frozen=True, slots=True)
class Claims:
    header: dict[str, Any]
    claims: dict[str, Any]


@dataclass
class Host:
    tokens: Tokens
    hand: HandClock
    seats: dict[SeatId, Any]
    keys: Keys
    ledger: Ledger
    ground: Ground

    def open(self, seat: SeatId = ONE, session: str = "ses_1", *factors: Factor, grade: Grade = Grade.MATCHED) -> None:
        """Somebody logs in, five seconds ago."""
        at = Instant(self.hand.at - 5 * 10**9)
        evidence = Evidence(ReaderId("vein-1"), Factor.VEIN, grade, Nonce("n"), at, "tpl_1@1")
        owner = Session(SessionId(session), SATO, seat, Epoch(3), evidence, Limits(), at, at)
        acted = frozenset(factors or (Factor.VEIN,))
        self.seats[seat] = SimpleNamespace(owner=owner, acted_at=at, acted_by=acted)

    def end(self, seat: SeatId = ONE) -> None:
        self.seats[seat] = SimpleNamespace(owner=None)

    async def row(self, kind: Kind, seat: SeatId = ONE, session: str = "ses_1", **data: Any) -> int:
        reason = EndReason.IDLE if kind is Kind.SESSION_ENDED else None
        entry = Entry(
            kind,
            seat,
            Epoch(3),
            SATO,
            SessionId(session),
            at=Instant(self.hand.at),
            reason=reason,
            grade=Grade.MATCHED,
            data=data,
        )
        return await self.ledger.append(entry)

    def read(self, token: str) -> Claims:
        """Check a token as a relying party does: by the published keys alone."""
        keys = KeySet.import_key_set({"keys": self.tokens.ring.public()})
        read = jwt.decode(token, keys, algorithms=["ES256", "RS256"])
        return Claims(dict(read.header), dict(read.claims))


@asynccontextmanager
async def signing(folder: Path) -> AsyncGenerator[Host]:
    hand = HandClock()
    keys = Keys(folder / "state")
    keys.create()
    seats: dict[SeatId, Any] = {seat: SimpleNamespace(owner=None) for seat in (ONE, TWO)}
    nothing: Any = None
    clock: Any = SimpleNamespace(now=hand.now, wall_ms=lambda: hand.wall_ms)
    thresholds = SimpleNamespace(seat_key_counts=True)
    point: Any = SimpleNamespace(bundle=SimpleNamespace(settings=SimpleNamespace(thresholds=thresholds)))
    config: Any = SimpleNamespace(issuer=ISSUER)
    pipeline: Any = SimpleNamespace(seats=seats)
    async with opened(folder / "ledger", hand) as ledger:
        ground = Ground(config, clock, keys, nothing, ledger, point, pipeline)
        tokens = Tokens(ground)
        await tokens.begin()
        yield Host(tokens, hand, seats, keys, ledger, ground)
