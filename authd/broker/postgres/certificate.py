"""A key and a certificate for each connection, in memory: no password exists that could be told or found."""

from __future__ import annotations

import os
import ssl

from authd.broker.postgres.server import trusting
from authd.client import Client, Person


class SessionCertificates:
    """Implements `server.Certificates` with the certificates that authd signs."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def context(self, person: Person, ca: str) -> ssl.SSLContext:
        """Return TLS with a fresh key. Raises `DoorError`, `Gone`: the session is over, or authd is silent."""
        issued = await self._client.certificate(person.session)
        context = trusting(ca)
        with_certificate(context, issued.chain, issued.private_key)
        return context


def with_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a key into TLS without its ever being in a file: OpenSSL reads names only, so it gets one of memory's."""
    descriptor = os.memfd_create("authd-certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, certificate + key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
