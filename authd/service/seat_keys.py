"""The keys of the seats: each enrolled seat's own possession, anchored in the ledger at its first start."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from authd.core.model import Entry, Epoch, Kind, Nonce, SeatId
from authd.core.ports import Clock
from authd.service.keys import KeyFault, Keys
from authd.service.ledger import Ledger

_PURPOSE = b"authd seat 1\0"
log = logging.getLogger("authd.seats")


class Lives(Protocol):
    """Who counts a seat's lives (the store)."""

    async def claim(self, seat: SeatId) -> Epoch:
        """See `ports.Seats`."""
        ...


class HostSeats:
    """Implements `ports.Seats`."""

    def __init__(self, lives: Lives) -> None:
        self._lives = lives
        self._keys: dict[SeatId, tuple[Ed25519PrivateKey, Ed25519PublicKey]] = {}
        """Each seat's key, with the public half that the ledger has anchored."""

    async def claim(self, seat: SeatId) -> Epoch:
        """See `ports.Seats`."""
        return await self._lives.claim(seat)

    def vouch(self, seat: SeatId, nonce: Nonce) -> bool:
        """See `ports.Seats`."""
        if seat not in self._keys:
            return False
        secret, public = self._keys[seat]
        said = _PURPOSE + f"{seat}\0{nonce}".encode()
        try:
            public.verify(secret.sign(said), said)
        except InvalidSignature:  # the key is not the anchored one
            return False
        return True

    async def anchor(self, seats: Iterable[SeatId], keys: Keys, ledger: Ledger, clock: Clock) -> None:
        """Read each seat's key, and compare it with the anchored one; a seat's first key is anchored. Not twice."""
        rows = await ledger.entries(f"kind:{Kind.SEAT_ENROLLED}")
        anchored = {row.entry.seat: str(row.entry.data.get("key", "")) for row in reversed(rows)}  # the first counts
        for seat in seats:
            try:
                secret = keys.seat_key(seat)
            except KeyFault as fault:
                log.warning("the key of seat %s cannot be used, so it vouches for nothing: %s", seat, fault)
                continue
            public = secret.public_key().public_bytes_raw().hex()
            if seat not in anchored:
                await ledger.append(Entry(Kind.SEAT_ENROLLED, seat, at=clock.now(), data={"key": public}))
            elif anchored[seat] != public:
                log.error("the key of seat %s is not the one that the ledger anchors: it vouches for nothing", seat)
                continue
            self._keys[seat] = secret, secret.public_key()
