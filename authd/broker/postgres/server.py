"""Connections to one PostgreSQL, signed on as whoever is at the seat."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from authd.broker.postgres import messages
from authd.broker.postgres.refusals import Refusal, Refused
from authd.broker.postgres.relay import Lost, Wire
from authd.broker.postgres.settings import Server
from authd.broker.postgres.signon import SignOn, SignOnFailed
from authd.broker.secret import Secret
from authd.broker.vault import Vault, VaultError
from authd.client import Person

NONCE_BYTES: Final = 18
CANCEL_WITHIN_S: Final = 5.0


class Certificates(Protocol):
    """Where a certificate for a session comes from."""

    async def context(self, person: Person, ca: str) -> ssl.SSLContext:
        """Return TLS with a key and a certificate that are good for this session, now."""
        ...


@dataclass(frozen=True, slots=True)
class SignedOn:
    """A connection that waits for its first query; `welcome` is what the server said of itself."""

    wire: Wire
    welcome: bytes
    cancel: messages.Cancel | None


class Database:
    """One `[server.NAME]`."""

    def __init__(self, name: str, settings: Server, vault: Vault | None, certificates: Certificates | None) -> None:
        self.name = name
        self.settings = settings
        self._vault = vault
        self._certificates = certificates

    async def sign_on(self, person: Person, parameters: Mapping[str, str]) -> SignedOn:
        """Sign a person on. Raises `Refused`, `SignOnFailed`, `Lost`, `OSError`."""
        if not person.account:
            raise Refused(Refusal.NO_ACCOUNT)
        given = {**parameters, "user": person.account}
        if self.settings.sign_on == "certificate":
            assert self._certificates is not None
            return await self._try(given, None, await self._certificates.context(person, self.settings.ca))
        return await self.as_role(person.account, given)

    async def as_role(self, role: str, parameters: Mapping[str, str]) -> SignedOn:
        """Sign on with what is sealed for a role: one password, or two while it is being replaced."""
        *first, last = await asyncio.to_thread(self._passwords, role)
        given = {**parameters, "user": role}
        for password in first:
            try:
                return await self._try(given, password, None)
            except SignOnFailed as error:
                if not error.wrong_password:
                    raise
        return await self._try(given, last, None)

    def _passwords(self, role: str) -> tuple[Secret, ...]:
        assert self._vault is not None
        try:
            return self._vault.candidates(f"{self.name}/{role}")
        except VaultError as error:
            raise Refused(Refusal.NO_CREDENTIAL) from error

    async def _try(
        self, parameters: Mapping[str, str], password: Secret | None, context: ssl.SSLContext | None
    ) -> SignedOn:
        wire = await self._connect(context)
        try:
            binding = end_point(wire) if password is not None else None
            attempt = SignOn(parameters, password, secrets.token_urlsafe(NONCE_BYTES), binding)
            wire.write(attempt.begin())
            while not attempt.ready:
                # The password's 4,096 rounds and more are not spent on the time of everybody else's queries.
                wire.write(await asyncio.to_thread(attempt.receive, await wire.receive()))
        except BaseException:
            wire.abort()
            raise
        wire.unreceive(attempt.rest)
        return SignedOn(wire, attempt.welcome, attempt.cancel)

    async def cancel(self, asked: messages.Cancel) -> None:
        """Have the server give up what a connection is doing. It does not say whether it did."""
        with suppress(OSError, Lost, SignOnFailed, TimeoutError):
            async with asyncio.timeout(CANCEL_WITHIN_S):
                wire = await self._connect(None)
                try:
                    wire.write(messages.cancel(asked))
                    await wire.gone.wait()
                finally:
                    wire.abort()

    async def _connect(self, context: ssl.SSLContext | None) -> Wire:
        loop, wire = asyncio.get_running_loop(), Wire()
        if self.settings.path:
            await loop.create_unix_connection(lambda: wire, self.settings.path)
            return wire
        host, port = self.settings.place
        await loop.create_connection(lambda: wire, host, port)
        keep_alive(wire)
        if self.settings.tls:
            await self._encrypt(wire, host, context or trusting(self.settings.ca))
        return wire

    async def _encrypt(self, wire: Wire, host: str, context: ssl.SSLContext) -> None:
        """Begin TLS. What comes unencrypted behind the server's yes was put there by somebody (CVE-2021-23222)."""
        wire.write(messages.ask_tls())
        if await wire.receive() != b"S":
            wire.abort()
            raise SignOnFailed("the server does not speak TLS: set ssl = on in its postgresql.conf")
        await wire.encrypt(context, host)


def trusting(ca: str) -> ssl.SSLContext:
    """Return TLS towards a server whose certificate is signed by `ca` and names the host (`verify-full`)."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def end_point(wire: Wire) -> bytes | None:
    """Return what binds SCRAM to this TLS connection (RFC 5929, 4.1); None: there is no TLS, or no hash is meant."""
    assert wire.transport is not None
    tls: Any = wire.transport.get_extra_info("ssl_object")
    if tls is None:
        return None
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    der: bytes = tls.getpeercert(binary_form=True)
    algorithm = x509.load_der_x509_certificate(der).signature_hash_algorithm
    if algorithm is None:
        return None
    digest = hashes.Hash(hashes.SHA256() if algorithm.name in ("md5", "sha1") else algorithm)
    digest.update(der)
    return digest.finalize()


def keep_alive(wire: Wire) -> None:
    """Have the kernel notice within a minute and a half that the other machine is gone."""
    assert wire.transport is not None
    connection: Any = wire.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
