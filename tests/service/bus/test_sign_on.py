"""A login is answered by the person's own touch, or by nobody; what is given up is charged to nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from authd.client import Client, DoorError, SignOn, connect
from authd.core.model import EndReason, Epoch, Face, Instant, Message, SeatState, SessionId
from authd.service.bus.house import Application, Occupancy, Peer, Role, StepUp
from tests.service.bus.fakes import ITO, ONE, SATO, TWO, World

PATTERN = "staff_{staff_number}"


@pytest.fixture
def house(served: World, monkeypatch: pytest.MonkeyPatch) -> World:
    known = [Application("resident", "住民", "Residents", "", PATTERN), Application("tax", "税", "Tax", "")]
    monkeypatch.setattr(served.house, "applications", {ONE: known, TWO: []}.get)
    served.directory.allow(
        served.resident.public, Peer(Role.APPLICATION, "resident", frozenset({ONE}), frozenset(), PATTERN)
    )
    _show(served, SeatState.LOCKED, Message.WAITING)
    return served


def _show(house: World, state: SeatState, message: Message) -> None:
    if state is not SeatState.ACTIVE:
        house.house.seats[ONE] = Occupancy(ONE, state)
    house.desk.outlet.face(Face(ONE, Epoch(1), state, message, Instant(1)))


class Said(asyncio.Queue[str]):
    """What the seat has said meanwhile."""

    async def until(self, message: str) -> None:
        async with asyncio.timeout(60):
            while await self.get() != message:
                pass


async def _answer(client: Client, said: Said, members: dict[str, Any]) -> SignOn | str:
    """What became of it, or the error."""
    try:
        return await client.authenticate(say=said.put_nowait, **members)
    except DoorError as error:
        return error.code


def outcome(answer: SignOn | str) -> str:
    return answer.outcome if isinstance(answer, SignOn) else answer


@asynccontextmanager
async def asked(
    house: World, *, of: Callable[[World], Client] | None = None, **members: object
) -> AsyncGenerator[tuple[asyncio.Task[SignOn | str], Said], None]:
    """An application that asks, and what it has been told so far."""
    said = Said()
    client = of(house) if of is not None else _application(house)
    async with client, asyncio.TaskGroup() as group:
        yield group.create_task(_answer(client, said, members)), said


def _application(house: World) -> Client:
    return connect(house.router, key=house.resident.secret, server_key=house.door.public)


def _admin(house: World) -> Client:
    return connect(house.local)


async def test_a_login_at_a_locked_seat_is_answered_by_the_touch_that_opens_it(house: World) -> None:
    async with asked(house, login=True, service="login") as (asking, said):
        await said.until("waiting")
        _show(house, SeatState.LOCKED, Message.ONCE_MORE)
        await said.until("once_more")
        session = house.house.open(ONE, SATO)
        assert await asking == SignOn("yes", "staff_1001", session, SATO)
    # recorded, with the touch that opened the session: no older than ten seconds
    assert ("step_up", ONE, session, "resident/login", "authd:one", "10") in house.house.calls


async def test_at_a_seat_that_somebody_has_a_fresh_touch_is_asked_for(house: World) -> None:
    session = house.house.open(ONE, SATO)
    async with asked(house, user="staff_1001", service="sudo") as (asking, _):
        assert outcome(await asking) == "yes"
    assert ("step_up", ONE, session, "resident/sudo") in house.house.calls


async def test_no_older_touch_is_enough_than_was_said(house: World) -> None:
    session = house.house.open(ONE, SATO)
    async with asked(house, service="db", max_age=3_600, acr="authd:two") as (asking, _):
        assert outcome(await asking) == "yes"
    assert ("step_up", ONE, session, "resident/db", "authd:two", "3600") in house.house.calls


@pytest.mark.parametrize("login", [False, True])
async def test_another_person_is_told_from_nobody(house: World, *, login: bool) -> None:
    house.house.open(ONE, ITO)
    async with asked(house, user="staff_1001", login=login) as (asking, _):
        assert await asking == SignOn("other")
    assert not [call for call in house.house.calls if call[0] == "step_up"]  # nobody was asked for a touch


async def test_whoever_logs_in_instead_is_another_person(house: World) -> None:
    async with asked(house, user="staff_1001", login=True) as (asking, said):
        await said.until("waiting")
        house.house.open(ONE, ITO)
        assert await asking == SignOn("other")


async def test_what_is_no_login_is_refused_at_a_locked_seat(house: World) -> None:
    async with asked(house, service="sudo") as (asking, _):
        assert await asking == SignOn("nobody")


async def test_a_touch_that_was_under_way_before_the_question_is_no_answer_to_it(house: World) -> None:
    _show(house, SeatState.GRANTING, Message.READING)
    async with asked(house, login=True) as (asking, said):
        await said.until("reading")
        session = house.house.open(ONE, SATO)
        assert outcome(await asking) == "yes"
    assert ("step_up", ONE, session, "resident/login") in house.house.calls  # asked anew, of no earlier act


async def test_without_a_reader_it_is_nobodys_fault(house: World) -> None:
    _show(house, SeatState.OUT_OF_SERVICE, Message.READER_LOST)
    async with asked(house, login=True) as (asking, _):
        assert await asking == SignOn("unavailable")


async def test_a_touch_that_does_not_come_is_late(house: World) -> None:
    async with asked(house, login=True, within=1) as (asking, _):
        assert await asking == SignOn("late")
    assert not house.desk.asks.withdraw("resident", ONE)


async def test_a_step_up_that_is_refused_and_one_whose_session_ends_are_told_apart(house: World) -> None:
    house.house.step_up_answer = StepUp(stepped_up=False, reason="refused")
    house.house.open(ONE, SATO)
    async with asked(house) as (asking, _):
        assert await asking == SignOn("refused")
    step_up = house.house.step_up

    async def ends(*args: object) -> StepUp:
        house.house.end(ONE, EndReason.IDLE)
        return replace(await step_up(ONE, SessionId("ses_1"), "x"), stepped_up=True)

    house.house.step_up = ends  # type: ignore[method-assign,assignment] # the session ends in the very moment
    async with asked(house) as (asking, _):
        assert await asking == SignOn("ended")


@pytest.mark.parametrize("number", ["", "10 01", "1001\n", "../1", "佐藤"])
async def test_a_number_that_makes_no_safe_name_is_no_account(house: World, number: str) -> None:
    house.house.people_known[SATO] = replace(house.house.people_known[SATO], staff_number=number)
    house.house.open(ONE, SATO)
    async with asked(house) as (asking, _):
        assert await asking == SignOn("no_account")


async def test_what_is_known_now_is_answered_without_asking_anybody(house: World) -> None:
    async with asked(house, present=True) as (asking, _):
        assert await asking == SignOn("nobody")
    session = house.house.open(ONE, SATO)
    async with asked(house, present=True, user="staff_1001") as (asking, _):
        assert await asking == SignOn("yes", "staff_1001", session, SATO)
    assert not [call for call in house.house.calls if call[0] == "step_up"]


async def test_of_several_seats_it_is_the_one_where_that_person_sits(house: World) -> None:
    both = Peer(Role.APPLICATION, "resident", frozenset({ONE, TWO}), frozenset(), PATTERN)
    house.directory.allow(house.resident.public, both)
    house.house.open(ONE, ITO)
    session = house.house.open(TWO, SATO)
    async with asked(house, user="staff_1001", max_age=60) as (asking, _):
        assert await asking == SignOn("yes", "staff_1001", session, SATO)
    async with asked(house, user="staff_1003", max_age=60) as (asking, _):
        assert await asking == SignOn("other")
    async with asked(house, user="staff_1001", login=True) as (asking, _):
        assert await asking == "bad_request"


async def test_a_password_that_was_typed_elsewhere_withdraws_the_question(house: World) -> None:
    async with asked(house, login=True) as (asking, said), _application(house) as other, _admin(house) as admin:
        await said.until("waiting")
        assert await admin.withdraw(ONE) == 0  # another peer's
        assert await other.withdraw(ONE) == 1
        assert await asking == SignOn("withdrawn")
        assert await other.withdraw() == 0


async def test_one_touch_answers_one_login(house: World) -> None:
    async with asked(house, login=True) as (first, said):
        await said.until("waiting")
        async with asked(house, of=_admin, seat=ONE, application="resident", login=True) as (second, _):
            assert await second == "busy"
        house.house.open(ONE, SATO)
        assert outcome(await first) == "yes"


async def test_a_caller_who_goes_away_leaves_nothing_behind(house: World) -> None:
    async with asked(house, login=True) as (asking, said):
        await said.until("waiting")
        asking.cancel()
    while house.desk.asks.withdraw("resident", ONE):  # noqa: ASYNC110 - the door hears of it in its own time
        await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({}, "bad_request"),
        ({"seat": ONE}, "bad_request"),
        ({"seat": "nowhere", "application": "resident"}, "not_found"),
        ({"seat": TWO, "application": "resident"}, "not_found"),
        ({"seat": ONE, "application": "nothing"}, "not_found"),
        ({"seat": ONE, "application": "tax"}, "refused"),
        ({"seat": ONE, "application": "resident", "user": "a b"}, "bad_request"),
        ({"seat": ONE, "application": "resident", "within": 61}, "bad_request"),
    ],
)
async def test_what_is_set_up_wrongly_is_an_error_and_no_outcome(
    house: World, members: dict[str, Any], error: str
) -> None:
    async with asked(house, of=_admin, **members) as (asking, _):
        assert await asking == error


async def test_an_application_asks_for_its_own_accounts_and_seats_only(house: World) -> None:
    wrong: list[dict[str, Any]] = [{"application": "tax"}, {"seat": TWO}]
    for members in wrong:
        async with asked(house, **members) as (asking, _):
            assert await asking == "not_permitted"


async def test_a_key_that_is_revoked_meanwhile_gets_no_answer(house: World) -> None:
    async with asked(house, login=True) as (asking, said):
        await said.until("waiting")
        house.directory.revoke(house.resident.public)
        house.house.open(ONE, SATO)
        assert await asking == "not_permitted"


async def test_what_is_no_page_gets_no_ticket(house: World) -> None:
    house.house.open(ONE, SATO)
    async with connect(house.router, key=house.screen_one.secret, server_key=house.door.public) as screen:
        with pytest.raises(DoorError) as refused:
            await screen.ticket(ONE, "tax")
    assert refused.value.code == "not_found"
