"""Single-use tickets: they tie a browser to the seat whose screen opened it, for an address stands for nobody.

A ticket is 256 random bits, passed in. Only its SHA-256 is kept, and looked up by that, so neither memory nor the time
of a look-up tells anything of a live ticket. It is good once, for 30 s, for one application, while its session lives.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from authd.core.model import SECOND, Instant, SeatId, SessionId

LIFETIME = 30 * SECOND
MOST = 1_024
"""Live tickets of the whole host."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket stands for."""

    seat: SeatId
    session: SessionId
    application: str
    expires: Instant


class TicketError(Exception):
    """A ticket that opens nothing."""


class NoTicket(TicketError):
    """Unknown, spent, for another application, or of a session that has ended: told apart for nobody."""


class TicketExpired(TicketError):
    """It was good, and is too old."""


class TooManyTickets(TicketError):
    """`MOST` tickets are alive."""


class Tickets:
    """The live tickets. Pure: randomness and time are passed in."""

    def __init__(self) -> None:
        self._live: dict[bytes, Ticket] = {}

    def __len__(self) -> int:
        return len(self._live)

    def open(self, token: str, seat: SeatId, session: SessionId, application: str, now: Instant) -> Ticket:
        """Register a fresh random token (>= 43 characters of base64url). Raises `TooManyTickets`."""
        self._sweep(now)
        if len(self._live) >= MOST:
            raise TooManyTickets
        ticket = Ticket(seat, session, application, Instant(now + LIFETIME))
        self._live[_digest(token)] = ticket
        return ticket

    def redeem(self, token: str, application: str, now: Instant) -> Ticket:
        """Spend a ticket; one shown by the wrong application is spent too, for it has leaked.

        Raises `NoTicket` and `TicketExpired`.
        """
        ticket = self._live.pop(_digest(token), None)
        if ticket is None or ticket.application != application:
            raise NoTicket
        if now >= ticket.expires:
            raise TicketExpired
        return ticket

    def end(self, session: SessionId) -> None:
        """Forget the tickets of a session that has ended."""
        self._live = {digest: ticket for digest, ticket in self._live.items() if ticket.session != session}

    def _sweep(self, now: Instant) -> None:
        self._live = {digest: ticket for digest, ticket in self._live.items() if now < ticket.expires}


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
