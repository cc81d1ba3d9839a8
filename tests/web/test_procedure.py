"""Procedures over the seat's screen: for whoever is logged in there, and only as long."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.types import ASGIApp

from authd.web.app import make_app
from authd.web.door import DoorError
from tests.web.asgi import HOST
from tests.web.fakes import SEAT, TARO, FakeDoor, active, locked, settings
from tests.web.test_ways import Shown, shown


@pytest.fixture
def door() -> FakeDoor:
    door = FakeDoor()
    door.present = active()
    door.town.offer("tax")
    return door


@pytest.fixture
def app(door: FakeDoor) -> ASGIApp:
    return make_app(settings(), door, frozenset({HOST}))


async def begun(page: Shown) -> dict[str, Any]:
    return dict((await page.post("procedure-start", procedure="phone")).json()["run"])


async def test_the_seats_procedures_are_listed_by_name(app: ASGIApp) -> None:
    async with shown(app) as page:
        told = (await page.post("procedures")).json()
    assert {each["id"] for each in told["procedures"]} == {"phone", "counter", "letter"}
    assert all(set(each["name"]) == {"ja", "en"} for each in told["procedures"])
    assert told["run"] is None


async def test_it_is_begun_in_the_session_that_was_shown(app: ASGIApp, door: FakeDoor) -> None:
    async with shown(app) as page:
        run = await begun(page)
    assert ("procedure_start", SEAT, "ses_a", "phone") in door.asked
    assert (run["done"], run["steps"], run["result"]) == (0, 8, None)
    assert set(run["step"]["answers"]) == {"nothing_told", "told"}


async def test_a_page_never_learns_which_answer_goes_on_nor_whose_session_it_is(app: ASGIApp) -> None:
    async with shown(app) as page:
        told = json.dumps(await begun(page), ensure_ascii=False)
    for secret in ("goes_on", "go_on", "ses_a", "どなたについても", "checked", "default"):
        assert secret not in told


async def test_an_answer_is_passed_on(app: ASGIApp, door: FakeDoor) -> None:
    async with shown(app) as page:
        run = await begun(page)
        told = await page.post("procedure-answer", run=run["id"], step="silent", choice="nothing_told")
    assert ("procedure_answer", SEAT, "run_1", "silent", "nothing_told") in door.asked
    assert told.json()["run"]["step"]["id"] == "caller"


async def test_the_refusal_is_told_with_the_answer_that_refuses(app: ASGIApp) -> None:
    async with shown(app) as page:
        run = await begun(page)
        told = (await page.post("procedure-answer", run=run["id"], step="silent", choice="told")).json()["run"]
    assert (told["result"], told["step"]) == ("refused", None)
    assert told["refusal"]["ja"].startswith("どなたについても")


async def test_it_is_given_up(app: ASGIApp) -> None:
    async with shown(app) as page:
        run = await begun(page)
        assert (await page.post("procedure-drop", run=run["id"])).json()["run"]["result"] == "dropped"


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("procedures", {}),
        ("procedure-start", {"procedure": "phone"}),
        ("procedure-answer", {"run": "run_1", "step": "silent", "choice": "told"}),
        ("procedure-drop", {"run": "run_1"}),
    ],
)
class TestOnlyWhoIsLoggedIn:
    async def test_nobody_can_at_a_locked_seat(
        self, app: ASGIApp, door: FakeDoor, verb: str, said: dict[str, str]
    ) -> None:
        door.present = locked()
        async with shown(app) as page:
            assert (await page.post(verb, **said)).status == 409
            assert (await page.post(verb, turn="0" * 16, **said)).status == 409
        assert door.asked == []

    async def test_what_was_pressed_for_the_one_before_is_dropped(
        self, app: ASGIApp, door: FakeDoor, verb: str, said: dict[str, str]
    ) -> None:
        async with shown(app) as page:
            before = page.view["turn"]
            door.show(active(TARO, "ses_b"))
            await page.again()
            assert (await page.post(verb, turn=before, **said)).status == 409
        assert door.asked == []

    async def test_a_page_that_is_not_open_cannot(
        self, app: ASGIApp, door: FakeDoor, verb: str, said: dict[str, str]
    ) -> None:
        async with shown(app) as page:
            assert (await page.post(verb, page="0" * 32, **said)).status == 403
        assert door.asked == []

    async def test_a_refusal_of_the_core_is_one(
        self, app: ASGIApp, door: FakeDoor, verb: str, said: dict[str, str]
    ) -> None:
        async with shown(app) as page:
            door.refuse = DoorError("expired")
            assert (await page.post(verb, **said)).status == 409
            door.refuse = DoorError("ledger_down")
            assert (await page.post(verb, **said)).status == 503
