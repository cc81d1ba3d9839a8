"""A town hall behind a real door, spoken to by the command line: carry-outs from the wish to the return."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from authd.service.keys import Keys
from tests.cli.conftest import Authd, Said
from tests.service.bus.fakes import World, world
from tests.service.desks import ONE, TWO
from tests.service.evidence.carryout.desk import Desk, town_hall


@dataclass
class Hall:
    """A door in front of a town hall."""

    door: World
    desk: Desk
    authd: Authd
    folder: Path

    async def request(self, *words: object, kind: str = "export") -> str:
        """Sato asks; return what she is told on standard output."""
        plain = ("--kind", kind, "--system", "resident", "--purpose", "statistics", "--rows", 400)
        asking = self.authd("carryout", "request", *plain, "--seat", "counter-1", *words)
        asked = await self.desk.touching(ONE, "sato", asking)
        assert asked.code == 0, asked.err
        return asked.out.strip()

    async def approve(self, id_: str) -> Said:
        """Her chief allows it."""
        return await self.desk.touching(TWO, "chief", self.authd("carryout", "approve", id_, "--seat", "counter-2"))

    async def granted(self, *words: object, kind: str = "export") -> tuple[str, str]:
        """Both; return the name and the capability."""
        id_, token = (await self.request(*words, kind=kind)).split("\t")
        assert (await self.approve(id_)).code == 0
        return id_, token


@asynccontextmanager
async def open_hall(folder: Path, state: Path, authd: Authd) -> AsyncGenerator[Hall, None]:
    """Serve at `folder`, whose path is short; `state`: of the ledger and the store."""
    async with town_hall(state) as desk:
        door = world(folder, frozenset({os.geteuid()}))
        evidence: Any = SimpleNamespace(carryouts=desk.carryouts)
        door.house.evidence = evidence
        Keys(folder / "state").create()
        async with door.serving():
            yield Hall(door, desk, authd, folder)
