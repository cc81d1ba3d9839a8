from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from authd.client import verify
from authd.core.model import EndReason, Entry, Epoch, Kind
from authd.service.bus import outbox
from tests.service.bus.fakes import ITO, ONE, SATO, TWO, World
from tests.service.bus.raw import RawLocal, RawRouter


async def next_event(raw: RawRouter) -> dict[str, Any]:
    while "event" not in (frame := await raw.next()):
        pass
    event: dict[str, Any] = frame["event"]
    return event


async def test_old_rows_then_new_ones_in_order_and_signed(served: World) -> None:
    served.house.open(ONE, SATO)
    served.house.end(ONE, durable=True)
    async with RawRouter(served, served.resident) as raw:
        key = (await raw.ask(id=1, verb="ping"))["event_key"]
        assert (await raw.ask(id=2, verb="follow", after=0)) == {"id": 2, "ok": True, "after": 0, "head": 3}
        served.house.open(ONE, ITO)
        events = [await next_event(raw) for _ in range(3)]
    assert [event["id"] for event in events] == ["2", "3", "5"]
    assert [event["type"].split(".", 2)[2] for event in events] == [
        "session.started",
        "session.ended",
        "session.started",
    ]
    for event in events:
        verify(event, _raw_key(key), "resident")


async def test_without_a_place_it_begins_now(served: World) -> None:
    served.house.open(ONE, SATO)
    async with RawRouter(served, served.resident) as raw:
        assert (await raw.ask(id=2, verb="follow"))["after"] == 2
        served.house.end(ONE)
        assert (await next_event(raw))["id"] == "3"


async def test_an_application_hears_of_its_own_seats_only(served: World) -> None:
    async with RawRouter(served, served.resident) as raw:
        await raw.ask(id=2, verb="follow", after=0)
        served.house.open(TWO, ITO)
        served.ledger.append(Entry(Kind.ATTEMPT_REFUSED, ONE, Epoch(1), ITO))
        served.ledger.append(Entry(Kind.ENROLMENT_CREATED, ONE, Epoch(1), ITO))
        served.house.open(ONE, SATO)
        event = await next_event(raw)
    assert event["subject"] == SATO
    assert event["data"]["person"] == {"name": "佐藤 花子", "section": "resident"}


async def test_a_lock_is_told_ahead_of_its_row(served: World) -> None:
    session = served.house.open(ONE, SATO)
    async with RawRouter(served, served.resident) as raw:
        await raw.ask(id=2, verb="follow")
        served.house.end(ONE, EndReason.ABSENCE, durable=False)
        while "lock" not in (frame := await raw.next()):
            assert "event" not in frame
    assert frame["lock"] == {"session": session, "seat": ONE, "reason": "absence"}


async def test_a_lock_at_another_seat_is_not_told(served: World) -> None:
    served.house.open(TWO, SATO)
    async with RawRouter(served, served.resident) as raw:
        await raw.ask(id=2, verb="follow")
        served.house.end(TWO)
        served.house.open(ONE, ITO)
        while "event" not in (frame := await raw.next()):
            assert "lock" not in frame


async def test_beats_carry_the_place_past_rows_that_are_hidden(served: World) -> None:
    async with RawRouter(served, served.resident) as raw:
        await raw.ask(id=2, verb="follow", after=0)
        served.house.open(TWO, SATO)
        while (frame := await raw.next()).get("beat") != 2:
            assert "event" not in frame
        assert frame["head"] == 2


async def test_a_follower_that_is_ahead_of_the_ledger_is_told_so(served: World) -> None:
    async with RawRouter(served, served.resident) as raw:
        answer = await raw.ask(id=2, verb="follow", after=10)
    assert answer["error"] == "refused"


async def test_a_revoked_follower_hears_nothing_more(served: World) -> None:
    async with RawRouter(served, served.resident) as raw:
        await raw.ask(id=2, verb="follow")
        served.directory.revoke(served.resident.public)
        served.house.open(ONE, SATO)
        served.house.end(ONE)
        while "beat" in (frame := await raw.next()):
            pass
        assert frame["error"] == "not_permitted"
        assert await raw.hears_nothing(0.7)


async def test_a_quiet_revoked_follower_is_ended_by_its_beat(served: World) -> None:
    async with RawRouter(served, served.resident) as raw:
        await raw.ask(id=2, verb="follow")
        served.directory.revoke(served.resident.public)
        while "beat" in (frame := await raw.next()):
            pass
        assert frame["error"] == "not_permitted"


@pytest.mark.real
async def test_a_follower_that_does_not_read_is_cut_and_comes_back(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "PATIENCE", 300_000_000)
    for _ in range(1_000):
        served.house.open(ONE, SATO)
        served.house.end(ONE)
    async with RawLocal(served) as stalled, RawLocal(served) as other:
        stalled.send(b'{"id":2,"verb":"follow","after":0}\n')
        while not served.tally.slow:
            assert await other.ask(id=1, verb="ping")
            await asyncio.sleep(0.01)
        last, frame = 0, await stalled.next()
        while frame is not None and "error" not in frame:
            last = frame["event"]["data"]["seq"] if "event" in frame else last
            frame = await stalled.next()
        assert frame == {"id": 2, "ok": False, "error": "slow", "message": "cut: it was not read"}
        assert await stalled.next() is None
    async with RawLocal(served) as again:
        again.send(json.dumps({"id": 2, "verb": "follow", "after": last}).encode() + b"\n")
        while "event" not in (frame := (await again.next()) or {}):
            pass
        assert frame["event"]["data"]["seq"] in {last + 1, last + 2}


async def test_a_screen_sees_its_seat_and_the_name_of_who_is_there(served: World) -> None:
    async with RawRouter(served, served.screen_one) as screen:
        assert (await screen.ask(id=3, verb="watch", seat=ONE))["ok"]
        session = served.house.open(ONE, SATO)
        while "face" not in (frame := await screen.next()):
            pass
    face = frame["face"]
    assert (face["state"], face["message"], face["session"]) == ("active", "start", session)
    assert face["person"]["kana"] == "サトウ ハナコ"


def _raw_key(text: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(text + "==")
