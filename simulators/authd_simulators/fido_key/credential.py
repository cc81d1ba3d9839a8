"""Credentials: an id seals what the key needs to know, so that only discoverable ones take up memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from authd_simulators.fido_key.signing import Private, cose_key, derive, private_key

NONCE, FACTS = 16, 3
ID_LENGTH = NONCE + FACTS + 16
OPTIONAL, OPTIONAL_WITH_LIST, REQUIRED = 1, 2, 3
"""credProtect: when the credential answers without user verification."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What an id says of its credential."""

    algorithm: int
    protect: int = OPTIONAL
    resident: bool = False
    hmac_secret: bool = False
    payment: bool = False

    def pack(self) -> bytes:
        """Return three bytes."""
        bits = self.resident | self.hmac_secret << 1 | self.payment << 2
        return bytes([-self.algorithm, self.protect, bits])

    @classmethod
    def unpack(cls, data: bytes) -> Facts:
        """Read what `pack` wrote."""
        algorithm, protect, bits = data
        return cls(-algorithm, protect, bool(bits & 1), bool(bits & 2), bool(bits & 4))


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential, opened."""

    id: bytes
    rp_hash: bytes
    facts: Facts
    secret: bytes

    @property
    def private(self) -> Private:
        """The key pair that signs."""
        return private_key(self.facts.algorithm, self.secret)

    @property
    def public(self) -> dict[int, object]:
        """The public key as a COSE map."""
        return cose_key(self.facts.algorithm, self.private)

    def random(self, verified: bool) -> bytes:
        """Return CredRandom of hmac-secret: one with user verification, another without."""
        return derive(self.secret, b"CredRandom with UV" if verified else b"CredRandom")


def create(master: bytes, rp_hash: bytes, facts: Facts, nonce: bytes) -> Credential:
    """Make a credential out of 16 random bytes."""
    sealed = AESGCM(_seal(master)).encrypt(nonce, facts.pack(), rp_hash)
    return Credential(nonce + sealed, rp_hash, facts, derive(master, b"credential" + rp_hash + nonce))


def open_id(master: bytes, rp_hash: bytes, credential_id: bytes) -> Credential | None:
    """Return the credential of an id that this key once gave to this relying party, or None."""
    if len(credential_id) != ID_LENGTH:
        return None
    nonce = credential_id[:NONCE]
    try:
        facts = AESGCM(_seal(master)).decrypt(nonce, credential_id[NONCE:], rp_hash)
    except InvalidTag:
        return None
    return Credential(credential_id, rp_hash, Facts.unpack(facts), derive(master, b"credential" + rp_hash + nonce))


def hash_of(rp_id: str) -> bytes:
    """Return the hash that stands for a relying party."""
    return hashlib.sha256(rp_id.encode()).digest()


def _seal(master: bytes) -> bytes:
    return derive(master, b"seal of credential ids")
