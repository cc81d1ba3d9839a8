"""The keys that sign tokens: made, published some time before they sign, and published some time after (JWKS).

    <state>/keys/tokens/es256-<made>.key    assertions, for applications behind a proxy
    <state>/keys/tokens/rs256-<made>.key    OpenID Connect and security events: what every product understands

`made` is the wall's time in milliseconds. A clock that was set moves a rotation, and never leaves an algorithm without
a key: the oldest signs where none is old enough.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from authd.service.keys import KeyFault, Keys

TURN_MS: Final = 30 * 86_400_000
"""A key signs for so long."""
AHEAD_MS: Final = 86_400_000
"""A new one is published for so long before it signs: whoever fetches the keys once a day knows it by then."""
KEPT_MS: Final = 86_400_000
"""And an old one for so long after: nothing that it signed is good for longer than some minutes."""
RSA_BITS: Final = 2048
"""What RFC 7518, 3.3 asks at least; a signature takes 0.4 ms."""
MOST: Final = 8
"""Keys of one algorithm: the folder has room for twice as many, and a host with more would not start again."""
_NAME: Final = re.compile(r"(es256|rs256)-([0-9]{13})")


class Algorithm(StrEnum):
    """Of RFC 7518, 3.1. Never none, and nothing that is signed with a shared secret."""

    ES256 = "ES256"
    RS256 = "RS256"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key pair. `kid`: its thumbprint (RFC 7638)."""

    algorithm: Algorithm
    made_ms: int
    kid: str
    key: ECKey | RSAKey

    @property
    def name(self) -> str:
        """Of its file."""
        return _name(self.algorithm, self.made_ms)

    def __repr__(self) -> str:
        return f"SigningKey({self.name!r})"


class RingFull(Exception):
    """So many keys wait for their turn already that there is no room for another one."""


class Ring:
    """All keys of one host. `wall_ms`: milliseconds since 1970, for people and protocols only."""

    def __init__(self, keys: Keys, wall_ms: Callable[[], int]) -> None:
        self._keys = keys
        self._wall_ms = wall_ms
        self._held: dict[Algorithm, list[SigningKey]] = {each: [] for each in Algorithm}
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Read every key, and make those that are missing. Raises `KeyFault`."""
        for name, data in self._keys.token_keys().items():
            held = read(name, data)
            self._held[held.algorithm].append(held)
        for keys in self._held.values():
            keys.sort(key=lambda each: each.made_ms)
        for algorithm in Algorithm:
            if not self._held[algorithm]:
                await self._make(algorithm)

    async def turn(self) -> bool:
        """Do what is due: make successors, drop what nothing rests on any more. True: the keys have changed."""
        async with self._changing:
            return await self._turn()

    async def _turn(self) -> bool:
        now, changed = self._wall_ms(), False
        for algorithm, held in self._held.items():
            if held[-1].made_ms + TURN_MS <= now:
                await self._make(algorithm)
                changed = True
            while len(held) > 1 and held[1].made_ms + AHEAD_MS + KEPT_MS <= now:
                self._drop(held[0])
                changed = True
        return changed

    async def replace(self, *, at_once: bool) -> None:
        """Make new keys now; `at_once`: those that there were are good for nothing from now on (one may be known).

        Raises `RingFull` where it is not `at_once` and several new ones wait already.
        """
        async with self._changing:
            before = [each for held in self._held.values() for each in held]
            if not at_once and any(len(held) >= MOST for held in self._held.values()):
                raise RingFull
            for algorithm in Algorithm:
                await self._make(algorithm)
            for each in before if at_once else ():
                self._drop(each)

    def sign(self, claims: Mapping[str, Any], algorithm: Algorithm, typ: str) -> str:
        """Return the signed token (JWS, compact). `typ` tells its kind from every other (RFC 8725, 3.11)."""
        signing = self.signing(algorithm)
        header = {"alg": algorithm.value, "kid": signing.kid, "typ": typ}
        return jwt.encode(header, dict(claims), signing.key, algorithms=[algorithm.value])

    def signing(self, algorithm: Algorithm) -> SigningKey:
        """The newest that has been published for long enough."""
        held, now = self._held[algorithm], self._wall_ms()
        return next((each for each in reversed(held) if each.made_ms + AHEAD_MS <= now), held[0])

    def public(self) -> list[dict[str, Any]]:
        """Return every public key, as RFC 7517 writes them: those that will sign, that sign, and that have signed."""
        return [_public(each) for held in self._held.values() for each in held]

    def names(self) -> Sequence[str]:
        """Which keys there are, without anything of them."""
        return [each.name for held in self._held.values() for each in held]

    async def _make(self, algorithm: Algorithm) -> None:
        held = self._held[algorithm]
        made = max(self._wall_ms(), held[-1].made_ms + 1 if held else 0)
        data = await asyncio.to_thread(_generate, algorithm)  # an RSA key takes a tenth of a second, or some
        name = _name(algorithm, made)
        self._keys.create_token_key(name, data)
        held.append(read(name, self._keys.token_keys()[name]))

    def _drop(self, key: SigningKey) -> None:
        self._keys.drop_token_key(key.name)
        self._held[key.algorithm].remove(key)


def read(name: str, data: bytes) -> SigningKey:
    """Read one key: its file's name without `.key`, PKCS #8 DER. Raises `KeyFault`."""
    found = _NAME.fullmatch(name)
    try:
        loaded = load_der_private_key(data, None)
    except (ValueError, TypeError):
        loaded = None
    match (found and found[1], loaded):
        case ("es256", ec.EllipticCurvePrivateKey(curve=ec.SECP256R1())) if found:
            return _held(Algorithm.ES256, int(found[2]), ECKey.import_key(loaded))
        case ("rs256", rsa.RSAPrivateKey(key_size=bits)) if found and bits >= RSA_BITS:
            return _held(Algorithm.RS256, int(found[2]), RSAKey.import_key(loaded))
        case _:
            pass
    raise KeyFault(f"tokens/{name}.key: is no signing key of this name; put the original back, or move it away")


def _held(algorithm: Algorithm, made: int, key: ECKey | RSAKey) -> SigningKey:
    return SigningKey(algorithm, made, key.thumbprint(), key)


def _name(algorithm: Algorithm, made_ms: int) -> str:
    return f"{algorithm.value.lower()}-{made_ms:013d}"


def _generate(algorithm: Algorithm) -> bytes:
    made: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if algorithm is Algorithm.ES256:
        made = ec.generate_private_key(ec.SECP256R1())
    else:
        made = rsa.generate_private_key(65_537, RSA_BITS)
    return made.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _public(each: SigningKey) -> dict[str, Any]:
    return each.key.as_dict(private=False, kid=each.kid, use="sig", alg=each.algorithm.value)
