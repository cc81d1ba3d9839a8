"""The stage of every demo and drill: a host of two seats in a folder of its own, with its real processes.

The daemon is started as on a counter terminal (`authd init`, `authd run`); only the devices are simulated, and the
people are enrolled through the same door, by an officer's touch, as everybody else is.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from authd import client
from authd_simulators.control import command
from authd_simulators.people import SECTIONS, Staff, population

SEATS = ("counter-1", "counter-2")
NAMES = {"counter-1": ("窓口1", "Counter 1"), "counter-2": ("窓口2", "Counter 2")}
PEOPLE = 10
TOUCH_MS = 400
"""Long enough for a reader on a busy machine to take its picture."""
READY_WITHIN_S = 30.0
AGAIN_S = 2.0
END_WITHIN_S = 5.0


class StageError(Exception):
    """The stage could not be set; the text says what a process said last."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the pages are: loopback ports."""

    web: int
    resident: int
    strip: int


def free_ports() -> Ports:
    """Return three ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = Ports(*(each.getsockname()[1] for each in sockets))
    for each in sockets:
        each.close()
    return ports


class Stage:
    """Two seats, their devices, their people. Leaving it ends every process and removes the folder it made."""

    def __init__(
        self,
        ports: Ports,
        *,
        pages: bool = False,
        web: bool = False,
        seats: Sequence[str] = SEATS,
        people: int = PEOPLE,
        folder: Path | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.ports, self.pages, self.web, self.seats, self.say = ports, pages, web or pages, tuple(seats), say
        self.people: tuple[Staff, ...] = population(people)
        self.folder = folder or Path(tempfile.mkdtemp(prefix="authd-"))
        self._own = folder is None
        self.config = self.folder / "authd.toml"
        self.socket = self.folder / "run" / "door.sock"
        self.ledger = self.folder / "state" / "ledger"
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.ready_s = 0.0
        """From the daemon's start to its first seat that can be touched."""

    # Setting it up and striking it.

    async def __aenter__(self) -> Self:
        try:
            await self._set_up()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End what was started, the daemon before its devices."""
        for name in reversed(list(self.processes)):
            await self.end(name)
        if self._own:
            shutil.rmtree(self.folder, ignore_errors=True)

    async def _set_up(self) -> None:
        for name in ("run", "state", "bench"):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        self.config.write_text(self._toml(), encoding="utf-8")
        devices = [word for seat in self.seats for word in ("--vein", vein(seat), "--presence", presence(seat))]
        bench = ["-m", "authd_simulators.bench", "--dir", str(self.folder / "bench"), *devices]
        await self.start("bench", [*bench, "--people", str(len(self.people))])
        await self.wait_for(lambda: (self.folder / "bench" / "control.sock").exists(), "the simulated devices")
        await self._init()
        await self.begin()
        await self._enrol_everybody()
        if self.pages:
            await self._open_pages()

    async def _init(self) -> None:
        await self.start("init", ["-m", "authd", "init", "--config", str(self.config), "--keys-only"])
        code = await self.processes["init"].wait()
        del self.processes["init"]
        if code:
            raise StageError(f"authd init: exit code {code}")

    async def begin(self) -> None:
        """Start the daemon, and wait until every seat can be touched."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self.start("daemon", ["-I", "-m", "authd", "run", "--config", str(self.config)])
        await self.wait_for(self.socket.exists, "the daemon's door", self.processes["daemon"])
        async with self.door() as door:
            await self.until_locked(door)
        self.ready_s = loop.time() - began

    async def until_locked(self, door: client.Client) -> None:
        """Wait until every seat can be touched and nobody is there."""
        while True:
            seats: dict[str, Any] = (await door.status())["seats"]  # type: ignore[assignment]  # plain JSON
            if len(seats) == len(self.seats) and all(seat["state"] == "locked" for seat in seats.values()):
                return
            await asyncio.sleep(0.02)

    async def start(self, name: str, arguments: Sequence[str]) -> None:
        """Start one of the stage's processes: our own interpreter, no shell, and no Ctrl-C but through the stage."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=None if os.environ.get("AUTHD_VERBOSE") else log,
                start_new_session=True,
            )

    async def end(self, name: str) -> None:
        """End one of them politely, or else firmly."""
        process = self.processes.pop(name, None)
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(END_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def wait_for(
        self, there: Callable[[], bool], what: str, process: asyncio.subprocess.Process | None = None
    ) -> None:
        """Wait until something is there. Raises `StageError` with what the processes said."""
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while not there():
                    if process is not None and process.returncode is not None:
                        raise StageError(f"{what}: ended with {process.returncode}\n{self.said()}")
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise StageError(f"{what} did not come within {READY_WITHIN_S:.0f} s\n{self.said()}") from None

    def said(self) -> str:
        """Return the last lines of what the processes wrote."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(
            f"{log.name}: {log.read_text(errors='replace')[-2_000:]}" for log in logs if log.stat().st_size
        )

    # What happens on it.

    def door(self) -> client.Client:
        """Return a client of the local door, as the host's administrator."""
        return client.connect(f"unix:{self.socket}")

    def screen(self, seat: str) -> client.Client:
        """Return a client with the key of a seat's own screen."""
        return self._routed(f"seat-{seat}")

    def application(self, name: str = "resident") -> client.Client:
        """Return a client with an application's key."""
        return self._routed(f"app-{name}")

    def _routed(self, name: str) -> client.Client:
        keys = self.folder / "state" / "keys" / "curve"
        router = f"ipc://{self.folder}/run/router.sock"
        return client.connect(router, key=keys / f"{name}.key", server_key=keys / "router.key")

    async def send(self, line: str) -> str:
        """Give the devices one command. Raises `StageError` where they cannot carry it out."""
        try:
            answer = await command(self.folder / "bench" / "control.sock", line)
        except (OSError, TimeoutError) as error:
            raise StageError(f"{line}: the simulated devices do not answer: {error}\n{self.said()}") from error
        if not answer.startswith("ok"):
            raise StageError(f"{line}: {answer}")
        return answer.removeprefix("ok").strip()

    async def device(self, name: str) -> dict[str, Any]:
        """Return one device's status."""
        found: dict[str, Any] = json.loads(await self.send("STATUS"))[name]
        return found

    async def touch(self, seat: str, person: Staff, *, span_ms: int = TOUCH_MS, how: str = "TOUCH") -> None:
        """Lay a person's finger on the seat's reader, once the reader waits for one."""
        await self.send(f"{vein(seat)} AWAIT 5000")
        await self.send(f"{vein(seat)} {how} {person.staff_number} right_index {span_ms}")

    async def lifted(self, seat: str) -> None:
        """Wait until no finger rests on the seat's reader."""
        while True:
            if not (await self.device(vein(seat)))["finger"]:
                return
            await asyncio.sleep(0.02)

    async def _enrol_everybody(self) -> None:
        """The first two are founded, then everybody else is enrolled at their officer's touch."""
        seat, officer = self.seats[0], self.people[0]
        async with self.door() as door:
            for number, person in enumerate(self.people):
                self.say(f"{number + 1}/{len(self.people)} {person.name}")
                if number == 2:
                    await self.log_in(door, seat, officer)
                await self._enrol(door, seat, person, officer, found=number < 2)
            if len(self.people) > 2:
                await self.log_out(seat)

    async def _enrol(self, door: client.Client, seat: str, person: Staff, officer: Staff, *, found: bool) -> None:
        asked: Staff | None = None
        steps = door.enrol(
            seat,
            staff_number=person.staff_number,
            name=person.name,
            kana=person.kana,
            section=person.section,
            finger="right_index",
            officer=person.officer,
            found=found,
        )
        async with aclosing(steps):
            while (step := await self._next(steps, seat, asked)) is not None:
                asked = {"touch": person, "officer_touch": officer}.get(step.step)
                if asked is not None:
                    await self._press(seat, asked)

    async def _next(
        self, steps: AsyncGenerator[client.EnrolStep, None], seat: str, asked: Staff | None
    ) -> client.EnrolStep | None:
        """Return the next step. A finger that came down too early or too shortly is laid down again meanwhile."""
        coming = asyncio.ensure_future(anext(steps, None))  # noqa: TID251 - awaited below in every case
        try:
            while not (await asyncio.wait({coming}, timeout=AGAIN_S))[0]:
                if asked is not None:
                    await self._press(seat, asked)
            return await coming
        finally:
            if coming.cancel():
                await asyncio.wait({coming})

    async def _press(self, seat: str, person: Staff) -> None:
        await self.lifted(seat)
        await self.touch(seat, person)

    async def log_in(self, door: client.Client, seat: str, person: Staff, *, span_ms: int = TOUCH_MS) -> client.Person:
        """Touch until the seat is this person's; a reader may ask for the finger again."""
        for _ in range(5):
            await self.lifted(seat)
            await self.touch(seat, person, span_ms=span_ms)
            for _ in range(100 + span_ms // 10):
                there = await door.who(seat)
                if there is not None:
                    return there
                await asyncio.sleep(0.01)
        raise StageError(f"{person.staff_number} could not log in at {seat}\n{self.said()}")

    async def log_out(self, seat: str) -> None:
        """Press the button of the seat's screen."""
        async with self.screen(seat) as screen:
            await screen.press(seat, "logout")

    # What it is made of.

    async def _open_pages(self) -> None:
        keys, here = self.folder / "state" / "keys" / "curve", f"http://127.0.0.1:{self.ports.web}"
        strip = f"http://127.0.0.1:{self.ports.strip}"
        resident = ["--listen", f"127.0.0.1:{self.ports.resident}", "--door", f"ipc://{self.folder}/run/router.sock"]
        resident += ["--key", str(keys / "app-resident.key"), "--server-key", str(keys / "router.key")]
        resident += ["--ancestor", here, "--ancestor", strip]
        for seat in self.seats:
            resident += ["--seat", f"{seat}={NAMES[seat][0]}"]
        await self.start("resident", ["-m", "authd_simulators.resident", *resident])
        words = ["--listen", f"127.0.0.1:{self.ports.strip}", "--web", here]
        words += ["--control", str(self.folder / "bench" / "control.sock")]
        for seat in self.seats:
            words += ["--seat", f"{seat},{vein(seat)},{presence(seat)},{NAMES[seat][0]},{NAMES[seat][1]}"]
        await self.start("strip", ["-m", "authd_simulators.strip", *words])
        for name, port in (("resident", self.ports.resident), ("strip", self.ports.strip), ("daemon", self.ports.web)):
            listens = partial(_listens, port)
            await self.wait_for(listens, f"the page of {name} on port {port}", self.processes[name])

    def _toml(self) -> str:
        policy = Path(__file__).parent / "demo_policy"
        lines = [
            "[host]",
            'name = "demo"',
            'state = "state"',
            'run = "run"',
            "simulate = true",
            "[policy]",
            f"folder = {_quoted(str(policy))}",
            "[application.resident]",
            'name_ja = "住民記録"',
            'name_en = "Residents"',
            f'url = "http://127.0.0.1:{self.ports.resident}/"',
            'scope = ["name", "kana", "section"]',
        ]
        if self.web:
            ancestors = f'["http://127.0.0.1:{self.ports.strip}"]'
            lines += ["[web]", f'listen = "127.0.0.1:{self.ports.web}"', f"frame_ancestors = {ancestors}"]
        for section in SECTIONS:
            lines += [f"[section.{section.id}]", f'name_ja = "{section.name_ja}"', f'name_en = "{section.name_en}"']
        for seat in self.seats:
            lines += self._seat_toml(seat)
        return "\n".join(lines) + "\n"

    def _seat_toml(self, seat: str) -> list[str]:
        cables = self.folder / "bench"
        return [
            f"[seat.{seat}]",
            f'name_ja = "{NAMES[seat][0]}"',
            f'name_en = "{NAMES[seat][1]}"',
            'section = "resident"',
            f'readers = ["{vein(seat)}", "{presence(seat)}"]',
            'applications = ["resident"]',
            f"[reader.{vein(seat)}]",
            'driver = "sim-vein"',
            f"cable = {_quoted(str(cables / (vein(seat) + '.cable')))}",
            f"[reader.{presence(seat)}]",
            'driver = "sim-presence"',
            f"cable = {_quoted(str(cables / (presence(seat) + '.cable')))}",
        ]


def vein(seat: str) -> str:
    """Name of a seat's vein reader."""
    return "vein-" + seat.rpartition("-")[2]


def presence(seat: str) -> str:
    """Name of a seat's presence sensor."""
    return "presence-" + seat.rpartition("-")[2]


def _quoted(text: str) -> str:
    return json.dumps(text)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False
