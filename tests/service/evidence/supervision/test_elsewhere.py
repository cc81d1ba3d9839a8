"""A seat that is active while its owner is seen somewhere else: told at once, durable first, never acted on."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from authd.core.model import EndReason, Entry, Grade, Kind, SeatId, SessionId, SubjectId
from authd.core.ports import LedgerDown
from authd.service.evidence.supervision import Seen
from authd.service.evidence.supervision.elsewhere import Source
from tests.service.evidence.supervision.office import CHIEF, HEAD, ITO, ONE, SATO, TWO, Office, office

GATE = "裏口"


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)


async def session(desk: Office, seat: SeatId, who: SubjectId, since: str, until: str = "") -> None:
    id_ = SessionId(f"ses_{who}_{since}")
    await desk.write(ms(since), Entry(Kind.SESSION_STARTED, seat, subject=who, session=id_, grade=Grade.MATCHED))
    if until:
        ended = Entry(Kind.SESSION_ENDED, seat, subject=who, session=id_, reason=EndReason.LOCK)
        await desk.write(ms(until), ended)
    await desk.hear()


async def elsewhere(desk: Office) -> list[Entry]:
    return [row.entry for row in await desk.rows(Kind.DISCIPLINE_NOTED) if row.entry.data["what"] == "elsewhere"]


def at(text: str, place: str = GATE, number: str = "1003", *, out: bool = False) -> Seen:
    return Seen(number, place, ms(text), Source.DOOR, out)


async def test_a_door_that_sees_the_owner_of_an_active_seat(tmp_path: Path) -> None:
    async with office(tmp_path, "2027-03-04T12:00") as desk:
        await desk.hire()
        await session(desk, ONE, SATO, "2027-03-04T11:00")
        assert await desk.part.seen([at("2027-03-04T11:50")]) == (1, 0)
        (note,) = await elsewhere(desk)
        assert (note.seat, note.subject, note.grade) == (ONE, SATO, Grade.DEVICE)
        assert note.session == f"ses_{SATO}_2027-03-04T11:00"
        assert (note.data["place"], note.data["source"]) == (GATE, "door")
        assert desk.pipeline.fed == []
        await desk.hear()
        assert [(each.seat, each.place) for each in await desk.part.alerts_for(HEAD)] == [(ONE, GATE)]
        assert str(desk.part.state()["elsewhere"]).count(GATE) == 1
        for other in (SATO, ITO):
            assert await desk.part.alerts_for(other) == []


@pytest.mark.parametrize(
    "seen",
    [
        at("2027-03-04T10:59"),
        at("2027-03-04T11:00:20"),
        at("2027-03-04T11:29:50"),
        at("2027-03-04T11:40"),
        at("2027-03-04T11:15", "counter-1"),
        at("2027-03-04T11:15", "resident"),
        at("2027-03-04T11:15", "ward-1"),
        at("2027-03-04T11:15", number="1004"),
        at("2027-03-04T11:15", number="8888"),
        at("2027-03-02T11:15"),
        at("2027-03-04T12:30"),
    ],
)
async def test_what_says_nothing_is_not_told(tmp_path: Path, seen: Seen) -> None:
    async with office(tmp_path, "2027-03-04T12:00") as desk:
        await desk.hire()
        await session(desk, ONE, SATO, "2027-03-04T11:00", "2027-03-04T11:30")
        assert (await desk.part.seen([seen]))[0] == 0
        assert await elsewhere(desk) == []


async def test_going_out_of_the_own_place_is_elsewhere(tmp_path: Path) -> None:
    async with office(tmp_path, "2027-03-04T12:00") as desk:
        await desk.hire()
        await session(desk, ONE, SATO, "2027-03-04T11:00")
        assert (await desk.part.seen([at("2027-03-04T11:15", "resident", out=True)]))[0] == 1


async def test_a_session_is_told_once_after_a_restart_too(tmp_path: Path) -> None:
    async with office(tmp_path, "2027-03-04T12:00") as desk:
        await desk.hire()
        await session(desk, ONE, SATO, "2027-03-04T11:00")
        await desk.part.seen([at("2027-03-04T11:15"), at("2027-03-04T11:16")])
        desk.part = await desk.again()
        await desk.part._catch_up()  # pyright: ignore[reportPrivateUsage] (what a start does)
        await desk.part.seen([at("2027-03-04T11:17")])
        assert len(await elsewhere(desk)) == 1


@pytest.mark.parametrize(
    ("data", "count"), [({"rules": "base.hours"}, 1), ({"why": "revoked"}, 0), ({"rules": "x", "why": "identifier"}, 0)]
)
async def test_a_refused_touch_at_another_seat_is_told_a_key_that_is_not_accepted_is_not(
    tmp_path: Path, data: dict[str, str], count: int
) -> None:
    async with office(tmp_path, "2027-03-04T12:00") as desk:
        await desk.hire()
        await session(desk, ONE, SATO, "2027-03-04T11:00")
        await desk.ledger.append(Entry(Kind.ATTEMPT_REFUSED, TWO, subject=SATO, data=data))
        await desk.hear()
        found = await elsewhere(desk)
        assert [(each.seat, each.data["place"], each.grade) for each in found] == [(ONE, TWO, Grade.MATCHED)] * count


async def test_who_vouches_at_another_seat_is_not_at_their_own(tmp_path: Path) -> None:
    async with office(tmp_path, "2027-03-04T12:00") as desk:
        await desk.hire()
        await session(desk, ONE, SATO, "2027-03-04T11:00")
        vouched = Entry(Kind.SESSION_STARTED, TWO, subject=ITO, session=SessionId("ses_2"), data={"helper": SATO})
        await desk.ledger.append(vouched)
        await desk.hear()
        assert [(each.subject, each.seat) for each in await elsewhere(desk)] == [(SATO, ONE)]


async def test_an_officer_is_shown_it_where_nobody_supervises(tmp_path: Path) -> None:
    async with office(tmp_path, "2027-03-04T12:00") as desk:
        await session(desk, ONE, SATO, "2027-03-04T11:00")
        await desk.part.seen([at("2027-03-04T11:15")])
        await desk.hear()
        assert len(await desk.part.alerts_for(CHIEF)) == 1
        assert await desk.part.alerts_for(HEAD) == []


async def test_it_is_heard_as_it_happens(tmp_path: Path) -> None:
    async with office(tmp_path, "2027-03-04T12:00") as desk:
        await desk.hire()
        async with asyncio.TaskGroup() as group:
            jobs = [group.create_task(job) for job in desk.part.jobs()]
            await desk.ledger.append(
                Entry(Kind.SESSION_STARTED, ONE, subject=SATO, session=SessionId("ses_1"), grade=Grade.MATCHED)
            )
            await desk.ledger.append(Entry(Kind.ATTEMPT_REFUSED, TWO, subject=SATO, data={"rules": "r"}))
            async with asyncio.timeout(60):
                async for row in desk.ledger.follow(0):
                    if row.entry.kind is Kind.DISCIPLINE_NOTED and row.entry.data["what"] == "elsewhere":
                        break
            for job in jobs:
                job.cancel()


async def test_a_ledger_that_was_down_is_told_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with office(tmp_path, "2027-03-04T12:00") as desk:
        await desk.hire()
        await session(desk, ONE, SATO, "2027-03-04T11:00")

        async def down(entry: object) -> int:
            raise LedgerDown("full")

        with monkeypatch.context() as patch:
            patch.setattr(desk.ledger, "append", down)
            with pytest.raises(LedgerDown):
                await desk.part.seen([at("2027-03-04T11:15")])
        await desk.hear()
        assert len(await elsewhere(desk)) == 1
