"""The key pairs of a simulated PIV card, and the certificates that its maker put beside them."""

from __future__ import annotations

import datetime
import hashlib
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

Kind = Literal["ecc", "rsa"]
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_YEARS = datetime.datetime(2026, 1, 1), datetime.datetime(2046, 1, 1)  # noqa: DTZ001  # naive is UTC in certificates


class KeyPair:
    """One private key, as a card uses it: raw RSA, or ECDSA over 32 bytes."""

    def __init__(self, kind: Kind, seed: str, subject: str) -> None:
        """Make one; an ECC key is the same for the same seed, an RSA key never is."""
        self.kind = kind
        self._rsa: rsa.RSAPrivateKey | None = None
        self._ec: ec.EllipticCurvePrivateKey | None = None
        if kind == "rsa":
            self._rsa = rsa.generate_private_key(65_537, 2048)
        else:
            number = int.from_bytes(hashlib.sha512(b"card key\0" + seed.encode()).digest(), "big")
            self._ec = ec.derive_private_key(number % (_P256_ORDER - 1) + 1, ec.SECP256R1())
        self.certificate = self._sign_itself(subject)

    @property
    def algorithm(self) -> int:
        """PIV's number of it (SP 800-78-4, table 6-2)."""
        return 0x07 if self._rsa is not None else 0x11

    @property
    def width(self) -> int:
        """Bytes that it signs."""
        return 256 if self._rsa is not None else 32

    def sign(self, data: bytes) -> bytes:
        """Sign exactly `width` bytes. Raises `ValueError`."""
        if len(data) != self.width:
            raise ValueError(f"{self.width} bytes are expected")
        if self._ec is not None:
            return self._ec.sign(data, ec.ECDSA(Prehashed(SHA256())))
        assert self._rsa is not None
        numbers = self._rsa.private_numbers()
        number, modulus = int.from_bytes(data, "big"), numbers.public_numbers.n
        if number >= modulus:
            raise ValueError("a number below the modulus is expected")
        return pow(number, numbers.d, modulus).to_bytes(256, "big")

    def _sign_itself(self, subject: str) -> bytes:
        key = self._rsa if self._rsa is not None else self._ec
        assert key is not None
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        builder = x509.CertificateBuilder(name, name, key.public_key(), 1, *_YEARS)
        return builder.sign(key, SHA256()).public_bytes(Encoding.DER)
