"""What stands behind the ladder: seats' own keys, vouches of this month, and reviews that are due."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest

from authd.core.model import Entry, Face, Kind, Nonce, Rung, SeatId, SessionId, SubjectId, Value
from authd.core.ports import PortError
from authd.service.clock import BootClock
from authd.service.keys import Keys
from authd.service.ledger import Ledger
from authd.service.reviews import Reviews, next_working_day
from authd.service.seat_keys import HostSeats
from authd.service.vouched import NOT_COUNTED, Vouches
from tests.service.desks import ONE, TWO, World, host
from tests.service.ledgers import SIGNER

SATO, ITO = SubjectId("sub_" + "a" * 32), SubjectId("sub_" + "b" * 32)
NONCE = Nonce("01" * 16)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with host(tmp_path) as made:
        yield made


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    made = Keys(tmp_path / "state")
    made.create()
    for seat in (ONE, TWO):
        made.create_seat(seat)
    return made


async def seats_of(world: World, keys: Keys) -> HostSeats:
    seats = HostSeats(world.store)
    await seats.anchor((ONE, TWO), keys, world.ledger, world.clock)
    return seats


async def test_a_seats_key_vouches_and_is_anchored_once(world: World, keys: Keys) -> None:
    for _ in range(2):
        seats = await seats_of(world, keys)
        assert seats.vouch(ONE, NONCE)
    rows = await world.ledger.entries(f"kind:{Kind.SEAT_ENROLLED}")
    assert {row.entry.seat: row.entry.data["key"] for row in rows} == {
        seat: keys.seat_key(seat).public_key().public_bytes_raw().hex() for seat in (ONE, TWO)
    }
    assert len(rows) == 2


async def test_another_key_than_the_anchored_one_vouches_for_nothing(
    world: World, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    await seats_of(world, keys)
    (keys.folder / f"seat-{ONE}.key").unlink()
    keys.create_seat(ONE)
    with caplog.at_level(logging.ERROR):
        seats = await seats_of(world, keys)
    assert not seats.vouch(ONE, NONCE)
    assert seats.vouch(TWO, NONCE)
    assert "not the one that the ledger anchors" in caplog.text


async def test_a_seat_without_a_key_vouches_for_nothing(world: World, tmp_path: Path) -> None:
    keys = Keys(tmp_path / "other")
    keys.create()
    seats = await seats_of(world, keys)
    assert not seats.vouch(ONE, NONCE)
    assert not seats.vouch(SeatId("nowhere"), NONCE)
    assert await world.ledger.entries(f"kind:{Kind.SEAT_ENROLLED}") == []


async def test_a_seats_life_is_counted_by_the_store(world: World) -> None:
    seats = HostSeats(world.store)
    assert await seats.claim(ONE) + 1 == await seats.claim(ONE)


class Told:
    """A publisher that keeps what it is told."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def event(self, entry: Entry) -> None:
        self.entries.append(entry)

    def face(self, face: Face) -> None:
        raise AssertionError


def started(session: str, subject: SubjectId = SATO, *, rung: Rung | None = Rung.VOUCH) -> Entry:
    data: dict[str, Value] = {"ladder": rung.value, "helper": ITO} if rung is not None else {}
    return Entry(Kind.SESSION_STARTED, ONE, subject=subject, session=SessionId(session), data=data)


def wall(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


async def test_vouches_are_counted_from_the_ledger_and_from_now_on(world: World) -> None:
    told, now = Told(), world.clock.wall_ms()
    for number in range(2):
        await world.ledger.append(started(f"ses_{number}"))
    await world.ledger.append(started("ses_8", rung=None))
    await world.ledger.append(started("ses_9", rung=Rung.BREAK_GLASS))
    vouches = Vouches(told, lambda: now)
    assert vouches.of(SATO) == NOT_COUNTED
    vouches.event(started("ses_1"))  # published while the ledger is being read
    await vouches.read(world.ledger, (ONE, TWO))
    assert (vouches.of(SATO), vouches.of(ITO)) == (2, 0)
    vouches.event(started("ses_2"))
    vouches.event(replace(started("ses_3"), kind=Kind.SESSION_ENDED))
    assert vouches.of(SATO) == 3
    assert len(told.entries) == 3


async def test_another_month_begins_at_zero(world: World) -> None:
    now = [wall("2026-11-30T23:59:00")]
    vouches = Vouches(Told(), lambda: now[0])
    await vouches.read(world.ledger, ())
    vouches.event(started("ses_1"))
    assert vouches.of(SATO) == 1
    now[0] = wall("2026-12-01T00:01:00")
    assert vouches.of(SATO) == 0
    vouches.event(started("ses_2"))
    assert vouches.of(SATO) == 1


async def test_a_clock_that_is_put_forth_and_back_forgives_nothing(world: World) -> None:
    now = [wall("2026-11-20T10:00:00")]
    vouches = Vouches(Told(), lambda: now[0])
    await vouches.read(world.ledger, ())
    for number in range(3):
        vouches.event(started(f"ses_{number}"))
    for day, words in (("2026-12-02", 0), ("2026-11-20", 3), ("2026-10-20", 3)):
        now[0] = wall(f"{day}T10:00:00")
        assert vouches.of(SATO) == words


def working(day: date) -> bool:
    return day.isoweekday() < 6 and day != date(2026, 11, 23)


@pytest.mark.parametrize(
    ("opened", "due"),
    [
        (date(2026, 11, 24), date(2026, 11, 25)),
        (date(2026, 11, 20), date(2026, 11, 24)),  # Friday; Monday is a holiday
        (date(2026, 11, 22), date(2026, 11, 24)),
    ],
)
def test_a_review_is_due_on_the_next_working_day(opened: date, due: date) -> None:
    assert next_working_day(opened, working) == due


def test_where_nobody_ever_works_it_is_due_tomorrow() -> None:
    assert next_working_day(date(2026, 11, 24), lambda day: False) == date(2026, 11, 25)


class WallClock(BootClock):
    """A clock whose wall stands where a test wants it."""

    wall = 0

    def wall_ms(self) -> int:
        return self.wall


async def test_a_session_outside_the_rules_waits_for_its_review_and_is_late(tmp_path: Path) -> None:
    clock = WallClock()
    clock.wall = wall("2026-11-20T15:00:00")
    ledger = await Ledger.open(tmp_path / "ledger", SIGNER, clock, clock.wall_ms, reserve=65_536)
    try:
        session = SessionId("ses_1")
        opened = Entry(Kind.BREAKGLASS_OPENED, ONE, subject=SATO, session=session, data={"helper": ITO})
        await ledger.append(opened)
        reviews = Reviews(ledger, clock.wall_ms, working)
        clock.wall = wall("2026-11-24T23:00:00")
        (found,) = await reviews.all()
        assert (found.session, found.seat, found.subject, found.helper) == (session, ONE, SATO, ITO)
        assert (found.due, found.reviewed_ms, found.late) == ("2026-11-24", None, False)
        clock.wall = wall("2026-11-25T00:10:00")
        assert (await reviews.all())[0].late
        await ledger.append(replace(opened, kind=Kind.BREAKGLASS_REVIEWED, data={"officer": "sub_c"}))
        (found,) = await reviews.all()
        assert (found.officer, found.late, found.reviewed_ms) == ("sub_c", False, clock.wall)
    finally:
        await ledger.close()


async def test_who_cannot_be_counted_cannot_be_vouched_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> list[object]:
        raise PortError("disk")

    monkeypatch.setattr(world.ledger, "entries", broken)
    vouches = Vouches(Told(), world.clock.wall_ms)
    await vouches.read(world.ledger, (ONE,))
    assert vouches.of(SATO) == NOT_COUNTED
