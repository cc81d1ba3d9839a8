"""The host of tests.bench.wiring_follow: the daemon's doors over its real ledger, in a process that can be killed.

Seats are a script: on each in turn a session begins and ends, as many rows a second as asked for, each durable before
anybody is told, each lock told ahead of its row.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from authd.core.model import EndReason, Entry, Epoch, Grade, Kind, SeatId, SessionId, SubjectId
from authd.service.bus.envelope import Signer
from authd.service.bus.house import Peer, Role
from authd.service.bus.local import Local
from authd.service.bus.outlet import Outlet
from authd.service.bus.peers import Directory
from authd.service.bus.router import Router
from authd.service.bus.tickets import Tickets
from authd.service.bus.verbs import Desk
from authd.service.clock import BootClock
from authd.service.keys import ROUTER, Keys
from authd.service.ledger import KeySigner, Ledger
from tests.service.bus.fakes import FakeHouse, FakeLedger

STEP_S = 0.02
SUBJECT = SubjectId("sub_sato")


@dataclass(frozen=True, slots=True)
class City:
    """Who follows what: `applications` systems, each of its own `seats` seats."""

    folder: Path
    applications: int
    seats: int
    rate: int
    """Rows a second, of all seats together."""

    @property
    def router(self) -> str:
        """The door's address."""
        return f"ipc://{self.folder}/router.sock"

    @property
    def keys(self) -> Keys:
        """Of the door and of every application."""
        return Keys(self.folder)

    def of(self, application: int) -> list[SeatId]:
        """The seats of one application."""
        return [SeatId(f"seat-{application}-{number}") for number in range(self.seats)]

    def everywhere(self) -> list[SeatId]:
        """Every seat."""
        return [seat for application in range(self.applications) for seat in self.of(application)]


def serve(pipe: Connection, city: City) -> None:
    """Serve until killed; orders come by the pipe: `begin`, `end` (of the rows), each answered."""
    asyncio.run(_serve(pipe, city))


async def _serve(pipe: Connection, city: City) -> None:
    clock = BootClock()
    signer = KeySigner("bench.example/host", bytes(range(32)))
    ledger = await Ledger.open(city.folder / "ledger", signer, clock, clock.wall_ms)
    outlet, last = Outlet(), await _last(ledger)
    async with _doors(city, ledger, outlet, clock):
        pipe.send(last)
        script = _script(os.getpid(), city.everywhere())
        while await asyncio.to_thread(pipe.recv) == "begin":
            await _rows(pipe, city, ledger, outlet, script)
            pipe.send(await _last(ledger))


@asynccontextmanager
async def _doors(city: City, ledger: Ledger, outlet: Outlet, clock: BootClock) -> AsyncGenerator[None, None]:
    directory = Directory(frozenset({os.geteuid()}))
    for number in range(city.applications):
        name = f"app-{number}"
        peer = Peer(Role.APPLICATION, name, frozenset(city.of(number)))
        directory.allow(city.keys.curve(name).public, peer)
    house = FakeHouse(FakeLedger(), outlet, Tickets())
    desk = Desk(house, ledger, outlet, clock, Signer(city.keys.event_key()))
    local = Local(desk, directory, city.folder / "door.sock")
    router = Router(desk, directory, city.keys.curve(ROUTER).secret.encode(), [city.router])
    async with asyncio.TaskGroup() as group:
        group.create_task(local.run())
        group.create_task(router.run())
        await router.ready.wait()
        yield


async def _rows(pipe: Connection, city: City, ledger: Ledger, outlet: Outlet, script: Iterator[Entry]) -> None:
    """Write at the rate, until told to end."""
    pipe.send(0)
    began, written = time.perf_counter(), 0
    told = asyncio.create_task(asyncio.to_thread(pipe.recv))
    while not told.done():
        due = int((time.perf_counter() - began) * city.rate)
        entries = list(itertools.islice(script, due - written))
        for entry in entries:
            outlet.event(entry)
        await asyncio.gather(*(ledger.append(entry) for entry in entries))
        written = due
        await asyncio.sleep(STEP_S)


def _script(process: int, seats: Sequence[SeatId]) -> Iterator[Entry]:
    for number in itertools.count():
        for seat in seats:
            session = SessionId(f"ses_{process}_{number}_{seat}")
            yield Entry(Kind.SESSION_STARTED, seat, Epoch(1), SUBJECT, session, grade=Grade.MATCHED)
        for seat in seats:
            session = SessionId(f"ses_{process}_{number}_{seat}")
            yield Entry(Kind.SESSION_ENDED, seat, Epoch(1), SUBJECT, session, reason=EndReason.IDLE)


async def _last(ledger: Ledger) -> Mapping[str, int]:
    """Number of the last row of each seat."""
    last: dict[str, int] = {}
    head = ledger.head
    if head:
        async for row in ledger.follow(0):
            last[row.entry.seat or ""] = row.seq
            if row.seq >= head:
                break
    return last
