"""What belongs to no session: a row once, another when it is over, and whose sessions there were."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from authd.core import seat as machine
from authd.core.model import Kind
from authd.service.bus.house import Refused
from authd.service.config import load
from authd.service.evidence.ground import Ground
from authd.service.evidence.unattributed import MOST_OPEN, ROWS_AT_ONCE, Access, How, Unattributed, Why
from authd.service.pdp.errors import BundleError
from authd.service.pdp.settings import Settings, parse
from authd.service.pdp.settings import Unattributed as Rules
from tests.service.desks import ONE, TWO
from tests.service.evidence.carryout.desk import TOML, Desk, town_hall

SHARED = Access("resident", "postgresql", Why.SHARED, "juki", "10.0.0.5", "residents")


@dataclass
class Watched:
    desk: Desk
    ground: Ground
    part: Unattributed

    async def rows(self, kind: Kind) -> list[dict[str, object]]:
        return [dict(row.entry.data) for row in await self.desk.rows(kind)]

    async def again(self) -> Unattributed:
        part = Unattributed(self.ground)
        await part.begin()
        return part

    def ends(self, *systems: str) -> None:
        bundle = self.ground.pdp.bundle
        settings = replace(bundle.settings, unattributed=Rules(frozenset(systems)))
        self.ground.pdp.bundle = replace(bundle, settings=settings)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncGenerator[Watched, None]:
    async with town_hall(tmp_path) as desk:
        text = TOML.replace('name_ja = "住民記録"', 'name_ja = "住民記録"\naccount = "staff_{staff_number}"')
        (tmp_path / "other.toml").write_text(text, encoding="utf-8")
        ground = replace(desk.ground, config=load(tmp_path / "other.toml"))
        yield Watched(desk, ground, Unattributed(ground))


async def test_it_is_recorded_once_until_it_is_over(watched: Watched) -> None:
    part = watched.part
    first, ends = await part.found(SHARED, since_ms=1, count=2)
    assert not ends
    assert await part.found(SHARED, since_ms=1, count=3) == (first, False)
    (row,) = await watched.rows(Kind.UNATTRIBUTED_FOUND)
    assert (row["account"], row["why"], row["count"], row["ends"]) == ("juki", "shared", 2, False)
    await part.ended("resident", first, How.GONE, 2)
    (row,) = await watched.rows(Kind.UNATTRIBUTED_ENDED)
    assert (row["found"], row["how"]) == (first, "gone")
    assert (await part.found(SHARED, since_ms=1, count=1))[0] > first


async def test_found_twice_at_once_it_is_one_row(watched: Watched) -> None:
    async with asyncio.TaskGroup() as group:
        found = [group.create_task(watched.part.found(SHARED, since_ms=1, count=1)) for _ in range(5)]
    assert len({each.result()[0] for each in found}) == 1
    assert len(await watched.rows(Kind.UNATTRIBUTED_FOUND)) == 1


async def test_the_policy_says_whether_it_is_ended(watched: Watched) -> None:
    watched.ends("tax")
    assert not (await watched.part.found(SHARED, since_ms=1, count=1))[1]
    watched.ends("*")
    assert (await watched.part.found(SHARED, since_ms=1, count=1))[1]
    assert watched.part.look("resident", "postgresql", 4).end


async def test_another_life_knows_what_is_open(watched: Watched) -> None:
    over, _ = await watched.part.found(SHARED, since_ms=1, count=1)
    await watched.part.ended("resident", over, How.CUT, 1)
    still, _ = await watched.part.found(replace(SHARED, account="backup"), since_ms=1, count=1)
    again = await watched.again()
    assert [seq for seq, _ in again.look("resident", "postgresql", 0).open] == [still]
    assert again.look("resident", "weblog", 0).open == []
    assert again.look("resident", "postgresql", 0).pattern == "staff_{staff_number}"


async def test_nothing_ends_twice_or_for_another_system(watched: Watched) -> None:
    seq, _ = await watched.part.found(SHARED, since_ms=1, count=1)
    with pytest.raises(Refused, match="not_found"):
        await watched.part.ended("tax", seq, How.GONE, 1)
    await watched.part.ended("resident", seq, How.GONE, 1)
    with pytest.raises(Refused, match="not_found"):
        await watched.part.ended("resident", seq, How.GONE, 1)


async def test_a_flood_fills_no_ledger(watched: Watched) -> None:
    refused = 0
    for number in range(ROWS_AT_ONCE + 20):
        try:
            await watched.part.found(replace(SHARED, account=f"a{number}"), since_ms=1, count=1)
        except Refused:
            refused += 1
    assert refused >= 10
    assert watched.part.state()["unrecorded"] == refused
    assert len(await watched.rows(Kind.UNATTRIBUTED_FOUND)) == ROWS_AT_ONCE + 20 - refused


async def test_a_noisy_log_hides_nothing_of_the_database_or_of_another_system(watched: Watched) -> None:
    log = replace(SHARED, source="weblog")
    for number in range(MOST_OPEN + 1):
        watched.part._open[-number] = replace(log, account=f"a{number}")  # pyright: ignore[reportPrivateUsage] # as if found
    with pytest.raises(Refused, match="busy"):
        await watched.part.found(log, since_ms=1, count=1)
    for each in (SHARED, replace(log, system="tax")):
        assert (await watched.part.found(each, since_ms=1, count=1))[0] > 0


async def test_over_twice_at_once_it_is_one_row(watched: Watched) -> None:
    seq, _ = await watched.part.found(SHARED, since_ms=1, count=1)
    over = [watched.part.ended("resident", seq, How.GONE, 1) for _ in range(5)]
    said = await asyncio.gather(*over, return_exceptions=True)
    assert sum(isinstance(each, Refused) for each in said) == 4
    assert len(await watched.rows(Kind.UNATTRIBUTED_ENDED)) == 1


async def test_sessions_are_those_of_the_systems_seats(watched: Watched) -> None:
    world, now = watched.desk.world, watched.ground.clock.wall_ms()
    chief, sato = await watched.part.sessions("resident", now - 60_000, now + 60_000)
    assert chief.end_ms is not None
    assert (sato.seat, sato.account, sato.end_ms) == (ONE, "staff_1003", None)
    assert world.pipeline.seats[TWO].owner is not None  # her seat has not this system
    world.pipeline.feed(ONE, machine.Pressed(logout=False))
    _, sato = await watched.part.sessions("resident", now - 60_000, now + 60_000)
    assert sato.end_ms is not None  # at once, whether its row is durable or not
    with pytest.raises(Refused, match="at most 31 days"):
        await watched.part.sessions("resident", 0, now)


def test_the_settings_are_read_strictly() -> None:
    assert parse('[unattributed]\nend = ["resident"]\ngrace_s = 5').unattributed == Rules(frozenset({"resident"}), 5)
    assert not Settings().unattributed.ends("resident")
    for text in ("end = [1]", 'end = ["a b"]', "grace_s = 0", "grace_s = 61", "more = 1"):
        with pytest.raises(BundleError, match=r"settings\.toml:2: "):
            parse(f"[unattributed]\n{text}")
