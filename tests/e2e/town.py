"""A real daemon, its web process and simulated fingers, for a browser: one seat whose screen is a reader of keys."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar, cast

from selenium import webdriver

from authd.client import EnrolStep, Event
from authd_simulators.keyring import SimulatedKey, key
from authd_simulators.people import Staff
from authd_simulators.stage import Stage, free_ports
from tests.bench.device_stage import FingerprintStage
from tests.e2e.browser import Devtools, Screen
from tests.real.fprintd import Fprintd

T = TypeVar("T")
SEAT = "counter-1"
KEY = "screen-1"
READY_WITHIN_S = 120.0
ACT_WITHIN_S = 60.0


def origin(stage: Stage) -> str:
    """Of its pages, as WebAuthn needs it: by name."""
    return f"http://localhost:{stage.ports.web}"


class PinStage(Stage):
    """A seat with a reader of veins, a presence sensor, and a local reader of keys with a key that asks for its PIN."""

    def __init__(self) -> None:
        super().__init__(free_ports(), web=True, people=6, seats=[SEAT], keys=True)
        assert self.keyring is not None
        self.held = SimulatedKey(key(SEAT), SEAT, sensor=False)
        self.keyring.keys = {SEAT: self.held}


class KeyStage(Stage):
    """A stage whose one seat has a reader of veins, a presence sensor, and its own screen for keys."""

    def __init__(self) -> None:
        super().__init__(free_ports(), web=True, people=6, seats=[SEAT])

    def further_readers(self, seat: str) -> Mapping[str, Sequence[str]]:
        office = self.folder / "fido2.toml"
        told = f'name = "City"\nrp_id = "localhost"\norigins = [{json.dumps(origin(self))}]\n'
        office.write_text(told, encoding="utf-8")
        return {KEY: ('driver = "webauthn"', f"office = {json.dumps(str(office))}")}


class NamesStage(FingerprintStage):
    """A seat with a reader of veins, a presence sensor, and the real fprintd, which only verifies who is named."""

    def __init__(self, service: Fprintd) -> None:
        super().__init__(service)
        self.web = True


class Town:
    """The stage in a loop of its own, beside the browser."""

    def __init__(self, stage: Stage) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="town")
        self.stage = stage

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.do(self.stage.__aenter__, READY_WITHIN_S)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.do(self.stage.close)
        finally:
            self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def officer(self) -> Staff:
        return self.stage.people[0]

    @property
    def clerk(self) -> Staff:
        """Somebody of the seat's section who is no officer."""
        return next(each for each in self.stage.people[2:] if each.section == "resident")

    def do(self, act: Callable[[], Awaitable[T]], within: float = ACT_WITHIN_S) -> T:
        """Carry it out in the stage's loop."""

        async def bounded() -> T:
            async with asyncio.timeout(within):
                return await act()

        return asyncio.run_coroutine_threadsafe(bounded(), self._loop).result(within + 5)

    def log_in(self, person: Staff) -> None:
        """By finger."""

        async def touch() -> None:
            async with self.stage.door() as door:
                await self.stage.log_in(door, SEAT, person)

        self.do(touch)

    def touch(self, person: Staff) -> None:
        """Lay their finger on the reader once, when it waits for one."""

        async def touch() -> None:
            await self.stage.lifted(SEAT)
            await self.stage.touch(SEAT, person)

        self.do(touch)

    def send(self, line: str) -> None:
        """Give a device a command."""
        self.do(lambda: self.stage.send(line))

    def insert(self, held: SimulatedKey) -> None:
        """Plug a key in."""

        async def insert() -> None:
            async with self.stage.door() as door:
                await self.stage.insert_key(door, held)

        self.do(insert)

    def log_out(self) -> None:
        self.do(lambda: self.stage.log_out(SEAT))

    def lock(self) -> None:
        """As the button of the screen does."""

        async def press() -> None:
            async with self.stage.screen(SEAT) as screen:
                await screen.press(SEAT, "lock")

        self.do(press)

    def enrol_key(self, person: Staff, use: Callable[[], None]) -> None:
        """With the officer at the seat. `use`: called in a thread once the reader waits for the key."""

        async def enrol() -> None:
            async with self.stage.door() as door:
                steps = door.enrol(SEAT, staff_number=person.staff_number, finger="right_index", add=True, means="key")
                asked: Staff | None = None
                async with aclosing(steps):
                    while (step := await self.stage.next_step(steps, SEAT, asked)) is not None:
                        asked = self.officer if step.step == "officer_touch" else None
                        await self._answer(step, use)

        self.do(enrol)

    async def _answer(self, step: EnrolStep, use: Callable[[], None]) -> None:
        if step.step == "officer_touch":
            await self.stage.press(SEAT, self.officer)
        elif step.step == "key":
            await asyncio.to_thread(use)

    def recorded(self, kind: str, **detail: object) -> Event:
        """The first event in the ledger of this kind with these details, once it is there."""

        async def read() -> Event:
            async with self.stage.door() as door, aclosing(door.follow(0)) as events:
                async for event in events:
                    if event.kind == kind and detail.items() <= dict(event.detail).items():
                        return event
            raise AssertionError("the ledger's events ended")

        return self.do(read)


class TownScreen(Screen):
    """The browser in front of the town's seat."""

    def __init__(self, driver: webdriver.Chrome, town: Town) -> None:
        self.driver = driver
        self._devtools = cast("Devtools", driver)
        self.town = town

    @property
    def origin(self) -> str:
        return origin(self.town.stage)
