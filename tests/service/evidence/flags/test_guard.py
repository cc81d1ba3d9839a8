"""The guard: masked until a touch, a purpose and the checklist; refusals that are the same for everybody."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from authd.core.model import Kind, SessionId
from authd.core.ports import LedgerDown
from authd.core.seat import Pressed
from authd.service.bus.house import Refused
from authd.service.evidence.flags import By, Look, guard, refusals
from authd.service.evidence.flags.guard import BEAT
from authd.service.evidence.views import ViewRefused, Why
from tests.service.desks import ONE
from tests.service.evidence.flags.office import Office, office


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(tmp_path) as made:
        yield made


def answers(look: Look) -> dict[str, str]:
    """Every step answered as it has to be."""
    assert look.checklist is not None
    return {step.id: next(each.id for each in step.answers if each.goes_on) for step in look.checklist.steps}


def unmask(desk: Office, look: Look, finger: str = "chief", **words: Any) -> Any:
    said: dict[str, Any] = {"purpose": "certificate", "shown": look.notice("ja"), "answers": answers(look), **words}
    return desk.touched(desk.flags.guard.unmask(look.id, "resident", **said), *([(ONE, finger)] if finger else []))


async def test_who_is_not_protected_is_open_and_the_view_is_recorded(desk: Office) -> None:
    look = await desk.look()
    assert not look.masked
    (row,) = await desk.rows(Kind.VIEW_OPENED)
    assert (row.data["record"], row.data["guard"]) == (desk.flags.record("20481"), "open")


async def test_who_is_protected_is_masked_until_touch_purpose_and_checklist(desk: Office) -> None:
    await desk.set()
    look = await desk.look()
    assert look.masked
    _, opened = await unmask(desk, look)
    (viewed,) = await desk.rows(Kind.VIEW_OPENED)
    (row,) = await desk.rows(Kind.VIEW_ACKNOWLEDGED)
    assert viewed.data["guard"] == "masked"
    assert (row.session, row.grade, row.seat) == (desk.one, "B", ONE)
    assert (row.data["purpose"], row.data["record"]) == ("certificate", viewed.data["record"])
    assert row.data["text"] == look.notice("ja")  # the exact words that were on the screen
    assert row.data["language"] == "ja"
    assert "screen=read" in str(row.data["answers"])
    assert 0 <= desk.ground.clock.wall_ms() - int(str(row.data["touched"])) < 60_000
    assert opened.seq == desk.world.ledger.head
    assert "20481" not in repr(row)


async def test_the_exact_words_are_kept_in_the_language_that_was_shown(desk: Office) -> None:
    await desk.set()
    look = await desk.look()
    await unmask(desk, look, shown=look.notice("en"))
    (row,) = await desk.rows(Kind.VIEW_ACKNOWLEDGED)
    assert (row.data["language"], row.data["text"]) == ("en", look.notice("en"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"purpose": " "}, "needs a purpose"),
        ({"shown": "OK"}, "word for word"),
        ({"answers": {}}, "checklist"),
        ({"answers": {"screen": "doubt"}}, "checklist"),
    ],
)
async def test_it_stays_masked_without(desk: Office, words: dict[str, Any], told: str) -> None:
    await desk.set()
    look = await desk.look()
    if words.get("answers"):
        words = {"answers": answers(look) | words["answers"]}
    with pytest.raises(Refused, match=told):
        await unmask(desk, look, "", **words)
    assert await desk.rows(Kind.VIEW_ACKNOWLEDGED) == []


async def test_it_stays_masked_without_the_owners_own_touch(desk: Office) -> None:
    await desk.set()
    look = await desk.look()
    with pytest.raises(Refused, match="touch"):
        await unmask(desk, look, "second")
    assert await desk.rows(Kind.VIEW_ACKNOWLEDGED) == []


async def test_a_look_is_good_once_in_its_session_for_its_application(desk: Office) -> None:
    await desk.set()
    look = await desk.look()
    with pytest.raises(Refused, match="no such look"):
        await desk.flags.guard.unmask(look.id, "tax", "certificate", look.notice("ja"), answers(look))
    await unmask(desk, look)
    with pytest.raises(Refused, match="no such look"):
        await unmask(desk, look, "")
    other = await desk.look()
    with patch.object(guard, "LOOK_FOR", -1), pytest.raises(Refused, match="no such look"):
        await unmask(desk, other, "")
    desk.world.pipeline.feed(ONE, Pressed(logout=False))
    with pytest.raises(Refused, match="session of this look has ended"):
        await unmask(desk, other, "")


async def test_nothing_is_shown_that_is_not_durable(desk: Office) -> None:
    await desk.set()
    look = await desk.look()
    append = desk.world.ledger.append

    async def full(entry: Any) -> int:
        if entry.kind is Kind.VIEW_ACKNOWLEDGED:
            raise LedgerDown("full")
        return await append(entry)

    with patch.object(desk.world.ledger, "append", full), pytest.raises(LedgerDown):
        await unmask(desk, look)


async def test_nothing_is_answered_whose_view_is_not_durable(desk: Office) -> None:
    """Whether it is masked is a look-up of the flag: it is told behind the row, or not at all."""
    await desk.set()

    async def full(entry: Any) -> Any:
        raise LedgerDown("full")

    with patch.object(desk.world.ledger, "place", full), patch.object(desk.world.ledger, "append", full):
        for by in (By.COUNTER, By.PHONE):
            with pytest.raises(LedgerDown):
                await desk.look("20481", by)


async def test_a_view_that_is_none_is_refused(desk: Office) -> None:
    with pytest.raises(Refused, match="no such session"):
        await desk.look(session=SessionId("ses_none"))
    with pytest.raises(Refused, match="no such session"):
        await desk.flags.look(desk.said(), frozenset(), By.COUNTER)
    with pytest.raises(ViewRefused) as caught:
        await desk.look(purpose="", call="")
    assert caught.value.why is Why.NO_PURPOSE


@pytest.mark.parametrize("by", [By.PHONE, By.LETTER])
async def test_a_refusal_is_the_same_for_every_resident(desk: Office, by: By) -> None:
    await desk.set("20481")
    told: list[str] = []
    for number in ("20481", "20482"):
        with pytest.raises(Refused) as caught:
            await desk.look(number, by)
        told.append(str(caught.value))
    assert told[0] == told[1]
    one, other = await desk.rows(Kind.VIEW_REFUSED)
    differing = {name for name in one.data if one.data[name] != other.data[name]}
    assert differing == {"record", "nonce"}


async def test_a_call_that_went_through_its_procedure_opens_whoever_is_not_protected(desk: Office) -> None:
    await desk.set("20481")
    with desk.passed():
        assert not (await desk.look("20482", By.PHONE)).masked
        with pytest.raises(Refused) as protected:
            await desk.look("20481", By.PHONE)
    with pytest.raises(Refused) as neither:
        await desk.look("20482", By.PHONE)
    assert str(protected.value) == str(neither.value)


async def test_a_refusal_to_unmask_does_not_ask_whether_it_is_protected(desk: Office) -> None:
    """The same answers, and the same rows, for a record of which nobody ever heard."""
    await desk.set("20481")
    told: list[str] = []
    for number in ("20481", "20482"):
        look = await desk.look(number)
        with pytest.raises(Refused) as caught:
            await unmask(desk, look, "", answers={})
        told.append(str(caught.value))
    assert told[0] == told[1]


async def test_refusals_leave_on_a_beat(desk: Office) -> None:
    """By construction: whatever the work took, the answer waits for a multiple of the beat since it was asked."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    now = iter([1_000, 1_000 + BEAT * 7 // 4])
    with (
        patch("authd.service.evidence.flags.guard.asyncio.sleep", sleep),
        patch.object(desk.world.clock, "now", lambda: next(now, 1_000 + BEAT * 7 // 4)),
        pytest.raises(Refused),
    ):
        await desk.look(session=SessionId("ses_none"))
    assert slept == [BEAT / 4 / 1e9]


async def test_a_flood_of_refusals_is_counted_and_not_written_out(desk: Office) -> None:
    with patch.object(guard, "BEAT", 1), patch.object(refusals, "ROWS", 10):
        for _ in range(10 + 5):
            with pytest.raises(Refused):
                await desk.look("20482", By.PHONE)
    desk.flags.guard.refusals.close(None)
    await desk.world.ledger.checkpoint()
    rows = await desk.rows(Kind.VIEW_REFUSED)
    assert len(rows) == 10 + 1
    assert rows[-1].data["count"] == 5


async def test_a_look_up_of_a_flag_is_a_view(desk: Office) -> None:
    await desk.set()
    asked = desk.flags.ask(ONE, desk.flags.record("20481"), "renewal")
    flag = await desk.touched(asked, (ONE, "chief"))
    assert flag is not None
    (row,) = await desk.rows(Kind.VIEW_OPENED)
    assert (row.data["system"], row.data["screen"], row.data["purpose"]) == ("authd", "flags", "renewal")


async def test_a_flag_is_not_looked_up_in_the_name_of_whoever_sits_there(desk: Office) -> None:
    await desk.set()
    with pytest.raises(Refused, match="the touch did not come"):
        await desk.touched(desk.flags.ask(ONE, desk.flags.record("20481"), "renewal"), (ONE, "second"))
    assert await desk.rows(Kind.VIEW_OPENED) == []
