"""The maker's attestation: a root, a certificate of the model, and packed statements (WebAuthn, 8.2)."""

from __future__ import annotations

import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

from authd_simulators.fido_key.credential import Credential
from authd_simulators.fido_key.signing import ES256, derive, private_key, sign

MAKER = "authd simulated keys (worthless)"
_AAGUID = ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
_TRANSPORTS = ObjectIdentifier("1.3.6.1.4.1.45724.2.1.1")
_FROM = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
_UNTIL = datetime.datetime(2055, 1, 1, tzinfo=datetime.UTC)


class Attestation:
    """What a maker puts into a key: `secret` is the maker's and makes the same root in each of its keys."""

    def __init__(self, secret: bytes, aaguid: bytes) -> None:
        self.root, self.certificate, self._key = _issue(secret, aaguid, "Authenticator Attestation")
        self.enterprise, self._enterprise_key = _issue(secret, aaguid, "Enterprise Attestation")[1:]

    def packed(self, credential: Credential, message: bytes, kind: str, enterprise: bool) -> dict[str, object]:
        """Return the statement over authenticator data and client data hash; `kind` as in `Profile.attestation`."""
        if kind == "none" and not enterprise:
            return {}
        if kind == "self" and not enterprise:
            return {"alg": credential.facts.algorithm, "sig": sign(credential.private, message)}
        certificate, key = (self.enterprise, self._enterprise_key) if enterprise else (self.certificate, self._key)
        return {"alg": ES256, "sig": sign(key, message), "x5c": [certificate]}

    def sign(self, message: bytes) -> bytes:
        """Sign what U2F attests."""
        return sign(self._key, message)


@lru_cache(maxsize=64)
def _issue(secret: bytes, aaguid: bytes, unit: str) -> tuple[bytes, bytes, ec.EllipticCurvePrivateKey]:
    """Return root and certificate as DER, and the certificate's key."""
    root_key, key = _key(derive(secret, b"root")), _key(derive(secret, unit.encode() + aaguid))
    root_name = _name("Root")
    root = (
        _builder(root_name, root_name, root_key.public_key(), derive(secret, b"root serial", 16))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    certificate = (
        _builder(
            root_name, _name(unit, "Authenticator Attestation"), key.public_key(), derive(secret, unit.encode(), 16)
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.UnrecognizedExtension(_AAGUID, b"\x04\x10" + aaguid), critical=False)
        .add_extension(x509.UnrecognizedExtension(_TRANSPORTS, b"\x03\x02\x04\x30"), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    der = serialization.Encoding.DER
    return root.public_bytes(der), certificate.public_bytes(der), key


def _key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    key = private_key(ES256, secret)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _name(name: str, unit: str = "Root") -> x509.Name:
    """Return a subject with the four parts that WebAuthn 8.2.1 demands."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, MAKER),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Simulated key {name}"),
        ]
    )


def _builder(
    issuer: x509.Name, subject: x509.Name, public: ec.EllipticCurvePublicKey, serial: bytes
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(public)
        .serial_number(int.from_bytes(serial, "big") >> 8)
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
    )
