"""The settings file of a process beside authd: TOML of at most 256 kB, read into structs, each fault in one line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

MAX_BYTES: Final = 262_144
_DAEMONS: Final = frozenset({"host", "seat", "reader"})
"""Tables that only `authd.toml` has."""
T = TypeVar("T")


class BadSettings(ValueError):
    """The settings cannot be used; the text is one line that says where, and what is expected."""


class DaemonsFile(BadSettings):
    """What was given is `authd.toml`, which is the daemon's: no process beside it has its tables."""


def raw_of(path: Path) -> bytes:
    """Return what the file says, and no more of it than is read. Raises `OSError`."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def tables_of(raw: bytes) -> dict[str, Any]:
    """Return the tables of the text. Raises `BadSettings`, and `DaemonsFile` where they are those of `authd.toml`."""
    if len(raw) > MAX_BYTES:
        raise BadSettings(f"the settings are longer than {MAX_BYTES} bytes; remove what is not used")
    try:
        tables = tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadSettings(f"expected TOML: {error}") from None
    if found := sorted(_DAEMONS & tables.keys()):
        raise DaemonsFile(f"[{found[0]}] belongs to the daemon's own file, authd.toml")
    return tables


def convert(table: dict[str, Any], kind: type[T], where: str) -> T:
    """Return a table as a struct. Raises `BadSettings`, which says where and what was expected."""
    try:
        return msgspec.convert(table, kind)
    except ValueError as error:  # `msgspec.ValidationError` is one
        raise BadSettings(f"{where}: {error}") from None
