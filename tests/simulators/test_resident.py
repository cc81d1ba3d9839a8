"""The resident system, with a door that the test holds: what a browser sees ends with the person's session."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.resources import files
from unittest.mock import patch
from urllib.parse import quote

import pytest
import pytest_asyncio

from authd.client import ClientError, DoorError, Gone, Person, Receipt, SignatureError
from authd.client.flags import Asked, AskedAnswer, AskedStep, Look, Protection, Unmasked
from authd.core.model import Grade, SeatId, SessionId, SubjectId
from authd_simulators.resident.app import COOKIE, Settings, make_app
from authd_simulators.resident.copy import Copy
from authd_simulators.resident.records import invent
from authd_simulators.resident.visits import Door
from tests.simulators.asgi import Answer, Browser, alive

RESIDENTS = invent(120)
_CHOICES = [AskedAnswer("read", {"ja": "読んだ", "en": "Read"}), AskedAnswer("doubt", {"ja": "迷う", "en": "In doubt"})]
LIST = Asked("counter", "2026.1", [AskedStep("screen", {"ja": "確認", "en": "Check"}, _CHOICES)])
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
    views: list[tuple[Person, str]] = field(default_factory=list[tuple[Person, str]])
    no_receipt: ClientError | None = None
    no_touch: ClientError | None = None
    protected: set[str] = field(default_factory=set[str])
    linked: bool = True
    foreign: int = 0
    unmasked: list[tuple[str, str, str, dict[str, str]]] = field(
        default_factory=list[tuple[str, str, str, dict[str, str]]]
    )
    changes_told: asyncio.Queue[Sequence[Protection]] = field(default_factory=asyncio.Queue[Sequence[Protection]])

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

    async def look(self, person: Person, record: str, *, screen: str, purpose: str) -> Look:
        if self.no_receipt is not None:
            raise self.no_receipt
        self.views.append((person, record))
        act = (person.seat, person.subject, person.session, person.grade, "vein", "2026-04-01T13:00:00Z")
        receipt = Receipt(1044, 1043, bytes(32), "2026-04-01T13:05:00Z", *act, "rec_a", f"{screen}/{purpose}", b"{}")
        if record not in self.protected:
            return Look(False, "look_1", receipt, {}, None)
        return Look(
            True, f"look_{len(self.views)}", receipt, {"ja": "保護されています\n- 確認", "en": "Protected"}, LIST
        )

    async def unmask(self, look: str, *, purpose: str, shown: str, answers: dict[str, str]) -> Unmasked:
        self.unmasked.append((look, purpose, shown, answers))
        if self.no_touch is not None:
            raise self.no_touch
        return Unmasked(1060, self.views[-1][0].session, "rec_a")

    async def flag_match(self, records: Sequence[str]) -> list[str]:
        if not self.linked:
            raise DoorError("not_permitted", "not a linked system")
        return [f"mark_{number}" for number in records]

    async def hold(self, apply: Callable[[Sequence[Protection]], Awaitable[None]], after: int) -> None:
        if self.foreign:
            self.foreign -= 1
            raise DoorError("refused", "another registry")
        while True:
            await apply(await self.changes_told.get())
            self.changes_told.task_done()

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

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Door, None]:
        yield door

    settings = Settings(RESIDENTS, lambda: NOW, {"counter-1": "窓口1"}, frozenset({"127.0.0.1"}), ("http://seat:1",))
    app = make_app(settings, opened)
    async with alive(app):
        yield House(door, Browser(app))


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
    assert house.door.views == [(somebody, RESIDENTS[3].number)]
    assert "#1044" in answer.text, "the page says under which row"


@pytest.mark.parametrize("error", [DoorError("ledger_down"), DoorError("refused"), Gone("silent"), SignatureError("x")])
async def test_without_a_receipt_nothing_is_shown(house: House, error: ClientError) -> None:
    path = await house.arrive(person("counter-1", "a"))
    house.door.no_receipt = error
    answer = await house.browser.get(f"{path}record/{RESIDENTS[3].number}")
    assert answer.status == 503
    assert RESIDENTS[3].address not in answer.text
    assert RESIDENTS[3].name not in answer.text


async def masked(house: House, number: str) -> tuple[str, Answer]:
    """Open a protected record; return the path of its page, and the page."""
    house.door.protected.add(number)
    path = f"{await house.arrive(person('counter-1', '伊藤 拓也'))}record/{number}"
    return path, await house.browser.get(path)


CONFIRM = b"look=look_1&purpose=certificate&step.screen=read"


async def test_a_protected_record_is_masked_with_nothing_chosen(house: House) -> None:
    wanted = RESIDENTS[3]
    _, answer = await masked(house, wanted.number)
    for hidden in (wanted.address, wanted.head):
        assert hidden == wanted.name or hidden not in answer.text
    assert "保護されています\n- 確認" in answer.text
    assert 'type="radio"' in answer.text
    assert "checked" not in answer.text


async def test_it_is_shown_after_touch_purpose_and_checklist(house: House) -> None:
    wanted = RESIDENTS[3]
    path, _ = await masked(house, wanted.number)
    answer = await house.send(path, CONFIRM)
    assert wanted.address in answer.text
    assert "#1060" in answer.text
    assert house.door.unmasked == [("look_1", "certificate", "保護されています\n- 確認", {"screen": "read"})]
    assert (await house.send(path, CONFIRM)).status == 404, "once"


@pytest.mark.parametrize("error", [DoorError("refused", "no touch"), Gone("silent")])
async def test_it_stays_masked_without(house: House, error: ClientError) -> None:
    wanted = RESIDENTS[3]
    path, _ = await masked(house, wanted.number)
    house.door.no_touch = error
    answer = await house.send(path, CONFIRM)
    assert wanted.address not in answer.text
    assert ("no touch" in answer.text) is isinstance(error, DoorError)


async def test_a_look_of_another_page_unmasks_nothing(house: House) -> None:
    path, _ = await masked(house, RESIDENTS[3].number)
    for body in (b"look=look_9&purpose=x", b"", b"&" * 3_000):
        assert (await house.send(path, body)).status in (400, 404)
    assert house.door.unmasked == []


async def test_where_the_copy_is_stricter_than_the_guard_nothing_is_shown(house: House) -> None:
    wanted = RESIDENTS[3]
    path = await house.arrive(person("counter-1", "a"))
    for protected in (True, False):
        house.door.changes_told.put_nowait([Protection(7, f"mark_{wanted.number}", protected, "")])
        await house.door.changes_told.join()
        answer = await house.browser.get(f"{path}record/{wanted.number}")
        assert (answer.status, wanted.address in answer.text) == ((503, False) if protected else (200, True))


async def test_a_system_that_is_not_linked_holds_no_copy() -> None:
    copy = Copy(["1"])
    await copy.run(FakeDoor(linked=False))
    assert "1" not in copy


async def test_a_registry_that_was_restored_unprotects_nobody_whom_it_has_forgotten() -> None:
    copy = Copy(["1", "2"])
    for door, mark in ((FakeDoor(), "mark_1"), (FakeDoor(foreign=1), "mark_2")):
        door.changes_told.put_nowait([Protection(9, mark, True, "")])
        await caught_up(copy, door)
    assert ("1" in copy, "2" in copy, copy.version) == (True, True, 9)


async def caught_up(copy: Copy, door: FakeDoor) -> None:
    with patch("authd_simulators.resident.copy.AGAIN_S", 0.001):
        running = asyncio.get_running_loop().create_task(copy.run(door))
        await door.changes_told.join()
        running.cancel()


async def test_an_unknown_record_is_no_view(house: House) -> None:
    path = await house.arrive(person("counter-1", "a"))
    assert (await house.browser.get(f"{path}record/0000000000")).status == 404
    assert house.door.views == []


@pytest.mark.parametrize("then", [None, person("counter-1", "b", "ses_2"), person("counter-1", "a", "ses_2")])
async def test_the_visit_dies_with_the_session_whoever_is_there_next(house: House, then: Person | None) -> None:
    path = await house.arrive(person("counter-1", "a"))
    house.door.put("counter-1", then)
    assert is_locked(await house.browser.get(f"{path}record/{RESIDENTS[3].number}"))
    assert house.door.views == []
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
