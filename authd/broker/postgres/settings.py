"""What `authd pgproxy` is told at its start: its tables of the brokers' file. Relative paths begin at its folder.

[door]
router = "ipc:///run/authd-seat/router.sock"
server_key = "/var/lib/authd-seat/keys/curve/router.key"     # or the key itself, z85

[vault]
folder = "/var/lib/authd-seat-broker/vault"

[application.resident]                   # a system of authd's configuration, with its own key
key_file = "/etc/authd-seat/broker/app-resident.key"

[server.resident]                        # its database; passwords are sealed as resident/<role>
application = "resident"
seats = ["counter-1", "counter-2"]
address = "db.city.example:5432"         # or its Unix socket: /var/run/postgresql/.s.PGSQL.5432
ca = "db-ca.pem"                         # over TCP: who signs the server's certificate
sign_on = "password"                     # or "certificate": one for each session, and no password at all
keeper = "authd_keeper"                  # a role of packaging/postgresql/authd.sql; empty: none

[listener.counter-1]                     # what the application of that seat connects to
listen = "127.0.0.1:5433"                # loopback, or a Unix socket: /run/authd-pg/.s.PGSQL.5433
server = "resident"
seat = "counter-1"
accounts = ["counter"]                   # of the operating system; empty: any on this machine
language = "ja"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from authd.broker import settings as broker
from authd.client.tables import BadSettings, convert

MOST: Final = {"server": 16, "listener": 64, "seats": 32, "accounts": 32}
LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?")
_ROLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")
T = TypeVar("T", bound=msgspec.Struct)


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[server.NAME]`: one PostgreSQL."""

    application: str
    seats: list[str]
    address: str
    ca: str = ""
    tls: bool = True
    """Over TCP. False only for a server on this very machine."""
    sign_on: Literal["password", "certificate"] = "password"
    keeper: str = ""
    keeper_database: str = ""
    """Where `authd.sql` was installed; by default the server's name."""

    @property
    def path(self) -> str:
        """Its Unix socket; empty: it is reached over TCP."""
        return self.address if self.address.startswith("/") else ""

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)


class Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[listener.NAME]`: what the application at one seat connects to."""

    listen: str
    server: str
    seat: str
    accounts: list[str] = []
    language: Literal["ja", "en"] = "ja"
    certificate: str = ""
    """With `key`: the listener speaks TLS to applications that ask for it."""
    key: str = ""
    require_tls: bool = False
    most: int = 50
    """Connections at a time."""

    @property
    def path(self) -> str:
        """The Unix socket; empty: it listens on TCP."""
        return self.listen if self.listen.startswith("/") else ""

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the broker knows of its surroundings; paths are whole."""

    router: str
    server_key: str | Path
    applications: Mapping[str, Path]
    """Name of each application -> the file with its key."""
    servers: Mapping[str, Server]
    listeners: Mapping[str, Listener]
    vault: Path | None
    """None: nobody signs on with a password."""


def load(path: Path) -> Settings:
    """Read and check a file. Raises `BadSettings`."""
    whole = broker.load(path)
    try:
        return settings(whole)
    except BadSettings as error:
        raise BadSettings(f"{path}: {error}") from None


def settings(whole: broker.Settings) -> Settings:
    """Return what is `authd pgproxy`'s of the brokers' file. Raises `BadSettings`."""
    router, server_key = whole.door()
    servers = _tables("server", whole.file.server, Server)
    listeners = _tables("listener", whole.file.listener, Listener)
    if not servers:
        raise BadSettings("server: at least one [server.NAME] is expected")
    for name, server in servers.items():
        _check_server(f"server.{name}", server)
    for name, listener in listeners.items():
        _check_listener(servers, f"listener.{name}", listener)
    return Settings(
        router,
        server_key,
        {each.application: whole.key_file(each.application) for each in servers.values()},
        {name: _placed(each, whole.here, "ca") for name, each in servers.items()},
        {name: _placed(each, whole.here, "certificate", "key") for name, each in listeners.items()},
        whole.vault if any(each.sign_on == "password" or each.keeper for each in servers.values()) else None,
    )


def _tables(what: str, tables: Mapping[str, dict[str, object]], kind: type[T]) -> dict[str, T]:
    if len(tables) > MOST[what]:
        raise BadSettings(f"{what}: at most {MOST[what]} are expected")
    bad = next((name for name in tables if not _NAME.fullmatch(name)), None)
    if bad is not None:
        raise BadSettings(f"{what}: a name is 1 to 40 of a-z, 0-9, - and _, found {bad!r}")
    return {name: convert(table, kind, f"{what}.{name}") for name, table in tables.items()}


def _check_server(where: str, server: Server) -> None:
    if not 1 <= len(set(server.seats)) == len(server.seats) <= MOST["seats"]:
        raise BadSettings(f"{where}.seats: 1 to {MOST['seats']} seats are expected, each once")
    if server.keeper and not _ROLE.fullmatch(server.keeper):
        raise BadSettings(f"{where}.keeper: the name of a role is expected")
    if server.path:
        return
    _check_place(f"{where}.address", server.address, loopback=not server.tls)
    if server.tls and not server.ca:
        raise BadSettings(f"{where}.ca: the certificate of who signs the server's is expected")


def _check_listener(servers: Mapping[str, Server], where: str, listener: Listener) -> None:
    server = servers.get(listener.server)
    if server is None:
        raise BadSettings(f"{where}.server: there is no [server.{listener.server}]")
    if listener.seat not in server.seats:
        raise BadSettings(f"{where}.seat: is none of server.{listener.server}.seats")
    if len(listener.accounts) > MOST["accounts"] or not 1 <= listener.most <= 500:
        raise BadSettings(f"{where}: at most {MOST['accounts']} accounts and 1 to 500 connections are expected")
    if bool(listener.certificate) != bool(listener.key):
        raise BadSettings(f"{where}: certificate and key are expected together")
    if listener.require_tls and not listener.certificate:
        raise BadSettings(f"{where}.require_tls: needs certificate and key")
    if not listener.path:
        _check_place(f"{where}.listen", listener.listen, loopback=True)
    elif len(listener.path.encode()) > 107:
        raise BadSettings(f"{where}.listen: a socket's path has at most 107 bytes")


def _check_place(where: str, text: str, *, loopback: bool) -> None:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise BadSettings(f"{where}: host:port is expected, or the path of a Unix socket; found {text!r}")
    if loopback and host not in LOOPBACK:
        raise BadSettings(f"{where}: must be of this machine's own: {', '.join(LOOPBACK)}")


def _placed(table: T, here: Path, *files: str) -> T:
    """Begin the paths of a table at the file's folder."""
    given = {name: getattr(table, name) for name in files}
    return msgspec.structs.replace(table, **{name: str(here / path) for name, path in given.items() if path})
