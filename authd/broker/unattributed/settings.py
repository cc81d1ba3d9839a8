"""Which systems are compared with authd's sessions: `unattributed.toml`.

    [door]
    socket = "/run/authd-seat/door.sock"     # on authd's own machine, as root or its account; elsewhere:
    # router = "tcp://seat.example:8788"     # and server_key, and each system's key_file

    [postgresql.resident]                    # any name
    application = "resident"                 # of authd.toml: whose seats, and what it calls people
    connect = "host=/run/postgresql dbname=postgres user=authd_watch"
    from = ["local", "10.0.0.5/32"]          # where the application or its broker connects from; left out: anywhere
    known = [{ account = "backup", from = ["10.0.0.9/32"], reason = "nightly backup" }]

    [weblog.resident]
    application = "resident"
    file = "/var/log/nginx/resident.access.log"
    open = ["/.authd/", "/static/"]          # beginnings of the paths that are for everybody
    format = "combined"                      # or "json": one object a line
    cut = ["/usr/local/sbin/cut-off"]        # run where the policy ends it; a log itself ends nothing

Paths in the file begin at its folder.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from authd.broker.unattributed.compare import LOCAL, Known, Places, Rules
from authd.client.tables import BadSettings, convert, raw_of, tables_of
from authd.client.unattributed import Source

MOST_SYSTEMS: Final = 32
_KEY: Final = re.compile(r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,39}(?![\s\S])"
_PASSWORD: Final = re.compile(r"password\s*=|^\s*\w+://[^/?#]*:[^/?#]*@")
Name = Annotated[str, Meta(pattern=_NAME)]
Line = Annotated[str, Meta(min_length=1, max_length=1_000)]
Addresses = Annotated[list[str], Meta(max_length=64)]


class Door(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[door]`: the local socket, or the router and its public key."""

    socket: str = ""
    router: str = ""
    server_key: str = ""


class KnownAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"places": "from"}):
    """One entry of `known`."""

    account: Annotated[str, Meta(max_length=100)]
    reason: Annotated[str, Meta(min_length=1, max_length=200)]
    places: Addresses = []


class _System(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"places": "from"}):
    application: Name
    key_file: str = ""
    places: Addresses = []
    known: Annotated[list[KnownAccount], Meta(max_length=64)] = []

    def rules(self, pattern: str, grace_s: float) -> Rules:
        """How its accesses are taken. Raises ValueError: an address that is none."""
        known = tuple(Known(each.account, each.reason, _places(each.places)) for each in self.known)
        return Rules(pattern, round(grace_s * 1_000), _places(self.places), known)


class Postgresql(_System, frozen=True, kw_only=True):
    """`[postgresql.NAME]`; `connect`: a libpq connection string without a password."""

    connect: Line
    look_s: Annotated[float, Meta(ge=0.2, le=60)] = 1.0


class Fields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the members of a JSON line are called; empty: there is none."""

    time: str = "time"
    account: str = "account"
    address: str = "address"
    status: str = "status"
    path: str = "path"
    session: str = ""


class Weblog(_System, frozen=True, kw_only=True):
    """`[weblog.NAME]`."""

    file: Line
    format: Literal["combined", "json"] = "combined"
    fields: Fields = Fields()
    place: Annotated[str, Meta(max_length=60, pattern=r"^[^\x00-\x1f\x7f/]*(?![\s\S])")] = ""
    """What the site is called in what is found; left out: the table's name."""
    look_s: Annotated[float, Meta(ge=0.2, le=60)] = 1.0
    open: Annotated[list[str], Meta(max_length=64)] = []
    """Beginnings of paths that are for everybody, in lower case: a page of sign-on, style sheets."""
    cut: Annotated[list[Line], Meta(max_length=16)] = []


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    door: Door = Door(socket="/run/authd-seat/door.sock")
    postgresql: dict[Name, Postgresql] = {}
    weblog: dict[Name, Weblog] = {}


@dataclass(frozen=True, slots=True)
class System:
    """One system to be compared."""

    name: str
    source: Source
    table: Postgresql | Weblog
    key: Path | None

    @property
    def place(self) -> str:
        """What it is called in what is found; of a database its own name stands behind it."""
        return (self.table.place if isinstance(self.table, Weblog) else "") or self.name

    @property
    def named(self) -> str | None:
        """How it is named at the local door; with its own key it is not."""
        return self.table.application if self.key is None else None


@dataclass(frozen=True, slots=True)
class Settings:
    """A file that was read."""

    address: str
    """As `authd.client.connect` takes it."""
    server_key: str | Path | None
    systems: tuple[System, ...]


def load(path: Path) -> Settings:
    """Read and check a file. Raises `BadSettings`."""
    try:
        raw = raw_of(path)
    except OSError as error:
        raise BadSettings(f"{path}: {error.strerror}; say which file with --config") from None
    try:
        return read(raw, path.absolute().parent)
    except BadSettings as error:
        raise type(error)(f"{path}: {error}") from None


def read(raw: bytes, here: Path) -> Settings:
    """Read and check the text; paths in it begin at `here`. Raises `BadSettings`."""
    file = convert(tables_of(raw), _File, "settings")
    door = _door(file.door, here)
    systems = [_system(file.door, here, name, "postgresql", each) for name, each in file.postgresql.items()]
    systems += [_system(file.door, here, name, "weblog", each) for name, each in file.weblog.items()]
    if not 0 < len(systems) <= MOST_SYSTEMS:
        raise BadSettings(f"expected 1 to {MOST_SYSTEMS} tables [postgresql.NAME] and [weblog.NAME]")
    return Settings(*door, tuple(systems))


def _door(door: Door, here: Path) -> tuple[str, str | Path | None]:
    if bool(door.socket) == bool(door.router):
        raise BadSettings("door: say either socket, or router and server_key")
    if door.socket:
        return f"unix:{here / door.socket}", None
    if not door.server_key:
        raise BadSettings("door: server_key is missing: the door's public key, or a file of authd's with it")
    return door.router, door.server_key if _KEY.fullmatch(door.server_key) else here / door.server_key


def _system(door: Door, here: Path, name: str, source: Source, table: Postgresql | Weblog) -> System:
    where = f"{source}.{name}"
    try:
        table.rules("", 1)
    except ValueError as error:
        raise BadSettings(f"{where}: from: {error}; write 10.0.0.5/32, or local for a Unix socket") from None
    if isinstance(table, Postgresql) and _PASSWORD.search(table.connect):
        raise BadSettings(f"{where}: connect must not hold a password; write it into a passfile that is yours alone")
    if isinstance(table, Weblog) and table.cut:
        _check_cut(Path(table.cut[0]), where)
    if door.router and not table.key_file:
        raise BadSettings(f"{where}: key_file is missing: the application's own key, as authd init made it")
    return System(name, source, table, here / table.key_file if door.router else None)


def _check_cut(program: Path, where: str) -> None:
    """What runs with our rights is nobody else's to write."""
    try:
        found = program.stat()
    except OSError as error:
        raise BadSettings(f"{where}: cut: {program}: {error.strerror}") from None
    if not program.is_absolute() or not os.access(program, os.X_OK):
        raise BadSettings(f"{where}: cut must begin with the whole path of a program that can be run")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or found.st_uid not in (0, os.geteuid()):
        raise BadSettings(f"{where}: cut: {program} can be changed by others; make it root's, or yours alone (0755)")


def _places(words: list[str]) -> Places:
    networks = tuple(ip_network(word) for word in words if word != LOCAL)
    return Places(networks, LOCAL in words)
