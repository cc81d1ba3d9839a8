"""The systemd unit: as closed as it says, and the daemon runs in it."""

from __future__ import annotations

import asyncio
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from authd_simulators.stage import Application, Stage, free_ports
from tests.packaging.checks import HIGHEST_EXPOSURE, complaints, exposure, systemd
from tests.packaging.unit import UNIT, calls, settings


@systemd
def test_it_is_as_closed_as_a_daemon_with_a_camera_and_a_page_can_be() -> None:
    assert exposure(UNIT) <= HIGHEST_EXPOSURE


@systemd
def test_systemd_understands_every_line() -> None:
    assert complaints(UNIT) == []


def test_its_names_are_ours_and_not_those_of_another_project() -> None:
    given = settings(UNIT)
    assert UNIT.name == "authd-seat.service"
    for name in ("User", "Group", "StateDirectory", "RuntimeDirectory", "ConfigurationDirectory"):
        assert given[name] == ["authd-seat"]
    assert given["ExecStart"][0].endswith(" -I -m authd run")


def test_what_it_does_not_close_has_its_reason_beside_it() -> None:
    text = UNIT.read_text(encoding="utf-8")
    for line in ("PrivateUsers=no", "PrivateDevices=no", "ProtectClock=no", "ProcSubset=all"):
        before = text[: text.index(f"\n{line}\n")].splitlines()[-1]
        assert before.startswith("#"), line


def test_the_watchdog_is_one_that_the_daemon_feeds() -> None:
    given = settings(UNIT)
    assert (given["Type"], given["NotifyAccess"]) == (["notify"], ["main"])
    assert 1 < int(given["WatchdogSec"][0]) <= 30


@systemd
def test_the_children_can_confine_themselves_and_nothing_can_do_more() -> None:
    allowed = calls(UNIT)
    assert {"seccomp", "landlock_restrict_self", "capset", "prctl", "memfd_create", "adjtimex"} <= allowed
    assert not {"mount", "ptrace", "setuid", "bpf", "unshare", "settimeofday", "init_module", "reboot"} & allowed


class Confined(Stage):
    """A stage whose daemon runs as the unit confines it."""

    async def start(self, name: str, arguments: Sequence[str]) -> None:
        if name == "daemon":
            arguments = ["-m", "tests.packaging.unit", str(UNIT), sys.executable, *arguments]
        await super().start(name, arguments)


@systemd
@pytest.mark.real
async def test_the_daemon_its_children_and_its_page_run_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(UNIT.parents[1])
    # An account at the local door: its socket is given to a group, without the capability to give anything away.
    lines = ('accounts = ["games"]', "[door]", 'group = "root"')
    system = Application("resident", "住民記録", "Residents", lines=lines)
    stage = Confined(free_ports(), seats=["counter-1"], people=3, web=True, systems=(system,))
    async with stage, stage.door() as door:
        assert stat.S_IMODE(stage.socket.stat().st_mode) == 0o660
        person = await stage.log_in(door, "counter-1", stage.people[2])
        assert person.staff_number == stage.people[2].staff_number
        status: Any = await door.status()
        async with asyncio.timeout(60):
            while not status["web_ready"]:
                await asyncio.sleep(0.1)
                status = await door.status()
        assert (status["verifier_ready"], status["replaced"], status["ledger"]["trouble"]) == (True, {}, None)
        for pid in (status["pid"], *status["children"].values()):
            _is_confined(pid)
        await stage.log_out("counter-1")
        log = (stage.folder / "daemon.log").read_text(encoding="utf-8")
        lacks = [line for line in log.splitlines() if "sandbox lacks" in line]
        assert [line for line in lacks if "unix sockets by path" not in line] == [], "but for what the kernel lacks"
        assert '"ERROR"' not in log


def _is_confined(pid: int) -> None:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
