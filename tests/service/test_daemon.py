"""The daemon as it is put together: whose key is whose, what the policy's news does, how it begins and ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from authd import client
from authd.cli.init import make_keys
from authd.core.model import Epoch, Kind, SeatId
from authd.core.seat import Seat
from authd.service import daemon, pdp
from authd.service.bus.house import Attribute, Role
from authd.service.config import Config, load
from authd.service.daemon import Daemon, serve
from authd.service.ledger.trouble import LedgerFormat
from authd.service.parts import Parts, make, source
from authd.service.pdp import BundleError, Loaded, Refused, Scope

TOML = """\
[host]
name = "ward-1"
state = "state"
run = "run"
[seat.counter-1]
applications = ["resident"]
[seat.counter-2]
[application.resident]
url = "http://127.0.0.1:8790/"
scope = ["name"]
[application.other]
url = "http://127.0.0.1:8791/"
key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
"""
ONE = SeatId("counter-1")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A path short enough for a socket."""
    made = Path(tempfile.mkdtemp(prefix="ad", dir="/tmp"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def config(folder: Path) -> Config:
    (folder / "authd.toml").write_text(TOML, encoding="utf-8")
    found = load(folder / "authd.toml")
    make_keys(found)
    return found


@pytest.fixture
async def parts(config: Config) -> AsyncIterator[Parts]:
    async with AsyncExitStack() as stack:
        yield await make(config, stack)


# Whose key is whose.


def test_a_screen_is_its_seats_and_an_application_has_its_seats_and_scope(parts: Parts) -> None:
    peers = daemon._peers(parts)  # pyright: ignore[reportPrivateUsage] - the table itself
    shown = peers.of_key(parts.keys.curve("seat-counter-1").public)
    resident = peers.of_key(parts.keys.curve("app-resident").public)
    assert shown is not None
    assert resident is not None
    assert (shown.role, shown.name, shown.seats) == (Role.SCREEN, "screen:counter-1", frozenset({ONE}))
    assert (resident.role, resident.name) == (Role.APPLICATION, "resident")
    assert (resident.seats, resident.scope) == (frozenset({ONE}), frozenset({Attribute.NAME}))


def test_an_application_that_no_seat_names_has_no_seat(parts: Parts) -> None:
    peers = daemon._peers(parts)  # pyright: ignore[reportPrivateUsage] - the table itself
    other = peers.of_key(parts.config.applications["other"].key)
    assert other is not None
    assert (other.seats, other.scope) == (frozenset(), frozenset())


def test_nobody_elses_key_is_anybodys(parts: Parts) -> None:
    peers = daemon._peers(parts)  # pyright: ignore[reportPrivateUsage] - the table itself
    assert len(peers.live()) == 4
    assert peers.of_key(parts.keys.curve("router").public) is None
    assert peers.of_uid(os.geteuid()) is not None
    assert peers.of_uid(65_534) is None


# The policy's news.


async def _rows(parts: Parts, kind: Kind) -> list[dict[str, Any]]:
    await parts.ledger.checkpoint()
    return [dict(row.entry.data) for row in await parts.ledger.entries(f"kind:{kind}")]


async def test_a_bundle_that_is_refused_is_written_and_changes_nothing(parts: Parts, mocker: Any) -> None:
    again = mocker.patch.object(parts.pipeline, "reconsider")
    news = Refused(BundleError("site/own.cedar", 3, "expected a Cedar policy"), parts.pdp.bundle)
    Daemon(parts)._policy_changed(news)  # pyright: ignore[reportPrivateUsage] - what `watch` is given
    (data,) = await _rows(parts, Kind.POLICY_REFUSED)
    assert data == {"error": "site/own.cedar:3: expected a Cedar policy", "bundle": parts.pdp.bundle.hash}
    again.assert_not_called()


async def test_another_bundle_is_written_and_every_session_is_reconsidered(parts: Parts, mocker: Any) -> None:
    again = mocker.patch.object(parts.pipeline, "reconsider")
    Daemon(parts)._policy_changed(Loaded(parts.pdp.bundle))  # pyright: ignore[reportPrivateUsage] - what `watch` is given
    assert await _rows(parts, Kind.POLICY_LOADED) == [{"bundle": parts.pdp.bundle.hash}]
    again.assert_called_once_with()


# What it says of itself.


def test_the_status_names_every_part(parts: Parts) -> None:
    state: Any = Daemon(parts).state()
    assert state["pid"] == os.getpid()
    assert state["children"] == {"verifier": None, "web": None}
    assert (state["verifier_ready"], state["web_ready"]) == (False, True)
    assert state["ledger"] == {"rows": 2, "trouble": None}  # the keys of two seats
    assert state["templates"] == {"left_out": (), "missing": ()}
    assert state["policy"] == parts.pdp.bundle.hash


def test_a_page_that_is_wanted_and_not_there_is_said(parts: Parts) -> None:
    asked = replace(parts, config=replace(parts.config, web_port=8780))
    state: Any = Daemon(asked).state()
    assert (state["web_ready"], state["children"]["web"]) == (False, None)


def test_before_the_comparator_has_spoken_nobody_is_identified(parts: Parts) -> None:
    state: Any = Daemon(parts).state()
    assert state["identification"][ONE]["permitted"] is False


def test_each_seat_says_how_many_are_looked_for_and_by_how_many_fingers(parts: Parts, mocker: Any) -> None:
    said = Scope(3.2e-5, 1e-4, 720, 181, 2, 120, 7, 0.067)
    mocker.patch.object(parts.roster, "bound", return_value=said)
    state: Any = Daemon(parts).state()
    assert state["identification"][ONE] == {
        "permitted": True,
        "people": 120,
        "fingers": 2,
        "people_with_fewer_fingers": 7,
        "bound": 3.2e-5,
        "limit": 1e-4,
        "fnir_percent": 0.067,
        "templates": 720,
    }


def test_the_ledgers_health_reaches_every_seat(parts: Parts) -> None:
    parts.pipeline.seats[ONE] = Seat(ONE, Epoch(1))
    assert parts.ledger.on_health is not None
    parts.ledger.on_health(False, "full")
    assert parts.pipeline.seats[ONE].ledger_lost_at is not None
    parts.ledger.on_health(True, "")
    assert parts.pipeline.seats[ONE].ledger_lost_at is None


# Beginning and ending, with its real processes.


@pytest.mark.real
async def test_it_tells_systemd_when_it_is_ready_that_it_lives_and_when_it_ends(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = list[bytes]()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(config.state / "notify"))
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(config.state / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "100000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            group.create_task(serve(config))
            while b"READY=1" not in said:
                said.append(await asyncio.get_running_loop().sock_recv(systemd, 100))
            async with client.connect(f"unix:{config.socket}") as door:
                assert (await door.status())["host"] == "ward-1"
            os.kill(os.getpid(), signal.SIGTERM)
            while b"STOPPING=1" not in said:
                said.append(await asyncio.get_running_loop().sock_recv(systemd, 100))
    assert b"WATCHDOG=1" in said
    assert not config.socket.exists()


@pytest.mark.real
async def test_stop_ends_it_and_it_can_begin_again(config: Config) -> None:
    for _ in range(2):
        ready = asyncio.Event()
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            group.create_task(serve(config, ready.set))
            await ready.wait()
            async with client.connect(f"unix:{config.socket}") as door:
                with pytest.raises(LedgerFormat):
                    await serve(config)
                await door.stop()


@pytest.mark.real
async def test_a_door_that_cannot_be_opened_keeps_it_from_beginning(config: Config) -> None:
    config.run.mkdir(mode=0o700)
    config.socket.write_text("somebody's file")
    with pytest.raises(ExceptionGroup) as error:
        await serve(config)
    assert "door.sock: is not a socket" in str(error.value.exceptions)
    assert config.socket.read_text() == "somebody's file"


def test_a_bundle_is_read_from_where_the_configuration_says(config: Config) -> None:
    assert source(config).folder == pdp.installed()
    assert source(replace(config, policy=Path("/p"))).folder == Path("/p")
