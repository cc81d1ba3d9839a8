"""What a login through fprintd costs beyond fprintd's own match, for `tests.bench.devices`.

    costs = await login_costs_ms(50)     # milliseconds, one of each verification

The driver runs where it always runs, in its sandboxed child, armed before the finger comes. Counted is from the moment
at which fprintd's word is on the bus (a listener of its own takes the time) until core has the driver's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dbus_fast import Message
from dbus_fast.aio import MessageBus

import authd_drivers.fprintd
from authd.driver import Claimed, Enroll, Enrolled, Progress, StateChange, Verify
from authd.service.host import manifest
from authd.service.host.frames import Ended, Start
from authd.service.host.process import Plan
from authd.service.host.supervisor import Keeper
from tests.real.fprintd import Fprintd
from tests.service.host.test_supervisor import Watcher, kept, soon

WHO = "sub_1"


class Listener:
    """Takes the time of every end of a verification that fprintd says."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[int] = asyncio.Queue()

    def take(self, message: Message) -> None:
        """Look at one message of the bus."""
        if message.member == "VerifyStatus" and message.body[1]:
            self.said.put_nowait(time.perf_counter_ns())


@asynccontextmanager
async def listening(bus_path: str) -> AsyncGenerator[Listener, None]:
    """Listen to fprintd beside the driver."""
    listener, bus = Listener(), await MessageBus(bus_address=f"unix:path={bus_path}").connect()
    bus.add_message_handler(listener.take)
    rule = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch")
    await bus.call(Message(*rule, signature="s", body=["type='signal',interface='net.reactivated.Fprint.Device'"]))
    try:
        yield listener
    finally:
        bus.disconnect()
        await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # it has no annotations


def plan(service: Fprintd) -> Plan:
    """Return the plan of the driver's child on this service."""
    settings = {"bus": service.bus}
    parsed = manifest.parse((Path(authd_drivers.fprintd.__file__).parent / "manifest.toml").read_bytes())
    start = Start(0, manifest.fill(parsed, settings), target="authd_drivers.fprintd", settings=settings)
    return Plan("finger-1", "reader", start)


async def login_costs_ms(count: int) -> list[float]:
    """Enrol a generated finger in the real fprintd, verify it `count` times, return what each cost."""
    watcher = Watcher()
    with Fprintd() as service:
        async with kept(plan(service), watcher) as keeper, listening(service.bus) as listener:
            await soon(watcher.ups)
            await _enrol(service, keeper, watcher)
            return [await _verify(service, keeper, watcher, listener, op) for op in range(2, count + 2)]


async def _enrol(service: Fprintd, keeper: Keeper, watcher: Watcher) -> None:
    keeper.send(1, Enroll("0" * 32, WHO, "right_index"))
    message: object = await _next(watcher, StateChange)
    while not isinstance(message, Enrolled):
        await service.say("AWAIT 30000", f"TOUCH {WHO} 2")
        message = await _next(watcher, Progress, Enrolled)
    await _next(watcher, Ended)


async def _verify(service: Fprintd, keeper: Keeper, watcher: Watcher, listener: Listener, op: int) -> float:
    keeper.send(op, Verify(f"{op:032d}", WHO))
    await _next(watcher, StateChange)
    touched = asyncio.ensure_future(service.say("AWAIT 30000", f"TOUCH {WHO} 2"))
    await _next(watcher, Claimed)
    done = time.perf_counter_ns()
    await touched
    await _next(watcher, Ended)
    async with asyncio.timeout(5):
        said = await listener.said.get()
    return (done - said) / 1e6


async def _next(watcher: Watcher, *wanted: type[Any]) -> object:
    while True:
        message = (await soon(watcher.frames)).message
        if isinstance(message, wanted):
            return message
        assert isinstance(message, StateChange), message
