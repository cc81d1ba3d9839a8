"""A Linux desktop at a seat: a stage, Xvfb, an old application's white window, logind's mock, and the agent itself."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

import authd_simulators
from authd.agent.locker import MARK, end_marked, state
from authd.agent.x11 import BACK_PIXEL, Display
from authd.client import Event, Person
from authd_simulators.keyring import SimulatedKey
from authd_simulators.people import Staff
from authd_simulators.stage import Stage, free_ports

SEAT = "counter-2"
WIDTH, HEIGHT = 800, 600
WHITE = 0xFFFFFF
PATIENCE_S = 60.0
SESSION = "c1"
NEEDS = {
    "Xvfb": "xvfb",
    "xsecurelock": "xsecurelock",
    "xss-lock": "xss-lock",
    "dbus-daemon": "dbus",
    "xdotool": "xdotool",
    "xset": "x11-xserver-utils",
}
T = TypeVar("T")


def until(there: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> float:
    """Wait until something is so; returns for how long, in seconds."""
    began = time.perf_counter()
    while not there():
        if time.perf_counter() - began > patience_s:
            raise AssertionError(f"{what}: not within {patience_s:.0f} s")
        time.sleep(0.001)
    return time.perf_counter() - began


class Eye:
    """Sees the screen, as a visitor does; and shows the old application's window on it."""

    def __init__(self, name: str) -> None:
        self.display = Display(name)
        x = self._x = self.display.x
        x.XGetImage.restype = ctypes.c_void_p
        whole = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int, ctypes.c_int, ctypes.c_uint, ctypes.c_uint]
        x.XGetImage.argtypes = [*whole, ctypes.c_ulong, ctypes.c_int]
        x.XGetPixel.restype, x.XGetPixel.argtypes = ctypes.c_ulong, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
        x.XDestroyImage.argtypes = [ctypes.c_void_p]
        x.XMapWindow.argtypes = [ctypes.c_void_p, ctypes.c_ulong]
        attributes = (ctypes.c_ulong * 15)()
        attributes[1] = WHITE
        place = (0, 0, WIDTH, HEIGHT, 0, 0, 0, None, BACK_PIXEL, ctypes.byref(attributes))
        self.window = x.XCreateWindow(self.display.display, self.display.root, *place)
        x.XMapWindow(self.display.display, self.window)
        x.XSync(self.display.display, 0)

    def lower(self) -> None:
        """Put the old application's window beneath the others again."""
        self._x.XLowerWindow.argtypes = [ctypes.c_void_p, ctypes.c_ulong]
        self._x.XLowerWindow(self.display.display, self.window)
        self._x.XSync(self.display.display, 0)

    def sees(self) -> bool:
        """Whether any of the old application can be seen."""
        spots = [(WIDTH * across // 8, HEIGHT * down // 8) for across in (0, 1, 3, 5, 7) for down in (0, 1, 3, 5, 7)]
        return any(self.pixel(*spot) == WHITE for spot in spots)

    def pixel(self, across: int, down: int) -> int:
        image = self._x.XGetImage(self.display.display, self.display.root, across, down, 1, 1, WHITE, 2)
        if not image:
            return WHITE
        try:
            return int(self._x.XGetPixel(image, 0, 0)) & WHITE
        finally:
            self._x.XDestroyImage(image)

    def save(self, path: str) -> None:
        """Write what is on the screen as a picture (PPM), for whoever wants to look at it."""
        image = self._x.XGetImage(self.display.display, self.display.root, 0, 0, WIDTH, HEIGHT, WHITE, 2)
        pixels = bytearray()
        for down in range(HEIGHT):
            for across in range(WIDTH):
                pixels += (int(self._x.XGetPixel(image, across, down)) & WHITE).to_bytes(3, "big")
        self._x.XDestroyImage(image)
        Path(path).write_bytes(b"P6 %d %d 255\n" % (WIDTH, HEIGHT) + bytes(pixels))

    def colours(self) -> set[int]:
        """The colours of a grid over the whole screen."""
        return {self.pixel(across, down) for across in range(0, WIDTH, 20) for down in range(0, HEIGHT, 20)}


class Bus:
    """A private system bus with python-dbusmock's logind on it."""

    def __init__(self, folder: Path) -> None:
        self.address = f"unix:path={folder}/bus"
        bus = ["dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={self.address}"]
        self._processes = [subprocess.Popen(bus, stderr=subprocess.DEVNULL)]
        until((folder / "bus").exists, "the private bus")
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address, "PYTHONNOUSERSITE": "1"}
        mock = ["/usr/bin/python3", "-m", "dbusmock", "--system", "--template", "logind"]
        self._processes.append(subprocess.Popen(mock, env=environment, stdout=subprocess.DEVNULL))

    async def say(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> Any:
        """Call something of the mock's, patiently: it may still be starting."""
        bus = await MessageBus(bus_address=self.address, bus_type=BusType.SYSTEM).connect()
        name = "org.freedesktop.login1"
        try:
            for _ in range(600):
                answer = await bus.call(Message(name, path, interface, member, signature=signature, body=list(body)))
                if answer.message_type is not MessageType.ERROR:
                    return answer.body[0] if answer.body else None
                if "ServiceUnknown" not in str(answer.error_name):
                    raise AssertionError(f"{member}: {answer.error_name} {answer.body}")
                await asyncio.sleep(0.05)
            raise AssertionError("dbusmock's logind did not start; is python3-dbusmock installed?")
        finally:
            bus.disconnect()

    def close(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait()


IDLE = """
[seat.office]
idle_s = 5
fade_s = 1
"""


class _Stage(Stage):
    """With keys, and with a desktop whose account is the seat's screen; nobody's session there is idle for 5 s."""

    def __init__(self, account: str) -> None:
        self._account = account
        super().__init__(free_ports(), people=4, keys=True, desktops=(SEAT,))

    def _toml(self) -> str:
        policy = self.folder / "policy"
        shutil.copytree(Path(authd_simulators.__file__).parent / "demo_policy", policy)
        with (policy / "settings.toml").open("a") as settings:
            settings.write(IDLE)
        text = (
            super()._toml().replace("desktop = true", f'desktop = true\nclass = "office"\naccount = "{self._account}"')
        )
        given = re.sub(r"(?m)^folder = .*$", f'folder = "{policy}"', text)
        return given + f'[door]\ngroup = "{self._account}"\n'

    def owner(self, held: SimulatedKey) -> Staff:
        return self.clerks[0]

    async def _enrol_key(self, held: SimulatedKey) -> None:
        """Nobody logs in at a desktop that has no agent: here is one that does nothing but attend."""
        if held.seat != SEAT:
            return
        async with self.screen(SEAT) as screen, asyncio.TaskGroup() as group:

            async def attend() -> None:
                while True:
                    await screen.attend(SEAT, "covered")
                    await screen.activity(SEAT)
                    await asyncio.sleep(0.1)

            attending = group.create_task(attend())
            await super()._enrol_key(held)
            attending.cancel()


class Desktop:
    """One seat with a desktop. To be used with `with`."""

    def __init__(self, *, logind: bool = False, account: str = "") -> None:
        """`account`: the desktop's, as which it is its seat's screen at the local door; its people have keys too.

        Without one it has the seat's own key at the router.
        """
        missing = sorted({package for tool, package in NEEDS.items() if shutil.which(tool) is None})
        assert not missing, f"install {' '.join(missing)} (make e2e does)"
        self._runner = asyncio.Runner()
        self._account = account
        self.stage = _Stage(account) if account else Stage(free_ports(), people=4, desktops=(SEAT,))
        self.run = self.stage.folder / "agent"
        self._logind = logind
        self.bus: Bus | None = None
        self.agent: subprocess.Popen[bytes] | None = None
        self._x: subprocess.Popen[bytes] | None = None
        self._beside: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            self._start_x()
            self.do(self.stage.__aenter__)
            if self._account:
                self.run.mkdir(0o700)
                shutil.chown(self.run, self._account)
                self.stage.folder.chmod(0o711)
            if self._logind:
                self.bus = Bus(self.stage.folder)
                self.logind("/org/freedesktop/login1", "org.freedesktop.DBus.Mock", "AddSession", "ssusb", *_SESSION)
            self.start_agent()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End what was started, in order."""
        for process in (*self._beside, self.agent):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        self.kill_locker()
        if self.bus is not None:
            self.bus.close()
        self.do(self.stage.close)
        if self._x is not None:
            self._x.terminate()
            self._x.wait()
        self._runner.close()

    def do(self, work: Callable[[], Awaitable[T]]) -> T:
        async def run() -> T:
            return await work()

        return self._runner.run(run())

    # The desktop.

    def _start_x(self) -> None:
        ours, theirs = os.pipe()
        size = f"{WIDTH}x{HEIGHT}x24"
        words = ["Xvfb", "-displayfd", str(theirs), "-screen", "0", size, "-nolisten", "tcp"]
        self._x = subprocess.Popen(words, pass_fds=(theirs,), stderr=subprocess.DEVNULL)
        os.close(theirs)
        with os.fdopen(ours) as number:
            self.name = f":{number.readline().strip()}"
        self.eye = Eye(self.name)

    @property
    def environment(self) -> dict[str, str]:
        dropped = ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE", "DBUS_SYSTEM_BUS_ADDRESS")
        environment = {name: value for name, value in os.environ.items() if name not in dropped}
        bus = self.bus.address if self.bus is not None else f"unix:path={self.stage.folder}/none"
        return {**environment, "DISPLAY": self.name, "XDG_SESSION_ID": SESSION, "DBUS_SYSTEM_BUS_ADDRESS": bus}

    def words(self, *more: str) -> list[str]:
        words = [sys.executable, "-I", "-m", "authd", "agent", "--seat", SEAT, "--run", str(self.run)]
        if self._account:
            return [*words, "--door", f"unix:{self.stage.socket}", *more]
        keys, router = self.stage.folder / "state" / "keys" / "curve", f"ipc://{self.stage.folder}/run/router.sock"
        words += ["--door", router, "--key", str(keys / f"seat-{SEAT}.key"), "--server-key", str(keys / "router.key")]
        return [*words, *more]

    def start_agent(self) -> None:
        """Start it, and wait until the screen is held."""
        with suppress(FileNotFoundError):
            (self.run / "cover").unlink()
        with (self.stage.folder / "agent.log").open("ab") as log:
            words = [*(_as(self._account) if self._account else ()), *self.words()]
            self.agent = subprocess.Popen(words, env=self.environment, stderr=log, start_new_session=True)
        self.wait_covered()

    def start(self, words: list[str]) -> subprocess.Popen[bytes]:
        """Start something beside it, that ends with the desktop."""
        with (self.stage.folder / "beside.log").open("ab") as log:
            process = subprocess.Popen(words, env=self.environment, stderr=log, stdout=log)
        self._beside.append(process)
        return process

    def tool(self, *words: str) -> None:
        """Use keyboard and mouse."""
        subprocess.run(["xdotool", *words], env=self.environment, check=False, stdout=subprocess.DEVNULL, timeout=60)

    def windows(self) -> list[str]:
        """Numbers of all windows that are shown, but for the old application's."""
        words = ["xdotool", "search", "--onlyvisible", "--name", ".*"]
        found = subprocess.run(words, env=self.environment, check=False, capture_output=True, text=True, timeout=60)
        return [each for each in found.stdout.split() if each != str(self.eye.window)]

    def logind(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> Any:
        assert self.bus is not None
        bus = self.bus
        return self.do(lambda: bus.say(path, interface, member, signature, *body))

    # What is so.

    @property
    def cover(self) -> str:
        with suppress(OSError):
            return (self.run / "cover").read_text("ascii")
        return ""

    @property
    def hidden(self) -> bool:
        return not self.eye.sees()

    @property
    def locker(self) -> int:
        """Process of the locker; 0: there is none."""
        with suppress(OSError, ValueError, IndexError):  # it may be just being written
            pid = int((self.run / "locker").read_text("ascii").split()[0])
            return pid if state(pid) not in ("", "Z", "X") else 0
        return 0

    def wait_covered(self) -> None:
        until(lambda: self.cover == "covered", f"the cover\n{self.said()}")

    def said(self) -> str:
        log = self.stage.folder / "agent.log"
        return log.read_text(errors="replace")[-2_000:] if log.exists() else ""

    def kill_locker(self) -> None:
        with suppress(OSError, ValueError):
            end_marked((self.run / "locker").read_text("ascii").split()[1])

    def left(self) -> list[str]:
        """What still runs of all that any locker here has started before the present one."""
        here, now = f"XSECURELOCK_AUTH={self.run}/", "nothing"
        with suppress(OSError, ValueError):
            now = f"{MARK}=" + (self.run / "locker").read_text("ascii").split()[1]
        return [each.name for each in Path("/proc").glob("[0-9]*") if _of(each, here) and not _of(each, now)]

    def status(self) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            async with self.stage.door() as door:
                return dict(await door.status())

        return self.do(ask)

    def losses(self) -> list[str]:
        """Why covers were lost, as the ledger tells."""
        return [str(each.detail["why"]) for each in self._events() if each.kind == "cover.lost"]

    def ends(self) -> dict[str, str]:
        """Why each session has ended, as the ledger tells."""
        return {str(each.session): str(each.reason) for each in self._events() if each.kind == "session.ended"}

    def _events(self) -> list[Event]:
        async def read() -> list[Event]:
            async with self.stage.door() as door:
                return [event async for event in door.follow(0, until=head)]

        head = self._head()
        return self.do(read) if head else []

    def _head(self) -> int:
        return int(self.status()["ledger"]["rows"])

    # What happens.

    def who(self) -> Person | None:
        async def ask() -> Person | None:
            async with self.stage.door() as door:
                return await door.who(SEAT)

        return self.do(ask)

    def log_in(self, person: Staff | None = None) -> Person:
        """Touch until the desktop is open."""

        async def touch() -> Person:
            async with self.stage.door() as door:
                return await self.stage.log_in(door, SEAT, person or self.stage.clerks[0])

        there = self.do(touch)
        until(lambda: self.cover == "open" and not self.hidden, f"the open desktop\n{self.said()}")
        return there

    def lock(self) -> float:
        """Press the screen's button; returns the moment just before, by `time.perf_counter`."""

        async def press() -> float:
            async with self.stage.screen(SEAT) as screen:
                await screen.ping()
                at = time.perf_counter()
                await screen.press(SEAT, "lock")
                return at

        return self.do(press)


def _as(account: str) -> list[str]:
    """Another account, which may read and enter folders as we may: the interpreter can lie in a home."""
    reads = [f"--{which}-caps=+dac_read_search" for which in ("inh", "ambient")]
    return ["setpriv", f"--reuid={account}", f"--regid={account}", "--clear-groups", *reads, "--"]


def _of(process: Path, variable: str) -> bool:
    """Whether this is in its environment."""
    try:
        return variable.encode() in (process / "environ").read_bytes()
    except OSError:
        return False


_SESSION = (SESSION, "seat0", os.getuid(), "counter", True)


@contextmanager
def desktop(*, logind: bool = False) -> Generator[Desktop]:
    """A desktop whose screen is covered, with its agent."""
    with Desktop(logind=logind) as there:
        yield there
