from __future__ import annotations

import asyncio
import json
import re

import pytest
from starlette.types import ASGIApp

from authd.core.model import SECOND, Hint, Instant, Message, SeatState
from authd.web.app import make_app
from authd.web.door import DoorError, Person
from tests.web.asgi import HOST, Stream, ask, post, stream
from tests.web.fakes import HANAKO, TARO, FakeDoor, active, locked, settings, sight

STREAM = "/seat/counter-1/stream"


class Clock:
    def __init__(self) -> None:
        self.time = Instant(1_000 * SECOND)

    def __call__(self) -> Instant:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time = Instant(self.time + int(seconds * SECOND))


@pytest.fixture
def door() -> FakeDoor:
    return FakeDoor()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(door: FakeDoor, clock: Clock) -> ASGIApp:
    return make_app(settings(), door, frozenset({HOST}), clock)


async def opened(shown: Stream) -> tuple[str, str]:
    """Name of the page, and the turn it is shown."""
    hello = await shown.next("hello")
    view = await shown.next("face")
    return hello["page"], view["turn"]


class TestPages:
    async def test_the_page_is_covered_before_any_script(self, app: ASGIApp) -> None:
        page = (await ask(app, "GET", "/seat/counter-1")).body.decode()
        assert '<html lang="ja" data-cover="on"' in page
        assert '<div id="desk" hidden inert>' in page
        assert "<iframe" not in page

    async def test_nothing_is_inline_and_nothing_is_foreign(self, app: ASGIApp) -> None:
        page = (await ask(app, "GET", "/seat/counter-1")).body.decode()
        assert " style=" not in page
        assert not re.search(r"\son\w+=", page)
        assert "://" not in page.replace("http://www.w3.org/2000/svg", "")
        assert page.count("<script") == page.count('src="/static/') == 2

    async def test_both_languages_are_in_the_page(self, app: ASGIApp) -> None:
        japanese = (await ask(app, "GET", "/seat/counter-1?lang=ja")).body.decode()
        english = (await ask(app, "GET", "/seat/counter-1?lang=en")).body.decode()
        for page in (japanese, english):
            assert "準備中" in page
            assert "Starting" in page
            assert "窓口1" in page
        assert '<html lang="en"' in english

    async def test_an_unknown_language_is_japanese(self, app: ASGIApp) -> None:
        assert b'<html lang="ja"' in (await ask(app, "GET", '/seat/counter-1?lang="><x')).body

    async def test_one_seat_needs_no_choice(self, app: ASGIApp) -> None:
        answer = await ask(app, "GET", "/")
        assert (answer.status, answer.headers["location"]) == (303, "/seat/counter-1")

    async def test_several_seats_are_listed(self, door: FakeDoor) -> None:
        app = make_app(settings(seats=2), door, frozenset({HOST}))
        page = (await ask(app, "GET", "/?lang=en")).body.decode()
        assert 'href="/seat/counter-1?lang=en"' in page
        assert 'href="/seat/counter-2?lang=en"' in page

    async def test_names_in_the_settings_are_escaped(self, door: FakeDoor) -> None:
        raw = settings()
        seat = type(raw.seats[0])("counter-1", "<b>", "&", applications=("resident",))
        sneaky = type(raw.applications[0])("resident", "</template><script>", "x", "http://127.0.0.1:8790/")
        app = make_app(type(raw)("127.0.0.1:0", raw.door, (seat,), (sneaky,)), door, frozenset({HOST}))
        page = (await ask(app, "GET", "/seat/counter-1")).body.decode()
        assert "<b>" not in page
        assert page.count("<script") == 2

    @pytest.mark.parametrize("name", ["seat.js", "link.js", "words.js", "seat.css", "seat.svg", "boot.js"])
    async def test_files_are_served_from_the_package(self, app: ASGIApp, name: str) -> None:
        answer = await ask(app, "GET", f"/static/{name}")
        assert answer.status == 200
        assert answer.body

    @pytest.mark.parametrize("name", ["seat.html", "../app.py", "..%2fapp.py", "", "x" * 10_000])
    async def test_nothing_else_is_served(self, app: ASGIApp, name: str) -> None:
        assert (await ask(app, "GET", f"/static/{name}")).status == 404

    async def test_an_unknown_seat_is_not_found(self, app: ASGIApp) -> None:
        for path in ("/seat/other", "/seat/other/stream"):
            assert (await ask(app, "GET", path)).status == 404


class TestStream:
    async def test_the_present_face_comes_first_then_every_change(self, app: ASGIApp, door: FakeDoor) -> None:
        async with stream(app, STREAM) as shown:
            first = await shown.next("face")
            door.show(active())
            second = await shown.next("face")
        assert (first["state"], first["covered"], first["turn"]) == ("locked", True, None)
        assert (second["state"], second["covered"]) == ("active", False)

    async def test_a_beat_of_the_core_is_passed_on(self, app: ASGIApp, door: FakeDoor) -> None:
        async with stream(app, STREAM) as shown:
            await shown.next("face")
            door.beat()
            await shown.next("beat")

    async def test_without_the_core_there_is_no_beat(self, app: ASGIApp, door: FakeDoor) -> None:
        door.beating = False
        async with stream(app, STREAM) as shown:
            await shown.next("face")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await shown.next("beat")

    async def test_a_lost_core_is_said_and_ends_the_stream(self, app: ASGIApp, door: FakeDoor) -> None:
        async with stream(app, STREAM) as shown:
            await shown.next("face")
            door.hang_up()
            await shown.next("gone")
            await shown.ended.wait()

    async def test_only_what_may_be_seen_leaves(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = active()
        async with stream(app, STREAM) as shown:
            view = await shown.next("face")
        assert view["person"] == {
            "name": "佐藤 花子",
            "kana": "さとう はなこ",
            "section": {"ja": "市民課", "en": "Resident Affairs"},
        }
        assert set(view) == {
            *("state", "covered", "message", "hint", "reader", "prompt", "named", "lent", "break_glass"),
            *("confirms", "turn", "age_ms", "left_ms", "person"),
        }
        for secret in (b"sub_secret", b"ses_a"):
            assert secret not in shown.raw

    async def test_a_locked_face_carries_no_name(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = sight(SeatState.LOCKED, Message.LOCKED, session="ses_a", person=HANAKO)
        async with stream(app, STREAM) as shown:
            view = await shown.next("face")
        assert (view["covered"], view["turn"], view["person"]) == (True, None, None)

    async def test_an_active_face_without_a_session_stays_covered(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = sight(SeatState.ACTIVE, Message.START, session=None, person=HANAKO)
        async with stream(app, STREAM) as shown:
            view = await shown.next("face")
        assert (view["covered"], view["person"]) == (True, None)

    async def test_spans_are_counted_from_now(self, app: ASGIApp, door: FakeDoor, clock: Clock) -> None:
        at = clock.time
        clock.forward(1.5)
        door.present = sight(SeatState.FADING, Message.FADING, person=HANAKO, left=5, at=at)
        async with stream(app, STREAM) as shown:
            view = await shown.next("face")
        assert (view["age_ms"], view["left_ms"]) == (1500, 3500)

    async def test_a_hint_is_passed_by_its_id(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = locked(Message.ONCE_MORE, hint=Hint.DRY)
        async with stream(app, STREAM) as shown:
            view = await shown.next("face")
        assert (view["message"], view["hint"]) == ("once_more", "dry")

    async def test_a_seat_has_a_handful_of_pages_at_most(self, app: ASGIApp) -> None:
        async with stream(app, STREAM) as a, stream(app, STREAM) as b, stream(app, STREAM) as c:
            async with stream(app, STREAM) as d:
                for each in (a, b, c, d):
                    await each.next("face")
                async with stream(app, STREAM) as fifth:
                    await fifth.next("full")
            async with stream(app, STREAM) as again:
                await again.next("face")

    async def test_leaving_ends_the_watch(self, app: ASGIApp, door: FakeDoor) -> None:
        async with stream(app, STREAM) as shown:
            await shown.next("face")
            assert len(door.watchers) == 1
        assert door.watchers == []

    async def test_another_site_cannot_use_up_the_streams(self, app: ASGIApp) -> None:
        assert (await ask(app, "GET", STREAM, sec_fetch_site="same-site")).status == 403


class TestPressing:
    @pytest.mark.parametrize("button", ["lock", "logout"])
    async def test_a_button_reaches_the_core(self, app: ASGIApp, door: FakeDoor, button: str) -> None:
        door.present = active()
        async with stream(app, STREAM) as shown:
            page, turn = await opened(shown)
            answer = await post(app, "/seat/counter-1/press", {"page": page, "turn": turn, "button": button})
        assert answer.status == 204
        assert door.asked == [("press", "counter-1", button)]

    async def test_a_button_pressed_for_an_earlier_session_does_nothing(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = active()
        async with stream(app, STREAM) as shown:
            page, turn = await opened(shown)
            door.show(active(TARO, "ses_b"))
            await shown.next("face")
            late = await post(app, "/seat/counter-1/press", {"page": page, "turn": turn, "button": "logout"})
        assert (late.status, door.asked) == (409, [])

    @pytest.mark.parametrize("verb", ["press", "open", "activity"])
    async def test_nothing_is_done_for_somebody_who_is_not_shown_the_seat(
        self, app: ASGIApp, door: FakeDoor, verb: str
    ) -> None:
        door.present = active()
        said = {"page": "0" * 32, "turn": "x", "button": "lock", "application": "resident"}
        answer = await post(app, f"/seat/counter-1/{verb}", said)
        assert (answer.status, door.asked) == (403, [])

    async def test_a_page_is_over_with_its_stream(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = active()
        async with stream(app, STREAM) as shown:
            page, turn = await opened(shown)
        answer = await post(app, "/seat/counter-1/press", {"page": page, "turn": turn, "button": "lock"})
        assert (answer.status, door.asked) == (403, [])

    async def test_a_page_of_one_seat_cannot_press_for_another(self, door: FakeDoor) -> None:
        app = make_app(settings(seats=2), door, frozenset({HOST}))
        door.present = active()
        async with stream(app, STREAM) as shown:
            page, turn = await opened(shown)
            answer = await post(app, "/seat/counter-2/press", {"page": page, "turn": turn, "button": "lock"})
        assert (answer.status, door.asked) == (403, [])

    async def test_a_core_that_is_away_is_said_so(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = active()
        door.refuse = DoorError("gone")
        async with stream(app, STREAM) as shown:
            page, turn = await opened(shown)
            answer = await post(app, "/seat/counter-1/press", {"page": page, "turn": turn, "button": "lock"})
        assert answer.status == 503


class TestActivity:
    async def test_once_a_second_is_passed_on(self, app: ASGIApp, door: FakeDoor, clock: Clock) -> None:
        async with stream(app, STREAM) as shown:
            page, _ = await opened(shown)
            for wait in (0, 0.4, 0.5, 0.1, 0.9, 0.1):
                clock.forward(wait)
                assert (await post(app, "/seat/counter-1/activity", {"page": page})).status == 204
        assert door.asked == [("activity", "counter-1")] * 3


class TestOpening:
    async def test_an_application_is_opened_with_a_ticket(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = active()
        async with stream(app, STREAM) as shown:
            page, turn = await opened(shown)
            said = {"page": page, "turn": turn, "application": "resident"}
            answer = await post(app, "/seat/counter-1/open", said)
        assert answer.json() == {"url": "http://127.0.0.1:8790/?ticket=t1"}
        assert door.asked == [("ticket", "counter-1", "resident")]

    async def test_an_unknown_application_is_not_asked_for(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = active()
        async with stream(app, STREAM) as shown:
            page, turn = await opened(shown)
            answer = await post(app, "/seat/counter-1/open", {"page": page, "turn": turn, "application": "x"})
        assert (answer.status, door.asked) == (404, [])

    async def test_a_ticket_to_anywhere_else_is_not_followed(self, app: ASGIApp, door: FakeDoor) -> None:
        door.present = active()
        door.url = "http://127.0.0.1:8791/?ticket=t1"
        async with stream(app, STREAM) as shown:
            page, turn = await opened(shown)
            said = {"page": page, "turn": turn, "application": "resident"}
            assert (await post(app, "/seat/counter-1/open", said)).status == 502

    async def test_no_session_no_ticket(self, app: ASGIApp, door: FakeDoor) -> None:
        async with stream(app, STREAM) as shown:
            page, _ = await opened(shown)
            said = {"page": page, "turn": None, "application": "resident"}
            answer = await post(app, "/seat/counter-1/open", said)
        assert (answer.status, door.asked) == (409, [])


class TestGuard:
    async def test_every_answer_is_kept_by_nobody(self, app: ASGIApp) -> None:
        for path in ("/", "/seat/counter-1", "/static/seat.js", "/nothing"):
            headers = (await ask(app, "GET", path)).headers
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cross-origin-resource-policy"] == "same-origin"

    async def test_the_content_policy_allows_only_our_files_and_the_applications(self, app: ASGIApp) -> None:
        policy = (await ask(app, "GET", "/seat/counter-1")).headers["content-security-policy"]
        parts = dict(part.split(" ", 1) for part in policy.split("; "))
        assert parts["default-src"] == "'none'"
        assert parts["script-src"] == parts["style-src"] == parts["connect-src"] == "'self'"
        assert parts["frame-src"] == "http://127.0.0.1:8790"
        assert parts["frame-ancestors"] == "'none'"
        assert "unsafe" not in policy

    async def test_only_named_origins_may_frame_the_page(self, app: ASGIApp, door: FakeDoor) -> None:
        assert (await ask(app, "GET", "/seat/counter-1")).headers["x-frame-options"] == "DENY"
        framed = make_app(settings(frame_ancestors=("http://127.0.0.1:8799",)), door, frozenset({HOST}))
        headers = (await ask(framed, "GET", "/seat/counter-1")).headers
        assert "frame-ancestors http://127.0.0.1:8799;" in headers["content-security-policy"]
        assert "x-frame-options" not in headers

    @pytest.mark.parametrize("host", ["evil.example:8780", "127.0.0.1", "", "127.0.0.1:8780.evil.example"])
    async def test_dns_rebinding(self, app: ASGIApp, host: str) -> None:
        assert (await ask(app, "GET", "/seat/counter-1", host=host)).status == 421

    @pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:8790", f"https://{HOST}"])
    async def test_another_site_cannot_press(self, app: ASGIApp, door: FakeDoor, origin: str) -> None:
        door.present = active()
        async with stream(app, STREAM) as shown:
            page, turn = await opened(shown)
            said = {"page": page, "turn": turn, "button": "lock"}
            answer = await post(app, "/seat/counter-1/press", said, origin=origin)
        assert (answer.status, door.asked) == (403, [])

    async def test_a_post_without_an_origin_is_refused(self, app: ASGIApp) -> None:
        assert (await ask(app, "POST", "/seat/counter-1/press", b"{}", content_type="application/json")).status == 403

    async def test_a_form_cannot_post(self, app: ASGIApp) -> None:
        answer = await post(app, "/seat/counter-1/press", {}, content_type="application/x-www-form-urlencoded")
        assert answer.status == 415

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"page": 1}', b'{"page": "x", "button": "unlock"}'])
    async def test_a_broken_body_is_a_bad_request(self, app: ASGIApp, body: bytes) -> None:
        own = {"origin": f"http://{HOST}", "content_type": "application/json"}
        assert (await ask(app, "POST", "/seat/counter-1/press", body, **own)).status == 400

    async def test_a_long_body_is_not_read_to_its_end(self, app: ASGIApp) -> None:
        body = json.dumps({"page": "x" * 100_000}).encode()
        own = {"origin": f"http://{HOST}", "content_type": "application/json"}
        assert (await ask(app, "POST", "/seat/counter-1/press", body, **own)).status == 413

    async def test_a_get_presses_nothing(self, app: ASGIApp) -> None:
        assert (await ask(app, "GET", "/seat/counter-1/press")).status == 405


async def test_a_long_name_is_cut(app: ASGIApp, door: FakeDoor) -> None:
    door.present = active(Person("寿" * 1_000))
    async with stream(app, STREAM) as shown:
        assert (await shown.next("face"))["person"]["name"] == "寿" * 64
