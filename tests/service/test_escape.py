"""From inside a child confined as each bundled driver: everything a hostile driver would try is denied."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from authd.driver import Probe, Watch
from authd.service.host.frames import Start
from authd.service.host.grants import Grants
from authd.service.host.manifest import fill
from authd.service.host.process import Plan
from authd.service.registry import DRIVERS as BUNDLED
from authd.service.registry import SIMULATORS, find_driver
from authd.service.verifier import LIMITS
from tests.service import probes
from tests.service.host.test_supervisor import Watcher, kept, soon

pytestmark = pytest.mark.real

DENIED = {"EPERM", "EACCES", "ENOSYS", "MemoryError", "EMFILE"}
THREADS = {"start_a_thread"}
SOCKETS = {"the_door"}
"""A driver with Unix sockets may connect to any path where Landlock's ABI is below 9; the door refuses children."""
HARMLESS = [
    "read_a_secret",
    "list_a_home",
    "read_passwords",
    "append_to_the_secret",
    "open_a_device",
    "internet",
    "internet_6",
    "netlink",
    "the_door",
    "abstract_socket",
    "signal_core",
    "trace_core",
    "read_cores_environment",
    "be_dumpable",
    "start_a_thread",
    "executable_memory",
    "file_in_memory",
    "signal_a_thread_of_core",
    "read_cores_memory",
]


@dataclass
class Place:
    """What there is to reach, and to be granted."""

    folder: Path
    device: str

    def settings(self) -> dict[str, str]:
        return {
            "secret": str(self.folder / "home" / ".ssh" / "id"),
            "door": str(self.folder / "door.sock"),
            "fifo": str(self.folder / "fifo"),
            "core": str(os.getpid()),
        }

    def granted(self) -> dict[str, dict[str, str]]:
        """Settings of each bundled driver, in each form of its source."""
        return {
            "example": {"source": f"fifo:{self.folder}/fifo"},
            "presence": {"source": f"fifo:{self.folder}/fifo"},
            "presence by line": {"source": f"serial:{self.device}"},
            "vein": {"source": f"folder:{self.folder}/pictures"},
            "vein by camera": {"source": self.device},
            "fido2": {"device": self.device, "office": f"{self.folder}/office.toml"},
            "fido2 by pattern": {"device": "/dev/hidraw*", "office": f"{self.folder}/office.toml"},
            "fido2 by card reader": {
                "device": self.device,
                "office": f"{self.folder}/office.toml",
                "socket": f"{self.folder}/service.sock",
            },
            "pcsc": {"reader": "", "socket": f"{self.folder}/service.sock"},
            "fprintd": {"bus": f"{self.folder}/service.sock"},
            "sim-vein": {"cable": f"{self.folder}/cables/v.cable"},
            "sim-presence": {"cable": f"{self.folder}/cables/p.cable"},
        }


@pytest.fixture
def place() -> Iterator[Place]:
    ours, theirs = pty.openpty()
    with (
        tempfile.TemporaryDirectory() as name,
        socket.socket(socket.AF_UNIX) as door,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        folder = Path(name)
        secret = folder / "home" / ".ssh" / "id"
        secret.parent.mkdir(parents=True)
        secret.write_text("secret")
        (folder / "pictures").mkdir()
        (folder / "cables").mkdir()
        (folder / "office.toml").write_text("rp_id = 'rp.example'")
        os.mkfifo(folder / "fifo")
        door.bind(str(folder / "door.sock"))
        door.listen()
        abstract.bind(f"\0{folder / 'door.sock'}")
        abstract.listen()
        yield Place(folder, os.ttyname(theirs))
    os.close(ours)
    os.close(theirs)


async def tried(grants: Grants, settings: dict[str, str]) -> dict[str, object]:
    """Run the probes in a child with these grants."""
    settings = {**settings, "memory_mb": str(grants.limits.memory_mb)}
    start = Start(0, grants, target="tests.service.probes", settings=settings)
    watcher = Watcher()
    async with kept(Plan("hostile", "reader", start), watcher) as keeper, asyncio.timeout(60):
        await soon(watcher.ups)
        keeper.send(1, Watch())
        message = (await soon(watcher.frames)).message
    assert isinstance(message, Probe)
    found: dict[str, object] = json.loads(message.data)
    return found


def judge(found: dict[str, object], grants: Grants) -> None:
    assert found.pop("environment") == ["LANG", "MALLOC_ARENA_MAX", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PATH"]
    inherited = found.pop("descriptors")
    assert isinstance(inherited, list)
    assert "file" not in inherited
    assert len(found) >= 12
    allowed = {*(THREADS if grants.limits.threads else ()), *(SOCKETS if grants.unix_sockets else ())}
    assert {name: how for name, how in found.items() if how not in DENIED and name not in allowed} == {}


DRIVERS = [
    "example",
    "presence",
    "presence by line",
    "vein",
    "vein by camera",
    "fido2",
    "fido2 by pattern",
    "fido2 by card reader",
    "pcsc",
    "fprintd",
    *sorted(entry.name for entry in entry_points(group=SIMULATORS)),
]


def test_every_bundled_driver_is_here() -> None:
    bundled = {entry.name for entry in entry_points(group=BUNDLED) if find_driver(entry.name).bundled}
    assert bundled <= {name.partition(" ")[0] for name in DRIVERS}


@pytest.mark.parametrize("name", DRIVERS)
async def test_nothing_gets_out_of_a_driver(place: Place, name: str) -> None:
    driver = find_driver(name.partition(" ")[0], simulate=True)
    grants = fill(driver.manifest, place.granted()[name])
    judge(await tried(grants, place.settings()), grants)


async def test_nothing_gets_out_of_the_verifier(place: Place) -> None:
    grants = Grants(limits=LIMITS)
    judge(await tried(grants, place.settings()), grants)


def test_without_a_sandbox_the_same_probes_get_through(place: Place) -> None:
    """Else the tests above would show nothing."""
    code = "import json, sys, tests.service.probes as p; print(json.dumps(p.everything(*json.load(sys.stdin))))"
    settings = {**place.settings(), "memory_mb": "64"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps([settings, HARMLESS]),
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(probes.__file__).parents[2],
    )
    found = json.loads(done.stdout)
    assert {name for name in HARMLESS if found[name] in DENIED} <= {"trace_core", "read_cores_memory"}


def about(pid: int, what: str) -> list[str]:
    return Path(f"/proc/{pid}/{what}").read_text().splitlines()


async def test_core_dumps_and_tracing_are_off_in_a_child(place: Place) -> None:
    grants = fill(find_driver("example").manifest, place.granted()["example"])
    watcher = Watcher()
    start = Start(0, grants, target="authd_drivers.example", settings=place.granted()["example"])
    async with kept(Plan("b", "reader", start), watcher):
        pid = await soon(watcher.ups)
        status, limits = about(pid, "status"), about(pid, "limits")
    for line in ("NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t" + "0" * 16):
        assert line in status
    assert [line.split()[4:6] for line in limits if line.startswith("Max core file size")] == [["0", "0"]]
