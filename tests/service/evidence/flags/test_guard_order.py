"""The guard asks the registry last, asks it again behind the row, and lets nobody push out what is masked."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from authd.core.model import Entry, Kind
from authd.service.bus.house import Refused
from authd.service.evidence.flags import By, Change, guard
from authd.service.evidence.procedures import Passed
from authd.service.evidence.views import ViewRefused
from tests.service.desks import ONE
from tests.service.evidence.flags.office import Office, office
from tests.service.evidence.flags.test_guard import unmask


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(tmp_path) as made:
        yield made


async def told(desk: Office, number: str, **words: Any) -> str:
    """What a caller's application hears."""
    with pytest.raises((Refused, ViewRefused)) as caught:
        await desk.look(number, By.PHONE, **words)
    error = caught.value
    return error.told if isinstance(error, ViewRefused) else str(error)


@pytest.mark.parametrize("words", [{"purpose": ""}, {"at_ms": 0}, {"nonce": "the-same-nonce-twice"}])
async def test_a_report_that_no_view_comes_of_tells_nothing_of_a_protection(
    desk: Office, words: dict[str, Any]
) -> None:
    await desk.set("20481")
    with desk.passed():
        if "nonce" in words:
            await desk.look("20483", By.PHONE, **words)
        assert await told(desk, "20481", **words) == await told(desk, "20482", **words)
    rows = await desk.rows(Kind.VIEW_REFUSED)
    assert len(rows) == 2
    assert rows[0].data["why"] == rows[1].data["why"] != "not_answered"


async def test_asking_about_who_is_protected_wears_the_session_out_too(desk: Office) -> None:
    await desk.set("20481")
    with desk.passed(), patch.object(guard, "BEAT", 1):
        heard = [await told(desk, "20481") for _ in range(80)]
    assert "too many views a second" in heard[-1]


@pytest.mark.parametrize("by", [By.COUNTER, By.PHONE])
async def test_who_is_protected_before_the_answer_is_not_open(desk: Office, by: By) -> None:
    wish, place = await desk.request(Change.SET), desk.world.ledger.place

    async def slow(entry: Entry) -> Any:
        if entry.kind is Kind.VIEW_OPENED:
            await desk.approve(wish)
        return await place(entry)

    with (
        desk.passed(),
        patch.object(desk.world.ledger, "place", slow),
        pytest.raises(Refused) as caught,
    ):
        await desk.look(by=by)
    (opened,) = await desk.rows(Kind.VIEW_OPENED)
    (row,) = await desk.rows(Kind.VIEW_REFUSED)
    assert opened.data["guard"] == "open"
    assert isinstance(row.data["view"], int)
    if by is By.COUNTER:
        assert "look anew" in str(caught.value)
        assert row.data["why"] == "overtaken"
        assert (await desk.look()).masked
    else:  # in the words for everybody
        assert str(caught.value) == await told(desk, "20482")


async def test_open_looks_make_room_first_and_only_for_their_own_application(desk: Office) -> None:
    await desk.set()
    first = await desk.look()
    with patch.object(guard, "LOOKS", 3):
        for number in range(5):
            await desk.look(f"3000{number}")
            said = desk.said(f"4000{number}", system="tax")
            await desk.flags.look(said, frozenset({ONE}), By.COUNTER)
        again = await desk.look()
        await unmask(desk, first)
        with patch.object(guard, "LOOKS", 1):
            await desk.look()
            with pytest.raises(Refused, match="no such look"):
                await unmask(desk, again, "")


async def test_a_passed_procedure_is_for_one_record_and_stands_in_its_row(desk: Office) -> None:
    await desk.set("20481")
    run = Passed("run_1", "phone", "1", desk.ground.clock.now())
    for first in ("20481", "20482"):  # whether it opens what it was used for, or not
        kept = {desk.one: [run]}
        with patch.object(desk.procedures, "_passed", kept):
            for _ in range(2):
                if first == "20481":
                    await told(desk, first)
                else:
                    await desk.look(first, By.PHONE)
            await told(desk, "20483")
    assert [row.data["run"] for row in await desk.rows(Kind.VIEW_OPENED)] == ["run_1", "run_1"]
