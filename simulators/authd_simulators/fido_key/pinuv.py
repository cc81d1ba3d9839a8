"""PIN/UV auth protocols 1 and 2 (CTAP 2.1, 6.5.6 and 6.5.7), the key's side."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from authd_simulators.fido_key.cbor import Fields
from authd_simulators.fido_key.status import CtapError, Status, demand

BLOCK = 16
RandomBytes = Callable[[int], bytes]


class PinUv:
    """One protocol: a key pair for the agreement, and what follows from a shared secret."""

    number = 0

    def __init__(self, random: RandomBytes = secrets.token_bytes) -> None:
        self._random = random
        self.private = ec.generate_private_key(ec.SECP256R1())

    def regenerate(self) -> None:
        """Take a new key pair: after power-up and after each wrong PIN."""
        self.private = ec.generate_private_key(ec.SECP256R1())

    def public(self) -> dict[int, object]:
        """Return the public key as the COSE map of getKeyAgreement."""
        numbers = self.private.public_key().public_numbers()
        return {1: 2, 3: -25, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}

    def decapsulate(self, peer: Fields) -> bytes:
        """Return the secret shared with a platform's COSE key. Raises `CtapError` INVALID_PARAMETER."""
        right = peer.get(1, int) == 2 and peer.get(3, int) == -25 and peer.get(-1, int) == 1
        x, y = peer.need(-2, bytes), peer.need(-3, bytes)
        demand(right and len(x) == 32 and len(y) == 32, Status.INVALID_PARAMETER)
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + y)
        except ValueError:
            raise CtapError(Status.INVALID_PARAMETER) from None
        return self.derive(self.private.exchange(ec.ECDH(), point))

    def verify(self, key: bytes, message: bytes, signature: bytes) -> bool:
        """Say whether the signature is that of the message."""
        return hmac.compare_digest(self.authenticate(key, message), signature)

    def derive(self, z: bytes) -> bytes:
        """Return the shared secret that follows from the x coordinate of the agreed point."""
        raise NotImplementedError

    def encrypt(self, key: bytes, plain: bytes) -> bytes:
        """Encrypt whole blocks."""
        raise NotImplementedError

    def decrypt(self, key: bytes, sealed: bytes) -> bytes:
        """Decrypt whole blocks. Raises `CtapError` INVALID_PARAMETER for a length that cannot be."""
        raise NotImplementedError

    def authenticate(self, key: bytes, message: bytes) -> bytes:
        """Return the pinUvAuthParam of a message."""
        raise NotImplementedError


class One(PinUv):
    """Protocol 1: SHA-256 of the point, AES-256-CBC with a zero IV, half an HMAC."""

    number = 1

    def derive(self, z: bytes) -> bytes:
        """See `PinUv`."""
        return hashlib.sha256(z).digest()

    def encrypt(self, key: bytes, plain: bytes) -> bytes:
        """See `PinUv`."""
        return _cbc(key, bytes(BLOCK), plain, encrypt=True)

    def decrypt(self, key: bytes, sealed: bytes) -> bytes:
        """See `PinUv`."""
        return _cbc(key, bytes(BLOCK), sealed, encrypt=False)

    def authenticate(self, key: bytes, message: bytes) -> bytes:
        """See `PinUv`."""
        return hmac.digest(key, message, "sha256")[:16]


class Two(PinUv):
    """Protocol 2: two keys from HKDF-SHA-256, a random IV before the blocks, the whole HMAC."""

    number = 2

    def derive(self, z: bytes) -> bytes:
        """See `PinUv`."""
        return _hkdf(z, b"CTAP2 HMAC key") + _hkdf(z, b"CTAP2 AES key")

    def encrypt(self, key: bytes, plain: bytes) -> bytes:
        """See `PinUv`."""
        iv = self._random(BLOCK)
        return iv + _cbc(key[32:], iv, plain, encrypt=True)

    def decrypt(self, key: bytes, sealed: bytes) -> bytes:
        """See `PinUv`."""
        return _cbc(key[32:], sealed[:BLOCK], sealed[BLOCK:], encrypt=False)

    def authenticate(self, key: bytes, message: bytes) -> bytes:
        """See `PinUv`."""
        # A shared secret is 64 bytes of which the first half signs; a token is 32 bytes and signs whole.
        return hmac.digest(key[:32], message, "sha256")


def _hkdf(z: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, bytes(32), info).derive(z)


def _cbc(key: bytes, iv: bytes, data: bytes, *, encrypt: bool) -> bytes:
    demand(len(iv) == BLOCK and len(data) % BLOCK == 0, Status.INVALID_PARAMETER)
    cipher = Cipher(algorithms.AES256(key), modes.CBC(iv))
    context = cipher.encryptor() if encrypt else cipher.decryptor()
    return context.update(data) + context.finalize()
