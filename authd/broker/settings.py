"""What the brokers are told at their start, `broker.toml`: one file for all of them, at most 256 kB.

    [door]
    router = "ipc:///run/authd-seat/router.sock"
    server_key = "/var/lib/authd-seat/keys/curve/router.key"   # or the key itself, z85

    [vault]
    folder = "/var/lib/authd-seat-broker/vault"

    [application.resident]                       # a system of authd.toml, with whose own key a broker speaks
    key_file = "/etc/authd-seat/broker/resident.key"

    [system.resident]                            # whose passwords are in the vault, and how they are replaced
    rotator = "postgresql"
    ...

`[system.NAME]`, `[terminal.NAME]` and `[form.NAME]` are read by the parts that they are for, with `Settings.each`;
`[server.NAME]` and `[listener.NAME]` are `authd pgproxy`'s. Paths in the file begin at its folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from authd.client.tables import BadSettings, convert, raw_of, tables_of

MAX_TABLES: Final = 64
PARTS: Final = ("system", "terminal", "form")
_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")
_KEY: Final = re.compile(r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
T = TypeVar("T")


class Door(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[door]`: where authd's ROUTER listens, and its public CURVE key: z85, or a file of authd's with it."""

    router: str
    server_key: str


class Application(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[application.NAME]`."""

    key_file: str


class VaultFolder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[vault]`."""

    folder: str = "/var/lib/authd-seat-broker/vault"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    door: Door | None = None
    vault: VaultFolder = VaultFolder()
    application: dict[str, Application] = {}
    system: dict[str, dict[str, Any]] = {}
    terminal: dict[str, dict[str, Any]] = {}
    form: dict[str, dict[str, Any]] = {}
    server: dict[str, dict[str, Any]] = {}
    listener: dict[str, dict[str, Any]] = {}
    """Of `authd pgproxy`, which reads them itself."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A file that was read."""

    file: _File
    here: Path
    """The folder where relative paths begin."""

    @property
    def vault(self) -> Path:
        """The vault's folder."""
        return self.here / self.file.vault.folder

    def each(self, part: str, kind: type[T]) -> dict[str, T]:
        """Return the tables of one part by name, as structs. Raises `BadSettings`."""
        tables: Mapping[str, dict[str, Any]] = getattr(self.file, part)
        return {name: convert(table, kind, f"{part}.{name}") for name, table in tables.items()}

    def door(self) -> tuple[str, str | Path]:
        """Return where the door is and its public key, as `authd.client.connect` takes them. Raises `BadSettings`."""
        if self.file.door is None:
            raise BadSettings("door: missing; say router and server_key")
        key = self.file.door.server_key
        return self.file.door.router, key if _KEY.fullmatch(key) else self.here / key

    def key_file(self, application: str) -> Path:
        """Return the file with an application's own key. Raises `BadSettings`."""
        if application not in self.file.application:
            raise BadSettings(f"application.{application}: missing; say its key_file")
        return self.here / self.file.application[application].key_file


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
    """Read and check the text. Raises `BadSettings`."""
    file = convert(tables_of(raw), _File, "settings")
    for part in (*PARTS, "application"):
        _check_names(part, getattr(file, part))
    return Settings(file, here)


def _check_names(part: str, tables: Mapping[str, object]) -> None:
    if len(tables) > MAX_TABLES:
        raise BadSettings(f"{part}: at most {MAX_TABLES}, found {len(tables)}")
    for name in tables:
        if not _ID.fullmatch(name):
            raise BadSettings(f"{part} {name!r}: expected a name of letters, digits, _ . and -")
