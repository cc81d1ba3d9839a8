"""Client certificates for databases: the core signs one for a session that is active now, good for a minute.

    <state>/keys/client-ca.key    P-256, PKCS #8 DER; its certificate is what the database trusts (`ssl_ca_file`)

The subject says the session (OU) and what the application calls the person (CN, which PostgreSQL takes for the role).
A certificate lets in; it does not keep in: that ends with the session, by the broker's keeper.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from authd.core.model import SeatId, SessionId
from authd.service.evidence.ground import Ground, Part
from authd.service.keys import KeyFault

GOOD_FOR: Final = timedelta(seconds=60)
"""From now on. A connection takes a fresh one."""
SKEW: Final = timedelta(seconds=60)
"""By which the database's clock may be behind."""
AUTHORITY_FOR: Final = timedelta(days=20 * 365)
LONGEST_NAME: Final = 64
"""Characters of a common name (RFC 5280, appendix A)."""


class Why(StrEnum):
    """Why nothing is signed."""

    NO_SESSION = "no_session"
    NO_ACCOUNT = "no_account"
    BAD_KEY = "bad_key"


class CertificateRefused(Exception):
    """Nothing was signed."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate, PEM, and until when it is good (milliseconds of the wall's time)."""

    pem: str
    until_ms: int


class Certificates(Part):
    """Signs keys of applications for the sessions at their seats."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._held: ec.EllipticCurvePrivateKey | None = None

    def issue(self, seats: frozenset[SeatId], session: SessionId, account: str, point: bytes) -> Issued:
        """Certify a public key (P-256, an uncompressed point) for an active session. Raises `CertificateRefused`.

        account: what the application calls the session's owner.
        """
        found = self.ground.owner(session)
        if found is None or found[0] not in seats:
            raise CertificateRefused(Why.NO_SESSION)
        if not 0 < len(account) <= LONGEST_NAME:
            raise CertificateRefused(Why.NO_ACCOUNT)
        try:
            public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError:
            raise CertificateRefused(Why.BAD_KEY) from None
        seat, owner = found
        # The session first: PostgreSQL shows 63 characters of a subject.
        subject = _name((NameOID.ORGANIZATIONAL_UNIT_NAME, owner.id), (NameOID.COMMON_NAME, account))
        address = x509.UniformResourceIdentifier(f"authd://{self.ground.config.host}/{seat}")
        until = self._now() + GOOD_FOR
        made = (
            self._unsigned(subject, public, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(_usage(signs=False), critical=True)
            .sign(self._key(), SHA256())
        )
        return Issued(made.public_bytes(Encoding.PEM).decode(), round(until.timestamp() * 1000))

    def authority(self) -> str:
        """Return the certificate that a database trusts, PEM. Each time it is another one of the same key and name."""
        key = self._key()
        made = (
            self._unsigned(self._issuer(), key.public_key(), self._now() + AUTHORITY_FOR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(key, SHA256())
        )
        return made.public_bytes(Encoding.PEM).decode()

    def _unsigned(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey, until: datetime
    ) -> x509.CertificateBuilder:
        own = self._key().public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._issuer())
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now() - SKEW)
            .not_valid_after(until)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
        )

    def _issuer(self) -> x509.Name:
        mark = x509.SubjectKeyIdentifier.from_public_key(self._key().public_key()).digest.hex()[:8]
        return _name((NameOID.COMMON_NAME, f"authd {self.ground.config.host} {mark}"))

    def _key(self) -> ec.EllipticCurvePrivateKey:
        """Return the key, made where nobody has asked for a certificate before. Raises `KeyFault`."""
        if self._held is None:
            read = load_der_private_key(self.ground.keys.authority_key(_new), password=None)
            if not isinstance(read, ec.EllipticCurvePrivateKey):
                raise KeyFault("client-ca.key: is not a key of P-256; put the original back")
            self._held = read
        return self._held

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.ground.clock.wall_ms() // 1000, UTC)


def _new() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _name(*parts: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
