"""Questions about certificates for databases; the same words with and without `await`."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from authd.client.asking import Asking
from authd.client.waiting import Waiting


@dataclass(frozen=True, slots=True)
class SessionCertificate:
    """A key of this process's own, and authd's certificate of it for one session; both PEM."""

    account: str
    """Whose it is: the role, as the application calls the person."""
    chain: bytes
    private_key: bytes = field(repr=False)
    until: str
    """A connection must have begun by then; RFC 3339."""

    def save(self, folder: Path) -> dict[str, str]:
        """Write both to a folder of one's own; returns what libpq is told: `user`, `sslcert`, `sslkey`.

        To be removed once the connection stands. Raises `OSError`.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        certificate, key = folder / "session.crt", folder / "session.key"
        certificate.write_bytes(self.chain)
        key.unlink(missing_ok=True)
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(self.private_key)
        return {"user": self.account, "sslcert": str(certificate), "sslkey": str(key)}


class _Issued(msgspec.Struct, frozen=True):
    certificate: str
    account: str = ""
    until: str = ""


class CertificateCalls(Asking):
    """Part of `Client`."""

    async def certificate(self, session: str) -> SessionCertificate:
        """Return a fresh key and its certificate for a session that is active now, good for a minute.

        Raises `DoorError`: `not_found` where it is not active at a seat of this application, `refused` where the
        application has no name for the person.
        """
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

        key = ec.generate_private_key(ec.SECP256R1())
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        asked = base64.urlsafe_b64encode(point).rstrip(b"=").decode()
        issued = await self._ask(_Issued, "certificate", session=session, key=asked)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return SessionCertificate(issued.account, issued.certificate.encode(), private, issued.until)

    async def certificate_authority(self) -> bytes:
        """Return the certificate, PEM, that a database is to trust: its `ssl_ca_file`."""
        return (await self._ask(_Issued, "certificate_authority")).certificate.encode()


class SyncCertificateCalls(Waiting):
    """Part of `SyncClient`."""

    def certificate(self, session: str) -> SessionCertificate:
        """As `Client.certificate`."""
        return self._wait(self._client.certificate(session))

    def certificate_authority(self) -> bytes:
        """As `Client.certificate_authority`."""
        return self._wait(self._client.certificate_authority())
