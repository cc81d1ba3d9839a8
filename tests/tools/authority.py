"""A certificate authority of a test's own, and servers' certificates, good ones and others."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST: Final = "localhost"
DAY: Final = timedelta(days=1)
_NOT: Final = dict.fromkeys(
    (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "crl_sign", "encipher_only", "decipher_only"),
    ),
    False,
)
SIGNS: Final = x509.KeyUsage(key_cert_sign=True, **_NOT)


class Authority:
    """Signs. `file`: its own certificate, by which its servers are believed."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        unsigned = self._begun(self._name, self._key, datetime.now(UTC) + DAY)
        made = (
            unsigned.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(SIGNS, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(made.sign(self._key, SHA256()).public_bytes(Encoding.PEM))

    def server(self, host: str = HOST, good_for: timedelta = DAY) -> ssl.SSLContext:
        """Return what a server shows that says it is `host`."""
        key = ec.generate_private_key(ec.SECP256R1())
        unsigned = self._begun(_named(host), key, datetime.now(UTC) + good_for)
        made = unsigned.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        chain = self._folder / "server.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain.write_bytes(private + made.sign(self._key, SHA256()).public_bytes(Encoding.PEM))
        shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        shown.load_cert_chain(chain)
        return shown

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, until: datetime) -> x509.CertificateBuilder:
        """With all that a strict reader of RFC 5280 wants, as Python's is from 3.13 on."""
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(until - 2 * DAY)
            .not_valid_after(until)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
