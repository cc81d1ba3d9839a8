"""What leaves: two people, one use, the ledger first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from authd.core import seat as machine
from authd.core.model import HOUR, Grade, Instant, Kind, SeatState, SessionId, SubjectId
from authd.core.ports import LedgerDown
from authd.service import pdp
from authd.service.evidence.carryout import (
    SAID,
    Carryout,
    Closing,
    Exported,
    Leaving,
    NotOut,
    Stage,
    Why,
)
from authd.service.evidence.carryout.said import digest_of
from authd.service.ledger import Recorded
from tests.service.desks import ONE, TWO
from tests.service.evidence.carryout.desk import Desk, an_order, shown, town_hall


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk, None]:
    async with town_hall(tmp_path) as made:
        yield made


async def refused(deed: Any) -> Why:
    with pytest.raises(NotOut) as caught:
        await deed
    return caught.value.why


def anywhere(folder: Path, token: str) -> bool:
    return any(token.encode() in file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def test_two_people_one_use_and_the_ledger_has_it_first(desk: Desk) -> None:
    asked, token = await desk.request()
    assert asked.stage is Stage.REQUESTED
    assert len(token) > 43  # 256 bits, base64
    assert await refused(desk.carryouts.gate.use(shown(token))) is Why.WAITING
    granted = await desk.approve(asked)
    assert granted.approver == desk.session(TWO).subject != granted.requester
    used = await desk.carryouts.gate.use(shown(token, system="resident", session=desk.session(ONE).id))
    assert used.stage is Stage.USED
    (row,) = await desk.rows(Kind.CARRYOUT_USED)
    assert row.entry.subject == desk.session(ONE).subject
    assert row.entry.session == desk.session(ONE).id
    assert row.entry.grade is Grade.MATCHED
    assert row.entry.data["approver"] == granted.approver
    assert await refused(desk.carryouts.gate.use(shown(token))) is Why.SPENT
    blocked = await desk.rows(Kind.CARRYOUT_BLOCKED)
    assert [each.entry.data["why"] for each in blocked] == ["waiting", "spent"]


async def test_the_capability_stands_nowhere_but_in_the_hands_of_who_asked(desk: Desk, tmp_path: Path) -> None:
    asked, token = await desk.granted()
    assert asked.digest == digest_of(token)
    await desk.carryouts.gate.use(shown(token))
    assert not anywhere(tmp_path, token)
    assert token not in repr(desk.carryouts.book.all())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"capability": "cap_of_nobody"}, Why.UNKNOWN),
        ({"kind": Leaving.PRINT}, Why.KIND),
        ({"destination": "drive 9999"}, Why.DESTINATION),
        ({"rows": 201}, Why.ROWS),
        ({"rows": None}, Why.ROWS),
        ({"copies": 2}, Why.COPIES),
        ({"system": "tax", "session": SessionId("ses_x")}, Why.SYSTEM),
        ({"system": "resident", "session": SessionId("ses_x")}, Why.NO_SESSION),
        ({"system": "resident"}, Why.NO_SESSION),
    ],
)
async def test_it_is_for_what_was_allowed_and_for_nothing_else(desk: Desk, changes: Any, why: Why) -> None:
    _, token = await desk.granted()
    assert await refused(desk.carryouts.gate.use(replace(shown(token), **changes))) is why
    assert (await desk.rows(Kind.CARRYOUT_BLOCKED))[-1].entry.data["why"] == why.value
    await desk.carryouts.gate.use(shown(token, rows=199))  # a refusal spends nothing


async def test_another_persons_session_carries_nothing_out(desk: Desk) -> None:
    _, token = await desk.granted()
    at_two = shown(token, system="resident", session=desk.session(TWO).id)
    assert await refused(desk.carryouts.gate.use(at_two)) is Why.PERSON


async def test_nobody_allows_or_gives_back_their_own(desk: Desk) -> None:
    asked, token = await desk.request()
    own = desk.carryouts.asking.approve(asked.id, ONE, desk.session(ONE))
    assert await refused(own) is Why.ONESELF  # before any touch is asked for
    await desk.approve(asked)
    await desk.carryouts.gate.use(shown(token))
    assert await refused(desk.carryouts.asking.close(asked.id, Closing.ERASED, ONE, desk.session(ONE))) is Why.ONESELF
    assert len(desk.carryouts.book.out()) == 1


async def test_it_is_allowed_once(desk: Desk) -> None:
    asked, _ = await desk.granted()
    assert await refused(desk.carryouts.asking.approve(asked.id, TWO, desk.session(TWO))) is Why.GRANTED
    assert len(await desk.rows(Kind.CARRYOUT_GRANTED)) == 1


async def test_while_one_touches_another_may_have_been_first(desk: Desk) -> None:
    asked, _ = await desk.request()

    async def overtaken() -> Why:
        why = await refused(desk.carryouts.asking.approve(asked.id, TWO, desk.session(TWO)))
        assert await desk.rows(Kind.CARRYOUT_GRANTED) == []
        return why

    task = asyncio.create_task(overtaken())
    await desk.world.until(lambda: desk.world.pipeline.seats[TWO].state is SeatState.STEPPING_UP)
    desk.carryouts.book.put(replace(asked, stage=Stage.GRANTED, approver=SubjectId("sub_third")))
    await desk.world.touch(TWO, "chief")
    assert await task is Why.GRANTED


async def test_without_a_touch_nothing_is_asked_or_allowed(desk: Desk) -> None:
    async def leave(deed: Any, seat: Any) -> Why:
        task = asyncio.create_task(refused(deed))
        await desk.world.until(lambda: desk.world.pipeline.seats[seat].state is SeatState.STEPPING_UP)
        desk.world.pipeline.feed(seat, machine.Pressed(logout=False))
        return await task

    asked, _ = await desk.request()
    assert await leave(desk.carryouts.asking.approve(asked.id, TWO, desk.session(TWO)), TWO) is Why.TOUCH
    assert await leave(desk.carryouts.asking.request(ONE, desk.session(ONE), an_order()), ONE) is Why.TOUCH
    assert len(await desk.rows(Kind.CARRYOUT_REQUESTED)) == 1
    assert await desk.rows(Kind.CARRYOUT_GRANTED) == []


async def test_a_system_that_is_silent_about_protections_lets_nothing_out_at_any_step(desk: Desk) -> None:
    desk.hall.covered.clear()
    assert await refused(desk.carryouts.asking.request(ONE, desk.session(ONE), an_order())) is Why.SILENT
    desk.hall.covered.add("resident")
    asked, token = await desk.request()
    desk.hall.covered.clear()
    assert await refused(desk.carryouts.asking.approve(asked.id, TWO, desk.session(TWO))) is Why.SILENT
    desk.hall.covered.add("resident")
    await desk.approve(asked)
    desk.hall.covered.clear()
    assert await refused(desk.carryouts.gate.use(shown(token))) is Why.SILENT
    assert [row.entry.data["why"] for row in await desk.rows(Kind.CARRYOUT_REFUSED)] == ["silent", "silent"]


async def test_after_hours_nothing_leaves_though_it_was_allowed(desk: Desk) -> None:
    _, token = await desk.granted()
    desk.hall.time = pdp.LocalTime(minute=1_300, weekday=2, date="2026-11-24", trusted=True)
    assert await refused(desk.carryouts.gate.use(shown(token))) is Why.HOURS


async def test_a_disabled_person_neither_takes_nor_has_allowed(desk: Desk) -> None:
    _, token = await desk.granted()
    chief = desk.session(TWO).subject
    desk.ground.pdp.directory.update(pdp.PersonAttrs(chief, "resident", disabled=True))
    assert await refused(desk.carryouts.gate.use(shown(token))) is Why.POLICY


async def test_under_break_glass_nothing_is_asked_allowed_or_used(desk: Desk, monkeypatch: Any) -> None:
    asked, token = await desk.request()
    with monkeypatch.context() as patch:
        patch.setattr(type(desk.session(ONE)), "break_glass", True)
        assert await refused(desk.carryouts.asking.request(ONE, desk.session(ONE), an_order())) is Why.BREAK_GLASS
        assert await refused(desk.carryouts.asking.approve(asked.id, TWO, desk.session(TWO))) is Why.BREAK_GLASS
    await desk.approve(asked)
    monkeypatch.setattr(type(desk.session(ONE)), "break_glass", True)
    assert await refused(desk.carryouts.gate.use(shown(token))) is Why.BREAK_GLASS


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"expires_h": 8.1}, Why.LONG),
        ({"return_days": 8}, Why.DUE),
        ({"rows": 0}, Why.MOST_ROWS),
        ({"rows": 100_001}, Why.MOST_ROWS),
        ({"system": "nobody-knows"}, Why.SYSTEM),
    ],
)
async def test_the_settings_bound_what_can_be_asked(desk: Desk, changes: Any, why: Why) -> None:
    desk.hall.covered.add("nobody-knows")
    assert await refused(desk.carryouts.asking.request(ONE, desk.session(ONE), an_order(**changes))) is why
    assert await desk.rows(Kind.CARRYOUT_REQUESTED) == []


async def test_what_nobody_uses_in_time_is_gone(desk: Desk, monkeypatch: Any) -> None:
    _, token = await desk.granted()
    later = Instant(desk.ground.clock.now() + HOUR + 1)
    monkeypatch.setattr(desk.ground.clock, "now", lambda: later)
    assert await refused(desk.carryouts.gate.use(shown(token))) is Why.EXPIRED
    await desk.carryouts.ask_after()
    assert await refused(desk.carryouts.gate.use(shown(token))) is Why.UNKNOWN


async def test_a_hundred_at_once_spend_it_once(desk: Desk) -> None:
    _, token = await desk.granted()
    tries = [desk.carryouts.gate.use(shown(token)) for _ in range(100)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, Carryout) for each in outcomes) == 1
    assert len(await desk.rows(Kind.CARRYOUT_USED)) == 1
    assert len(await desk.rows(Kind.CARRYOUT_BLOCKED)) == 60  # bounded; the rest is counted
    assert desk.carryouts.gate.unrecorded == 39


async def test_when_the_ledger_does_not_answer_nothing_leaves_and_nobody_else_gets_through(
    desk: Desk, monkeypatch: Any
) -> None:
    _, token = await desk.granted()

    async def down(_entry: object) -> int:
        raise LedgerDown("full")

    with monkeypatch.context() as patch:
        patch.setattr(desk.world.ledger, "append", down)
        with pytest.raises(LedgerDown):
            await desk.carryouts.gate.use(shown(token))
    assert await refused(desk.carryouts.gate.use(shown(token))) is Why.SPENT
    desk.carryouts = await desk.again()  # the ledger says that it was not
    await desk.carryouts.gate.use(shown(token))


async def test_another_life_knows_what_the_ledger_says(desk: Desk) -> None:
    asked, _ = await desk.request()
    granted, token = await desk.granted(destination="drive 2")
    _, spent = await desk.granted(destination="drive 3")
    await desk.carryouts.gate.use(shown(spent, destination="drive 3"))
    desk.carryouts = await desk.again()
    assert [each.stage for each in desk.carryouts.book.all()] == [Stage.REQUESTED, Stage.GRANTED, Stage.USED]
    assert desk.carryouts.book.get(granted.id) == granted
    assert await refused(desk.carryouts.gate.use(shown(spent, destination="drive 3"))) is Why.SPENT
    await desk.carryouts.gate.use(shown(token, destination="drive 2"))
    await desk.approve(asked)


def nobodys(row: Recorded) -> bool:
    """Whether a row says of nobody that they did it, in no session; whom it was given to stands in its data."""
    return (row.entry.subject, row.entry.session) == (None, None)


async def test_what_was_exported_names_nobody_as_having_done_it(desk: Desk) -> None:
    """Sato asked; she went home, and another one ran the command: the row tells of her session no more."""
    granted, token = await desk.granted(kind=Leaving.EXPORT)
    sato = desk.session(ONE)
    await desk.carryouts.gate.use(shown(token, kind=Leaving.EXPORT))
    desk.world.pipeline.feed(ONE, machine.Pressed(logout=False))
    await desk.sit(ONE, "chief")
    await desk.carryouts.exported(granted.id, Exported(200, 2, "0" * 64, "1" * 64))
    (row,) = await desk.rows(Kind.CARRYOUT_EXPORTED)
    assert nobodys(row)
    assert (row.entry.seat, row.entry.grade) == (None, Grade.STATEMENT)
    assert (row.entry.data["given_to"], row.entry.data["approver"]) == (sato.subject, granted.approver)


async def test_what_is_out_for_years_is_not_forgotten(desk: Desk, monkeypatch: Any) -> None:
    """In Sakai the file was out for four years."""
    asked, token = await desk.granted()
    await desk.carryouts.gate.use(shown(token))
    _, closed = await desk.granted(destination="drive 2")
    two = await desk.carryouts.gate.use(shown(closed, destination="drive 2"))
    await desk.touching(TWO, "chief", desk.carryouts.asking.close(two.id, Closing.ERASED, TWO, desk.session(TWO)))
    years = desk.ground.clock.wall_ms() + 4 * 366 * 86_400_000
    monkeypatch.setattr(desk.ground.clock, "wall_ms", lambda: years)
    again = await desk.again()
    assert [each.id for each in again.book.all()] == [asked.id]
    assert again.state()["overdue"] == 1


async def test_a_reboot_ends_what_nobody_has_used(desk: Desk, monkeypatch: Any) -> None:
    _, token = await desk.granted()
    monkeypatch.setattr(desk.ground.clock, "boot", "another")
    desk.carryouts = await desk.again()
    assert await refused(desk.carryouts.gate.use(shown(token))) is Why.UNKNOWN


async def test_an_export_stays_open_until_somebody_else_says_that_it_is_back(desk: Desk, monkeypatch: Any) -> None:
    asked, token = await desk.granted(kind=Leaving.EXPORT)
    what = Exported(200, 2, "0" * 64, "1" * 64)
    assert await refused(desk.carryouts.exported(asked.id, what)) is Why.NOT_OUT
    await desk.carryouts.gate.use(shown(token, kind=Leaving.EXPORT))
    assert await refused(desk.carryouts.exported(asked.id, replace(what, rows=201))) is Why.ROWS
    await desk.carryouts.exported(asked.id, what)
    assert await refused(desk.carryouts.exported(asked.id, what)) is Why.SPENT
    assert desk.carryouts.state()["out"] == 1
    wall = desk.ground.clock.wall_ms() + 4 * 86_400_000
    monkeypatch.setattr(desk.ground.clock, "wall_ms", lambda: wall)
    for _ in range(2):
        await desk.carryouts.ask_after()
    (row,) = await desk.rows(Kind.CARRYOUT_OVERDUE)
    assert row.entry.data["carryout"] == asked.id
    assert nobodys(row)
    assert desk.carryouts.state()["overdue_ids"] == [asked.id]
    desk.carryouts = await desk.again()
    await desk.carryouts.ask_after()
    assert len(await desk.rows(Kind.CARRYOUT_OVERDUE)) == 1
    closing = desk.carryouts.asking.close(asked.id, Closing.RETURNED, TWO, desk.session(TWO))
    await desk.touching(TWO, "chief", closing)
    assert desk.carryouts.state() == (await desk.again()).state()
    assert desk.carryouts.state()["out"] == 0
    assert (await desk.rows(Kind.CARRYOUT_CLOSED))[0].entry.data["how"] == "returned"


async def test_a_drive_is_known_by_its_number_while_its_person_is_here(desk: Desk) -> None:
    await desk.granted(kind=Leaving.USB, destination="usb 4C53")
    drive = shown(kind=Leaving.USB, destination="usb 4C53", rows=None)
    assert await refused(desk.carryouts.gate.use(replace(drive, destination="usb 9"))) is Why.UNKNOWN
    desk.world.pipeline.feed(ONE, machine.Pressed(logout=False))
    assert await refused(desk.carryouts.gate.use(drive)) is Why.NOBODY
    await desk.sit(ONE, "sato")
    await desk.carryouts.gate.use(drive)
    assert await refused(desk.carryouts.gate.use(drive)) is Why.SPENT


async def test_a_print_is_known_by_its_title_where_that_was_asked_for(desk: Desk) -> None:
    await desk.granted(kind=Leaving.PRINT, destination="office", title="")
    page = shown(kind=Leaving.PRINT, destination="office", rows=None)
    assert await refused(desk.carryouts.gate.use(page)) is Why.UNKNOWN
    await desk.granted(kind=Leaving.PRINT, destination="office", title="list of evacuees")
    assert await refused(desk.carryouts.gate.use(replace(page, title="list"))) is Why.UNKNOWN
    await desk.carryouts.gate.use(replace(page, title="list of evacuees"))


@pytest.mark.parametrize("brings", [True, False])
async def test_whoever_used_it_the_row_names_nobody_as_having_done_it(desk: Desk, *, brings: bool) -> None:
    """Sato sits there; another one prints with her capability, or by the title, under another name."""
    _, token = await desk.granted(kind=Leaving.PRINT, destination="office", title="list")
    page = shown(token if brings else "", kind=Leaving.PRINT, destination="office", title="list", user="ito")
    await desk.carryouts.gate.use(replace(page, session=desk.session(ONE).id))  # an administrator's word for it
    (row,) = await desk.rows(Kind.CARRYOUT_USED)
    told = row.entry
    assert (told.subject, told.session, told.seat, told.grade) == (None, None, None, Grade.STATEMENT)
    assert (told.data["given_to"], told.data["user"]) == (desk.session(ONE).subject, "ito")


def test_every_reason_is_a_sentence_that_says_what_to_do() -> None:
    assert set(SAID) == set(Why)
    assert str(NotOut(Why.SPENT)).startswith("refused: spent: this carry-out was used already")
