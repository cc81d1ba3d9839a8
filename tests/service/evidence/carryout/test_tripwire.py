"""The tripwire: it counts, tells once, and remembers what another life has told."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from authd.core.model import Entry, Kind, SessionId, SubjectId
from authd.service.evidence.carryout import tripwire
from authd.service.evidence.carryout.tripwire import Trip, Tripwire
from authd.service.evidence.records import RecordId
from authd.service.evidence.views import Said, View
from authd.service.ledger import Recorded
from tests.service.desks import ONE
from tests.service.evidence.carryout.desk import Desk, town_hall

SATO, ITO = SubjectId("sub_sato"), SubjectId("sub_ito")
DAY = "2026-11-24"


def test_it_trips_once_a_session_and_once_a_day() -> None:
    wire = Tripwire()
    trips = [wire.view(SessionId(f"ses_{n // 4}"), SATO, DAY, 3, 6) for n in range(12)]
    assert [each for found in trips for each in found] == [
        Trip("session", 4, 3),
        Trip("day", 7, 6),
        Trip("session", 4, 3),
        Trip("session", 4, 3),
    ]


def test_people_and_days_are_counted_apart() -> None:
    wire = Tripwire()
    for who, day in ((SATO, DAY), (ITO, DAY), (SATO, "2026-11-25")):
        assert [wire.view(SessionId(f"{who}{day}"), who, day, 99, 1) for _ in range(2)] == [[], [Trip("day", 2, 1)]]


def test_what_an_earlier_life_has_counted_or_told_counts() -> None:
    wire = Tripwire()
    wire.add(SATO, DAY, 5)
    wire.trod(ITO, DAY)
    assert wire.view(SessionId("a"), SATO, DAY, 99, 5) == [Trip("day", 6, 5)]
    assert [wire.view(SessionId("b"), ITO, DAY, 99, 1) for _ in range(3)] == [[], [], []]


def test_it_forgets_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tripwire, "MOST", 10)
    wire = Tripwire()
    for n in range(100):
        wire.view(SessionId(f"s{n}"), SubjectId(f"p{n}"), DAY, 9, 9)
    assert len(wire.sessions) == len(wire.days) == 10


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk, None]:
    async with town_hall(tmp_path) as made:
        yield made


async def trips(desk: Desk) -> list[Recorded]:
    await desk.world.ledger.append(Entry(Kind.READER_LOST))  # what was queued before it is durable then
    return await desk.rows(Kind.CARRYOUT_TRIPPED)


async def test_too_many_views_are_a_row_that_followers_hear_of(desk: Desk) -> None:
    session, ledger = desk.session(ONE), desk.world.ledger
    said = Said("resident", session.id, RecordId("rec_x"), "search", "move", "", "n" * 16, 0)
    view = View(said, ONE, session, 0, ledger.head, 0, b"", desk.ground.clock.wall_ms(), 1)
    for _ in range(200):
        desk.carryouts.viewed(view)
    (row,) = await trips(desk)
    assert (row.entry.subject, row.entry.session) == (session.subject, session.id)
    assert (row.entry.data["span"], row.entry.data["count"], row.entry.data["limit"]) == ("session", 61, 60)
    assert desk.carryouts.state()["tripped"] == 1
    for _ in range(200):
        desk.carryouts.viewed(view)
    assert [row.entry.data["span"] for row in await trips(desk)] == ["session", "day"]
    again = await desk.again()
    for n in range(2):
        again.viewed(replace(view, seq=view.seq + n))
    assert len(await trips(desk)) == 2
