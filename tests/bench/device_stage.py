"""A stage with one seat, for tests.bench.devices: a key on a pty or on the real pcscd, or the real fprintd."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Self

from dbus_fast import Message
from dbus_fast.aio import MessageBus

from authd import client
from authd_simulators.day import Watched
from authd_simulators.keyring import Keyring, SimulatedKey
from authd_simulators.people import Staff
from authd_simulators.stage import Stage, free_ports
from tests.real.fprintd import Fprintd
from tests.real.pcscd import Pcscd

SEAT = "counter-1"
SEE_WITHIN_S = 3.0
PRESSES = 10


def now_ms() -> float:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1e6


class Wire:
    """A control socket that stays connected: a command is there when it was written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_unix_connection(self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def say(self, line: str) -> float:
        """Send a command; returns when it was sent. Raises `RuntimeError` for a refusal."""
        sent = now_ms()
        self._writer.write(line.encode() + b"\n")
        answer = (await self._reader.readline()).decode()
        if not answer.startswith("ok"):
            raise RuntimeError(f"{line}: {answer}")
        return sent


class Events:
    """The ledger's events as a follower hears them."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[tuple[float, client.Event]] = asyncio.Queue()

    async def follow(self, door: client.Client) -> None:
        async for event in door.follow(after=0):
            self._heard.put_nowait((now_ms(), event))

    def forget(self) -> None:
        """What was heard until now does not count."""
        while not self._heard.empty():
            self._heard.get_nowait()

    async def until(self, kind: str) -> float:
        """Return when an event of this kind was heard."""
        async with asyncio.timeout(SEE_WITHIN_S):
            while True:
                at, event = await self._heard.get()
                if event.kind == kind:
                    return at


class OnPcscd(Keyring):
    """The key lies on pcscd's virtual reader."""

    another_process = False

    def __init__(self, folder: Path, seats: tuple[str, ...], pcscd: Pcscd) -> None:
        super().__init__(folder, seats)
        self.pcscd = pcscd

    def toml(self, seat: str) -> list[str]:
        table = [line for line in super().toml(seat) if not line.startswith("device")]
        device = json.dumps("pcsc:" + self.pcscd.readers[0])
        return [*table, f"device = {device}", f"socket = {json.dumps(str(self.pcscd.socket))}"]

    def arguments(self, held: SimulatedKey) -> list[str]:
        arguments = super().arguments(held)
        at = arguments.index("--pty")
        return [*arguments[:at], "--vpcd", self.pcscd.address(), *arguments[at + 2 :]]


class KeyStage(Stage):
    """One seat with a key that has a sensor of its own."""

    def __init__(self, pcscd: Pcscd | None = None) -> None:
        super().__init__(free_ports(), keys=True, people=3, seats=[SEAT])
        self.pcscd = pcscd
        if pcscd is not None:
            self.keyring = OnPcscd(self.folder, self.seats, pcscd)

    async def start_key(self, held: SimulatedKey) -> None:
        if self.pcscd is None:
            await super().start_key(held)
            return
        assert self.keyring is not None
        self.pcscd.spawn(sys.executable, *self.keyring.arguments(held))

    @property
    def control(self) -> Path:
        assert self.keyring is not None
        return self.keyring.control("key-1")


class FingerprintStage(Stage):
    """One seat with the real fprintd, and one clerk whose finger it keeps."""

    READER = "fprint-1"

    def __init__(self, service: Fprintd) -> None:
        super().__init__(free_ports(), people=3, seats=[SEAT])
        self.service = service

    @property
    def clerk(self) -> Staff:
        return self.people[2]

    def further_readers(self, seat: str) -> Mapping[str, Sequence[str]]:
        return {self.READER: ('driver = "fprintd"', f"bus = {json.dumps(self.service.bus)}")}

    async def enrol_clerk(self) -> str:
        """Let fprintd learn the clerk's finger, with an officer there; returns the subject."""
        officer, before = self.people[0], ""
        async with self.door() as door:
            await self.log_in(door, SEAT, officer)
            steps = door.enrol(
                SEAT, staff_number=self.clerk.staff_number, finger="right_index", add=True, means="fingerprint"
            )
            asked: Staff | None = None
            async with aclosing(steps):
                while (step := await self.next_step(steps, SEAT, asked)) is not None:
                    asked = officer if step.step == "officer_touch" else None
                    if asked is not None:
                        await self.press(SEAT, asked)
                    elif step.step == "working" or (step.step == "key_touch" and before != step.step):
                        await self.lay_down()
                    before = step.step
            await self.lifted(SEAT)
            await self.log_out(SEAT)
            return next(each.subject for each in await door.people() if each.staff_number == self.clerk.staff_number)

    async def lay_down(self) -> None:
        """The clerk's finger, once the sensor waits for one; it may be given back and claimed again just then."""
        for left in reversed(range(PRESSES)):
            try:
                await self.service.say("AWAIT 5000")
                await self.service.say(f"TOUCH {self.clerk.staff_number} right_index")
            except AssertionError:
                if not left:
                    raise
                await asyncio.sleep(0.1)
            else:
                return


class Matches:
    """Hears fprintd say its verdicts, as everybody on the bus can."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[tuple[float, str]] = asyncio.Queue()

    async def listen(self, path: str) -> MessageBus:
        bus = await MessageBus(bus_address=f"unix:path={path}").connect()
        bus.add_message_handler(self._take)
        rule = "type='signal',interface='net.reactivated.Fprint.Device',member='VerifyStatus'"
        await bus.call(
            Message(
                *("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch"),
                signature="s",
                body=[rule],
            )
        )
        return bus

    def _take(self, message: Message) -> None:
        if message.member == "VerifyStatus":
            self._heard.put_nowait((now_ms(), message.body[0]))

    async def match(self) -> float:
        """Return when it said so."""
        async with asyncio.timeout(SEE_WITHIN_S):
            while True:
                at, said = await self._heard.get()
                if said == "verify-match":
                    return at


async def seated(watched: Watched, since: int) -> float:
    """Return when the seat's screen showed whose it is now."""
    at = await watched.until(lambda shown: shown.face.subject is not None, since, SEE_WITHIN_S)
    if at is None:
        raise RuntimeError(f"the seat did not open: {watched.last}")
    return at / 1e6


async def empty(watched: Watched, since: int) -> float:
    """Return when the seat's screen showed that nobody is there."""
    at = await watched.until(lambda shown: shown.face.subject is None, since, SEE_WITHIN_S)
    if at is None:
        raise RuntimeError(f"the seat did not lock: {watched.last}")
    return at / 1e6


def facts(status: Any) -> str:
    """Say in short how a host is, where a measurement does not go on."""
    return json.dumps({name: status[name] for name in ("seats", "children", "replaced")})
