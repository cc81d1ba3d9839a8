"""Every part of the daemon, made once: what is on disk is opened, and what stands on it is wired to the one path."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from authd.core import seat as machine
from authd.core.model import ReaderId, SeatId, SubjectId
from authd.core.pipeline import Pipeline
from authd.core.ports import Ports
from authd.service import accounts, pdp, registry
from authd.service.anchored import Anchored
from authd.service.bus.outlet import Outlet
from authd.service.certificates import Certificates
from authd.service.clock import BootClock, Dice
from authd.service.config import Config, ConfigError, ReaderConfig, SeatConfig
from authd.service.evidence import Evidence, Ground
from authd.service.evidence.procedures import pack
from authd.service.host.manifest import Manifest, ManifestError, fill, settled
from authd.service.keys import Keys
from authd.service.ledger import KeySigner, Ledger
from authd.service.readers import HostReaders, ReaderPlan
from authd.service.reviews import Reviews
from authd.service.roster import HostRoster, attributes
from authd.service.seat_keys import HostSeats
from authd.service.staff import PersonRecord
from authd.service.store import Store
from authd.service.tokens import Tokens
from authd.service.toml import one_line
from authd.service.update import Bench, Updates
from authd.service.verifier import ChildVerifier
from authd.service.vouched import Vouches

SYSTEM: Final = "authd"
MOST_SHARED: Final = 32_768
"""Bytes of all files that readers share with comparators: they go into one frame."""
"""The policy's name for authd itself, for step-ups such as an enrolment."""
_CLOCK_NOT_SYNCHRONISED: Final = 5


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that lives as long as the daemon."""

    config: Config
    clock: BootClock
    keys: Keys
    store: Store
    ledger: Ledger
    pdp: pdp.Pdp
    readers: HostReaders
    verifier: ChildVerifier
    anchored: Anchored
    roster: HostRoster
    outlet: Outlet
    pipeline: Pipeline
    updates: Updates
    modalities: Mapping[ReaderId, str]
    manifests: Mapping[ReaderId, Manifest]
    vouches: Vouches
    evidence: Evidence
    tokens: Tokens
    certificates: Certificates

    def reviews(self) -> Reviews:
        """Sessions outside the rules, and whether somebody has looked at them by the next working day."""
        return Reviews(self.ledger, self.clock.wall_ms, lambda day: self.pdp.bundle.settings.working(day))

    def named(self, seat: SeatId) -> Sequence[PersonRecord]:
        """People who may be named at the seat: those whom one of its readers could only then verify."""
        can = [self.manifests[id_] for id_ in self.config.seats[seat].readers]
        wanted = {each.modality for each in can if "verify" in each.capabilities and "capture" not in each.capabilities}
        members, people = self.roster.members(seat), self.store.people
        return [people[each] for each in members if any(self.verifier.templates(name, [each]) for name in wanted)]

    def ways(self, seat: SeatConfig) -> Sequence[str]:
        """What the locked screen offers besides the readers."""
        webauthn = any(self.config.readers[id_].driver == registry.WEBAUTHN for id_ in seat.readers)
        can = [self.manifests[id_].capabilities for id_ in seat.readers]
        tiles = any("verify" in each and "capture" not in each for each in can)
        return [*(["webauthn"] if webauthn else []), *(["tiles"] if tiles else []), *seat.ladder]


async def make(config: Config, stack: AsyncExitStack) -> Parts:
    """Open what is on disk, and make everything that stands on it; `stack` closes it again, in order."""
    _make_folder(config)
    clock, keys = BootClock(), Keys(config.state)
    signer = KeySigner(f"authd/{config.host}", keys.ledger_key())
    plans = _plans(config)
    point = _policy(config, clock, plans)
    store = await Store.open(config.state / "store.sqlite")
    stack.push_async_callback(store.close)
    ledger = await Ledger.open(config.state / "ledger", signer, clock, clock.wall_ms)
    stack.push_async_callback(ledger.close)
    anchored = Anchored(store, ledger)
    await anchored.agree()
    await anchored.settle()
    point.directory.set_people(attributes(person) for person in store.people.values())
    manifests = {plan.id: settled(plan.driver.manifest, plan.settings) for plan in plans}
    modalities = {id_: each.modality for id_, each in manifests.items() if each.kind == "touch"}
    verifier = ChildVerifier(
        keys.folder / "host.key",
        store.id,
        {modality: registry.find_comparator(modality) for modality in set(modalities.values())},
        manifests,
        anchored.read,
        clock,
        signatures=store,
        shared=_shared(config, plans),
        lenient=config.lenient,
    )
    readers = HostReaders(
        {seat.id: seat.readers for seat in config.seats.values()},
        plans,
        credential=verifier.credential,
        lenient=config.lenient,
    )

    def bound(seat: SeatId, people: Sequence[SubjectId]) -> pdp.Scope | None:
        used = {modalities[reader] for reader in config.seats[seat].readers if reader in modalities}
        limit = point.bundle.settings.thresholds.max_false_identification
        return _bound(people, used, verifier, limit, wanted(config.seats[seat].seat_class))

    def wanted(seat_class: str) -> int:
        return point.bundle.settings.fingers[seat_class]

    outlet = Outlet()
    updates = Updates(
        Bench(verifier, point, ledger, store, clock),
        outlet,
        modalities.__getitem__,
        lambda: point.bundle.settings.thresholds.template_update,
    )
    vouches, seats = Vouches(updates, clock.wall_ms), HostSeats(store)
    await seats.anchor(config.seats, keys, ledger, clock)
    roster = HostRoster(config.seats, store.people, bound, wanted, vouches.of)
    ports = Ports(readers, updates, ledger, store, roster, seats, point, vouches, clock, Dice())
    touchable = {
        seat.id: frozenset(id_ for id_ in seat.readers if manifests[id_].kind == "touch")
        for seat in config.seats.values()
    }
    pipeline = Pipeline(ports, touchable)
    ground = Ground(config, clock, keys, store, ledger, point, pipeline)
    evidence, tokens = Evidence.on(ground), Tokens(ground)
    await evidence.begin()
    await tokens.begin()
    ledger.on_health = lambda healthy, reason: pipeline.feed_all(machine.LedgerHealth(healthy))
    return Parts(
        config,
        clock,
        keys,
        store,
        ledger,
        point,
        readers,
        verifier,
        anchored,
        roster,
        outlet,
        pipeline,
        updates,
        modalities,
        manifests,
        vouches,
        evidence,
        tokens,
        Certificates(ground),
    )


def check(config: Config) -> None:
    """Say whether the daemon could begin, without beginning: configuration, drivers, policy. Raises as `make`."""
    _shared(config, _plans(config))
    accounts.find(config)
    accounts.group(config)
    pdp.load(source(config))
    pack.read(source(config))


def _make_folder(config: Config) -> None:
    try:
        config.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{config.run}: cannot be made, host.run must be a folder: {error.strerror}") from error
    accounts.open_folder(config)


def _plans(config: Config) -> list[ReaderPlan]:
    """Find the driver of every reader that stands at a seat, without running its code."""
    used = {reader for seat in config.seats.values() for reader in seat.readers}
    return [
        ReaderPlan(id_, _driver(config, each), each.settings) for id_, each in config.readers.items() if id_ in used
    ]


def _driver(config: Config, reader: ReaderConfig) -> registry.Driver:
    """Find the driver, and see that it knows every setting."""
    try:
        driver = registry.find_driver(reader.driver, simulate=config.simulate)
        fill(driver.manifest, reader.settings)
        return driver
    except (registry.RegistryError, ManifestError) as error:
        raise ConfigError(one_line(f"{config.file}:{reader.line}: {error}")) from error


def _shared(config: Config, plans: Iterable[ReaderPlan]) -> dict[str, tuple[str, ...]]:
    """Texts of the files that readers share with the comparator of their modality. Raises `ConfigError`."""
    texts: dict[str, dict[str, None]] = {}
    for plan in plans:
        manifest, where = plan.driver.manifest, f"{config.file}:{config.readers[plan.id].line}"
        for name in manifest.shared:
            value = plan.settings.get(name, "")
            if value.startswith("/"):
                texts.setdefault(manifest.modality, {})[_text(Path(value), f"{where}: {name}")] = None
    if sum(len(text.encode()) for each in texts.values() for text in each) > MOST_SHARED:
        raise ConfigError(f"{config.file}: the files that readers share are more than {MOST_SHARED} bytes together")
    return {modality: tuple(each) for modality, each in texts.items()}


def _text(file: Path, where: str) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(MOST_SHARED + 1).decode()
    except OSError as error:
        raise ConfigError(f"{where}: {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: {file}: UTF-8 is expected") from error


def _policy(config: Config, clock: BootClock, plans: Sequence[ReaderPlan]) -> pdp.Pdp:
    """Load the bundle, and tell it of the seats and the systems."""
    point = pdp.Pdp(pdp.load(source(config)), lambda: _local_time(clock))
    sensors = {plan.id for plan in plans if plan.driver.manifest.kind == "signal"}
    point.directory.set_seats(
        pdp.SeatAttrs(seat.id, seat.seat_class, seat.section, config.host, bool(sensors & set(seat.readers)))
        for seat in config.seats.values()
    )
    point.directory.set_systems(pdp.SystemAttrs(name) for name in (SYSTEM, *config.applications))
    return point


def source(config: Config) -> pdp.Source:
    """Where the policy bundle is read from."""
    return pdp.Source(config.policy or pdp.installed(), config.settings)


def _local_time(clock: BootClock) -> pdp.LocalTime:
    """The wall's time, and whether the kernel believes it (adjtimex(2))."""
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    now = datetime.fromtimestamp(clock.wall_ms() / 1000, UTC).astimezone()
    return pdp.local_time(now, trusted=0 <= state < _CLOCK_NOT_SYNCHRONISED)


def _bound(
    people: Sequence[SubjectId], used: set[str], verifier: ChildVerifier, limit: float, wanted: int
) -> pdp.Scope | None:
    """The worst of the seat's modalities: what a touch there may name wrongly (FEATURES 7). None: one has not said.

    Keys, cards and services take nobody for somebody else; a seat that has nothing but these has no bound to keep.
    """
    rates = {modality: verifier.fmr(modality) for modality in used - verifier.checkers}
    if not rates and used:
        return pdp.Scope(0.0, limit, 0, 0, people=len(people))
    scopes = [
        pdp.choose(fmr, verifier.fingers(modality, people), verifier.rosters(modality), limit, wanted)
        for modality, fmr in rates.items()
        if fmr is not None
    ]
    worst = max(scopes, key=lambda scope: (not scope.permitted, scope.fingers, scope.bound), default=None)
    return worst if len(scopes) == len(rates) else None
