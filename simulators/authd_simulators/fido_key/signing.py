"""The key pairs of credentials: derived from secrets, as COSE keys, and what they sign."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ES256, EDDSA, ES384 = -7, -8, -35
Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_CURVES: dict[int, tuple[ec.EllipticCurve, int, hashes.HashAlgorithm]] = {
    ES256: (ec.SECP256R1(), 1, hashes.SHA256()),
    ES384: (ec.SECP384R1(), 2, hashes.SHA384()),
}


def derive(secret: bytes, info: bytes, length: int = 32) -> bytes:
    """Return bytes that follow from a secret and a purpose (HKDF-SHA-256)."""
    return HKDF(hashes.SHA256(), length, None, info).derive(secret)


def private_key(algorithm: int, secret: bytes) -> Private:
    """Return the key pair that follows from the secret."""
    if algorithm == EDDSA:
        return ed25519.Ed25519PrivateKey.from_private_bytes(derive(secret, b"ed25519"))
    curve = _CURVES[algorithm][0]
    # 16 bytes more than the order: the remainder is then as good as uniform (FIPS 186-5, A.2.1).
    number = int.from_bytes(derive(secret, curve.name.encode(), curve.key_size // 8 + 16), "big")
    return ec.derive_private_key(number % (curve.group_order - 1) + 1, curve)


def cose_key(algorithm: int, private: Private) -> dict[int, object]:
    """Return the public key as a COSE map (RFC 9053)."""
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return {1: 1, 3: algorithm, -1: 6, -2: private.public_key().public_bytes_raw()}
    numbers, size = private.public_key().public_numbers(), (private.key_size + 7) // 8
    x, y = numbers.x.to_bytes(size, "big"), numbers.y.to_bytes(size, "big")
    return {1: 2, 3: algorithm, -1: _CURVES[algorithm][1], -2: x, -3: y}


def sign(private: Private, message: bytes) -> bytes:
    """Return the signature in the form that WebAuthn gives it: raw for Ed25519, DER for ECDSA."""
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.sign(message)
    digest = next(each for curve, _, each in _CURVES.values() if curve.name == private.curve.name)
    return private.sign(message, ec.ECDSA(digest))
