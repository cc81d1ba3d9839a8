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
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from authd import client
from authd.client.values import Means
from authd_simulators import ground
from authd_simulators.control import command
from authd_simulators.further import Further, FurtherDevices
from authd_simulators.keyring import PIN, Keyring, SimulatedKey, key
from authd_simulators.people import SECTIONS, Staff, population

SEATS = ("counter-1", "counter-2")
NAMES = {"counter-1": ("窓口1", "Counter 1"), "counter-2": ("窓口2", "Counter 2")}
PEOPLE = 10
TOUCH_MS = 400
"""Long enough for a reader on a busy machine to take its picture."""
READY_WITHIN_S = 90.0
AGAIN_S = 2.0
LOOK_S = 0.02
SAID_WITHIN_S = 1.0
"""A reader that waits again may wait for what the next step asks for, which is said at the same moment."""
TOUCHES = 20
"""Far more than a reader asks for: only a stage that fails gets through them."""
PRESSES = 10
ENROLMENTS = 3
ANSWER_S = 20.0
"""How long a question waits: whoever plays the people and the systems is more patient than these would be."""
END_WITHIN_S = 20.0
T = TypeVar("T")
_PORTS = range(20_000, 32_000)
_STRIDE = 199
"""How many ports a process has before it comes to those of the next one: a prime, so that no place is left out."""
_given = count()


class StageError(Exception):
    """The stage could not be set; the text says what a process said last."""


@dataclass(frozen=True, slots=True)
class Application:
    """A system of the city hall. `linked`: it holds a copy of the protections."""

    name: str
    name_ja: str
    name_en: str
    linked: bool = False
    account: str = ""
    """What it calls a person, such as `staff_{staff_number}`."""
    url: str = ""
    """Where the seat's screen opens it; by default the sample resident system."""
    lines: tuple[str, ...] = ()
    """Further lines of its table."""


RESIDENTS = Application("resident", "住民記録", "Residents", linked=True, account="staff_{staff_number}")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the pages are: loopback ports."""

    web: int
    resident: int
    strip: int


def free_ports() -> Ports:
    """Return three ports that nobody listens on now."""
    with ExitStack() as stack:
        return Ports(*(stack.enter_context(_listener()).getsockname()[1] for _ in range(3)))


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with _listener() as listener:
        port: int = listener.getsockname()[1]
        return port


def _listener() -> socket.socket:
    """Below the ports that outgoing connections get: one of these may be taken again before anybody listens there.

    One after the other and from a place of this process's own, for the same reason: whoever was given a port may take
    seconds until they listen there, and by chance it would now and then be given twice meanwhile.
    """
    while True:
        port = _PORTS[(os.getpid() * _STRIDE + next(_given)) % len(_PORTS)]
        with suppress(OSError):
            return socket.create_server(("127.0.0.1", port))


class Stage:
    """Two seats, their devices, their people. Leaving it ends every process and removes the folder it made.

    Making and entering it raise `NoGround` where the account, the folder or the disk's room is not enough for it.
    """

    def __init__(
        self,
        ports: Ports,
        *,
        pages: bool = False,
        web: bool = False,
        seats: Sequence[str] = SEATS,
        people: int = PEOPLE,
        keys: bool = False,
        further: bool = False,
        systems: Sequence[Application] = (),
        desktops: Sequence[str] = (),
        folder: Path | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.ports, self.pages, self.web, self.seats, self.say = ports, pages, web or pages, tuple(seats), say
        self.people: tuple[Staff, ...] = population(people)
        self.folder = folder or ground.folder()
        self.systems = tuple(systems) or (RESIDENTS,)
        self.desktops = tuple(desktops)
        """Seats that nobody can log in at without an agent: not the first, where people are enrolled."""
        self._own = folder is None
        self.keyring = Keyring(self.folder, self.seats) if keys else None
        self.further = FurtherDevices(self.folder) if further else None
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
        except BaseException as error:
            ill = self._ill_ground(error)
            await self.close()
            if ill is not None:
                raise ill from error
            raise
        return self

    def _ill_ground(self, error: BaseException) -> ground.NoGround | None:
        """Return what is wrong with the machine, where that is why it failed; asked while the folder is still there."""
        if not isinstance(error, Exception):
            return None
        if (full := ground.spent(self.folder)) is not None:
            return full
        return ground.why(error) if isinstance(error, OSError) and error.filename else None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End what was started, the daemon before its devices."""
        for name in reversed(list(self.processes)):
            await self.end(name)
        if self.keyring is not None:
            self.keyring.close()
        if self.further is not None:
            self.further.close()
        if self._own:
            shutil.rmtree(self.folder, ignore_errors=True)

    async def _set_up(self) -> None:
        for name in ("run", "state", "bench"):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        remotes = [*await self._plug_keys(), *await self._start_further()]
        self.config.write_text(self._toml(), encoding="utf-8")
        devices = [word for seat in self.seats for word in ("--vein", vein(seat), "--presence", presence(seat))]
        bench = ["-m", "authd_simulators.bench", "--dir", str(self.folder / "bench"), *devices]
        await self.start("bench", [*bench, *remotes, "--people", str(len(self.people))])
        await self.wait_for(lambda: (self.folder / "bench" / "control.sock").exists(), "the simulated devices")
        await self._init()
        await self.begin()
        await self._enrol_everybody()
        if self.keyring is not None:
            for held in self.keyring.keys.values():
                await self._enrol_key(held)
        for number, each in enumerate(self.further.found if self.further else ()):
            await self._enrol_further(each, self.clerks[2 + number])
        if self.pages:
            await self._open_pages()

    async def _plug_keys(self) -> list[str]:
        """Start the simulated keys; return what tells the bench of them."""
        if self.keyring is None:
            return []
        self.keyring.open()
        remotes: list[str] = []
        for held in self.keyring.keys.values():
            control = self.keyring.control(held.name)
            await self.start_key(held)
            await self.wait_for(partial(_obeys, control), f"the simulated key {held.name}")
            for line in self.keyring.before(held):
                await command(control, line)
            remotes += ["--remote", f"{held.name}={control}"]
        return remotes

    async def _start_further(self) -> list[str]:
        """Start what else there is; return what tells the bench of it."""
        if self.further is None:
            return []
        self.further.look(self.seats[0], self.seats[-1])
        if arguments := self.further.fingerprint_service():
            await self.start("fprint", arguments)
        for each in self.further.found:
            own = self.processes.get("fprint") if each.means == "fingerprint" else None
            await self.wait_for(partial(_obeys, each.control), f"the simulated {each.name}", own)
        return [word for each in self.further.found for word in ("--remote", f"{each.name}={each.control}")]

    async def start_key(self, held: SimulatedKey) -> None:
        """Start the process of one simulated key."""
        assert self.keyring is not None
        await self.start(held.name, self.keyring.arguments(held))

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
        return client.connect(f"unix:{self.socket}", timeout=ANSWER_S)

    def screen(self, seat: str) -> client.Client:
        """Return a client with the key of a seat's own screen."""
        return self._routed(f"seat-{seat}")

    def application(self, name: str = "resident") -> client.Client:
        """Return a client with an application's key."""
        return self._routed(f"app-{name}")

    def _routed(self, name: str) -> client.Client:
        keys = self.folder / "state" / "keys" / "curve"
        router = f"ipc://{self.folder}/run/router.sock"
        return client.connect(router, key=keys / f"{name}.key", server_key=keys / "router.key", timeout=ANSWER_S)

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
        await self.awaited(seat)
        await self.put_down(seat, person, span_ms=span_ms, how=how)

    async def awaited(self, seat: str) -> None:
        """Wait until the seat's reader waits for a finger."""
        await self.send(f"{vein(seat)} AWAIT 30000")

    async def put_down(self, seat: str, person: Staff, *, span_ms: int = TOUCH_MS, how: str = "TOUCH") -> None:
        """Lay a person's finger on the seat's reader now."""
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
                await self.asked_again(partial(self._enrol, door, seat, person, officer, found=number < 2))
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
            while (step := await self.next_step(steps, seat, asked)) is not None:
                asked = {"touch": person, "officer_touch": officer}.get(step.step)
                if asked is not None:
                    await self.press(seat, asked)

    async def insert_key(self, door: client.Client, held: SimulatedKey) -> None:
        """Plug a key in, and wait until its driver may speak to it."""
        assert self.keyring is not None
        async with asyncio.timeout(READY_WITHIN_S):
            before = await self._up(door, held, None)
            await self.send(f"{held.name} INSERT")
            if self.keyring.another_process:
                await self._up(door, held, before)

    async def _up(self, door: client.Client, held: SimulatedKey, before: int | None) -> int:
        """Wait until the key's driver serves in another process than `before`, and return its id."""
        while True:
            status: Any = await door.status()
            pid: int | None = status["children"][held.name]
            if pid not in (None, before) and held.name in status["seats"][held.seat]["readers"]:
                assert pid is not None
                return pid
            await asyncio.sleep(0.02)

    async def _enrol_key(self, held: SimulatedKey) -> None:
        """Enrol a key at its seat. One that asks for a PIN is taken out again."""
        async with self.door() as door:
            await self.insert_key(door, held)

        async def act(step: client.EnrolStep) -> None:
            if step.step == "hint":  # it blinks
                await self.send(f"{held.name} {held.act}")

        await self._enrol_means(held.seat, self.owner(held), "key", PIN, act)
        if not held.sensor:
            await self.send(f"{held.name} REMOVE")

    async def _enrol_further(self, device: Further, owner: Staff) -> None:
        """Enrol a card, or a finger that fprintd keeps."""
        before = ""

        async def act(step: client.EnrolStep) -> None:
            nonlocal before
            if device.means == "card" and step.step == "insert":
                await self.send(f"{device.name} INSERT piv")
            elif device.means == "fingerprint" and (
                step.step == "working" or (step.step == "key_touch" and before != step.step)
            ):
                await self.finger_on(device, owner)
            before = step.step

        await self._enrol_means(device.seat, owner, device.means, device.pin, act)
        if device.means == "card":
            await self.send(f"{device.name} REMOVE")

    async def finger_on(self, device: Further, owner: Staff) -> None:
        """Lay a finger on the service's sensor, which may be given back and claimed again just then."""
        for left in reversed(range(PRESSES)):
            try:
                await self.send(f"{device.name} AWAIT 30000")
                await self.send(f"{device.name} TOUCH {owner.staff_number} right_index")
            except StageError:
                if not left:
                    raise
                await asyncio.sleep(0.1)
            else:
                return

    async def _enrol_means(
        self,
        seat: str,
        owner: Staff,
        means: Means,
        pin: str,
        act: Callable[[client.EnrolStep], Awaitable[None]],
    ) -> None:
        """Enrol something of somebody's at a seat, with an officer there. act: what is done at each step."""
        officer = self.people[0]
        self.say(f"{means} {owner.name}")
        async with self.door() as door, self.screen(seat) as screen:
            await self.log_in(door, seat, officer)

            async def enrol() -> None:
                asked = False
                steps = door.enrol(seat, staff_number=owner.staff_number, finger="right_index", add=True, means=means)
                async with aclosing(steps):
                    while (step := await self.next_step(steps, seat, officer if asked else None)) is not None:
                        asked = step.step == "officer_touch"
                        if asked:
                            await self.press(seat, officer)
                        elif step.step == "pin":
                            await screen.answer(seat, pin)
                        else:
                            await act(step)

            await self.asked_again(enrol)
        await self.lifted(seat)
        await self.log_out(seat)

    async def asked_again(self, enrol: Callable[[], Awaitable[None]]) -> None:
        """Enrol; where the officer's touch came too late (a busy machine), nothing has begun, and it is asked again."""
        for left in reversed(range(ENROLMENTS)):
            try:
                await enrol()
            except client.DoorError as error:
                if not left or error.message != "the officer's touch did not come":
                    raise
            else:
                return

    async def next_step(
        self, steps: AsyncGenerator[client.EnrolStep, None], seat: str, asked: Staff | None
    ) -> client.EnrolStep | None:
        """Return the next step. A finger that came down too early or too shortly is laid down again meanwhile."""
        coming = asyncio.ensure_future(anext(steps, None))  # noqa: TID251 - awaited below in every case
        try:
            while not (await asyncio.wait({coming}, timeout=AGAIN_S))[0]:
                if asked is not None and not await self._over(coming, seat):
                    await self.put_down(seat, asked)
            return await coming
        finally:
            if coming.cancel():
                await asyncio.wait({coming})

    async def _over(self, coming: asyncio.Future[client.EnrolStep | None], seat: str) -> bool:
        """Whether the next step comes once the reader waits again: it may wait for the next person's finger by then."""
        await self.lifted(seat)
        await self.awaited(seat)
        return bool((await asyncio.wait({coming}, timeout=SAID_WITHIN_S))[0])

    async def press(self, seat: str, person: Staff) -> None:
        """Lay a person's finger on the seat's reader, which another one may just have left."""
        await self.lifted(seat)
        await self.touch(seat, person)

    async def confirmed(self, door: client.Client, seat: str, person: Staff, asked: Awaitable[T]) -> T:
        """Answer what is asked with a person's finger while the seat waits for it, and return what came of it.

        Laid down once more only where the seat still waits after a while: a touch too many would end the session.
        """
        asking = asyncio.ensure_future(asked)  # noqa: TID251 - awaited below in every case
        try:
            while not asking.done():
                waits = await self._waits_for_touch(door, seat)
                if waits:
                    await self.press(seat, person)
                await asyncio.wait({asking}, timeout=AGAIN_S if waits else LOOK_S)
            return await asking
        finally:
            if asking.cancel():
                await asyncio.wait({asking})

    async def _waits_for_touch(self, door: client.Client, seat: str) -> bool:
        status: Any = await door.status()
        return bool(status["seats"][seat]["state"] == "stepping_up")

    async def log_in(self, door: client.Client, seat: str, person: Staff, *, span_ms: int = TOUCH_MS) -> client.Person:
        """Touch until the seat is this person's, whoever has it before; a reader may ask for the finger again."""
        for tries in range(TOUCHES):
            await self.lifted(seat)
            await self.awaited(seat)
            if tries and (there := await self._there(door, seat, person)):  # it took longer than is waited for below
                return there
            await self.put_down(seat, person, span_ms=span_ms)
            for _ in range(100 + span_ms // 10):
                if there := await self._there(door, seat, person):
                    return there
                await asyncio.sleep(0.01)
        raise StageError(f"{person.staff_number} could not log in at {seat}\n{self.said()}")

    async def _there(self, door: client.Client, seat: str, person: Staff) -> client.Person | None:
        there = await door.who(seat)
        return there if there is not None and there.staff_number == person.staff_number else None

    async def log_out(self, seat: str) -> None:
        """Press the button of the seat's screen."""
        async with self.screen(seat) as screen:
            await screen.press(seat, "logout")

    def owner(self, held: SimulatedKey) -> Staff:
        """Whose key it is: of a clerk who may sit there, another one at each seat."""
        return self.clerks[self.seats.index(held.seat)]

    @property
    def clerks(self) -> list[Staff]:
        """Those who may sit at the seats and have founded nothing."""
        return [each for each in self.people[2:] if each.section == "resident"]

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
        for held in self.keyring.keys.values() if self.keyring else ():
            pin = "" if held.sensor else PIN
            words += ["--key", f"{held.seat},{held.name},{held.act},{self.owner(held).name},{pin}"]
        if self.further is not None:
            for each in self.further.found:
                owner = self.clerks[2 + self.further.found.index(each)].name
                words += ["--further", f"{each.seat},{each.name},{each.means},{owner},{each.pin}"]
            words += ["--note", " ".join(self.further.lacking)]
        await self.start("strip", ["-m", "authd_simulators.strip", *words])
        for name, port in (("resident", self.ports.resident), ("strip", self.ports.strip), ("daemon", self.ports.web)):
            listens = partial(_listens, port)
            await self.wait_for(listens, f"the page of {name} on port {port}", self.processes[name])

    def further_readers(self, seat: str) -> Mapping[str, Sequence[str]]:
        """Return what else is at a seat: by the reader's name, the lines of its table."""
        found = self.further.found if self.further else ()
        return {each.name: each.toml for each in found if each.seat == seat}

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
        ]
        for each in self.systems:
            lines += [f"[application.{each.name}]", f'name_ja = "{each.name_ja}"', f'name_en = "{each.name_en}"']
            url = each.url or f"http://127.0.0.1:{self.ports.resident}/"
            lines += [f"url = {_quoted(url)}", 'scope = ["name", "kana", "section"]', *each.lines]
            lines += ["linked = true"] if each.linked else []
            lines += [f"account = {_quoted(each.account)}"] if each.account else []
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
        more = self.further_readers(seat)
        readers = [vein(seat), presence(seat), *([key(seat)] if self.keyring else []), *more]
        return [
            f"[seat.{seat}]",
            f'name_ja = "{NAMES[seat][0]}"',
            f'name_en = "{NAMES[seat][1]}"',
            'section = "resident"',
            f"readers = {json.dumps(readers)}",
            f"applications = {json.dumps([each.name for each in self.systems])}",
            *(["desktop = true"] if seat in self.desktops else []),
            f"[reader.{vein(seat)}]",
            'driver = "sim-vein"',
            f"cable = {_quoted(str(cables / (vein(seat) + '.cable')))}",
            f"[reader.{presence(seat)}]",
            'driver = "sim-presence"',
            f"cable = {_quoted(str(cables / (presence(seat) + '.cable')))}",
            *(self.keyring.toml(seat) if self.keyring else []),
            *(line for name, lines in more.items() for line in (f"[reader.{name}]", *lines)),
        ]


def vein(seat: str) -> str:
    """Name of a seat's vein reader."""
    return "vein-" + seat.rpartition("-")[2]


def presence(seat: str) -> str:
    """Name of a seat's presence sensor."""
    return "presence-" + seat.rpartition("-")[2]


def _quoted(text: str) -> str:
    return json.dumps(text)


def _obeys(control: Path) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as line:
        line.connect(str(control))
        return True
    return False


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False
