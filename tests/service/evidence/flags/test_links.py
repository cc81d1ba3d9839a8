"""Linked systems: who holds what, who is silent, and what a record is called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from unittest.mock import patch

import pytest

from authd.core.model import SECOND, Instant, Kind
from authd.service.bus.house import Refused
from authd.service.evidence.flags import Change, Coverage, Flags, links
from authd.service.evidence.flags.links import NEWS_BURST, SILENT_AFTER, Marks
from authd.service.evidence.records import RecordId
from tests.service.evidence.flags.office import Office, jobs, office

KEY = bytes(range(32))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(tmp_path) as made:
        yield made


def seen(flags: Flags, system: str) -> Coverage:
    return next(each for each in flags.coverage() if each.system == system)


async def test_a_system_covers_once_it_says_that_it_holds_the_newest_version(desk: Office) -> None:
    assert not desk.flags.covered("tax")
    await desk.flags.held("tax", 0)
    assert desk.flags.covered("tax")
    version = await desk.set()
    assert not desk.flags.covered("tax")
    await desk.flags.held("tax", version)
    assert desk.flags.covered("tax")
    rows = [row.data for row in await desk.rows(Kind.FLAG_HELD)]
    assert rows == [{"system": "tax", "version": version, "silent": False}]


async def test_what_is_held_is_durable_and_a_restart_trusts_nobodys_presence(desk: Office) -> None:
    version = await desk.set()
    await desk.flags.held("tax", version)
    again = await desk.again()
    tax = seen(again, "tax")
    assert (tax.version, tax.silent, tax.covered) == (version, True, False)
    assert not again.covered("tax")


async def test_a_system_that_falls_silent_is_seen_and_written_down_and_heard_again(desk: Office) -> None:
    await desk.flags.held("tax", 0)
    start = desk.world.clock.now()
    with patch.object(links, "LOOK_S", 0.001), patch.object(desk.world.clock, "now") as now:
        now.return_value = start
        async with jobs(desk.flags):
            await asyncio.sleep(0.01)
            assert not seen(desk.flags, "tax").silent
            now.return_value = Instant(start + SILENT_AFTER + SECOND)
            assert seen(desk.flags, "tax").silent
            assert not desk.flags.covered("tax")
            async with asyncio.timeout(60):
                async for row in desk.world.ledger.follow(0):
                    if row.entry.kind is Kind.FLAG_HELD and row.entry.data["system"] == "tax":
                        break
            await desk.flags.held("tax", 0)
    tax = [row.data["silent"] for row in await desk.rows(Kind.FLAG_HELD) if row.data["system"] == "tax"]
    assert tax == [True, False]
    resident = [row.data["silent"] for row in await desk.rows(Kind.FLAG_HELD) if row.data["system"] == "resident"]
    assert resident == [True]  # it has never come


def test_silence_is_visible_within_ten_seconds() -> None:
    assert SILENT_AFTER + links.LOOK_S * SECOND <= 10 * SECOND


async def test_a_system_that_was_restored_from_a_copy_is_behind(desk: Office) -> None:
    version = await desk.set()
    await desk.flags.held("tax", version)
    await desk.flags.held("tax", 0)
    assert not desk.flags.covered("tax")
    assert seen(desk.flags, "tax").version == 0


async def test_nobody_holds_what_there_is_not(desk: Office) -> None:
    with pytest.raises(Refused, match="another registry's"):
        await desk.flags.held("tax", 99_999)
    with pytest.raises(Refused, match=r"linked = true in \[application.mail\]"):
        await desk.flags.held("mail", 0)
    with pytest.raises(Refused, match="linked = true"):
        desk.flags.marks("mail", [desk.flags.record("1")])


async def test_a_system_that_flaps_does_not_fill_the_ledger(desk: Office) -> None:
    version = await desk.set()

    async def flap() -> None:
        for number in range(2 * NEWS_BURST):
            await desk.flags.held("tax", version if number % 2 else 0)

    with pytest.raises(Refused, match="busy"):
        await flap()


async def test_what_is_not_linked_is_shown_as_such(desk: Office) -> None:
    mail = seen(desk.flags, "mail")
    assert (mail.linked, mail.covered, mail.version) == (False, False, 0)


async def test_changes_are_followed_from_any_version(desk: Office) -> None:
    first = await desk.set("1", "2")
    second = await desk.set("3")
    third = await desk.approve(await desk.request(Change.RELEASE, "3"))
    changes = desk.flags.changes(0)
    assert [(version, len(flags)) for version, flags in [await anext(changes), await anext(changes)]] == [
        (first, 2),
        (third, 1),
    ]
    later = asyncio.create_task(anext(changes))
    fourth = await desk.set("3")
    version, (flag,) = await later
    assert (version, flag.protected) == (fourth, True)
    version, _ = await anext(desk.flags.changes(second))
    assert version == fourth  # the newest state of each record, once
    with pytest.raises(Refused, match="another one"):
        await anext(desk.flags.changes(fourth + 1))


def test_a_mark_is_one_systems_own() -> None:
    marks, record, other = Marks(KEY), RecordId("rec_" + "a" * 32), RecordId("rec_" + "b" * 32)
    found = {marks.mark(system, each) for system in ("tax", "resident") for each in (record, other)}
    assert len(found) == 4
    assert marks.mark("tax", record) == Marks(KEY).mark("tax", record)
    assert marks.mark("tax", record) != Marks(bytes(32)).mark("tax", record)
    assert all(record not in each and len(each) == 31 for each in found)
