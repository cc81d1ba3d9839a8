"""The resident system, with a door that the test holds: what a browser sees ends with the person's session."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.resources import files
from urllib.parse import quote

import pytest
import pytest_asyncio

from authd.client import DoorError, Person
from authd.core.model import Grade, SeatId, SessionId, SubjectId
from authd_simulators.resident.app import COOKIE, Settings, make_app
from authd_simulators.resident.records import Resident, invent
from authd_simulators.resident.visits import Door
from tests.simulators.asgi import Answer, Browser, alive

RESIDENTS = invent(120)
NOW = datetime(2026, 4, 1, 13, 5, tzinfo=UTC)


def person(seat: str, name: str, session: str = "ses_1") -> Person:
    return Person(
        SeatId(seat), SessionId(session), SubjectId(f"sub_{name}"), Grade.MATCHED, "2026-04-01T13:00:00Z", name=name
    )


@dataclass
class FakeDoor:
    """Says who is where, as the test likes."""

    there: dict[str, Person | None] = field(default_factory=dict[str, Person | None])
    tickets: dict[str, Person] = field(default_factory=dict[str, Person])
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def exchange(self, ticket: str) -> Person:
        if ticket not in self.tickets:
            raise DoorError("not_found")
        return self.tickets.pop(ticket)

    async def who(self, seat: str) -> Person | None:
        return self.there.get(seat)

    async def changes(self, seat: str) -> AsyncGenerator[Person | None, None]:
        while True:
            moved = self.moved
            yield self.there.get(seat)
            await moved.wait()

    def put(self, seat: str, somebody: Person | None) -> None:
        self.there[seat] = somebody
        self.moved.set()
        self.moved = asyncio.Event()

    def ticket(self, somebody: Person) -> str:
        self.put(somebody.seat, somebody)
        self.tickets[f"ticket-{somebody.seat}-{len(self.tickets)}"] = somebody
        return f"ticket-{somebody.seat}-{len(self.tickets) - 1}"


@dataclass
class House:
    door: FakeDoor
    browser: Browser
    views: list[tuple[Person, Resident, datetime]]

    async def arrive(self, somebody: Person) -> str:
        """Come with a good ticket and return the path of the visit."""
        answer = await self.browser.get(f"/?ticket={self.door.ticket(somebody)}")
        assert answer.status == 303
        return answer.headers["location"]

    async def send(self, path: str, body: bytes) -> Answer:
        return await self.browser.post(path, body, {"origin": "http://127.0.0.1"})


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    door = FakeDoor()
    views: list[tuple[Person, Resident, datetime]] = []

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Door, None]:
        yield door

    settings = Settings(RESIDENTS, lambda: NOW, {"counter-1": "窓口1"}, frozenset({"127.0.0.1"}), ("http://seat:1",))
    app = make_app(settings, opened, lambda who, what, at: views.append((who, what, at)))
    async with alive(app):
        yield House(door, Browser(app), views)


def is_locked(answer: Answer) -> bool:
    return answer.status == 403 and "ロックしました" in answer.text


async def test_a_ticket_opens_the_search_under_the_persons_own_name(house: House) -> None:
    path = await house.arrive(person("counter-1", "伊藤 拓也"))
    answer = await house.browser.get(path)
    assert answer.status == 200
    assert "伊藤 拓也" in answer.text
    assert "窓口1" in answer.text


async def test_without_a_good_ticket_nothing_opens(house: House) -> None:
    for target in ("/", "/?ticket=", "/?ticket=stolen", f"/?ticket={'x' * 300}"):
        answer = await house.browser.get(target)
        assert answer.status == 403
        assert "set-cookie" not in answer.headers


async def test_a_ticket_is_good_once(house: House) -> None:
    ticket = house.door.ticket(person("counter-1", "a"))
    assert (await house.browser.get(f"/?ticket={ticket}")).status == 303
    assert (await house.browser.get(f"/?ticket={ticket}")).status == 403


async def test_search_by_name_kana_and_number(house: House) -> None:
    path = await house.arrive(person("counter-1", "a"))
    wanted = RESIDENTS[7]
    for words in (wanted.name, wanted.kana, wanted.name.split()[0], wanted.number):
        answer = await house.send(path, f"words={quote(words)}".encode())
        assert wanted.number in answer.text


async def test_each_view_is_reported_with_the_person_before_it_is_seen(house: House) -> None:
    somebody = person("counter-1", "伊藤 拓也")
    path = await house.arrive(somebody)
    answer = await house.browser.get(f"{path}record/{RESIDENTS[3].number}")
    assert RESIDENTS[3].address in answer.text
    assert house.views == [(somebody, RESIDENTS[3], NOW)]


async def test_an_unknown_record_is_no_view(house: House) -> None:
    path = await house.arrive(person("counter-1", "a"))
    assert (await house.browser.get(f"{path}record/0000000000")).status == 404
    assert house.views == []


@pytest.mark.parametrize("then", [None, person("counter-1", "b", "ses_2"), person("counter-1", "a", "ses_2")])
async def test_the_visit_dies_with_the_session_whoever_is_there_next(house: House, then: Person | None) -> None:
    path = await house.arrive(person("counter-1", "a"))
    house.door.put("counter-1", then)
    assert is_locked(await house.browser.get(f"{path}record/{RESIDENTS[3].number}"))
    assert house.views == []
    # Coming back, even of the same session, revives nothing.
    house.door.put("counter-1", person("counter-1", "a"))
    assert is_locked(await house.browser.get(path))


async def test_the_visit_dies_though_nobody_asked_in_between(house: House) -> None:
    path = await house.arrive(person("counter-1", "a"))
    await asyncio.sleep(0)
    house.door.put("counter-1", None)
    await asyncio.sleep(0)
    house.door.put("counter-1", person("counter-1", "a"))
    assert is_locked(await house.browser.get(path))


async def test_silence_of_authd_is_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await house.arrive(person("counter-1", "a"))

    async def gone(seat: str) -> Person | None:
        raise DoorError("not_permitted", seat)

    monkeypatch.setattr(house.door, "who", gone)
    assert is_locked(await house.browser.get(path))


async def test_two_seats_in_one_browser_do_not_clobber_each_other(house: House) -> None:
    one = await house.arrive(person("counter-1", "一郎"))
    two = await house.arrive(person("counter-2", "二郎", "ses_2"))
    assert "一郎" in (await house.browser.get(one)).text
    assert "二郎" in (await house.browser.get(two)).text
    house.door.put("counter-1", None)
    assert is_locked(await house.browser.get(one))
    assert "二郎" in (await house.browser.get(two)).text


async def test_the_path_alone_opens_nothing(house: House) -> None:
    path = await house.arrive(person("counter-1", "a"))
    stranger = Browser(house.browser.app)
    assert is_locked(await stranger.get(path))
    stranger.cookies[COOKIE, "/"] = "guessed"
    assert is_locked(await stranger.get(path))
    assert (await house.browser.get(path)).status == 200


async def test_the_cookie_is_for_this_visit_only_and_out_of_reach_of_scripts(house: House) -> None:
    answer = await house.browser.get(f"/?ticket={house.door.ticket(person('counter-1', 'a'))}")
    cookie = answer.headers["set-cookie"].lower()
    assert f"path={answer.headers['location']}" in cookie
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


async def test_no_answer_is_stored_or_framed_by_others(house: House) -> None:
    path = await house.arrive(person("counter-1", "a"))
    for target in (path, "/", "/locked", "/nowhere", "/static/resident.css", f"{path}record/{RESIDENTS[1].number}"):
        answer = await house.browser.get(target)
        assert answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors http://seat:1" in answer.headers["content-security-policy"]


async def test_another_host_name_is_refused(house: House) -> None:
    answer = await Browser(house.browser.app, host="evil.example").get("/locked")
    assert answer.status == 421


async def test_another_sites_form_is_refused(house: House) -> None:
    path = await house.arrive(person("counter-1", "a"))
    assert (await house.browser.post(path, b"words=a", {"origin": "http://evil.example"})).status == 403
    assert (await house.browser.post(path, b"words=a")).status == 403


async def test_an_open_page_is_told_the_moment_the_visit_ends(house: House) -> None:
    path = await house.arrive(person("counter-1", "a"))
    async with asyncio.TaskGroup() as group:
        stream = group.create_task(house.browser.get(f"{path}watch"))
        for _ in range(10):
            await asyncio.sleep(0)
        house.door.put("counter-1", None)
    assert stream.result().text.startswith("event: beat")
    assert stream.result().text.endswith("event: locked\ndata:\n\n")


async def test_names_are_escaped(house: House) -> None:
    path = await house.arrive(person("counter-1", "<script>alert(1)</script>"))
    assert "<script>alert" not in (await house.browser.get(path)).text
    answer = await house.send(path, b"words=%22%3E%3Cscript%3Ealert(1)")
    assert "<script>alert" not in answer.text


async def test_a_flood_of_words_is_refused(house: House) -> None:
    path = await house.arrive(person("counter-1", "a"))
    assert (await house.send(path, b"words=" + b"x" * 10_000)).status == 413


async def test_visits_are_bounded(house: House) -> None:
    for _ in range(64):
        await house.arrive(person("counter-1", "a"))
    answer = await house.browser.get(f"/?ticket={house.door.ticket(person('counter-1', 'a'))}")
    assert answer.status == 503


def test_nobody_can_type_a_password() -> None:
    pages = files("authd_simulators.resident").joinpath("pages")
    assert all("password" not in each.read_text("utf-8").lower() for each in pages.iterdir())


def test_a_protected_record_looks_like_any_other() -> None:
    flagged = next(each for each in RESIDENTS if each.support_measure)
    assert replace(flagged, support_measure=False) != flagged
    pages = files("authd_simulators.resident").joinpath("pages")
    assert all("support" not in each.read_text("utf-8") for each in pages.iterdir())
