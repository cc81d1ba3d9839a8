"""The office file: which relying party the keys of an office belong to, and which keys it takes.

    name = "Town hall"                        # what a key's own screen shows
    rp_id = "seats.town.example"              # never changed again: every key is enrolled for it
    origins = ["http://localhost:8780"]       # of the seats' screens, where a browser speaks to the key
    attestation = "none"                      # or "required": only models whose maker's root is in `roots`
    allow = ["..."]                           # AAGUIDs of models; empty: any
    deny = ["..."]                            # AAGUIDs that are never taken
    synced = "refuse"                         # or "allow": credentials that can be copied to other devices
    roots = '''-----BEGIN CERTIFICATE----- ...'''

The reader and the verifier each read its text. Parsers: `parse`.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from authd.driver import DriverError, Fault

MAX_OFFICE_BYTES = 262_144
MAX_ITEMS = 512
_KEYS = frozenset({"name", "rp_id", "origins", "attestation", "allow", "deny", "roots", "synced"})


@dataclass(frozen=True, slots=True)
class Office:
    """What an office file says."""

    rp_id: str
    name: str
    origins: frozenset[str] = frozenset()
    attested: bool = False
    allow: frozenset[bytes] = frozenset()
    """AAGUIDs, 16 bytes each."""
    deny: frozenset[bytes] = frozenset()
    roots: str = ""
    """PEM."""
    synced: bool = False

    @property
    def own_origin(self) -> str:
        """Origin that the driver of a seat's own key writes."""
        return f"authd://{self.rp_id}"

    @property
    def rp_id_hash(self) -> bytes:
        """What a key signs of the relying party."""
        return hashlib.sha256(self.rp_id.encode()).digest()


def parse(text: str) -> Office:
    """Read an office file. Raises `DriverError` with `Fault.NOT_PERMITTED`, naming what is wrong."""
    if len(text) > MAX_OFFICE_BYTES:
        raise _wrong(f"an office file of at most {MAX_OFFICE_BYTES} characters is expected")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(str(error).splitlines()[0]) from None
    if unknown := sorted(table.keys() - _KEYS):
        raise _wrong(f"{unknown[0]!r}: one of {sorted(_KEYS)} is expected")
    rp_id = _rp_id(table)
    return Office(
        rp_id=rp_id,
        name=_text(table, "name", rp_id),
        origins=frozenset(_texts(table, "origins")),
        attested=_choice(table, "attestation", ("none", "required")),
        allow=_models(table, "allow"),
        deny=_models(table, "deny"),
        roots=_text(table, "roots", ""),
        synced=_choice(table, "synced", ("refuse", "allow")),
    )


def _wrong(detail: str) -> DriverError:
    return DriverError(Fault.NOT_PERMITTED, f"office file: {detail}")


def _rp_id(table: Mapping[str, Any]) -> str:
    rp_id = _text(table, "rp_id", "")
    labels = rp_id.split(".")
    plain = all(label.replace("-", "").isalnum() and label.isascii() and label == label.lower() for label in labels)
    if not plain or len(rp_id) > 253:
        raise _wrong("rp_id: a host's name in small letters is expected")
    return rp_id


def _text(table: Mapping[str, Any], key: str, default: str) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise _wrong(f"{key}: a text is expected")
    return value


def _choice(table: Mapping[str, Any], key: str, choices: tuple[str, str]) -> bool:
    """Return whether it is the second one; the first is the default."""
    value = _text(table, key, choices[0])
    if value not in choices:
        raise _wrong(f"{key}: one of {choices} is expected")
    return value == choices[1]


def _texts(table: Mapping[str, Any], key: str) -> list[str]:
    value = table.get(key, [])
    if not isinstance(value, list) or len(value) > MAX_ITEMS or not all(isinstance(each, str) for each in value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # of TOML
        raise _wrong(f"{key}: a list of at most {MAX_ITEMS} texts is expected")
    return value  # pyright: ignore[reportUnknownVariableType]  # checked above


def _models(table: Mapping[str, Any], key: str) -> frozenset[bytes]:
    try:
        return frozenset(UUID(each).bytes for each in _texts(table, key))
    except ValueError:
        raise _wrong(f"{key}: AAGUIDs are expected, as 00000000-0000-0000-0000-000000000000") from None
