"""Reviews behind the seat's page: whose turn it is, what may pass, and what never does."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from starlette.types import ASGIApp

from authd.locale import text
from authd.web.app import make_app
from authd.web.door import DoorError
from tests.web.asgi import HOST, Answer, post, stream
from tests.web.fakes import FakeDoor, active, locked, settings
from tests.web.reviews import DIGEST

MONTH = {"section": "resident", "month": "2027-03"}


@pytest.fixture
def door() -> FakeDoor:
    made = FakeDoor()
    made.desk.supervise(elsewhere=True)
    made.desk.touched.set()
    return made


@pytest.fixture
def app(door: FakeDoor) -> ASGIApp:
    return make_app(settings(), door, frozenset({HOST}))


@asynccontextmanager
async def turn(app: ASGIApp, door: FakeDoor) -> AsyncGenerator[dict[str, str]]:
    """A page that is shown an open session: what it says with every post."""
    door.present = active()
    async with stream(app, "/seat/counter-1/stream") as told:
        hello, face = await told.next("hello"), await told.next("face")
        yield {"page": hello["page"], "turn": face["turn"]}


async def said(app: ASGIApp, door: FakeDoor, verb: str, **more: str) -> Answer:
    async with turn(app, door) as own:
        return await post(app, f"/seat/counter-1/{verb}", own | more)


async def test_a_supervisor_is_told_and_somebody_else_is_not(app: ASGIApp, door: FakeDoor) -> None:
    told = (await said(app, door, "review-alerts")).json()
    assert (told["supervisor"], [each["place"] for each in told["alerts"]]) == (True, ["裏口"])
    door.desk.supervisor, door.desk.seen = False, []
    assert (await said(app, door, "review-alerts")).json() == {"supervisor": False, "alerts": []}


async def test_months_and_items_pass_without_subjects_records_or_purposes(app: ASGIApp, door: FakeDoor) -> None:
    months = await said(app, door, "reviews")
    items = await said(app, door, "review-items", **MONTH)
    assert [each["month"] for each in months.json()["reviews"]] == ["2027-02", "2027-03"]
    assert len(items.json()["items"]) == 5
    whole = months.body.decode() + items.body.decode()
    for secret in ("sub_secret", "rec_secret", "certificate", "secret-of-the-row"):
        assert secret not in whole


async def test_what_is_said_of_a_record_names_no_protection(app: ASGIApp, door: FakeDoor) -> None:
    words = json.dumps((await said(app, door, "review-items", **MONTH)).json(), ensure_ascii=False).lower()
    assert not any(word in words for word in ("保護", "支援", "protect", "flag"))


async def test_why_a_seat_was_left_is_said_in_both_languages(app: ASGIApp, door: FakeDoor) -> None:
    (left,) = [each for each in (await said(app, door, "review-items", **MONTH)).json()["items"] if each["count"] == 7]
    assert left["detail"] == {"ja": "離席 5, 操作なし 2 / 31", "en": "left the seat 5, no activity 2 / 31"}


async def test_an_access_that_belongs_to_no_session_says_whose_account_and_why(app: ASGIApp, door: FakeDoor) -> None:
    (access,) = [
        each for each in (await said(app, door, "review-items", **MONTH)).json()["items"] if each["count"] == 3
    ]
    assert access["what"] == {
        "ja": "誰の利用にも属さない接続",
        "en": "Access to a system that belongs to no session",
    }
    assert access["name"] == access["seat"] == "-"
    for language in ("ja", "en"):
        why = text("unattributed_why.shared", language)
        assert access["detail"][language] == f"resident kokuho 10.0.0.7 residents: {why}"


async def test_a_signature_is_of_what_was_shown(app: ASGIApp, door: FakeDoor) -> None:
    assert (await said(app, door, "review-sign", **MONTH, digest="0" * 64)).status == 409
    signed = await said(app, door, "review-sign", **MONTH, digest=DIGEST)
    assert (signed.status, signed.json()["review"]["done"]) == (200, True)
    assert door.asked[-1] == ("review_sign", "counter-1", "resident", "2027-03", DIGEST)


@pytest.mark.parametrize(("code", "status"), [("refused", 409), ("ledger_down", 503), ("gone", 503)])
async def test_a_refusal_is_a_status(app: ASGIApp, door: FakeDoor, code: str, status: int) -> None:
    door.refuse = DoorError(code)
    assert (await said(app, door, "review-sign", **MONTH, digest=DIGEST)).status == status


@pytest.mark.parametrize("verb", ["reviews", "review-alerts", "review-items", "review-sign"])
async def test_nobody_but_who_is_logged_in_is_answered(app: ASGIApp, door: FakeDoor, verb: str) -> None:
    more = MONTH | {"digest": DIGEST} if verb == "review-sign" else MONTH if verb == "review-items" else {}
    async with turn(app, door) as own:
        for bad in ({"turn": "another"}, {"turn": None}):
            assert (await post(app, f"/seat/counter-1/{verb}", own | more | bad)).status == 409
        assert (await post(app, f"/seat/counter-1/{verb}", own | more | {"page": "x"})).status == 403
    door.present = locked()
    async with stream(app, "/seat/counter-1/stream") as told:
        hello = await told.next("hello")
        await told.next("face")
        said = {"page": hello["page"], "turn": None}
        assert (await post(app, f"/seat/counter-1/{verb}", said | more)).status == 409
