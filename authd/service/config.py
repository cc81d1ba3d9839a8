"""`authd.toml`: what is read, what is expected, and one line for a person where it is something else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from authd.core.model import ReaderId, SeatId
from authd.service import words
from authd.service.toml import BadText, Reader

LONGEST = 65_536
"""Bytes of an `authd.toml`."""
MOST = {"seat": 32, "reader": 64, "application": 128, "section": 200}
RESERVED = {"application": ("authd", "admin")}
"""Names that mean authd itself: the system of its own step-ups, and the audience of its administrators."""
CLASSES = ("counter", "office")
LADDER = ("vouch", "break_glass")
ON_COVER_FAILURE = ("end-session", "record")
NAMES = ("none", "section", "name")
"""How much of a member of staff's name a statement for a resident may tell."""
SCOPES = ("name", "kana", "section", "staff_number")
_TABLES = ("host", "seat", "reader", "application", "section", "door", "web", "policy", "evidence", "tokens")
_VIEWS = "record views a second"


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
    ladder: tuple[str, ...] = ()
    """What the locked screen offers where a touch is not enough: a colleague's vouch, two people together."""
    account: str = ""
    """The account of the operating system that its desktop runs under: at the local door it is this seat's screen."""
    desktop: bool = False
    """Its agent attends, and covers the desktop whenever the seat is nobody's."""
    on_cover_failure: str = "end-session"
    """Of `ON_COVER_FAILURE`: what an agent that is silent, or cannot cover, means for the session."""


@dataclass(frozen=True, slots=True)
class ReaderConfig:
    """One device, with the settings that its driver understands."""

    id: ReaderId
    driver: str
    settings: Mapping[str, str]
    line: int = 1
    """Where its driver is named, for whoever finds that there is none of that name."""


@dataclass(frozen=True, slots=True)
class ApplicationConfig:
    """One legacy application. `key`: its CURVE public key, z85; empty: made by `authd init` in the keys folder."""

    name: str
    name_ja: str
    name_en: str
    url: str
    """Where a seat's screen opens it; empty: it is no page (a database, a terminal, logins of the machine)."""
    key: str
    scope: tuple[str, ...]
    linked: bool = False
    """Holds a copy of the protections, and has to say that it is up to date."""
    account: str = ""
    """What it calls a person, such as `staff_{staff_number}`: an account, a database role, a terminal user."""
    accounts: tuple[str, ...] = ()
    """Accounts of the operating system that are this application at the local door."""


@dataclass(frozen=True, slots=True)
class Config:
    """A whole `authd.toml`."""

    file: Path
    """Where it was read from."""
    host: str
    state: Path
    run: Path
    simulate: bool
    seats: Mapping[SeatId, SeatConfig]
    readers: Mapping[ReaderId, ReaderConfig]
    applications: Mapping[str, ApplicationConfig]
    router: str
    """ZeroMQ endpoint of the router."""
    tap: str
    """ZeroMQ endpoint of the live tap, which may lose events; followers of the router never do."""
    web_host: str
    web_port: int
    """0: no seat screen."""
    frame_ancestors: tuple[str, ...]
    hosts: tuple[str, ...]
    """Names that a browser may use for the seat screen, besides its address: of a proxy that speaks HTTPS."""
    most_keys: int
    """Keys that one person may have, and cards."""
    policy: Path | None
    """Folder of the policy bundle; None: the one that is installed."""
    settings: Path | None
    """Settings of the policy; None: the bundle's own."""
    sections: Mapping[str, tuple[str, str]]
    """Names of the sections of the house, Japanese and English, for the screens."""
    lenient: bool
    """Let authd's own drivers run where the kernel cannot give the whole sandbox (never a third party's)."""
    names: str = "section"
    """Of `NAMES`: what a resident is told of who opened their record."""
    views_per_session: float = 10.0
    """Record views a second that are taken of one session."""
    views_per_application: float = 50.0
    door_group: str = ""
    """Whose members may connect to the local door, besides the daemon's own account and root."""

    issuer: str = ""
    """Whom tokens come from: an address at which the gateway answers, or `authd://<host>` where nobody asks there."""

    @property
    def socket(self) -> Path:
        """The local door."""
        return self.run / "door.sock"


def load(path: Path) -> Config:
    """Read and check `authd.toml`. Raises `ConfigError`."""
    try:
        return _config(Reader(_text(path), str(path)), path.parent.absolute())
    except BadText as error:
        raise ConfigError(str(error)) from error


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        more = "; run this as root or as the account of authd" if isinstance(error, PermissionError) else ""
        raise BadText(str(path), 1, f"expected a readable file: {why}{more}") from error
    if len(data) > LONGEST:
        raise BadText(str(path), 1, f"expected at most {LONGEST} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadText(str(path), data[: error.start].count(b"\n") + 1, "expected UTF-8") from error


def _config(toml: Reader, here: Path) -> Config:
    toml.only((), _TABLES)
    toml.only(("host",), ("name", "state", "run", "simulate", "lenient_sandbox", "keys_per_person"))
    run = _run(toml, here)
    host, port = _listen(toml)
    readers = {ReaderId(name): _reader(toml, name) for name in _names(toml, "reader")}
    applications = {name: _application(toml, name) for name in _names(toml, "application")}
    seats = {SeatId(name): _seat(toml, name) for name in _names(toml, "seat")}
    if not seats:
        toml.fail(("seat",), "at least one [seat.NAME] is expected")
    _check_references(toml, seats, readers, applications)
    group = _is(toml, ("door", "group"), "", words.is_account_or_none, "the name of a group")
    _check_accounts(toml, seats, applications, group)
    toml.only(("policy",), ("folder", "settings"))
    toml.only(("evidence",), ("names", "views_per_session", "views_per_application"))
    toml.only(("tokens",), ("issuer",))
    name = _is(toml, ("host", "name"), "host", words.is_name, "1 to 40 of a-z, 0-9, - and _")
    return Config(
        file=Path(toml.file),
        host=name,
        state=here / _is(toml, ("host", "state"), "/var/lib/authd-seat", words.is_path, "a path"),
        run=run,
        simulate=toml.flag(("host", "simulate"), default=False),
        seats=seats,
        readers=readers,
        applications=applications,
        router=_endpoint(toml, run, "router"),
        tap=_endpoint(toml, run, "tap"),
        web_host=host,
        web_port=port,
        frame_ancestors=tuple(
            toml.strings(("web", "frame_ancestors"), [], words.is_origin, "origins such as http://host:1")
        ),
        hosts=tuple(toml.strings(("web", "hosts"), [], words.is_host, "host or host:port names")),
        most_keys=int(toml.number(("host", "keys_per_person"), 2, 1, 10, "1 to 10")),
        policy=_path(toml, here, ("policy", "folder")),
        settings=_path(toml, here, ("policy", "settings")),
        sections={name: _section(toml, name) for name in _names(toml, "section")},
        lenient=toml.flag(("host", "lenient_sandbox"), default=False),
        names=toml.choice(("evidence", "names"), "section", NAMES),
        views_per_session=toml.number(("evidence", "views_per_session"), 10, 1, 200, _VIEWS),
        views_per_application=toml.number(("evidence", "views_per_application"), 50, 1, 1_000, _VIEWS),
        issuer=_is(toml, ("tokens", "issuer"), "", words.is_issuer, words.ISSUER) or f"authd://{name}",
        door_group=group,
    )


def _names(toml: Reader, table: str) -> list[str]:
    names = list(toml.names((table,)))
    for name in names:
        if not words.is_name(name):
            toml.fail((table, name), f"{table} name must be 1 to 40 of a-z, 0-9, - and _, got {name!r}")
        if name in RESERVED.get(table, ()):
            toml.fail((table, name), f"{table} name {name!r} is authd's own; another one is expected")
        toml.names((table, name))
    if len(names) > MOST[table]:
        toml.fail((table, names[MOST[table]]), f"at most {MOST[table]} [{table}.NAME], got {len(names)}")
    return names


def _is(toml: Reader, path: tuple[str, ...], default: str, good: Callable[[str], bool], what: str) -> str:
    value = toml.string(path, default)
    if not good(value):
        toml.fail(path, f"{path[-1]} must be {what}, got {value!r}")
    return value


def _label(toml: Reader, path: tuple[str, ...], default: str) -> str:
    return _is(toml, path, default, words.is_label, f"at most {words.LONGEST_LABEL} characters on one line")


def _references(toml: Reader, path: tuple[str, ...], table: str) -> tuple[str, ...]:
    """Names of another table, each once; whether they exist is asked when all tables are read."""
    found = toml.strings(path, [], words.is_label, f"names of {table}s")
    twice = next((name for name in found if found.count(name) > 1), None)
    if twice is not None:
        toml.fail(path, f"{path[-1]} names {twice!r} twice")
    return tuple(found)


def _seat(toml: Reader, name: str) -> SeatConfig:
    at = ("seat", name)
    of_desktop = ("account", "desktop", "on_cover_failure")
    toml.only(
        at, ("name_ja", "name_en", "class", "section", "roster", "readers", "applications", "ladder", *of_desktop)
    )
    return SeatConfig(
        id=SeatId(name),
        name_ja=_label(toml, (*at, "name_ja"), name),
        name_en=_label(toml, (*at, "name_en"), name),
        seat_class=toml.choice((*at, "class"), "counter", CLASSES),
        section=_label(toml, (*at, "section"), ""),
        roster=_references(toml, (*at, "roster"), "section"),
        readers=tuple(ReaderId(reader) for reader in _references(toml, (*at, "readers"), "reader")),
        applications=_references(toml, (*at, "applications"), "application"),
        ladder=tuple(toml.strings((*at, "ladder"), list(LADDER), LADDER.__contains__, f"some of {', '.join(LADDER)}")),
        account=_is(toml, (*at, "account"), "", words.is_account_or_none, "the name of an account"),
        desktop=toml.flag((*at, "desktop"), default=False),
        on_cover_failure=toml.choice((*at, "on_cover_failure"), "end-session", ON_COVER_FAILURE),
    )


def _reader(toml: Reader, name: str) -> ReaderConfig:
    at = ("reader", name)
    keys = [key for key in toml.names(at) if key != "driver"]
    settings = {key: _is(toml, (*at, key), "", words.is_setting, "one line") for key in keys}
    driver = toml.string((*at, "driver"), "")
    if not words.is_name(driver):
        toml.fail((*at, "driver"), f'reader {name} needs driver = "...", the name of a driver, got {driver!r}')
    return ReaderConfig(ReaderId(name), driver, settings, toml.line((*at, "driver")))


def _application(toml: Reader, name: str) -> ApplicationConfig:
    at = ("application", name)
    toml.only(at, ("name_ja", "name_en", "url", "key", "scope", "linked", "account", "accounts"))
    return ApplicationConfig(
        name=name,
        name_ja=_label(toml, (*at, "name_ja"), name),
        name_en=_label(toml, (*at, "name_en"), name),
        url=_is(toml, (*at, "url"), "", words.is_url_or_none, "http://... or https://... without a fragment"),
        key=_is(toml, (*at, "key"), "", lambda key: not key or words.is_key(key), "a CURVE public key (z85)"),
        scope=tuple(toml.strings((*at, "scope"), [], SCOPES.__contains__, f"some of {', '.join(SCOPES)}")),
        linked=toml.flag((*at, "linked"), default=False),
        account=_is(toml, (*at, "account"), "", words.is_account, f"such as staff_{words.STAFF_NUMBER}"),
        accounts=tuple(toml.strings((*at, "accounts"), [], words.is_account_name, "names of accounts")),
    )


def _section(toml: Reader, name: str) -> tuple[str, str]:
    at = ("section", name)
    toml.only(at, ("name_ja", "name_en"))
    return _label(toml, (*at, "name_ja"), name), _label(toml, (*at, "name_en"), name)


def _path(toml: Reader, here: Path, path: tuple[str, ...]) -> Path | None:
    value = _is(toml, path, "", lambda text: not text or words.is_path(text), "a path")
    return here / value if value else None


def _run(toml: Reader, here: Path) -> Path:
    at = ("host", "run")
    run = here / _is(toml, at, "/run/authd-seat", words.is_path, "a path")
    if not words.is_socket(f"{run}/router.sock"):
        toml.fail(at, f"run must be shorter: a socket's path has at most {words.LONGEST_SOCKET} bytes, got {run}")
    return run


def _endpoint(toml: Reader, run: Path, name: str) -> str:
    toml.only(("door",), ("router", "tap", "group"))
    expected = "ipc:///path (at most 107 bytes) or tcp://address:port"
    return _is(toml, ("door", name), f"ipc://{run}/{name}.sock", words.is_endpoint, expected)


def _check_references(
    toml: Reader,
    seats: Mapping[SeatId, SeatConfig],
    readers: Mapping[ReaderId, ReaderConfig],
    applications: Mapping[str, ApplicationConfig],
) -> None:
    """Every name that a seat uses must exist, a reader stand at one seat only, and a key mean one application."""
    owners: dict[ReaderId, SeatId] = {}
    keys: dict[str, str] = {}
    for each in applications.values():
        if each.key and keys.setdefault(each.key, each.name) != each.name:
            toml.fail(("application", each.name, "key"), f"key is that of {keys[each.key]!r}; its own is expected")
    for seat in seats.values():
        for reader in seat.readers:
            if reader not in readers:
                toml.fail(("seat", seat.id, "readers"), f"reader {reader!r} has no [reader.{reader}]")
            if owners.setdefault(reader, seat.id) != seat.id:
                toml.fail(("seat", seat.id, "readers"), f"reader {reader!r} already stands at seat {owners[reader]!r}")
        for application in seat.applications:
            if application not in applications:
                toml.fail(("seat", seat.id, "applications"), f"{application!r} has no [application.{application}]")


def _check_accounts(
    toml: Reader, seats: Mapping[SeatId, SeatConfig], applications: Mapping[str, ApplicationConfig], group: str
) -> None:
    """An account is one peer at the local door, and can reach it."""
    owners: dict[str, str] = {}
    named = [(("seat", str(seat.id), "account"), seat.account) for seat in seats.values() if seat.account]
    named += [(("application", of.name, "accounts"), each) for of in applications.values() for each in of.accounts]
    for path, account in named:
        if owners.setdefault(account, f"{path[0]} {path[1]!r}") != f"{path[0]} {path[1]!r}":
            toml.fail(path, f"account {account!r} is already {owners[account]}; an account is one of them only")
        if not group:
            toml.fail(path, f'[door] group = "..." is expected: the group by which account {account!r} may connect')


def _listen(toml: Reader) -> tuple[str, int]:
    toml.only(("web",), ("listen", "frame_ancestors", "hosts"))
    given = toml.string(("web", "listen"), "")
    found = words.listens(given) if given else ("127.0.0.1", 0)
    if found is None:
        toml.fail(("web", "listen"), f"listen must be 127.0.0.1:PORT, got {given!r}")
    return found
