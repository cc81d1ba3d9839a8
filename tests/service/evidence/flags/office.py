"""A host of two seats with two people, real seats, real ledger: what the tests of protected records share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import create_autospec, patch

from authd.core.model import Entry, Kind, SeatId, SessionId
from authd.service.config import load
from authd.service.evidence import Ground
from authd.service.evidence.flags import By, Change, Flags, Look, Wish
from authd.service.evidence.procedures import Passed, Procedures
from authd.service.evidence.views import Said, Views
from authd.service.keys import Keys
from authd.service.ledger import Recorded
from tests.service.desks import ONE, TWO, World, host, working

TOML = """\
[host]
name = "ward-1"
[seat.counter-1]
section = "resident"
applications = ["resident", "tax", "mail"]
[seat.counter-2]
section = "tax"
applications = ["tax"]
[application.resident]
url = "http://127.0.0.1:8790/"
name_ja = "住民記録"
name_en = "Residents"
linked = true
[application.tax]
url = "http://127.0.0.1:8790/"
name_en = "Tax"
linked = true
[application.mail]
url = "http://127.0.0.1:8790/"
"""
T = TypeVar("T")
_nonces = count()


@dataclass
class Office:
    """Chief and second, at counters 1 and 2, each with a finger of that name."""

    world: World
    ground: Ground
    views: Views
    procedures: Procedures
    flags: Flags
    found: list[Recorded] = field(default_factory=list[Recorded])

    @property
    def one(self) -> SessionId:
        """The session that is open at counter 1."""
        owner = self.world.pipeline.seats[ONE].owner
        assert owner is not None
        return owner.id

    async def touched(self, asked: Awaitable[T], *touches: tuple[SeatId, str]) -> T:
        """Carry something out, with these fingers at these seats when they are asked for."""
        async with working() as hands:
            for seat, finger in touches:
                hands.create_task(self.world.step_up(seat, finger))
            return await asked
        raise AssertionError

    async def request(self, change: Change, number: str = "20481", *more: str, **words: str) -> Wish:
        """Chief asks at counter 1."""
        records = [self.flags.record(each) for each in (number, *more)]
        return await self.touched(self.flags.request(ONE, change, records, **words), (ONE, "chief"))

    async def approve(self, wish: Wish, *, refuse: bool = False) -> int:
        """Second approves at counter 2."""
        asked = self.flags.approve(wish.request, TWO, refuse=refuse)
        return (await self.touched(asked, (TWO, "second")))[1]

    async def set(self, number: str = "20481", *more: str) -> int:
        """Both of them protect somebody."""
        return await self.approve(await self.request(Change.SET, number, *more))

    def protected(self, number: str = "20481") -> bool:
        return self.flags.protected(self.flags.record(number))

    def said(self, number: str = "20481", **words: Any) -> Said:
        """What the resident system says when it is about to show a record to chief."""
        nonce = f"nonce-{next(_nonces):016d}"
        record, at_ms = self.flags.record(number), self.ground.clock.wall_ms()
        said = Said("resident", self.one, record, "record", "certificate", "", nonce, at_ms)
        return replace(said, **words)

    async def look(self, number: str = "20481", by: By = By.COUNTER, **words: Any) -> Look:
        return await self.flags.look(self.said(number, **words), frozenset({ONE}), by)

    def passed(self) -> Any:
        """Meanwhile, a procedure was passed for whatever record is asked for."""
        passed = Passed("run_1", "phone", "1", self.ground.clock.now())
        return patch.object(self.procedures, "use", create_autospec(self.procedures.use, return_value=passed))

    async def rows(self, *kinds: Kind) -> list[Entry]:
        """Every row of these kinds, in order."""
        found: list[Entry] = []
        async for row in self.world.ledger.follow(0):
            if row.entry.kind in kinds:
                found.append(row.entry)
            if row.seq >= self.world.ledger.head:
                break
        return found

    async def again(self) -> Flags:
        """The same, made anew from the ledger, as a restart does."""
        flags = Flags(self.ground, self.views, self.procedures)
        await flags.begin()
        return flags


@asynccontextmanager
async def office(folder: Path, toml: str = TOML) -> AsyncGenerator[Office]:
    """Both are logged in; nothing is protected."""
    (folder / "authd.toml").write_text(f"{toml}\n", encoding="utf-8")
    keys = Keys(folder / "state")
    keys.create()
    async with host(folder) as world:
        nothing: Any = None
        config = load(folder / "authd.toml")
        ground = Ground(config, world.clock, keys, world.store, world.ledger, nothing, world.pipeline)
        views, procedures = Views(ground), Procedures(ground)
        flags = Flags(ground, views, procedures)
        for part in (views, procedures, flags):
            await part.begin()
        await world.founders()
        await world.log_in(ONE, "chief")
        await world.log_in(TWO, "second")
        yield Office(world, ground, views, procedures, flags)


@asynccontextmanager
async def jobs(flags: Flags) -> AsyncGenerator[None]:
    """Run what runs for as long as the daemon."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(job) for job in flags.jobs()]
        yield
        for task in tasks:
            task.cancel()
