"""Two seats with real pipeline, ledger, rules and clock; people's fingers and the systems' word are the test's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from authd.core import seat as machine
from authd.core.model import Kind, SeatId, Session, SubjectId
from authd.service import pdp
from authd.service.config import load
from authd.service.evidence.carryout import Carryout, Carryouts, Leaving, Order, Shown
from authd.service.evidence.ground import Ground
from authd.service.keys import Keys
from authd.service.ledger import Recorded
from tests.service.desks import ONE, TWO, World, host, order, working

T = TypeVar("T")
TOML = """\
[host]
name = "ward-1"
simulate = true
[seat.counter-1]
section = "resident"
applications = ["resident"]
[seat.counter-2]
section = "resident"
[application.resident]
name_ja = "住民記録"
url = "http://127.0.0.1:8790/"
"""
NOON = pdp.LocalTime(minute=720, weekday=2, date="2026-11-24", trusted=True)


@dataclass
class Hall:
    """What time it is, and which systems hold the newest protections."""

    covered: set[str] = field(default_factory=lambda: {"resident"})
    time: pdp.LocalTime = NOON


@dataclass
class Desk:
    """Sato sits at counter 1 (finger `sato`), her chief at counter 2 (finger `chief`)."""

    world: World
    ground: Ground
    carryouts: Carryouts
    hall: Hall

    async def sit(self, seat: SeatId, finger: str) -> Session:
        """Log in."""
        await self.world.touch(seat, finger)
        await self.world.until(lambda: self.world.pipeline.seats[seat].owner is not None)
        owner = self.world.pipeline.seats[seat].owner
        assert owner is not None
        return owner

    def session(self, seat: SeatId) -> Session:
        """Who sits there."""
        owner = self.world.pipeline.seats[seat].owner
        assert owner is not None
        return owner

    async def touching(self, seat: SeatId, finger: str, work: Awaitable[T]) -> T:
        """Do the work, and lay a finger down once it is asked for."""
        async with working() as hands:
            hand = hands.create_task(self.world.step_up(seat, finger))
            try:
                return await work
            finally:
                hand.cancel()

    async def request(self, **changes: Any) -> tuple[Carryout, str]:
        """Sato asks."""
        asked = self.carryouts.asking.request(ONE, self.session(ONE), an_order(**changes))
        return await self.touching(ONE, "sato", asked)

    async def approve(self, asked: Carryout) -> Carryout:
        """Her chief allows it."""
        return await self.touching(TWO, "chief", self.carryouts.asking.approve(asked.id, TWO, self.session(TWO)))

    async def granted(self, **changes: Any) -> tuple[Carryout, str]:
        """Both."""
        asked, token = await self.request(**changes)
        return await self.approve(asked), token

    async def rows(self, kind: Kind) -> list[Recorded]:
        """The ledger's rows of this kind."""
        return await self.world.ledger.entries(f"kind:{kind}")

    async def again(self) -> Carryouts:
        """Another life of this part, on the same ledger."""
        made = Carryouts(self.ground, lambda system: system in self.hall.covered)
        await made.begin()
        return made


def an_order(**changes: Any) -> Order:
    """200 rows to a drive of the statistics office."""
    plain: dict[str, Any] = {"kind": Leaving.FILE, "system": "resident", "rows": 200, "purpose": "statistics"}
    plain |= {"destination": "drive 4C53", "expires_h": 1.0, "return_days": 3}
    return Order(**(plain | changes))


def shown(token: str = "", **changes: Any) -> Shown:
    """The same 200 rows, by the application in Sato's session."""
    plain: dict[str, Any] = {"kind": Leaving.FILE, "destination": "drive 4C53", "capability": token, "rows": 200}
    return Shown(**(plain | changes))


@asynccontextmanager
async def town_hall(folder: Path) -> AsyncGenerator[Desk, None]:
    """A town hall at noon, with two people at its seats."""
    async with host(folder) as world:
        await world.founders()
        await world.log_in(ONE, "chief")
        await world.enrol(order("1003"), "sato", "chief")
        world.pipeline.feed(ONE, machine.Pressed(logout=False))
        made = await _desk(folder, world)
        await made.sit(ONE, "sato")
        await made.sit(TWO, "chief")
        yield made


@asynccontextmanager
async def after(folder: Path) -> AsyncGenerator[Desk, None]:
    """The same town hall after its daemon was killed; nobody sits anywhere."""
    async with host(folder) as world:
        yield await _desk(folder, world)


async def _desk(folder: Path, world: World) -> Desk:
    (folder / "authd.toml").write_text(TOML, encoding="utf-8")
    config, keys, hall = load(folder / "authd.toml"), Keys(folder / "state"), Hall()
    keys.create()
    point = pdp.Pdp(pdp.load(pdp.Source(pdp.installed())), lambda: hall.time)
    point.directory.set_people(pdp.PersonAttrs(each, "resident", person.officer) for each, person in _people(world))
    point.directory.set_seats(pdp.SeatAttrs(seat, "counter", "resident", "ward-1") for seat in (ONE, TWO))
    point.directory.set_systems([pdp.SystemAttrs("authd"), pdp.SystemAttrs("resident")])
    ground = Ground(config, world.clock, keys, world.store, world.ledger, point, world.pipeline)
    made = Desk(world, ground, Carryouts(ground, lambda system: system in hall.covered), hall)
    await made.carryouts.begin()
    return made


def _people(world: World) -> list[tuple[SubjectId, Any]]:
    return list(world.store.people.items())
