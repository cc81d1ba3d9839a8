"""What the gateway is told at its start: one TOML file, at most 256 kB.

    [gateway]
    listen = "127.0.0.1:8785"                # loopback: a proxy stands before it
    public = "https://login.city.example"    # how browsers reach it, where they do (OpenID Connect, security events)

    [door]
    router = "ipc:///run/authd-seat/router.sock"
    server_key = "/var/lib/authd-seat/keys/curve/router.key"   # or the key itself, z85

    [application.resident]
    key_file = "/etc/authd-seat/gateway/app-resident.key"
    forward = { origin = "https://resident.city.example" }

`[client.NAME]` and `[receiver.NAME]` are tables of their surfaces, which read them with `convert`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from authd.client.tables import BadSettings, convert, raw_of, tables_of
from authd.web.settings import origin_of

MAX_APPLICATIONS = 16
MAX_TABLES = 64
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
_KEY = re.compile(r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}\Z")


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[gateway]`."""

    listen: str = "127.0.0.1:8785"
    public: str = ""
    """Origin under which browsers and other products reach the gateway itself; empty: only through forward auth."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class Door(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[door]`: where authd's ROUTER listens, and its public CURVE key: z85, or a file of authd's with it."""

    router: str
    server_key: str

    @property
    def key(self) -> str | Path:
        """What `authd.client.connect` takes."""
        return self.server_key if _KEY.match(self.server_key) else Path(self.server_key)


class Forward(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`forward = {...}` of an application that stands behind a proxy which asks for each request."""

    origin: str
    """Scheme, host and port under which browsers reach the application, through the proxy."""
    start: str = "/"
    """Path to which a browser is sent once it is let in."""
    framed_by: str = ""
    """Origin of the seat's screen, where that shows the application in a frame and stands under another name."""
    guard: Literal["page", "frame"] = "page"
    """Where the guard is: in every page, as the proxy puts it there, or around the application, in a frame of ours."""
    names: Literal["utf-8", "cp932", "percent"] = "utf-8"
    """How `Remote-Name` and `Remote-Groups` are written in headers, which have no letters of their own for Japanese."""


class Application(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[application.NAME]`: a system of authd's configuration, with whose own key the gateway speaks."""

    key_file: str
    forward: Forward | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    door: Door
    gateway: Listen = Listen()
    application: dict[str, Application] = {}
    client: dict[str, dict[str, Any]] = {}
    receiver: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Everything the gateway knows of its surroundings."""

    gateway: Listen
    door: Door
    applications: dict[str, Application]
    client: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Tables of the relying parties of OpenID Connect, as they stand; their surface reads them."""
    receiver: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Tables of the receivers of security events, as they stand."""


def load(path: Path) -> GatewaySettings:
    """Read and check a file; relative paths in it begin at its folder. Raises `BadSettings`, `OSError`."""
    return read_settings(raw_of(path), path.absolute().parent)


def read_settings(raw: bytes, here: Path) -> GatewaySettings:
    """Read and check the text. Raises `BadSettings`."""
    file = convert(tables_of(raw), _File, "settings")
    settings = GatewaySettings(file.gateway, file.door, file.application, file.client, file.receiver)
    _check(settings)
    return _placed(settings, here)


def check_origin(where: str, origin: str, *, empty: bool = False) -> None:
    """Refuse what is not a bare origin. Raises `BadSettings`."""
    if empty and not origin:
        return
    if any(bad in origin for bad in " \t\r\n;,'\"\\") or origin_of(origin) != origin:
        raise BadSettings(f"{where}: expected an origin such as https://resident.city.example, found {origin!r}")


def _check(settings: GatewaySettings) -> None:
    _check_listen(settings.gateway.listen)
    check_origin("gateway.public", settings.gateway.public, empty=True)
    for what, names, most in (
        ("application", settings.applications, MAX_APPLICATIONS),
        ("client", settings.client, MAX_TABLES),
        ("receiver", settings.receiver, MAX_TABLES),
    ):
        _check_names(what, list(names), most)
    for name, application in settings.applications.items():
        if application.forward is not None:
            _check_forward(f"application.{name}.forward", application.forward)


def _check_forward(where: str, forward: Forward) -> None:
    check_origin(f"{where}.origin", forward.origin)
    check_origin(f"{where}.framed_by", forward.framed_by, empty=True)
    start = forward.start
    if not start.startswith("/") or start.startswith("//") or not start.isascii() or not start.isprintable():
        raise BadSettings(f"{where}.start: expected a path such as /menu, found {start!r}")


def _check_listen(listen: str) -> None:
    host, _, port = listen.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise BadSettings(f"gateway.listen: expected host:port, found {listen!r}")
    if host not in LOOPBACK:
        raise BadSettings(f"gateway.listen: expected {' or '.join(LOOPBACK)}, found {host!r}: let a proxy speak TLS")


def _check_names(what: str, names: list[str], most: int) -> None:
    if len(names) > most:
        raise BadSettings(f"{what}: at most {most}, found {len(names)}")
    for name in names:
        if not _ID.match(name):
            raise BadSettings(f"{what} {name!r}: expected a name of a-z, 0-9, - and _")


def _placed(settings: GatewaySettings, here: Path) -> GatewaySettings:
    """Return the settings with absolute paths."""
    door = settings.door
    if isinstance(door.key, Path):
        door = msgspec.structs.replace(door, server_key=str(here / door.key))
    placed = {
        name: msgspec.structs.replace(each, key_file=str(here / each.key_file))
        for name, each in settings.applications.items()
    }
    return GatewaySettings(settings.gateway, door, placed, settings.client, settings.receiver)
