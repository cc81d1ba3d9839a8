"""Receivers of security events, as `[receiver.NAME]` of gateway.toml says; NAME is an application of authd.

[receiver.idp]
push = "https://idp.example/events"         # RFC 8935; none: the receiver fetches them (RFC 8936)
push_authorization_file = "idp.token"       # a line such as `Bearer ...`, sent with each push
token_sha256 = "..."                        # of the bearer token with which the receiver asks us, hex
place_file = "/var/lib/authd-seat-gateway/idp.place"   # up to which event it has them all; written by the gateway
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from authd.client.tables import BadSettings, convert
from authd.web.gateway.oidc.clients import check_uris
from authd.web.gateway.sessions import Book
from authd.web.gateway.world import World

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_HEADER: Final = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,2000}")


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[receiver.NAME]`."""

    token_sha256: str
    push: str = ""
    push_authorization_file: str = ""
    place_file: str = ""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told, and by which application's key authd is asked."""

    id: str
    table: Table
    book: Book
    authorization: str
    place: Path | None

    def knows(self, token: str) -> bool:
        """Whether this is the receiver's own bearer token; takes as long for a wrong one."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        return hmac.compare_digest(digest, self.table.token_sha256)


def read(world: World) -> Mapping[str, Receiver]:
    """Read every receiver. Raises `BadSettings`."""
    found = {name: _read(world, name) for name in world.settings.receiver}
    if len({each.table.token_sha256 for each in found.values()}) < len(found):
        raise BadSettings("receiver: two have the same token; each is known by its own")
    return found


def _read(world: World, name: str) -> Receiver:
    table = convert(world.settings.receiver[name], Table, f"receiver.{name}")
    if name not in world.books:
        raise BadSettings(f"receiver.{name}: there is no [application.{name}]; a receiver is an application of authd")
    if not _DIGEST.fullmatch(table.token_sha256):
        raise BadSettings(f"receiver.{name}.token_sha256: expected 64 hexadecimal digits: printf %s TOKEN | sha256sum")
    check_uris(f"receiver.{name}.push", [table.push] if table.push else [])
    here = Path(world.settings.applications[name].key_file).parent
    place = here / table.place_file if table.place_file else None
    return Receiver(name, table, world.books[name], _authorization(name, table, here), place)


def _authorization(name: str, table: Table, here: Path) -> str:
    if not table.push_authorization_file:
        return ""
    path = here / table.push_authorization_file
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise BadSettings(f"receiver.{name}.push_authorization_file: cannot be read: {path}") from None
    if not _HEADER.fullmatch(text):
        raise BadSettings(f"receiver.{name}.push_authorization_file: expected one line such as: Bearer TOKEN")
    return text
