"""The core's own signature under who is at a seat: asked for by a session or a row, and of its own state alone."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from authd.core.model import MILLISECOND, SeatId, Session, SessionId, SubjectId
from authd.service.evidence.ground import Ground, Part
from authd.service.keys import KeyFault
from authd.service.ledger import Recorded
from authd.service.tokens import claims, events
from authd.service.tokens.ring import Algorithm, Ring

log = logging.getLogger("authd.tokens")

LOOK_EVERY_S: Final = 3_600.0
MOST_ISSUED: Final = 20_000
"""Sessions of applications for which an ID token was signed, remembered for their logout tokens."""
LOOKED_BACK_MS: Final = 36 * 3_600_000
"""A session lasts 12 h at most."""
MOST_BEFORE: Final = 2_000
"""Of one seat: sessions of the hours before that are remembered, the newest."""
READ_WITHIN_S: Final = 2.0


class Why(StrEnum):
    """Why nothing is signed."""

    NO_SESSION = "no_session"
    STILL_OPEN = "still_open"
    NO_EVENT = "no_event"


class TokenRefused(Exception):
    """Nothing was signed."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, slots=True)
class Asker:
    """The application that asks: its name is the audience. `told`: what it may know of a person."""

    name: str
    seats: frozenset[SeatId]
    told: Callable[[SubjectId], Mapping[str, str]]


class Tokens(Part):
    """Signs for applications. `issuer`: whom their tokens come from, as configured."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self.issuer = ground.config.issuer
        self.ring = Ring(ground.keys, ground.clock.wall_ms)
        self._issued: dict[tuple[str, SessionId], SubjectId] = {}
        self._before: dict[SeatId, Mapping[SessionId, SubjectId]] = {}
        """Whose sessions the ledger knew when it was first asked: of the time before the daemon's last start."""
        self._reading = asyncio.Lock()

    async def begin(self) -> None:
        """Read the keys, or make them. Raises `KeyFault`."""
        await self.ring.open()

    def jobs(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What turns the keys over."""
        return (self._turn(),)

    def state(self) -> Mapping[str, object]:
        """Which keys there are, and which sign."""
        signing = {each.value: self.ring.signing(each).name for each in Algorithm}
        return {"issuer": self.issuer, "keys": list(self.ring.names()), "signing": signing}

    def assertion(self, asker: Asker, session: SessionId) -> str:
        """Return the assertion about a session that is active now. Raises `TokenRefused`."""
        of = self._standing(asker, session)
        made = claims.assertion(of, self.issuer, asker.name, self._now_s(), secrets.token_hex(16))
        return self.ring.sign(made, Algorithm.ES256, "authd-assertion+jwt")

    def id_token(self, asker: Asker, session: SessionId, nonce: str | None) -> str:
        """Return the ID token about a session that is active now. Raises `TokenRefused`."""
        of = self._standing(asker, session)
        while len(self._issued) >= MOST_ISSUED:
            del self._issued[next(iter(self._issued))]
        self._issued[asker.name, session] = of.subject
        made = claims.id_token(of, self.issuer, asker.name, self._now_s(), nonce)
        return self.ring.sign(made, Algorithm.RS256, "JWT")

    async def logout_token(self, asker: Asker, session: SessionId) -> str:
        """Return the logout token about a session that is over.

        Raises `TokenRefused` for one that is still active, or was at none of the application's seats.
        """
        if self.ground.owner(session) is not None:
            raise TokenRefused(Why.STILL_OPEN)
        subject = self._issued.get((asker.name, session)) or await self._sat(asker, session)
        if subject is None:
            raise TokenRefused(Why.NO_SESSION)
        jti = secrets.token_hex(16)
        made = claims.logout_token(session, subject, self.issuer, asker.name, self._now_s(), jti)
        return self.ring.sign(made, Algorithm.RS256, "logout+jwt")

    async def event(self, asker: Asker, seq: int) -> str:
        """Return the security event of a durable row at one of the application's seats. Raises `TokenRefused`."""
        row = await self._row(asker, seq)
        if not events.told(row.entry):
            raise TokenRefused(Why.NO_EVENT)
        place = events.Place(seq, row.wall_ms, self._seat_key())
        made = events.session_event(row.entry, place, self.issuer, asker.name, self._now_s())
        return self.ring.sign(made, Algorithm.RS256, "secevent+jwt")

    def verification(self, asker: Asker, state: str | None) -> str:
        """Return the event by which a receiver finds that its stream works."""
        unique = secrets.token_hex(16)
        made = events.verification(asker.name, state, self.issuer, asker.name, self._now_s(), unique)
        return self.ring.sign(made, Algorithm.RS256, "secevent+jwt")

    def _standing(self, asker: Asker, session: SessionId) -> claims.Standing:
        found = self.ground.owner(session)
        if found is None or found[0] not in asker.seats:
            raise TokenRefused(Why.NO_SESSION)
        seat, owner = found
        return self._stands(asker, seat, owner)

    def _stands(self, asker: Asker, seat: SeatId, owner: Session) -> claims.Standing:
        state, clock = self.ground.pipeline.seats[seat], self.ground.clock
        acted = state.acted_at or owner.evidence.captured_at
        acted_ms = clock.wall_ms() - (clock.now() - acted) // MILLISECOND
        return claims.Standing(
            session=owner.id,
            subject=owner.subject,
            seat=seat,
            grade=owner.evidence.grade,
            auth_time=acted_ms // 1000,
            factors=state.acted_by or owner.evidence.factors,
            seat_key=self._seat_key(),
            told=asker.told(owner.subject),
        )

    async def _sat(self, asker: Asker, session: SessionId) -> SubjectId | None:
        """Whose session it was, where its ID token was signed before the daemon's last start.

        The ledger is read once for a seat, however often it is asked: what is signed later is in `_issued`.
        """
        for seat in sorted(asker.seats):
            if (subject := (await self._known(seat)).get(session)) is not None:
                return subject
        return None

    async def _known(self, seat: SeatId) -> Mapping[SessionId, SubjectId]:
        async with self._reading:
            if seat not in self._before:
                now = self.ground.clock.wall_ms()
                stays = await self.ground.ledger.presence(seat, now - LOOKED_BACK_MS, now)
                self._before[seat] = {each.session: each.subject for each in stays[-MOST_BEFORE:]}
            return self._before[seat]

    async def _row(self, asker: Asker, seq: int) -> Recorded:
        if not 0 < seq <= self.ground.ledger.head:
            raise TokenRefused(Why.NO_EVENT)
        async with asyncio.timeout(READ_WITHIN_S):
            row = await anext(self.ground.ledger.follow(seq - 1))
        if row.seq != seq or row.entry.seat not in asker.seats:
            raise TokenRefused(Why.NO_EVENT)
        return row

    def _seat_key(self) -> bool:
        return self.ground.pdp.bundle.settings.thresholds.seat_key_counts

    def _now_s(self) -> int:
        return self.ground.clock.wall_ms() // 1000

    async def _turn(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                if await self.ring.turn():
                    log.info("the keys that sign tokens have changed: %s", ", ".join(self.ring.names()))
            except KeyFault as error:
                log.error("the keys that sign tokens could not be turned over: %s", error)
