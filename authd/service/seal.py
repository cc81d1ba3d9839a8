"""Templates at rest: AES-256-GCM-SIV (RFC 8452), each bound to its slot, under a key per person.

A sealed template opens only as that version of that template of that modality of that subject in that store; a person's
key is wrapped by the host key and bound to the person. Destroying the wrapped key erases all of a leaver's templates.
An older version of a slot is another slot; that it *is* older is found by the ledger, where the digest of the
current version is anchored. Pure functions; only the verifier child calls them, since only it holds the host key.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

KEY_BYTES = 32
MAX_TEMPLATE_BYTES = 60_000
_FORMAT = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16


class SealError(Exception):
    """It does not open here: moved, renamed, rolled back, damaged, or sealed under another key."""


@dataclass(frozen=True, slots=True)
class SealedTemplate:
    """One template as the store keeps it. `sealed`: format byte, nonce, ciphertext, tag."""

    id: str
    version: int
    subject: str
    modality: str
    finger: str
    sealed: bytes

    @property
    def reference(self) -> str:
        """`tpl_...@version`, as evidence and ledger name it."""
        return f"{self.id}@{self.version}"

    @property
    def digest(self) -> str:
        """SHA-256 of the sealed bytes, hex: what the ledger anchors."""
        import hashlib  # and with it OpenSSL, which a reader child has no use for

        return hashlib.sha256(self.sealed).hexdigest()


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A person's key as the store keeps it: wrapped by the host key."""

    subject: str
    wrapped: bytes


def new_key() -> bytes:
    """Return a random key for one person."""
    return os.urandom(KEY_BYTES)


def wrap(host_key: bytes, store: str, subject: str, key: bytes) -> WrappedKey:
    """Wrap a person's key by the host key, bound to the person and the store."""
    return WrappedKey(subject, _seal(host_key, _aad(store, subject), key))


def unwrap(host_key: bytes, store: str, wrapped: WrappedKey) -> bytes:
    """Return the person's key. Raises `SealError`."""
    return _open(host_key, _aad(store, wrapped.subject), wrapped.wrapped)


def seal(key: bytes, store: str, template: SealedTemplate, data: bytes) -> SealedTemplate:
    """Return the template with `data` sealed into its slot; what its `sealed` held before does not matter."""
    if len(data) > MAX_TEMPLATE_BYTES:
        raise ValueError(f"a template of at most {MAX_TEMPLATE_BYTES} bytes is expected, not {len(data)}")
    sealed = _seal(key, _slot(store, template), data)
    return SealedTemplate(template.id, template.version, template.subject, template.modality, template.finger, sealed)


def unseal(key: bytes, store: str, template: SealedTemplate) -> bytes:
    """Return the template's data. Raises `SealError` where it is not in the slot it was sealed into."""
    return _open(key, _slot(store, template), template.sealed)


def _slot(store: str, template: SealedTemplate) -> bytes:
    return _aad(store, template.subject, template.modality, template.id, str(template.version))


def _aad(*parts: str) -> bytes:
    """Join the names of a slot. A name with the separator in it could stand for another slot, so there is none."""
    if any("|" in part or not part for part in parts):
        raise SealError("a name without '|' is expected")
    try:
        return "|".join(parts).encode()
    except UnicodeEncodeError as error:
        raise SealError("a name in Unicode is expected") from error


def _seal(key: bytes, aad: bytes, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV  # 8 MB that only the verifier child should pay

    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT + nonce + AESGCMSIV(key).encrypt(nonce, data, aad)


def _open(key: bytes, aad: bytes, sealed: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

    start = len(_FORMAT) + _NONCE_BYTES
    if not start + _TAG_BYTES <= len(sealed) <= start + _TAG_BYTES + MAX_TEMPLATE_BYTES or sealed[:1] != _FORMAT:
        raise SealError("not a sealed record of this format")
    try:
        return AESGCMSIV(key).decrypt(sealed[1:start], sealed[start:], aad)
    except (InvalidTag, ValueError) as error:
        raise SealError("does not open in this slot") from error
