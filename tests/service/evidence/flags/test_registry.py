"""Two persons, versions, and a book that is rebuilt from the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from authd.core.model import Entry, Kind
from authd.core.ports import LedgerDown
from authd.core.seat import Pressed
from authd.service.bus.house import Refused
from authd.service.evidence.flags import Change, Flags, registry
from tests.service.desks import ONE, TWO
from tests.service.evidence.flags.office import Office, jobs, office

CHANGES = (Kind.FLAG_SET, Kind.FLAG_RENEWED, Kind.FLAG_RELEASED)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(tmp_path) as made:
        yield made


def state(flags: Flags) -> object:
    return (flags.version, dict(flags.book.flags), flags.book.waiting)


async def test_two_people_set_renew_and_release_and_the_ledger_tells_it_again(desk: Office) -> None:
    first = await desk.set()
    assert desk.protected()
    assert not desk.protected("20482")
    renewed = await desk.approve(await desk.request(Change.RENEW))
    assert desk.protected()
    assert state(await desk.again()) == state(desk.flags)
    released = await desk.approve(await desk.request(Change.RELEASE))
    assert not desk.protected()
    assert first < renewed < released == desk.flags.version
    assert state(await desk.again()) == state(desk.flags)


async def test_the_rows_name_both_persons_and_never_the_number(desk: Office) -> None:
    await desk.set()
    asked, done = await desk.rows(Kind.FLAG_REQUESTED, Kind.FLAG_SET)
    assert asked.subject != done.subject
    assert done.data["first"] == asked.subject
    assert (asked.seat, done.seat) == (ONE, TWO)
    assert done.data["record"] == desk.flags.record("20481")
    assert done.grade is not None
    assert "20481" not in repr((asked, done))


async def test_the_person_who_asked_cannot_approve(desk: Office) -> None:
    wish = await desk.request(Change.SET)
    with pytest.raises(Refused, match="cannot approve: another one is to log in"):
        await desk.flags.approve(wish.request, ONE)
    assert not desk.protected()


async def test_the_first_persons_touch_is_nobody_elses(desk: Office) -> None:
    record = desk.flags.record("20481")
    with pytest.raises(Refused, match="touch"):
        await desk.touched(desk.flags.request(ONE, Change.SET, [record]), (ONE, "second"))
    assert await desk.rows(Kind.FLAG_REQUESTED) == []


async def test_the_second_persons_touch_is_nobody_elses(desk: Office) -> None:
    wish = await desk.request(Change.SET)
    with pytest.raises(Refused, match="touch"):
        await desk.touched(desk.flags.approve(wish.request, TWO), (TWO, "chief"))
    assert await desk.rows(Kind.FLAG_SET) == []
    assert not desk.protected()


async def test_nobody_asks_at_an_empty_seat(desk: Office) -> None:
    desk.world.pipeline.feed(TWO, Pressed(logout=False))
    with pytest.raises(Refused, match="nobody is logged in at counter-2"):
        await desk.flags.request(TWO, Change.SET, [desk.flags.record("1")])


async def test_a_release_needs_something_to_release(desk: Office) -> None:
    for change in (Change.RELEASE, Change.RENEW):
        with pytest.raises(Refused, match="not protected"):
            await desk.flags.request(ONE, change, [desk.flags.record("20481")])


async def test_a_queued_release_never_beats_a_newer_set(desk: Office) -> None:
    await desk.set()
    release = await desk.request(Change.RELEASE)
    await desk.set()
    with pytest.raises(Refused, match="overtaken"):
        await desk.approve(release)
    assert desk.protected()
    (dropped,) = await desk.rows(Kind.FLAG_DROPPED)
    assert (dropped.data["request"], dropped.data["why"]) == (release.request, "overtaken")
    assert state(await desk.again()) == state(desk.flags)


async def test_a_release_waits_for_no_set_that_somebody_has_asked_for(desk: Office) -> None:
    await desk.set()
    release = await desk.request(Change.RELEASE)
    setting = await desk.request(Change.SET)
    with pytest.raises(Refused, match="overtaken"):
        await desk.approve(release)
    await desk.approve(setting)
    assert desk.protected()


async def test_a_renewal_that_waited_protects_again_what_was_released_meanwhile(desk: Office) -> None:
    await desk.set()
    release, renewal = await desk.request(Change.RELEASE), await desk.request(Change.RENEW)
    await desk.approve(renewal)
    with pytest.raises(Refused, match="overtaken"):
        await desk.approve(release)
    assert desk.protected()


async def test_one_flag_covers_the_same_person_under_other_numbers(desk: Office) -> None:
    await desk.set("20481", "778123")
    assert desk.protected("778123")
    await desk.approve(await desk.request(Change.RELEASE, "778123"))
    assert not desk.protected("20481")
    assert not desk.protected("778123")


async def test_a_release_takes_back_only_what_was_set_together(desk: Office) -> None:
    await desk.set("20481", "778123")
    await desk.set("778123")
    await desk.approve(await desk.request(Change.RELEASE, "20481"))
    assert (desk.protected("20481"), desk.protected("778123")) == (False, True)


async def test_a_request_that_was_refused_or_answered_is_none_any_more(desk: Office) -> None:
    wish = await desk.request(Change.SET)
    assert await desk.approve(wish, refuse=True) == 0
    for _ in range(2):
        with pytest.raises(Refused, match="no such request waits"):
            await desk.flags.approve(wish.request, TWO)
    (dropped,) = await desk.rows(Kind.FLAG_DROPPED)
    assert dropped.data["why"] == "refused"


async def test_a_year_is_what_it_is_set_for_and_nothing_lapses_by_itself(desk: Office) -> None:
    record, wall = desk.flags.record("20481"), desk.world.clock.wall_ms()
    today = datetime.fromtimestamp(wall / 1000).astimezone().date()
    with patch.object(desk.world.clock, "wall_ms") as now:  # whenever this runs, it is one day
        now.return_value = wall
        await desk.approve(await desk.request(Change.SET, until=today.isoformat(), case="2026-17"))
        flag = desk.flags.book.flags[record]
        assert (flag.until, flag.case, flag.protected) == (today.isoformat(), "2026-17", True)
        now.return_value = wall + 40 * 86_400_000
        assert desk.protected()
        assert (await desk.again()).protected(record)
        now.return_value = wall
        await desk.approve(await desk.request(Change.RENEW))
    flag = desk.flags.book.flags[record]
    assert flag.until == (today + timedelta(days=365)).isoformat()
    assert flag.case == "2026-17"


@pytest.mark.parametrize("until", ["2001-01-01", "2099-01-01", "2026-02-30", "soon"])
async def test_until_is_a_day_within_a_year(desk: Office, until: str) -> None:
    with pytest.raises(Refused, match="until is a day within a year"):
        await desk.request(Change.SET, until=until)


async def test_a_request_that_waits_too_long_comes_to_nothing(desk: Office) -> None:
    await desk.request(Change.SET)
    with patch.object(registry, "_AGAIN_S", 0.001), patch.object(registry, "WAITS", -1):
        async with jobs(desk.flags):
            await desk.world.until(lambda: not desk.flags.book.waiting)
    (dropped,) = await desk.rows(Kind.FLAG_DROPPED)
    assert dropped.data["why"] == "too_old"


@contextmanager
def in_doubt(desk: Office) -> Generator[None]:
    """Appends of a set time out, and their rows are there."""
    append = desk.world.ledger.append

    async def late(entry: Entry) -> int:
        seq = await append(entry)
        if entry.kind is Kind.FLAG_SET:
            raise LedgerDown("slow")
        return seq

    with patch.object(desk.world.ledger, "append", late), pytest.raises(LedgerDown):
        yield


async def test_a_set_whose_row_became_durable_after_all_holds(desk: Office) -> None:
    """A registry that goes by the append's answer would not protect."""
    wish = await desk.request(Change.SET)
    with in_doubt(desk):
        await desk.approve(wish)
    with patch.object(registry, "_AGAIN_S", 0.001):
        async with jobs(desk.flags):
            await desk.world.until(desk.protected)
    assert state(await desk.again()) == state(desk.flags)


async def test_a_change_behind_one_in_doubt_is_told_behind_it(desk: Office) -> None:
    """Else a linked system would pass the earlier version, and never hear of it."""
    wish = await desk.request(Change.SET, "1")
    with in_doubt(desk):
        await desk.approve(wish)
    second = await desk.set("2")
    changes = desk.flags.changes(0)
    (first, _), (version, _) = await anext(changes), await anext(changes)
    assert first < version == second
    assert desk.protected("1")


async def test_approvals_at_the_same_moment_do_it_once(desk: Office) -> None:
    wish = await desk.request(Change.SET)
    both = (desk.flags.approve(wish.request, TWO), desk.flags.approve(wish.request, TWO))
    done = await desk.touched(asyncio.gather(*both, return_exceptions=True), (TWO, "second"))
    assert sum(isinstance(each, Refused) for each in done) == 1
    assert len(await desk.rows(*CHANGES)) == 1


@pytest.mark.parametrize("kind", [Kind.FLAG_REQUESTED, Kind.FLAG_SET])
async def test_what_is_durable_is_in_force_though_the_caller_hung_up(desk: Office, kind: Kind) -> None:
    append = desk.world.ledger.append
    here = asyncio.current_task()
    assert here is not None

    async def hang_up(entry: Entry) -> int:
        if entry.kind is kind:
            here.cancel()
        return await append(entry)

    with patch.object(desk.world.ledger, "append", hang_up), pytest.raises(asyncio.CancelledError):
        await desk.set()
    here.uncancel()
    await desk.world.ledger.checkpoint()
    changed = desk.flags.book.waiting if kind is Kind.FLAG_REQUESTED else desk.protected()
    assert changed
    assert state(await desk.again()) == state(desk.flags)
