"""Every kind of old system whose passwords authd keeps, by what `[system.NAME]` of broker.toml says."""

from __future__ import annotations

import msgspec

from authd.broker.forms import FormRotator, FormSystem
from authd.broker.rotation import Rotator
from authd.broker.rotation.postgresql import PostgresqlRotator, PostgresqlSystem
from authd.broker.rotation.unix import UnixRotator, UnixSystem
from authd.broker.settings import Settings
from authd.broker.terminal.rotator import TerminalRotator
from authd.broker.terminal.settings import TerminalSystem
from authd.broker.vault import Vault, check_name
from authd.client.tables import BadSettings


class PlainSystem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rotator", tag="none"):
    """`rotator = "none"`: what is sealed stays as it is until somebody seals another one."""


System = PostgresqlSystem | UnixSystem | FormSystem | TerminalSystem | PlainSystem


def systems(settings: Settings) -> dict[str, System]:
    """Return every system of a file. Raises `BadSettings`."""
    return settings.each("system", System)  # type: ignore[arg-type]  # a union is no class, and msgspec takes it


def rotator(settings: Settings, name: str, vault: Vault) -> Rotator | None:
    """Return what replaces a credential's password; None: nothing does. Raises `BadSettings`, `VaultError`."""
    check_name(name)
    system = name.partition("/")[0]
    known = systems(settings)
    if system not in known:
        raise BadSettings(f'system.{system}: missing; say its rotator, or rotator = "none"')
    match known[system]:
        case PostgresqlSystem() as found:
            return PostgresqlRotator(found, vault, settings.here)
        case UnixSystem() as found:
            return UnixRotator(found)
        case FormSystem() as found:
            return FormRotator(found, settings.here)
        case TerminalSystem() as found:
            return TerminalRotator(found)
        case PlainSystem():
            return None
