"""A carry-out on the real daemon: two clerks at two seats, the commands that a city hall would run, its own ledger."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from authd.client import Client, DoorError
from authd.client.flags import Protection
from authd_simulators.people import Staff
from authd_simulators.stage import Stage, free_ports

WITHIN_S = 60.0
ROWS = "宛名番号,氏名\n" + "".join(f"{n:06d},佐藤{n}\n" for n in range(300))


@dataclass
class Hall:
    """Who sits where."""

    stage: Stage
    door: Client

    async def authd(self, *words: str) -> tuple[int, str]:
        """Run a command; return its exit code and what it said."""
        env = {**os.environ, "AUTHD_CONFIG": str(self.stage.config), "LC_ALL": "C.UTF-8"}
        words = (sys.executable, "-I", "-m", "authd", *words)
        process = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=env
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    async def touching(self, seat: str, person: Staff, *words: str) -> tuple[int, str]:
        """Run it, and touch when it asks for that."""
        async with asyncio.timeout(WITHIN_S):
            return await self.stage.confirmed(self.door, seat, person, self.authd(*words))


@asynccontextmanager
async def holding(door: Client, resident: Client) -> AsyncGenerator[None]:
    """The resident system holds every protection there is (none), and says so: a silent one lets nothing leave."""

    async def apply(_: Sequence[Protection]) -> None:
        raise AssertionError

    async with asyncio.TaskGroup() as group:
        held = group.create_task(resident.hold(apply, 0))
        async with asyncio.timeout(WITHIN_S):
            while not all(each.covered for each in (await door.flag_coverage())[1]):  # noqa: ASYNC110 - it is asked
                await asyncio.sleep(0.05)
        yield
        held.cancel()


@pytest.mark.real
async def test_two_clerks_let_a_list_leave_and_it_comes_back() -> None:
    async with (
        Stage(free_ports(), people=6) as stage,
        stage.door() as door,
        stage.application() as resident,
        holding(door, resident),
    ):
        hall, (sato, ito) = Hall(stage, door), stage.clerks[:2]
        person = await stage.log_in(door, "counter-1", sato)
        await stage.log_in(door, "counter-2", ito)
        out, rows = stage.folder / "list.csv", stage.folder / "rows.csv"
        rows.write_text(ROWS, encoding="cp932")
        order = ["--kind", "export", "--system", "resident", "--rows", "300", "--purpose", "statistics", "--json"]
        asking = ["carryout", "request", *order, "--destination", str(out), "--seat", "counter-1"]
        code, said = await hall.touching("counter-1", sato, *asking)
        assert code == 0, said
        asked = json.loads(said.splitlines()[-1])
        with pytest.raises(DoorError, match="waiting"):
            await resident.use_carryout(
                "export", str(out), capability=asked["capability"], rows=1, session=person.session
            )
        id_, at_two = asked["carryout"], ("--seat", "counter-2")
        assert (await hall.touching("counter-2", ito, "carryout", "approve", id_, *at_two))[0] == 0
        export = ["export", "--capability", asked["capability"], "--in", str(rows), "--out", str(out)]
        code, said = await hall.authd(*export)
        assert code == 0, said
        assert len(out.read_text(encoding="cp932").splitlines()) == 1 + 300 + 2
        status: Any = await door.status()
        assert status["evidence"]["carryouts"]["out"] == 1
        assert (await hall.touching("counter-2", ito, "carryout", "erase", id_, *at_two))[0] == 0
        assert await door.carryouts() == []
        code, said = await hall.authd(*export[:-1], str(stage.folder / "again.csv"))
        assert code == 4, said
        assert (await hall.authd("ledger", "verify", str(stage.ledger)))[0] == 0
