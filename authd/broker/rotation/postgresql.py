"""Passwords of PostgreSQL roles. The server is told a SCRAM verifier, so its own log never sees a password.

A role changes its own password, or `admin` (a role in the vault that may, `CREATEROLE`) changes everybody's: then a
password that was changed elsewhere is set right as well. An account is a role's name.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import msgspec

from authd.broker.postgres import messages
from authd.broker.postgres.messages import Malformed, Message
from authd.broker.postgres.signon import SignOn, SignOnFailed
from authd.broker.rotation.port import ChangeRefused, SystemSilent
from authd.broker.secret import Secret, Shape
from authd.broker.vault import Vault

ITERATIONS: Final = 4_096
"""Of a password of 200 random bits; more would only make each sign-on slower."""
_SALT_BYTES: Final = 16
_WRONG: Final = "28P01"
_MOST_ANSWERS: Final = 64


class PostgresqlSystem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rotator", tag="postgresql"):
    """`[system.NAME] rotator = "postgresql"`."""

    host: str
    """Its name, or the folder of its Unix socket."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 5_432
    database: str = "postgres"
    ca_file: str = ""
    """Certificates that vouch for the server: TLS is asked for, and its name checked. Needed but on this machine."""
    admin: str = ""
    """A credential of the vault whose role may change other roles' passwords."""
    length: int = 40
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0

    def __post_init__(self) -> None:
        """Raises ValueError for a server that anybody on the way could play."""
        if not self.ca_file and not self.host.startswith("/") and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("ca_file is needed for a server on another machine")


class PostgresqlRotator:
    """The roles of one server."""

    def __init__(self, system: PostgresqlSystem, vault: Vault, here: Path) -> None:
        self._system = system
        self._vault = vault
        self._ca = here / system.ca_file if system.ca_file else None
        self.shape = Shape(system.length)

    @property
    def commanding(self) -> bool:
        """Whether an administrator's role changes it."""
        return bool(self._system.admin)

    def opens(self, account: str, secret: Secret) -> bool:
        """Sign on to the database itself."""
        try:
            with self._signed_on(account, secret):
                return True
        except _NotIn as error:
            if error.right or error.code == _WRONG:
                return error.right
            raise SystemSilent(f"PostgreSQL at {self._system.host}: {error}") from None

    def change(self, account: str, old: Secret, new: Secret) -> None:
        """Tell the server the new password's verifier."""
        by = self._system.admin.partition("/")[2] or account
        candidates = self._vault.candidates(self._system.admin) if self._system.admin else (old,)
        sql = f"ALTER ROLE \"{account}\" PASSWORD '{verifier(new, secrets.token_bytes(_SALT_BYTES))}'"
        for each in candidates:
            try:
                with self._signed_on(by, each) as (connection, rest):
                    self._ask(connection, rest, sql)
                    return
            except _NotIn as error:
                if error.code != _WRONG:
                    raise SystemSilent(f"PostgreSQL at {self._system.host}: {error}") from None
        raise ChangeRefused(f"PostgreSQL at {self._system.host} does not let {by} in; seal its password again")

    @contextmanager
    def _signed_on(self, account: str, secret: Secret) -> Generator[tuple[socket.socket, bytes]]:
        """Yield a connection that is ready for a query. Raises `_NotIn`, `SystemSilent`."""
        try:
            with self._connected() as connection:
                sign_on = SignOn({"user": account, "database": self._system.database}, secret, secrets.token_hex(18))
                connection.sendall(sign_on.begin())
                try:
                    while not sign_on.ready:
                        connection.sendall(sign_on.receive(_some(connection)))
                except SignOnFailed as error:
                    raise _NotIn(error, right=sign_on.proved and bool(error.code)) from None
                yield connection, sign_on.rest
                connection.sendall(messages.message(b"X", b""))
        except OSError as error:
            said = type(error).__name__ if isinstance(error, ssl.SSLError) else error.strerror or "no answer in time"
            raise SystemSilent(f"PostgreSQL at {self._system.host}: {said}; see that it runs") from None

    @contextmanager
    def _connected(self) -> Generator[socket.socket]:
        system = self._system
        with _connect(system.host, system.port, system.timeout_s) as plain:
            if self._ca is None:
                yield plain
                return
            plain.sendall(messages.ask_tls())
            if plain.recv(1) != b"S":
                raise SystemSilent(f"PostgreSQL at {system.host} offers no TLS; set ssl = on")
            context = ssl.create_default_context(cafile=str(self._ca))
            with context.wrap_socket(plain, server_hostname=system.host) as covered:
                yield covered

    def _ask(self, connection: socket.socket, rest: bytes, sql: str) -> None:
        """Run one statement that returns nothing. Raises `ChangeRefused`, `SystemSilent`."""
        connection.sendall(messages.query(sql))
        for _ in range(_MOST_ANSWERS):
            try:
                found, rest = messages.split(rest)
            except Malformed:
                raise SystemSilent(f"PostgreSQL at {self._system.host} does not speak the protocol") from None
            if _done(found, self._system.host):
                return
            rest += _some(connection)
        raise SystemSilent(f"PostgreSQL at {self._system.host} does not come to an end")


class _NotIn(Exception):
    """The server did not let the role in. `right`: the password was (a role may be there that may not log in now)."""

    def __init__(self, why: SignOnFailed, *, right: bool) -> None:
        super().__init__(str(why))
        self.code = why.code
        self.right = right


def verifier(secret: Secret, salt: bytes, iterations: int = ITERATIONS) -> str:
    """Return what PostgreSQL keeps of a password (RFC 5803): it opens nothing. Of ASCII, as all that are made here."""
    key = hashlib.pbkdf2_hmac("sha256", secret.reveal().encode("ascii"), salt, iterations)
    stored = hashlib.sha256(hmac.digest(key, b"Client Key", "sha256")).digest()
    parts = (base64.b64encode(each).decode() for each in (salt, stored, hmac.digest(key, b"Server Key", "sha256")))
    salted, client, server = parts
    return f"SCRAM-SHA-256${iterations}:{salted}${client}:{server}"


def _done(found: list[Message], host: str) -> bool:
    for each in found:
        if each.letter == b"E":
            code = messages.error_code(each.body)
            raise ChangeRefused(f"PostgreSQL at {host} refuses: SQLSTATE {code}; see its own log")
    return any(each.letter == b"Z" for each in found)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(16_384)
    if not data:
        raise ConnectionResetError(0, "it hung up")
    return data


def _connect(host: str, port: int, seconds: float) -> socket.socket:
    """Connect; every step, this one and each later one, has so many seconds."""
    if not host.startswith("/"):
        return socket.create_connection((host, port), seconds)
    local = socket.socket(socket.AF_UNIX)
    local.settimeout(seconds)
    try:
        local.connect(f"{host}/.s.PGSQL.{port}")
    except OSError:
        local.close()
        raise
    return local
