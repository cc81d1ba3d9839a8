"""`authd.toml`: what is read, what is expected, and one line for a person where it is something else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from authd.core.model import ReaderId, SeatId
from authd.service.toml import BadText, Reader

NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?")
"""Names become file names and socket names: nothing that a path or a log line could misread."""
CLASSES = ("counter", "office")
SCOPES = ("name", "kana", "section", "staff_number")
_TABLES = ("host", "seat", "reader", "application", "section", "door", "web", "policy")


class ConfigError(Exception):
    """The configuration cannot be used; the text is one line: file, line, what is expected."""


@dataclass(frozen=True, slots=True)
class SeatConfig:
    """One terminal."""

    id: SeatId
    name_ja: str
    name_en: str
    seat_class: str
    section: str
    roster: tuple[str, ...]
    """Sections whose staff may be looked for here; empty: everybody's."""
    readers: tuple[ReaderId, ...]
    applications: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReaderConfig:
    """One device, with the settings that its driver understands."""

    id: ReaderId
    driver: str
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ApplicationConfig:
    """One legacy application. `key`: its CURVE public key, z85; empty: made by `authd init` in the keys folder."""

    name: str
    name_ja: str
    name_en: str
    url: str
    key: str
    scope: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Config:
    """A whole `authd.toml`."""

    host: str
    state: Path
    run: Path
    simulate: bool
    seats: Mapping[SeatId, SeatConfig]
    readers: Mapping[ReaderId, ReaderConfig]
    applications: Mapping[str, ApplicationConfig]
    router: str
    """ZeroMQ endpoint of the router."""
    web_host: str
    web_port: int
    """0: no seat screen."""
    frame_ancestors: tuple[str, ...]
    policy: Path | None
    """Folder of the policy bundle; None: the one that is installed."""
    settings: Path | None
    """Settings of the policy; None: the bundle's own."""
    sections: Mapping[str, tuple[str, str]]
    """Names of the sections of the house, Japanese and English, for the screens."""
    lenient: bool
    """Let authd's own drivers run where the kernel cannot give the whole sandbox (never a third party's)."""

    @property
    def socket(self) -> Path:
        """The local door."""
        return self.run / "door.sock"


def load(path: Path) -> Config:
    """Read and check `authd.toml`. Raises `ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        return _config(Reader(text, str(path)), path.parent.absolute())
    except BadText as error:
        raise ConfigError(str(error)) from error


def _config(toml: Reader, here: Path) -> Config:
    toml.only((), _TABLES)
    toml.only(("host",), ("name", "state", "run", "simulate", "lenient_sandbox"))
    run = here / toml.string(("host", "run"), "/run/authd-seat")
    host, port = _listen(toml)
    readers = {ReaderId(name): _reader(toml, name) for name in _names(toml, "reader")}
    applications = {name: _application(toml, name) for name in _names(toml, "application")}
    seats = {SeatId(name): _seat(toml, name) for name in _names(toml, "seat")}
    if not seats:
        toml.fail(("seat",), "at least one [seat.NAME] is expected")
    _check_references(toml, seats, readers, applications)
    toml.only(("door",), ("router",))
    toml.only(("policy",), ("folder", "settings"))
    return Config(
        host=_word(toml, ("host", "name"), "host"),
        state=here / toml.string(("host", "state"), "/var/lib/authd-seat"),
        run=run,
        simulate=toml.flag(("host", "simulate"), default=False),
        seats=seats,
        readers=readers,
        applications=applications,
        router=toml.string(("door", "router"), f"ipc://{run}/router.sock"),
        web_host=host,
        web_port=port,
        frame_ancestors=tuple(
            toml.strings(("web", "frame_ancestors"), [], _is_origin, "origins such as http://host:1")
        ),
        policy=_path(toml, here, ("policy", "folder")),
        settings=_path(toml, here, ("policy", "settings")),
        sections={name: _section(toml, name) for name in _names(toml, "section")},
        lenient=toml.flag(("host", "lenient_sandbox"), default=False),
    )


def _names(toml: Reader, table: str) -> list[str]:
    names = list(toml.names((table,)))
    for name in names:
        if not NAME.fullmatch(name):
            toml.fail((table, name), f"{table} name must be 1 to 40 of a-z, 0-9, - and _, got {name!r}")
        toml.names((table, name))
    return names


def _seat(toml: Reader, name: str) -> SeatConfig:
    at = ("seat", name)
    toml.only(at, ("name_ja", "name_en", "class", "section", "roster", "readers", "applications"))
    return SeatConfig(
        id=SeatId(name),
        name_ja=toml.string((*at, "name_ja"), name),
        name_en=toml.string((*at, "name_en"), name),
        seat_class=toml.choice((*at, "class"), "counter", CLASSES),
        section=toml.string((*at, "section"), ""),
        roster=tuple(toml.strings((*at, "roster"), [], bool, "names of sections")),
        readers=tuple(ReaderId(name) for name in toml.strings((*at, "readers"), [], bool, "names of readers")),
        applications=tuple(toml.strings((*at, "applications"), [], bool, "names of applications")),
    )


def _reader(toml: Reader, name: str) -> ReaderConfig:
    at = ("reader", name)
    settings = {key: toml.string((*at, key), "") for key in toml.names(at) if key != "driver"}
    driver = toml.string((*at, "driver"), "")
    if not driver:
        toml.fail(at, f'reader {name} needs driver = "..."')
    return ReaderConfig(ReaderId(name), driver, settings)


def _application(toml: Reader, name: str) -> ApplicationConfig:
    at = ("application", name)
    toml.only(at, ("name_ja", "name_en", "url", "key", "scope"))
    url = toml.string((*at, "url"), "")
    if not _is_origin(_origin(url)):
        toml.fail((*at, "url"), f"url must be http://... or https://..., got {url!r}")
    return ApplicationConfig(
        name=name,
        name_ja=toml.string((*at, "name_ja"), name),
        name_en=toml.string((*at, "name_en"), name),
        url=url,
        key=toml.string((*at, "key"), ""),
        scope=tuple(toml.strings((*at, "scope"), [], SCOPES.__contains__, f"some of {', '.join(SCOPES)}")),
    )


def _section(toml: Reader, name: str) -> tuple[str, str]:
    toml.only(("section", name), ("name_ja", "name_en"))
    return toml.string(("section", name, "name_ja"), name), toml.string(("section", name, "name_en"), name)


def _path(toml: Reader, here: Path, path: tuple[str, ...]) -> Path | None:
    value = toml.string(path, "")
    return here / value if value else None


def _check_references(
    toml: Reader,
    seats: Mapping[SeatId, SeatConfig],
    readers: Mapping[ReaderId, ReaderConfig],
    applications: Mapping[str, ApplicationConfig],
) -> None:
    """Every name that a seat uses must exist, and a reader must stand at one seat only."""
    owners: dict[ReaderId, SeatId] = {}
    for seat in seats.values():
        for reader in seat.readers:
            if reader not in readers:
                toml.fail(("seat", seat.id, "readers"), f"reader {reader!r} has no [reader.{reader}]")
            if owners.setdefault(reader, seat.id) != seat.id:
                toml.fail(("seat", seat.id, "readers"), f"reader {reader!r} already stands at seat {owners[reader]!r}")
        for application in seat.applications:
            if application not in applications:
                toml.fail(("seat", seat.id, "applications"), f"{application!r} has no [application.{application}]")


def _word(toml: Reader, path: tuple[str, ...], default: str) -> str:
    value = toml.string(path, default)
    if not NAME.fullmatch(value):
        toml.fail(path, f"{path[-1]} must be 1 to 40 of a-z, 0-9, - and _, got {value!r}")
    return value


def _listen(toml: Reader) -> tuple[str, int]:
    """The seat screen is for this machine's own browser: loopback only."""
    toml.only(("web",), ("listen", "frame_ancestors"))
    listen = toml.string(("web", "listen"), "")
    if not listen:
        return "127.0.0.1", 0
    host, _, port = listen.rpartition(":")
    if host not in ("127.0.0.1", "[::1]", "localhost") or not port.isdecimal() or not 0 < int(port) < 65536:
        toml.fail(("web", "listen"), f"listen must be 127.0.0.1:PORT, got {listen!r}")
    return host, int(port)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _is_origin(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not parts.path.strip("/")
