"""Bad input on the real processes (one host, one seat): refused, said, survived, and nobody logged in by it.

The tests share one host and run in their order, since setting it up is most of the time that they take.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import zmq
import zmq.asyncio

from authd import client
from authd.core.model import EndReason, Entry, Kind, Message, SeatState
from authd.service.ledger import Reader
from authd.service.sqlite import connect
from authd_simulators import stage as stages
from authd_simulators.control import command
from authd_simulators.day import Watched
from authd_simulators.people import Staff
from authd_simulators.stage import Stage, free_ports

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

SEAT = "counter-1"
PATIENCE_S = 60.0
GRACE_S = 5.0
DISK = 64 << 20


class Disk:
    """Where the host lies: a small disk of its own, or, where none may be mounted, a limit on how long files may be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "tmpfs", folder], check=False)
        self.own = mounted.returncode == 0

    def fill(self, pid: int) -> None:
        """Leave no byte."""
        if not self.own:
            self.forbid(pid)
            return
        with (self.folder / "fill").open("wb", buffering=0) as file:
            for size in (1 << 20, 4_096, 1):
                with suppress(OSError):
                    while file.write(b"\0" * size):
                        continue

    def free(self, pid: int) -> None:
        """Give it all back."""
        (self.folder / "fill").unlink(missing_ok=True)
        self.allow(pid)

    def forbid(self, pid: int) -> None:
        """Let no file of this process be written (EFBIG), as on a disk that fails."""
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def allow(self, pid: int) -> None:
        """As before."""
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def unmount(self) -> None:
        """Remove it."""
        if self.own:
            subprocess.run(["umount", "--lazy", self.folder], check=True)


class OwnPolicy(Stage):
    """A stage whose policy lies in its own folder, to be broken."""

    @property
    def policy(self) -> Path:
        return self.folder / "policy"

    def _toml(self) -> str:
        installed = Path(stages.__file__).parent / "demo_policy"
        if not self.policy.exists():
            shutil.copytree(installed, self.policy)
        return super()._toml().replace(str(installed), str(self.policy))


@dataclass
class Host:
    """The host under test, and what its screen shows."""

    stage: OwnPolicy
    disk: Disk
    door: client.Client
    screen: client.Client
    watched: Watched

    @property
    def clerk(self) -> Staff:
        return self.stage.people[2]

    @property
    def pid(self) -> int:
        return self.stage.processes["daemon"].pid

    @property
    def last(self) -> client.Shown:
        assert self.watched.last is not None
        return self.watched.last

    def rows(self, after: int = 0) -> list[Entry]:
        """What the ledger's files say, from behind this row."""
        reader = Reader(self.stage.ledger)
        try:
            return [row.entry for row in reader.after(after, 10_000)]
        finally:
            reader.close()

    async def head(self) -> int:
        return int((await self.status())["ledger"]["rows"])

    async def status(self) -> dict[str, Any]:
        return await self.door.status()

    async def shows(self, good: Callable[[client.Shown], bool]) -> None:
        """Wait until the screen shows it."""
        assert await self.watched.until(good, -1, PATIENCE_S) is not None, self.watched.last

    async def log_in(self, span_ms: int = 700) -> client.Person:
        """Until the ledger and the screen have it too."""
        head = await self.head()
        there = await self.stage.log_in(self.door, SEAT, self.clerk, span_ms=span_ms)
        await self.written(head, lambda entry: entry.kind is Kind.SESSION_STARTED)
        await self.shows(lambda shown: shown.face.session == there.session)
        return there

    async def log_out(self) -> None:
        """Until the ledger and the screen have it too."""
        head = await self.head()
        await self.stage.log_out(SEAT)
        assert await self.door.who(SEAT, fresh=True) is None
        await self.written(head, lambda entry: entry.kind is Kind.SESSION_ENDED)
        await self.shows(lambda shown: shown.face.subject is None)

    async def device(self, line: str) -> str:
        """Tell the reader; it may refuse."""
        return await command(self.stage.folder / "bench" / "control.sock", f"vein-1 {line}")

    async def written(self, after: int, good: Callable[[Entry], bool]) -> Entry:
        """Wait for a row of the ledger."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = next((entry for entry in self.rows(after) if good(entry)), None)
                if found is not None:
                    return found
                await asyncio.sleep(0.05)

    async def begin(self) -> None:
        """Start the daemon again, over whatever the last one left; wait until the seat can be touched."""
        self.stage.processes.pop("daemon", None)
        await self.stage.start("daemon", ["-I", "-m", "authd", "run", "--config", str(self.stage.config)])
        async with asyncio.timeout(PATIENCE_S):
            while not await self._locked():  # noqa: ASYNC110 - nothing tells, while there is no daemon
                await asyncio.sleep(0.05)

    async def _locked(self) -> bool:
        with suppress(client.ClientError):
            return bool((await self.status())["seats"][SEAT]["state"] == "locked")
        return False


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def host() -> AsyncGenerator[Host, None]:
    folder = Path(tempfile.mkdtemp(prefix="ab", dir="/tmp"))
    disk = Disk(folder)
    try:
        async with OwnPolicy(free_ports(), seats=[SEAT], people=3, folder=folder) as stage, stage.door() as door:
            watched = Watched()
            async with stage.screen(SEAT) as screen, asyncio.TaskGroup() as group:
                watching = group.create_task(watched.watch(screen, SEAT))
                yield Host(stage, disk, door, screen, watched)
                watching.cancel()
    finally:
        disk.unmount()
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Said:
    code: int
    err: str

    @property
    def line(self) -> str:
        """The one line."""
        assert self.err.count("\n") == 1, self.err
        return self.err.removeprefix("authd: ").removesuffix("\n")


async def authd(*words: object) -> Said:
    """Run a verb to its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-m", "authd", *map(str, words)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            _, err = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    return Said(process.returncode or 0, err.decode())


# Peers.


@asynccontextmanager
async def hostile_local(path: Path) -> AsyncGenerator[None, None]:
    """Peers at the local socket: silent ones, one that is cut in the middle, ones that say nonsense without end."""
    silent = [socket.socket(socket.AF_UNIX) for _ in range(60)]
    for peer in silent:
        peer.connect(str(path))
    silent[0].send(b'{"id":1,"verb":"pi')

    async def babble(data: bytes) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with socket.socket(socket.AF_UNIX) as peer, suppress(OSError):
                peer.setblocking(False)
                await loop.sock_connect(peer, str(path))
                for _ in range(50):
                    await loop.sock_sendall(peer, data)
            await asyncio.sleep(0.001)

    nonsense = (b"\x00\xff\n", b'{"id":1,"verb":"unlock"}\n', b"[" * 60_000 + b"\n", b"x" * 200_000, b"{}\n" * 500)
    async with asyncio.TaskGroup() as group:
        babbling = [group.create_task(babble(data)) for data in nonsense]
        try:
            yield
        finally:
            for task in babbling:
                task.cancel()
            for peer in silent:
                peer.close()


@asynccontextmanager
async def hostile_router(host: Host) -> AsyncGenerator[None, None]:
    """Peers at the router: no ZMTP, a key that nobody knows, and an application that says nonsense under its own."""
    path = host.stage.folder / "run" / "router.sock"
    raw = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    for peer in raw:
        peer.connect(str(path))
        peer.send(b"GET / HTTP/1.1\r\n" * 20)
    keys = host.stage.folder / "state" / "keys" / "curve"
    context = zmq.asyncio.Context()
    known = (keys / "app-resident.key").read_text().split()
    dealers = [_dealer(context, keys, path, pair) for pair in (known, [key.decode() for key in zmq.curve_keypair()])]

    async def babble(dealer: Any) -> None:
        while True:
            for frames in ([b"\xff"], [b""], [b"a", b"b", b"c"], [b"x" * 65_536], [b'{"id":1,"verb":"stop"}']):
                with suppress(zmq.Again):
                    await dealer.send_multipart(frames, zmq.NOBLOCK)
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as group:
        babbling = [group.create_task(babble(dealer)) for dealer in dealers]
        try:
            yield
        finally:
            for task in babbling:
                task.cancel()
            for peer in raw:
                peer.close()
            context.destroy(linger=0)


def _dealer(context: zmq.asyncio.Context, keys: Path, path: Path, pair: Sequence[str]) -> zmq.asyncio.Socket:
    dealer = context.socket(zmq.DEALER)
    dealer.sndhwm = 10
    dealer.curve_publickey, dealer.curve_secretkey = pair[0].encode(), pair[1].encode()
    dealer.curve_serverkey = (keys / "router.key").read_text().split()[0].encode()
    dealer.connect(f"ipc://{path}")
    return dealer


async def test_hostile_peers_are_counted_and_others_log_in_beside_them(host: Host) -> None:
    before = (await host.status())["door"]
    async with hostile_local(host.stage.socket), hostile_router(host):
        await asyncio.sleep(0.5)
        person = await host.log_in()
        assert person.staff_number == host.clerk.staff_number
        await host.log_out()
    door = (await host.status())["door"]
    for counter in ("malformed", "oversized", "unauthorised"):
        assert door[counter] > before[counter], (counter, door)
    assert door["faults"] == before["faults"] == 0


# Devices.


ABSENT = {
    "unplugged": ("UNPLUG", "PLUG"),
    "hanging": ("HANG", "RESUME"),
    "talking nonsense": ("GARBAGE bytes", "RESUME"),
    "sending broken frames": ("GARBAGE frame", "RESUME"),
}


@pytest.mark.parametrize("what", ABSENT)
async def test_a_reader_in_trouble_is_said_heals_and_is_nobodys_failed_finger(host: Host, what: str) -> None:
    bad, good = ABSENT[what]
    await host.shows(lambda shown: shown.face.reader)
    seen, head = len(host.watched.shown), await host.head()
    await host.device(bad)
    await host.device(f"TOUCH {host.clerk.staff_number} right_index 400")
    await host.shows(lambda shown: not shown.face.reader and shown.face.message is Message.READER_LOST)
    await host.device(good)
    await host.device("LIFT")
    await host.shows(lambda shown: shown.face.reader)
    assert all(shown.face.subject is None for _, shown in host.watched.shown[seen:])
    for kind in (Kind.READER_LOST, Kind.READER_AVAILABLE):
        await host.written(head, lambda entry, kind=kind: entry.kind is kind)  # type: ignore[misc]  # bound now
    entries = host.rows(head)
    assert not [entry.kind for entry in entries if entry.kind.startswith(("attempt.", "session.", "grant"))]


@pytest.mark.parametrize("garbage", ["image", "size"])
async def test_a_picture_that_is_no_finger_is_nobodys_failed_finger(host: Host, garbage: str) -> None:
    await host.shows(lambda shown: shown.face.reader)
    head = await host.head()
    await host.device(f"GARBAGE {garbage}")
    await host.device(f"TOUCH {host.clerk.staff_number} right_index 300")
    await asyncio.sleep(1)
    assert await host.door.who(SEAT, fresh=True) is None
    await host.device("RESUME")
    await host.shows(lambda shown: shown.face.reader)
    assert not [entry.kind for entry in host.rows(head) if entry.kind.startswith(("attempt.", "session.", "grant"))]


async def test_a_slow_reader_is_waited_for(host: Host) -> None:
    head = await host.head()
    await host.device("SLOW 400")
    assert (await host.log_in(1500)).staff_number == host.clerk.staff_number, "long enough for all of its pictures"
    await host.device("RESUME")
    await host.log_out()
    assert not [entry.kind for entry in host.rows(head) if entry.kind.startswith("attempt.")]


# Policy.


async def test_a_broken_policy_changes_nothing_but_is_said(host: Host) -> None:
    before, head = (await host.status())["policy"], await host.head()
    await host.log_in()
    rules = host.stage.policy / "site" / "demo.cedar"
    good = rules.read_text(encoding="utf-8")
    rules.write_text(good + "\npermit (principal, action, resource", encoding="utf-8")
    refused = await host.written(head, lambda entry: entry.kind is Kind.POLICY_REFUSED)
    assert str(refused.data["error"]).startswith("site/demo.cedar:")
    assert (await host.status())["policy"] == refused.data["bundle"] == before
    assert (await authd("status", "--config", host.stage.config)).code == 0
    assert await host.door.who(SEAT, fresh=True) is not None, "whoever sits there stays"
    said = await authd("run", "--check", "--config", host.stage.config)
    assert (said.code, said.line) == (2, refused.data["error"])
    rules.write_text(good, encoding="utf-8")
    await host.log_out()


# The disk.


async def test_a_full_disk_lets_nobody_in_locks_whoever_is_there_and_heals(host: Host) -> None:
    trouble = "full" if host.disk.own else "broken"
    await _fails(host, lambda: host.disk.fill(host.pid), lambda: host.disk.free(host.pid), trouble)


async def test_a_disk_that_fails_lets_nobody_in_locks_whoever_is_there_and_heals(host: Host) -> None:
    await _fails(host, lambda: host.disk.forbid(host.pid), lambda: host.disk.allow(host.pid), "broken")


async def _fails(host: Host, breaks: Callable[[], None], heals: Callable[[], None], trouble: str) -> None:
    loop = asyncio.get_running_loop()
    session = (await host.log_in()).session
    head = await host.head()
    began = loop.time()
    breaks()
    try:
        await host.device("WRONG 400")  # a row that cannot be written: so the ledger learns of it
        await _until(host, lambda status: status["ledger"]["trouble"] == trouble)
        assert host.last.face.session == session, "it stays open for the grace"
        await host.shows(lambda shown: shown.face.subject is None)
        assert loop.time() - began >= GRACE_S
        await host.shows(lambda shown: shown.face.message is Message.LEDGER_DOWN)
        await host.device("LIFT")
        await host.stage.touch(SEAT, host.clerk)
        await asyncio.sleep(1)
        assert await host.door.who(SEAT, fresh=True) is None
    finally:
        heals()
    await host.shows(lambda shown: shown.face.message is Message.WAITING)
    ended = await host.written(head, lambda entry: entry.kind is Kind.SESSION_ENDED)
    assert (ended.session, ended.reason) == (session, EndReason.FAULT)
    assert not [entry for entry in host.rows(head) if entry.kind is Kind.SESSION_STARTED]
    await host.log_in()
    await host.log_out()


async def _until(host: Host, good: Callable[[dict[str, Any]], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not good(await host.status()):  # noqa: ASYNC110 - a status is asked for, not told
            await asyncio.sleep(0.05)


# Enrolment.


async def test_an_enrolment_whose_caller_goes_away_gives_the_reader_back(host: Host) -> None:
    officer, head = host.stage.people[0], await host.head()
    await host.stage.log_in(host.door, SEAT, officer)
    async with host.stage.door() as caller:
        steps = caller.enrol(SEAT, staff_number="2001", name="x", kana="", section="tax", finger="left_index")
        assert (await anext(steps)).step == "officer_touch"
        await host.stage.press(SEAT, officer)
        asked = await host.stage.next_step(steps, SEAT, officer)
        assert asked is not None
        assert asked.step == "touch"
        await steps.aclose()
    await host.log_out()
    await host.log_in()
    await host.log_out()
    assert not [entry for entry in host.rows(head) if entry.kind.startswith("enrolment.")]


# Beginning and ending.


async def test_a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on(host: Host) -> None:
    await host.log_in()
    for verb in (["run"], ["init", "--officer", "1:a:b:c", "--officer", "2:a:b:c"]):
        said = await authd(*verb, "--config", host.stage.config)
        held = f"{host.stage.ledger} is held by another process: see authd status; authd stop ends it"
        assert (said.code, said.line) == (1, held)
    assert await host.door.who(SEAT, fresh=True) is not None
    await host.log_out()


async def test_a_second_init_changes_nothing(host: Host) -> None:
    keys = host.stage.folder / "state" / "keys"
    before = {path: path.read_bytes() for path in keys.rglob("*.key")}
    assert (await authd("init", "--keys-only", "--config", host.stage.config)).code == 0
    assert {path: path.read_bytes() for path in keys.rglob("*.key")} == before
    assert len(before) >= 6


async def test_a_daemon_that_is_killed_leaves_nobody_at_the_seat(host: Host) -> None:
    session, head = (await host.log_in()).session, await host.head()
    children = [pid for pid in (await host.status())["children"].values() if pid]
    os.kill(host.pid, signal.SIGKILL)
    await host.stage.processes["daemon"].wait()
    assert host.stage.socket.exists(), "what it left is in the way of nobody"
    await host.begin()
    ended = await host.written(head, lambda entry: entry.kind is Kind.SESSION_ENDED)
    assert (ended.session, ended.reason) == (session, EndReason.CRASH)
    await host.shows(lambda shown: shown.face.state is SeatState.LOCKED and shown.face.subject is None)
    assert not any(_lives(pid) for pid in children), "its children died with it"


def _lives(pid: int) -> bool:
    """Whether it still runs: a dead one that nobody has waited for yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


async def test_a_daemon_that_is_ended_says_so(host: Host) -> None:
    session, head = (await host.log_in()).session, await host.head()
    process = host.stage.processes["daemon"]
    process.terminate()
    assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
    (ended,) = [entry for entry in host.rows(head) if entry.kind is Kind.SESSION_ENDED]
    assert (ended.session, ended.reason) == (session, EndReason.SHUTDOWN)
    said = await authd("init", "--config", host.stage.config, "--officer", "8:a:b:c", "--officer", "9:a:b:c")
    assert (said.code, said.err.splitlines()[-1]) == (4, "authd: refused: only the first 2 officers are founded")
    await host.begin()
    assert await host.door.who(SEAT, fresh=True) is None


def _settle(path: Path) -> None:
    """Bring what stands in the WAL into the file, so that it is the file that counts."""
    db = connect(path, False)
    db.empty_wal()
    db.close()


async def test_a_damaged_store_or_ledger_is_not_opened_and_not_changed(host: Host) -> None:
    await host.stage.end("daemon")
    state = host.stage.folder / "state"
    segment = sorted(host.stage.ledger.glob("*.sqlite"))[-1]  # a month may have turned
    for path, verify in ((state / "store.sqlite", ["--store", state / "store.sqlite"]), (segment, [host.stage.ledger])):
        _settle(path)
        good = path.read_bytes()
        damaged = good[:4_096] + b"\xa5" * 8_192 + good[12_288:]
        path.write_bytes(damaged)
        said = await authd("run", "--config", host.stage.config)
        words = " ".join(map(str, ("run: authd ledger verify", *verify)))
        assert said.code == 1
        assert said.line.endswith(words), said.line
        assert (await authd("ledger", "verify", *verify)).code == 1, "the command that it named"
        assert path.read_bytes() == damaged
        path.write_bytes(good)
    await host.begin()
    await host.log_in()
    await host.log_out()


async def test_whatever_is_broken_at_the_start_is_one_line(host: Host) -> None:
    """Beside the host that runs: a host of its own, with a configuration, then a policy that cannot be used."""
    with tempfile.TemporaryDirectory(prefix="ab", dir="/tmp") as name:
        folder = Path(name)
        toml, good = folder / "authd.toml", '[host]\nstate = "s"\nrun = "r"\n[policy]\nfolder = "p"\n[seat.a]\n'
        shutil.copytree(host.stage.policy, folder / "p")
        toml.write_text(good)
        said = await authd("run", "--config", toml)
        assert (said.code, "run authd init" in said.line) == (2, True)
        assert (await authd("init", "--keys-only", "--config", toml)).code == 0
        toml.write_text(good + "colour = 'red'\n")
        said = await authd("run", "--config", toml)
        assert (said.code, said.line.startswith(f"{toml}:7: unknown key colour, expected one of: ")) == (2, True)
        toml.write_text(good)
        (folder / "p" / "settings.toml").write_text("[seat.counter]\nidle_s = 900\n")
        said = await authd("run", "--config", toml)
        assert (said.code, said.line.startswith("settings.toml:2: idle_s must be <= 300 ")) == (2, True)
        assert not (folder / "s" / "ledger").exists()


async def test_every_line_that_the_daemon_logged_is_one_record(host: Host) -> None:
    lines = (host.stage.folder / "daemon.log").read_text(encoding="utf-8").splitlines()
    assert lines
    assert all(json.loads(line).keys() >= {"level", "logger", "text"} for line in lines)
    said = "\n".join(lines)
    assert "Traceback" not in said
    assert not [person.name for person in host.stage.people if person.name in said]
