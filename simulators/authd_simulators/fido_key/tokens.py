"""pinUvAuthTokens: who may ask for what, since when, and proven how (CTAP 2.1, 6.5.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag

from authd_simulators.fido_key.cbor import Fields
from authd_simulators.fido_key.pinuv import One, PinUv, RandomBytes, Two
from authd_simulators.fido_key.presence import now_ns
from authd_simulators.fido_key.status import CtapError, Status, demand

UNUSED_S, LONGEST_S = 30, 600
TOKEN = 32


class Permission(IntFlag):
    """What a token is good for."""

    MAKE_CREDENTIAL = 1
    GET_ASSERTION = 2
    MANAGE_CREDENTIALS = 4
    ENROL_FINGERS = 8
    WRITE_LARGE_BLOBS = 16
    CONFIGURE = 32


@dataclass(slots=True)
class Token:
    """A token in use."""

    value: bytes
    protocol: int
    permissions: Permission
    rp_id: str | None
    verified: bool
    present: bool
    since_ns: int
    used: bool = False

    def fresh(self, now: int) -> bool:
        """Say whether it still holds: 30 s until its first use, 10 minutes in all."""
        return now - self.since_ns < (LONGEST_S if self.used else UNUSED_S) * 10**9


class Tokens:
    """Both protocols and the one token; all of it is lost with the power."""

    def __init__(self, random: RandomBytes, clock: Callable[[], int] = now_ns) -> None:
        self._random = random
        self._clock = clock
        self.protocols: dict[int, PinUv] = {each.number: each for each in (Two(random), One(random))}
        self.token: Token | None = None
        self.mismatches = 0
        """Wrong PINs in a row since power-up; three block the PIN until the next."""

    def protocol(self, number: int) -> PinUv:
        """Return a protocol by its number. Raises `CtapError`."""
        protocol = self.protocols.get(number)
        if protocol is None:
            raise CtapError(Status.INVALID_PARAMETER)
        return protocol

    def give(self, protocol: PinUv, permissions: Permission, rp_id: str | None, *, present: bool = False) -> bytes:
        """Start a new token, which ends the one before, and return its value."""
        value = self._random(TOKEN)
        self.token = Token(value, protocol.number, permissions, rp_id, True, present, self._clock())
        return value

    def check(self, request: Fields, keys: tuple[int, int], message: bytes, permission: Permission) -> Token:
        """Return the token that signed the message. Raises `CtapError`.

        keys: where the request holds the protocol's number and the pinUvAuthParam.
        """
        protocol = self.protocol(request.need(keys[0], int))
        signature = request.need(keys[1], bytes)
        token = self.token
        demand(token is not None and token.fresh(self._clock()), Status.PIN_AUTH_INVALID)
        assert token is not None
        right = token.protocol == protocol.number and protocol.verify(token.value, message, signature)
        demand(right and permission in token.permissions, Status.PIN_AUTH_INVALID)
        token.used = True
        return token

    def spend(self) -> None:
        """After a touch for a credential or an assertion: only large blobs may still be written."""
        if self.token is not None:
            self.token.verified = self.token.present = False
            self.token.permissions &= Permission.WRITE_LARGE_BLOBS
