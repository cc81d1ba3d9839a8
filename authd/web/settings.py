"""What the web process is told at its start: one JSON object, at most 64 kB.

{"listen": "127.0.0.1:8780",
 "door": {"router": "ipc:///run/authd-seat/router.sock", "server_key": "<z85>"},
 "seats": [{"id": "counter-1", "name_ja": "窓口1", "name_en": "Counter 1", "key_file": "/.../counter-1.key",
            "applications": ["resident"], "ways": ["webauthn", "tiles", "vouch", "break_glass"]}],
 "applications": [{"id": "resident", "name_ja": "住民記録", "name_en": "Residents", "url": "http://127.0.0.1:8790/"}],
 "sections": {"resident": {"ja": "市民課", "en": "Resident Affairs"}},
 "frame_ancestors": [], "hosts": []}
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from authd.client.tables import BadSettings

MAX_SETTINGS_BYTES = 65_536
MAX_SEATS = 32
MAX_APPLICATIONS = 16

Way = Literal["webauthn", "tiles", "vouch", "break_glass"]

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Door:
    """Where the core's ROUTER listens, and its public CURVE key (z85)."""

    router: str
    server_key: str


@dataclass(frozen=True, slots=True)
class Seat:
    """A seat whose screen is shown. `key_file` holds the seat's own CURVE secret key."""

    id: str
    name_ja: str
    name_en: str
    key_file: str = ""
    applications: tuple[str, ...] = ()
    ways: tuple[Way, ...] = ()
    """What the locked screen offers besides the reader, if anything."""


@dataclass(frozen=True, slots=True)
class Application:
    """A legacy application that the seat screen opens with a ticket."""

    id: str
    name_ja: str
    name_en: str
    url: str

    @property
    def origin(self) -> str:
        """Scheme, host and port, as a browser writes them."""
        return origin_of(self.url)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the web process knows of its surroundings."""

    listen: str
    door: Door
    seats: tuple[Seat, ...]
    applications: tuple[Application, ...] = ()
    sections: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    """Words for the sections of the city hall: id -> language -> name. One that is missing is shown as it comes."""
    frame_ancestors: tuple[str, ...] = ()
    """Origins that may show the page in a frame (the demo's strip); none by default."""
    hosts: tuple[str, ...] = ()
    """`host` or `host:port` names that a browser may use for this process, besides those of `listen`: over plain HTTP,
    or over HTTPS where a proxy on this machine speaks it (WebAuthn asks for that, or for `localhost`)."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    def seat(self, id_: str) -> Seat | None:
        """Find a seat."""
        return next((seat for seat in self.seats if seat.id == id_), None)

    def applications_of(self, seat: Seat) -> tuple[Application, ...]:
        """Return what can be opened at a seat, in the seat's own order."""
        known = {application.id: application for application in self.applications}
        return tuple(known[id_] for id_ in seat.applications)


def read_settings(raw: bytes) -> Settings:
    """Decode and check settings. Raises `BadSettings`."""
    if len(raw) > MAX_SETTINGS_BYTES:
        raise BadSettings(f"settings are {len(raw)} bytes, at most {MAX_SETTINGS_BYTES} are read")
    try:
        settings = msgspec.json.decode(raw, type=Settings)
    except msgspec.DecodeError as error:
        raise BadSettings(str(error)) from None
    _check(settings)
    return settings


def origin_of(url: str) -> str:
    """Return the origin of an http(s) URL. Raises `BadSettings`."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise BadSettings(f"{url!r}: not a port") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise BadSettings(f"{url!r}: expected http://host:port/ or https://host/")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")


def _check(settings: Settings) -> None:
    _check_listen(settings.listen)
    _check_ids("seat", [seat.id for seat in settings.seats], MAX_SEATS)
    _check_ids("application", [application.id for application in settings.applications], MAX_APPLICATIONS)
    if not settings.seats:
        raise BadSettings("seats: expected at least one")
    known = {application.id for application in settings.applications}
    for seat in settings.seats:
        if unknown := set(seat.applications) - known:
            raise BadSettings(f"seat {seat.id}: unknown application {sorted(unknown)[0]!r}")
    for url in [application.url for application in settings.applications] + list(settings.frame_ancestors):
        _check_origin(url)


def _check_listen(listen: str) -> None:
    host, _, port = listen.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise BadSettings(f"listen: expected host:port, found {listen!r}")


def _check_ids(what: str, ids: Iterable[str], most: int) -> None:
    seen: set[str] = set()
    for id_ in ids:
        if not _ID.match(id_) or id_ in seen:
            raise BadSettings(f"{what} {id_!r}: expected an id of its own, of a-z, 0-9, - and _")
        seen.add(id_)
    if len(seen) > most:
        raise BadSettings(f"{what}s: at most {most}")


def _check_origin(url: str) -> None:
    if any(bad in url for bad in " \t\r\n;,'\""):
        raise BadSettings(f"{url!r}: not a URL that fits a header")
    origin_of(url)
