"""The parts of the daemon, from what is on disk: refused whole, with one line, or made whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from authd.cli.init import make_keys
from authd.core.model import ReaderId, SeatId, SubjectId
from authd.driver import Roster
from authd.service import parts
from authd.service.config import Config, ConfigError, load
from authd.service.keys import KeyFault
from authd.service.ledger import LedgerDamaged
from authd.service.ledger.trouble import LedgerFormat
from authd.service.parts import SYSTEM, Parts, check, make
from authd.service.pdp import AUTO, BundleError
from authd.service.store import StoreDamaged
from authd.service.verifier import ChildVerifier

TOML = """\
[host]
state = "state"
run = "run"
[seat.counter-1]
section = "resident"
readers = ["vein-1", "presence-1"]
applications = ["resident"]
[seat.counter-2]
[reader.vein-1]
driver = "vein"
[reader.presence-1]
driver = "presence"
[reader.spare]
driver = "not-installed"
[application.resident]
url = "http://127.0.0.1:8790/"
"""
Configure = Callable[..., Config]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Return a function that reads the text as `authd.toml`, and makes the host's keys."""

    def configure(text: str = TOML, *, keys: bool = True) -> Config:
        (tmp_path / "authd.toml").write_text(text, encoding="utf-8")
        config = load(tmp_path / "authd.toml")
        if keys:
            make_keys(config)
        return config

    return configure


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def test_everything_is_made_and_nothing_is_started(configure: Configure, stack: AsyncExitStack) -> None:
    made = await make(configure(), stack)
    assert made.modalities == {ReaderId("vein-1"): "vein"}
    assert made.pipeline.touchable == {
        SeatId("counter-1"): frozenset({ReaderId("vein-1")}),
        SeatId("counter-2"): frozenset(),
    }
    assert made.verifier.keeper.pid is None
    assert all(keeper.pid is None for keeper in made.readers.keepers.values())
    assert made.pipeline.seats == {}


async def test_the_rules_know_the_seats_their_sensors_and_the_systems(
    configure: Configure, stack: AsyncExitStack
) -> None:
    made = await make(configure(), stack)
    one, two = (made.pdp.directory.seat(SeatId(seat)) for seat in ("counter-1", "counter-2"))
    assert one is not None
    assert two is not None
    assert (one.attrs.presence, two.attrs.presence) == (True, False)
    assert all(made.pdp.directory.system(system) is not None for system in (SYSTEM, "resident"))


async def test_the_run_folder_is_ours_alone(configure: Configure, stack: AsyncExitStack) -> None:
    config = configure()
    await make(config, stack)
    assert config.run.stat().st_mode & 0o777 == 0o700
    assert config.state.stat().st_mode & 0o777 == 0o700


async def test_what_is_closed_can_be_opened_again(configure: Configure) -> None:
    config = configure()
    for _ in range(2):
        async with AsyncExitStack() as stack:
            await make(config, stack)


async def test_a_second_life_at_the_same_time_is_refused(configure: Configure, stack: AsyncExitStack) -> None:
    config = configure()
    await make(config, stack)
    async with AsyncExitStack() as second:
        with pytest.raises(LedgerFormat, match="is held by another process"):
            await make(config, second)


async def test_without_keys_it_names_the_command_and_makes_nothing(configure: Configure, stack: AsyncExitStack) -> None:
    config = configure(keys=False)
    with pytest.raises(KeyFault, match="run authd init"):
        await make(config, stack)
    assert not config.state.exists()


async def test_a_run_folder_that_cannot_be_made_is_one_line(configure: Configure, stack: AsyncExitStack) -> None:
    config = configure()
    config.run.write_text("a file")
    with pytest.raises(ConfigError, match=r"run: cannot be made, host\.run must be a folder: File exists"):
        await make(config, stack)


async def test_a_damaged_store_is_not_opened_and_not_changed(configure: Configure, stack: AsyncExitStack) -> None:
    config = configure()
    (config.state / "store.sqlite").write_bytes(before := b"no store at all" * 1_000)
    with pytest.raises(StoreDamaged, match=r"run: authd ledger verify --store .*store\.sqlite"):
        await make(config, stack)
    assert (config.state / "store.sqlite").read_bytes() == before


async def test_a_damaged_ledger_closes_the_store_again(configure: Configure) -> None:
    config = configure()
    async with AsyncExitStack() as stack:
        await make(config, stack)
    (segment,) = (config.state / "ledger").glob("*.sqlite")
    segment.write_bytes(b"no ledger at all" * 1_000)
    for _ in range(2):
        async with AsyncExitStack() as stack:
            with pytest.raises(LedgerDamaged, match="run: authd ledger verify"):
                await make(config, stack)


def test_a_configuration_can_be_checked_without_beginning(configure: Configure) -> None:
    config = configure(keys=False)
    check(config)
    assert not config.state.exists()


BROKEN: dict[str, tuple[str, str, type[Exception], str]] = {
    "a driver that is not there": (
        'driver = "vein"', 'driver = "wein"', ConfigError, r"authd\.toml:10: driver 'wein': not installed",
    ),
    "a setting that the driver does not know": (
        'driver = "vein"', 'driver = "vein"\nsorce = "/dev/video0"', ConfigError, r"authd\.toml:10: .*'sorce'",
    ),
    "a simulator at a counter": (
        'driver = "vein"', 'driver = "sim-vein"', ConfigError, r"authd\.toml:10: .*is a simulator, which needs --sim",
    ),
    "a profile that is not there": (
        'driver = "vein"', 'driver = "vein"\nprofile = "/no/such.toml"', ConfigError, r"toml:10: profile: /no/such",
    ),
    "a profile that is a book": (
        'driver = "vein"', 'driver = "vein"\nprofile = "/proc/kallsyms"', ConfigError, "more than 32768 bytes",
    ),
    "a policy that is not there": ("[host]", '[policy]\nfolder = "p"\n[host]', BundleError, "p:1: expected a folder"),
    "settings that are not there": (
        "[host]", '[policy]\nsettings = "s.toml"\n[host]', BundleError, "s.toml:1: expected a readable file",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
async def test_what_cannot_be_used_is_said_by_check_and_by_the_start(
    what: str, configure: Configure, stack: AsyncExitStack
) -> None:
    old, new, error, line = BROKEN[what]
    config = configure(TOML.replace(old, new, 1))
    with pytest.raises(error, match=line):
        check(config)
    with pytest.raises(error, match=line):
        await make(config, stack)


async def test_the_file_of_a_readers_profile_reaches_the_comparator(
    tmp_path: Path, configure: Configure, stack: AsyncExitStack
) -> None:
    (tmp_path / "mine.toml").write_text("mine", encoding="utf-8")
    named = f'driver = "vein"\nprofile = "{tmp_path / "mine.toml"}"'
    made = await make(configure(TOML.replace('driver = "vein"', named, 1)), stack)
    assert made.verifier.keeper.plan.start.shared == {"vein": ("mine",)}


def test_a_reader_at_no_seat_needs_no_driver(configure: Configure) -> None:
    config = configure(keys=False)
    assert ReaderId("spare") in config.readers
    check(config)


def test_simulators_are_found_where_they_are_allowed(configure: Configure) -> None:
    config = configure(TOML.replace('driver = "vein"', 'driver = "sim-vein"\ncable = "/run/v.cable"'), keys=False)
    check(replace(config, simulate=True))


class Errs:
    """A verifier that says how often it errs."""

    checkers = frozenset({"fido2"})

    def __init__(self, **fmr: float | None) -> None:
        self._fmr = fmr

    def fmr(self, modality: str) -> float | None:
        return self._fmr.get(modality)

    def fingers(self, modality: str, people: object) -> list[dict[str, int]]:
        return [{"right_index": 50}]

    def rosters(self, modality: str) -> list[Roster]:
        return [Roster(20, 2, 1e-5, 0.1)] if modality == "vein" else []


def bound(used: set[str], **fmr: float | None) -> float | None:
    verifier: ChildVerifier = Errs(**fmr)  # type: ignore[assignment]  # as much of it as is asked
    found = parts._bound([SubjectId("sub_a")], used, verifier, 1e-4, AUTO)  # pyright: ignore[reportPrivateUsage]
    return found.bound if found else None


def test_the_worst_modality_bounds_a_seat() -> None:
    assert bound({"vein", "fingerprint"}, vein=1e-7, fingerprint=1e-6) == pytest.approx(5e-5)
    assert bound(set()) is None
    assert bound({"vein"}, vein=None) is None


def test_what_compares_nothing_bounds_nothing() -> None:
    assert bound({"vein", "fido2"}, vein=1e-7) == pytest.approx(5e-6)
    assert bound({"fido2"}) == 0.0
    assert bound({"vein", "fido2"}, vein=None) is None


def test_where_one_reader_asks_for_two_fingers_the_seat_does() -> None:
    verifier: ChildVerifier = Errs(vein=1e-5, fingerprint=1e-7)  # type: ignore[assignment]  # as much of it as is asked
    found = parts._bound([SubjectId("sub_a")], {"vein", "fingerprint"}, verifier, 1e-4, AUTO)  # pyright: ignore[reportPrivateUsage]
    assert found is not None
    assert (found.fingers, found.short, found.permitted) == (2, 1, True)


def test_one_modality_that_has_not_said_bounds_the_whole_seat() -> None:
    assert bound({"vein", "fingerprint"}, vein=1e-7, fingerprint=None) is None


def test_every_part_has_its_place() -> None:
    assert "pipeline" in Parts.__dataclass_fields__
