"""The daemon as its doors see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest

from authd.core.model import EndReason, Entry, Grade, Kind, Message, SeatId, SeatState, SessionId, SubjectId
from authd.service.bus.house import Button, Error, House, Refused
from authd.service.certificates import Certificates
from authd.service.config import Config, load
from authd.service.evidence import Evidence
from authd.service.house import DaemonHouse
from authd.service.readers import HostReaders
from authd.service.reviews import Reviews
from authd.service.staff import PersonRecord
from authd.service.tokens import Tokens
from tests.service.desks import ONE, TWO, World, host, order

TOML = """\
[host]
name = "ward-1"
simulate = true
[seat.counter-1]
applications = ["resident"]
[seat.counter-2]
[application.resident]
name_ja = "住民記録"
url = "http://127.0.0.1:8790/"
"""
NOWHERE = SeatId("counter-9")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with host(tmp_path) as made:
        yield made


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "authd.toml"
    path.write_text(TOML, encoding="utf-8")
    return load(path)


@pytest.fixture
def ended() -> list[str]:
    return []


@pytest.fixture
def house(world: World, config: Config, ended: list[str]) -> DaemonHouse:
    def end() -> None:
        ended.append("ended")

    host = (config, world.pipeline, world.ledger, world.store, world.clock)
    reviews = Reviews(world.ledger, world.clock.wall_ms, lambda day: day.isoweekday() < 6)
    readers = HostReaders({ONE: [], TWO: []}, [])

    def named(seat: SeatId) -> list[PersonRecord]:
        return list(world.store.people.values())

    made: Evidence = create_autospec(Evidence, instance=True)
    tokens: Tokens = create_autospec(Tokens, instance=True)
    certificates: Certificates = create_autospec(Certificates, instance=True)
    parts = (world.enrolments, readers, world.anchored, reviews)
    return DaemonHouse(*host, *parts, made, tokens, certificates, named, lambda: {"pid": 7}, end)


def test_it_is_a_house(house: DaemonHouse) -> None:
    seen: House = house
    assert seen.name == "ward-1"


async def test_nobody_is_nobody(house: DaemonHouse) -> None:
    there = house.who(ONE)
    assert (there.state, there.session, there.subject, there.since_ms, there.grade) == (
        SeatState.LOCKED, None, None, None, None,
    )  # fmt: skip


async def test_who_is_there_and_since_when(house: DaemonHouse, world: World) -> None:
    chief, _ = await world.founders()
    before = world.clock.wall_ms()
    await world.log_in(ONE, "chief")
    there = house.who(ONE)
    assert (there.state, there.subject, there.grade) == (SeatState.ACTIVE, chief, Grade.MATCHED)
    assert there.since_ms is not None
    assert before - 50 <= there.since_ms <= world.clock.wall_ms()
    assert house.who(TWO).subject is None
    person = house.person(chief)
    assert person is not None
    assert person.staff_number == "1001"


async def test_who_was_there(house: DaemonHouse, world: World) -> None:
    chief, _ = await world.founders()
    await world.log_in(ONE, "chief")
    await house.press(ONE, Button.LOCK)
    assert house.who(ONE).session is None
    await world.ledger.checkpoint()
    (stay,) = await house.history(ONE, 0, world.clock.wall_ms() + 1_000)
    assert (stay.subject, stay.grade, stay.reason) == (chief, Grade.MATCHED, EndReason.LOCK)
    assert list(await house.history(TWO, 0, world.clock.wall_ms() + 1_000)) == []


async def test_a_button_that_logs_out_ends_the_shift_too(house: DaemonHouse, world: World) -> None:
    chief, _ = await world.founders()
    await world.log_in(ONE, "chief")
    await house.press(ONE, Button.LOCK)
    assert chief in world.pipeline.shifts
    await world.log_in(ONE, "chief")
    await house.press(ONE, Button.LOGOUT)
    assert chief not in world.pipeline.shifts


async def test_a_step_up_needs_the_touch_of_that_very_session(house: DaemonHouse, world: World) -> None:
    await world.founders()
    await world.log_in(ONE, "chief")
    session = house.who(ONE).session
    assert session is not None
    assert not (await house.step_up(ONE, SessionId("ses_other"), "resident/open")).stepped_up
    async with asyncio.TaskGroup() as hands:
        hands.create_task(world.step_up(ONE, "chief"))
        assert (await house.step_up(ONE, session, "resident/open")).stepped_up


async def test_people_come_by_staff_number(house: DaemonHouse, world: World) -> None:
    await world.enrol(order("1002", officer=True, founding=True), "second")
    await world.enrol(order("1001", officer=True, founding=True), "chief")
    assert [person.staff_number for person in await house.people()] == ["1001", "1002"]


async def test_a_seat_shows_its_own_applications(house: DaemonHouse) -> None:
    assert [each.url for each in house.applications(ONE)] == ["http://127.0.0.1:8790/"]
    assert list(house.applications(TWO)) == list(house.applications(NOWHERE)) == []


async def test_the_status_names_every_seat(house: DaemonHouse) -> None:
    status: Any = house.status()
    assert (status["host"], status["simulated"], status["pid"]) == ("ward-1", True, 7)
    assert {seat: each["state"] for seat, each in status["seats"].items()} == {ONE: "locked", TWO: "locked"}


async def test_a_seat_that_is_none_is_refused_and_changes_nothing(house: DaemonHouse, world: World) -> None:
    for asked in (lambda: house.who(NOWHERE), lambda: house.activity(NOWHERE)):
        with pytest.raises(Refused) as caught:
            asked()
        assert caught.value.error is Error.NOT_FOUND
    for waited in (
        house.press(NOWHERE, Button.LOCK),
        house.step_up(NOWHERE, SessionId("s"), "p"),
        house.history(NOWHERE, 0, 1),
        house.disable(world.pipeline.ports.random.session(), NOWHERE),  # type: ignore[arg-type]  # any id
    ):
        with pytest.raises(Refused) as caught:
            await waited
        assert caught.value.error is Error.NOT_FOUND


async def test_stop_begins_to_end_the_daemon(house: DaemonHouse, ended: list[str]) -> None:
    await house.stop()
    assert ended == ["ended"]


async def outside_the_rules(world: World, *, by: str, helper: SubjectId | None = None) -> SessionId:
    """Two people opened the other seat outside the rules."""
    session = SessionId("ses_" + "0" * 32)
    person = world.store.by_staff_number(by)
    assert person is not None
    opened = Entry(Kind.BREAKGLASS_OPENED, TWO, subject=person.subject, session=session, data={"helper": helper})
    await world.ledger.append(opened)
    return session


async def test_a_review_is_an_officers_who_was_not_one_of_the_two(house: DaemonHouse, world: World) -> None:
    chief, second = await world.founders()
    await world.log_in(ONE, "chief")
    session = await outside_the_rules(world, by="1002", helper=second)
    async with asyncio.TaskGroup() as hands:
        hands.create_task(world.step_up(ONE, "chief"))
        await house.review(session, ONE)
    (found,) = await house.broken_glass()
    assert (found.officer, found.late) == (chief, False)
    with pytest.raises(Refused) as caught:
        await house.review(session, ONE)
    assert caught.value.error is Error.NOT_FOUND


async def test_nobody_reviews_their_own(house: DaemonHouse, world: World) -> None:
    await world.founders()
    await world.log_in(ONE, "chief")
    session = await outside_the_rules(world, by="1001")
    async with asyncio.TaskGroup() as hands:
        hands.create_task(world.step_up(ONE, "chief"))
        with pytest.raises(Refused, match="somebody else"):
            await house.review(session, ONE)
    assert (await house.broken_glass())[0].officer is None


async def test_what_somebody_holds_is_their_fingers(house: DaemonHouse, world: World) -> None:
    chief, _ = await world.founders()
    assert [each.label for each in await house.credentials(chief)] == ["right_index"]
    with pytest.raises(Refused) as caught:
        await house.credentials(SubjectId("sub_nobody"))
    assert caught.value.error is Error.NOT_FOUND


async def test_a_seat_where_nothing_is_asked_takes_nothing(house: DaemonHouse) -> None:
    with house.watched(ONE):
        for asked in (
            lambda: house.answer(ONE, "1234"),
            lambda: house.ceremony(ONE),
            lambda: house.signed(ONE, b"{}"),
            lambda: house.claim(ONE, SubjectId("sub_nobody")),
        ):
            with pytest.raises(Refused):
                asked()


@pytest.mark.parametrize("button", [Button.VOUCH, Button.BREAK_GLASS])
async def test_a_rung_that_the_seat_does_not_offer_is_refused(
    house: DaemonHouse, config: Config, button: Button
) -> None:
    path = config.file
    path.write_text(TOML.replace('applications = ["resident"]', "ladder = []"), encoding="utf-8")
    narrow = replace(house, config=load(path))
    with pytest.raises(Refused, match="does not offer"):
        await narrow.press(ONE, button)


@pytest.mark.parametrize(
    ("button", "message"), [(Button.VOUCH, Message.COLLEAGUE), (Button.BREAK_GLASS, Message.BREAK_GLASS)]
)
async def test_a_rung_of_the_ladder_asks_for_another_person(
    house: DaemonHouse, world: World, button: Button, message: Message
) -> None:
    await house.press(ONE, button)
    assert world.pipeline.face(ONE).message is message


async def test_a_step_up_says_what_it_rests_on_and_when(house: DaemonHouse, world: World) -> None:
    await world.founders()
    await world.log_in(ONE, "chief")
    session = house.who(ONE).session
    assert session is not None
    before = world.clock.wall_ms() // 1000
    async with asyncio.TaskGroup() as hands:
        hands.create_task(world.step_up(ONE, "chief"))
        said = await house.step_up(ONE, session, "resident/open")
    assert (said.stepped_up, said.acr) == (True, "authd:one")
    assert said.auth_time is not None
    assert before - 1 <= said.auth_time <= world.clock.wall_ms() // 1000
