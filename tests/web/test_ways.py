"""What a locked screen can pass on besides a touch, and to whom, and when not."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import ASGIApp

from authd.core.model import Instant, Message, Prompt, PromptId
from authd.web.app import make_app
from authd.web.assets import STATIC
from authd.web.door import Ceremony, DoorError, Named
from authd.web.settings import Way
from authd.web.ways import MAX_RESPONSE, Typed, may_be_typed
from tests.web.asgi import HOST, Answer, Stream, ask, post, stream
from tests.web.fakes import ALL_WAYS, HANAKO, SEAT, FakeDoor, active, locked, settings

STREAM = f"/seat/{SEAT}/stream"
PIN = Prompt(PromptId.PIN, left=5)
SECRET = "1357-pin"


@pytest.fixture
def door() -> FakeDoor:
    return FakeDoor()


@pytest.fixture
def app(door: FakeDoor) -> ASGIApp:
    return make_app(settings(ways=ALL_WAYS), door, frozenset({HOST}))


class Shown:
    """A page, and what it was told last."""

    def __init__(self, app: ASGIApp, told: Stream, page: str, view: dict[str, Any]) -> None:
        self.app, self.told, self.page, self.view = app, told, page, view

    async def again(self) -> None:
        self.view = await self.told.next("face")

    async def post(self, verb: str, **said: object) -> Answer:
        return await post(self.app, f"/seat/{SEAT}/{verb}", {"page": self.page, "turn": self.view["turn"]} | said)


@asynccontextmanager
async def shown(app: ASGIApp) -> AsyncGenerator[Shown, None]:
    async with stream(app, STREAM) as told:
        page = (await told.next("hello"))["page"]
        yield Shown(app, told, page, await told.next("face"))


class TestPrompt:
    async def test_what_is_typed_reaches_the_reader_that_asks(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = locked(Message.PIN, prompt=PIN)
        async with shown(app) as page:
            prompt = page.view["prompt"]
            answer = await page.post("answer", ask=prompt["ask"], typed=SECRET)
        assert (prompt["id"], prompt["left"], prompt["again"]) == ("pin", 5, False)
        assert answer.status == 204
        assert door.asked == [("answer", SEAT, SECRET)]

    async def test_it_is_passed_on_once(self, app: ASGIApp, door: FakeDoor) -> None:
        """Software never tries a PIN again: three wrong ones, and a card is dead."""
        door.present = locked(Message.PIN, prompt=PIN)
        async with shown(app) as page:
            for status in (204, 409, 409):
                assert (await page.post("answer", ask=page.view["prompt"]["ask"], typed=SECRET)).status == status
        assert len(door.asked) == 1

    async def test_it_is_passed_on_once_even_if_the_core_refused(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = locked(Message.PIN, prompt=PIN)
        door.refuse = DoorError("not_found")
        async with shown(app) as page:
            for _ in range(2):
                assert (await page.post("answer", ask=page.view["prompt"]["ask"], typed=SECRET)).status == 409
        assert len(door.asked) == 1

    async def test_an_answer_to_an_earlier_prompt_goes_to_nobody(self, app: ASGIApp, door: FakeDoor) -> None:
        """What was typed for one key is not given to the next one that is plugged in."""
        door.present = locked(Message.PIN, prompt=PIN, at=Instant(1))
        async with shown(app) as page:
            earlier = page.view["prompt"]["ask"]
            door.show(locked(Message.PIN, prompt=PIN, at=Instant(2)))
            await page.again()
            assert page.view["prompt"]["ask"] != earlier
            assert (await page.post("answer", ask=earlier, typed=SECRET)).status == 409
        assert door.asked == []

    @pytest.mark.parametrize("prompt", [None, PIN])
    async def test_nothing_is_typed_where_nothing_asks(
        self, app: ASGIApp, door: FakeDoor, prompt: Prompt | None
    ) -> None:
        door.present = locked(prompt=prompt)
        async with shown(app) as page:
            door.show(locked())
            await page.again()
            assert page.view["prompt"] is None
            asked = "None" if prompt is None else "0" * 16
            assert (await page.post("answer", ask=asked, typed=SECRET)).status == 409
        assert door.asked == []

    @pytest.mark.parametrize("typed", ["", "123", "x" * 64, "あ" * 22, "12\n34", "1234\0", "1234‮", "😀" * 16])
    async def test_what_no_key_takes_is_not_passed_on(self, app: ASGIApp, door: FakeDoor, typed: str) -> None:
        door.present = locked(Message.PIN, prompt=PIN)
        async with shown(app) as page:
            assert (await page.post("answer", ask=page.view["prompt"]["ask"], typed=typed)).status == 400
        assert door.asked == []

    @pytest.mark.parametrize("typed", ["1234", "x" * 63, "あ" * 21, "pass word", "ﾊﾟｽﾜｰﾄﾞ", "😀" * 4])
    def test_letters_of_every_kind_may_be_typed(self, typed: str) -> None:
        assert may_be_typed(typed)

    async def test_a_lone_surrogate_is_a_bad_request(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = locked(Message.PIN, prompt=PIN)
        async with shown(app) as page:
            assert (await page.post("answer", ask=page.view["prompt"]["ask"], typed="\ud83d1234")).status == 400

    async def test_no_log_and_no_answer_repeats_it(
        self, app: ASGIApp, door: FakeDoor, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        door.present = locked(Message.PIN, prompt=PIN)
        door.refuse = DoorError("fault")
        async with shown(app) as page:
            answer = await page.post("answer", ask=page.view["prompt"]["ask"], typed=SECRET)
            wrong = await page.post("answer", ask=5, typed=SECRET)
        assert (answer.status, wrong.status) == (503, 400)
        assert SECRET.encode() not in answer.body + wrong.body + page.told.raw
        assert SECRET not in caplog.text
        assert SECRET not in repr(Typed(page="p", ask="a", typed=SECRET))

    async def test_a_step_up_may_ask_for_a_pin(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = active(prompt=PIN)
        async with shown(app) as page:
            assert (await page.post("answer", ask=page.view["prompt"]["ask"], typed=SECRET)).status == 204


class TestNames:
    async def test_tiles_carry_names_and_nothing_else(self, app: ASGIApp) -> None:
        async with shown(app) as page:
            answer = await page.post("names")
        assert [each["name"] for each in answer.json()["names"]] == ["佐藤 花子", "鈴木 太郎", "田中 うめ"]
        assert {tuple(each) for each in answer.json()["names"]} == {("tile", "name", "kana")}
        assert b"sub_" not in answer.body

    async def test_a_tile_names_its_person_once(self, app: ASGIApp, door: FakeDoor) -> None:
        async with shown(app) as page:
            tile = (await page.post("names")).json()["names"][2]["tile"]
            statuses = [(await page.post("claim", tile=tile)).status for _ in range(2)]
        assert statuses == [204, 409]
        assert door.asked == [("roster", SEAT), ("claim", SEAT, "sub_ume")]

    async def test_a_tile_is_one_pages_own(self, app: ASGIApp, door: FakeDoor) -> None:
        async with shown(app) as one, shown(app) as other:
            tile = (await one.post("names")).json()["names"][0]["tile"]
            assert (await other.post("claim", tile=tile)).status == 409
            assert (await other.post("claim", tile="sub_taro")).status == 409
        assert door.asked == [("roster", SEAT)]

    async def test_nobody_is_named_at_somebodys_seat(self, app: ASGIApp, door: FakeDoor) -> None:
        async with shown(app) as page:
            tile = (await page.post("names")).json()["names"][0]["tile"]
            door.show(active(HANAKO))
            await page.again()
            for turn in (None, page.view["turn"]):
                assert (await page.post("names", turn=turn)).status == 409
                assert (await page.post("claim", turn=turn, tile=tile)).status == 409
        assert door.asked == [("roster", SEAT)]

    async def test_a_long_roster_is_cut(self, app: ASGIApp, door: FakeDoor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tests.web.fakes.ROSTER", [Named(f"sub_{n}", "寿" * 100) for n in range(300)])
        async with shown(app) as page:
            names = (await page.post("names")).json()["names"]
        assert len(names) == 200
        assert len(names[0]["name"]) == 64

    async def test_a_named_seat_says_so_and_not_who(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = locked(claim="sub_taro")
        async with shown(app) as page:
            assert page.view["named"] is True
            assert page.view["person"] is None
            assert b"sub_taro" not in page.told.raw


class TestHelp:
    @pytest.mark.parametrize("button", ["vouch", "break_glass"])
    async def test_a_button_of_nobodys_seat_reaches_the_core(self, app: ASGIApp, door: FakeDoor, button: str) -> None:
        async with shown(app) as page:
            assert (await page.post("press", button=button)).status == 204
        assert door.asked == [("press", SEAT, button)]

    @pytest.mark.parametrize("button", ["vouch", "break_glass"])
    async def test_it_is_not_pressed_at_somebodys_seat(self, app: ASGIApp, door: FakeDoor, button: str) -> None:
        async with shown(app) as page:
            door.show(active(HANAKO))
            await page.again()
            for turn in (None, page.view["turn"]):
                assert (await page.post("press", button=button, turn=turn)).status == 409
        assert door.asked == []

    @pytest.mark.parametrize("button", ["vouch", "break_glass"])
    async def test_it_is_not_pressed_by_whoever_was_shown_another_seat(
        self, app: ASGIApp, door: FakeDoor, button: str
    ) -> None:
        async with shown(app) as page:
            assert (await page.post("press", button=button, turn="0" * 16)).status == 409
        assert door.asked == []

    @pytest.mark.parametrize("button", ["lock", "logout"])
    async def test_the_owners_buttons_do_nothing_at_nobodys_seat(
        self, app: ASGIApp, door: FakeDoor, button: str
    ) -> None:
        async with shown(app) as page:
            assert (await page.post("press", button=button)).status == 409
        assert door.asked == []

    async def test_the_face_says_for_its_whole_life_that_glass_was_broken(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = active(break_glass=True)
        async with shown(app) as page:
            assert page.view["break_glass"] is True
            door.show(locked(break_glass=True))
            await page.again()
            assert page.view["break_glass"] is False


@pytest.mark.parametrize(
    ("way", "verb", "said"),
    [
        ("vouch", "press", {"button": "vouch"}),
        ("break_glass", "press", {"button": "break_glass"}),
        ("tiles", "names", {}),
        ("tiles", "claim", {"tile": "x"}),
        ("webauthn", "key", {}),
        ("webauthn", "signed", {"response": "{}"}),
    ],
)
async def test_a_way_that_the_seat_does_not_have(door: FakeDoor, way: Way, verb: str, said: dict[str, str]) -> None:
    others: tuple[Way, ...] = tuple(each for each in ALL_WAYS if each != way)
    app = make_app(settings(ways=others), door, frozenset({HOST}))
    async with shown(app) as page:
        assert (await page.post(verb, **said)).status == 404
    assert door.asked == []


class TestKey:
    async def test_the_cores_options_reach_the_page_and_the_response_the_core(
        self, app: ASGIApp, door: FakeDoor
    ) -> None:
        door.begin = lambda: Ceremony("get", {"challenge": "QQ", "rpId": "localhost"})
        async with shown(app) as page:
            begun = await page.post("key")
            done = await page.post("signed", response='{"id":"x"}')
        assert begun.json() == {"kind": "get", "options": {"challenge": "QQ", "rpId": "localhost"}}
        assert done.status == 204
        assert door.asked == [("webauthn_begin", SEAT), ("webauthn_done", SEAT, '{"id":"x"}')]

    async def test_a_response_is_bounded(self, app: ASGIApp, door: FakeDoor) -> None:
        async with shown(app) as page:
            fits = await page.post("signed", response='"' * MAX_RESPONSE)
            long = await page.post("signed", response="x" * (MAX_RESPONSE + 1))
            flood = await page.post("signed", response="x" * 4 * MAX_RESPONSE)
        assert (fits.status, long.status, flood.status) == (204, 413, 413)
        assert len(door.asked) == 1

    async def test_a_response_for_an_earlier_turn_goes_to_nobody(self, app: ASGIApp, door: FakeDoor) -> None:
        async with shown(app) as page:
            door.show(active(HANAKO))
            await page.again()
            assert (await page.post("signed", turn=None, response="{}")).status == 409
        assert door.asked == []

    @pytest.mark.parametrize(("code", "status"), [("refused", 409), ("gone", 503)])
    async def test_a_core_that_waits_for_no_key(self, app: ASGIApp, door: FakeDoor, code: str, status: int) -> None:
        door.refuse = DoorError(code)
        async with shown(app) as page:
            assert (await page.post("key")).status == status


class TestNamesOfThePage:
    """WebAuthn needs the page under `localhost` or an https name."""

    async def test_localhost_may_ask_for_a_key(self, app: ASGIApp) -> None:
        policy = (await ask(app, "GET", f"/seat/{SEAT}")).headers["permissions-policy"]
        assert "publickey-credentials-get=(self)" in policy
        assert "publickey-credentials-create=(self)" in policy

    @pytest.mark.parametrize(
        ("origin", "status"),
        [
            ("https://seat.city.example", 204),
            ("http://seat.city.example", 204),
            (f"http://{HOST}", 204),
            (f"https://{HOST}", 403),
            ("https://seat.city.example:8443", 403),
            ("https://city.example", 403),
        ],
    )
    async def test_only_a_name_that_was_given_may_be_https(self, door: FakeDoor, origin: str, status: int) -> None:
        hosts = frozenset({HOST, "seat.city.example"})
        app = make_app(settings(ways=ALL_WAYS, hosts=("seat.city.example",)), door, hosts)
        async with shown(app) as page:
            said = {"page": page.page, "turn": None, "button": "vouch"}
            answer = await post(app, f"/seat/{SEAT}/press", said, origin=origin)
        assert answer.status == status


class TestOffers:
    @pytest.mark.parametrize("ways", [(), ALL_WAYS, ("tiles",)])
    async def test_the_page_says_what_the_seat_offers(self, door: FakeDoor, ways: tuple[Way, ...]) -> None:
        app = make_app(settings(ways=ways), door, frozenset({HOST}))
        page = (await ask(app, "GET", f"/seat/{SEAT}")).body.decode()
        assert f'data-ways="{" ".join(ways)}"' in page

    async def test_no_name_is_in_the_page(self, app: ASGIApp) -> None:
        page = (await ask(app, "GET", f"/seat/{SEAT}")).body.decode()
        assert "花子" not in page


def test_the_field_for_a_pin_is_kept_by_no_browser() -> None:
    (field,) = re.findall(r'<input id="pin"[^>]*>', (STATIC / "seat.html").read_text())
    for attribute in ('type="password"', 'autocomplete="off"', 'inputmode="numeric"', 'spellcheck="false"'):
        assert attribute in field
    assert " name=" not in field
    assert "<form" not in (STATIC / "seat.html").read_text()
