"""Relying parties, as `[client.NAME]` of gateway.toml says; NAME is their `client_id`, and an application of authd.

[client.resident]
start = "https://resident.city.example/"                         # where a seat's screen lands after its ticket
redirect_uris = ["https://resident.city.example/oidc/callback"]  # compared character by character
secret_sha256 = "..."                                            # of the client's secret, hex; none: PKCE alone
post_logout_redirect_uris = ["https://resident.city.example/bye"]
backchannel_logout_uri = "https://resident.city.example/oidc/backchannel"
sessions_file = "/var/lib/authd-seat-gateway/resident.sessions"  # whose end it has not heard yet; the gateway writes it
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from authd.client.tables import BadSettings, convert
from authd.web.gateway.oidc.owed import Owed
from authd.web.gateway.sessions import Book
from authd.web.gateway.world import World

MOST_URIS: Final = 16
LONGEST_URI: Final = 500
_URI: Final = re.compile(r"[A-Za-z0-9._~:/?@!$&()+,;=%-]+")
_DIGEST: Final = re.compile(r"(?:[0-9a-f]{64})?")
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[client.NAME]`."""

    start: str
    redirect_uris: list[str]
    secret_sha256: str = ""
    post_logout_redirect_uris: list[str] = []
    backchannel_logout_uri: str = ""
    sessions_file: str = ""
    framed: bool = False
    """The seat's screen shows it in a frame: the cookie must be sent there, and only there (https alone)."""


@dataclass(frozen=True, slots=True)
class Client:
    """A relying party and the live book of its application's sessions."""

    id: str
    table: Table
    book: Book
    owed: Owed = field(default_factory=Owed)

    @property
    def public(self) -> bool:
        """Whether it has no secret: then the code is bound to it by PKCE alone."""
        return not self.table.secret_sha256

    def knows(self, secret: str) -> bool:
        """Whether this is its secret; takes as long for a wrong one."""
        digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
        return hmac.compare_digest(digest, self.table.secret_sha256)


def read(world: World) -> Mapping[str, Client]:
    """Read every relying party. Raises `BadSettings`."""
    return {name: _read(world, name) for name in world.settings.client}


def _read(world: World, name: str) -> Client:
    table = convert(world.settings.client[name], Table, f"client.{name}")
    if name not in world.books:
        raise BadSettings(f"client.{name}: there is no [application.{name}]; a client is an application of authd")
    for key, uris in (
        ("start", [table.start]),
        ("redirect_uris", table.redirect_uris),
        ("post_logout_redirect_uris", table.post_logout_redirect_uris),
        ("backchannel_logout_uri", [table.backchannel_logout_uri] if table.backchannel_logout_uri else []),
    ):
        check_uris(f"client.{name}.{key}", uris)
    if not table.redirect_uris:
        raise BadSettings(f"client.{name}.redirect_uris: at least one is expected")
    if not _DIGEST.fullmatch(table.secret_sha256):
        raise BadSettings(f"client.{name}.secret_sha256: expected 64 hexadecimal digits: printf %s SECRET | sha256sum")
    here = Path(world.settings.applications[name].key_file).parent
    owed = Owed(here / table.sessions_file) if table.sessions_file else Owed()
    return Client(name, table, world.books[name], owed)


def check_uris(where: str, uris: list[str]) -> None:
    """Refuse what a browser or authd itself should not be sent to. Raises `BadSettings`."""
    if len(uris) > MOST_URIS:
        raise BadSettings(f"{where}: at most {MOST_URIS}")
    for uri in uris:
        if not safe(uri):
            raise BadSettings(f"{where}: expected https://..., or http:// of this machine, without #, found {uri!r}")


def safe(uri: str) -> bool:
    """Whether it is https, or this machine's own http, and nothing in it can be read in two ways."""
    if len(uri) > LONGEST_URI or not _URI.fullmatch(uri):
        return False
    try:
        parts = urlsplit(uri)
        named, _ = parts.hostname, parts.port
        (named or "").encode("idna")
    except ValueError:  # UnicodeError too: a name with an empty part, or one that is too long
        return False
    if not named or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and named in LOOPBACK)
