from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from authd.client import DoorError, Person
from authd.client.link import Gone
from authd.core.model import EndReason, SessionId
from authd.web.gateway import sessions
from authd.web.gateway.sessions import TooManyVisits, Visit
from tests.web.gateway.fakes import HANAKO, SEAT, FakeDoor, heard


async def come_in(door: FakeDoor, person: Person = HANAKO) -> tuple[Visit, str]:
    door.tickets["t"] = person
    return await door.book.open("t")


async def test_a_cookie_is_good_for_the_session_and_a_ticket_only_once() -> None:
    async with heard() as door:
        visit, cookie = await come_in(door)
        assert len(cookie) >= 43
        assert door.book.find(cookie) is visit
        assert door.book.find(cookie[:-1]) is None
        assert door.book.find("") is None
        with pytest.raises(DoorError):
            await door.book.open("t")


@pytest.mark.parametrize("ticket", ["", "x" * 257, "ä", "a\nb"])
async def test_what_is_no_ticket_is_not_asked_about(ticket: str) -> None:
    async with heard() as door:
        door.tickets[ticket] = HANAKO
        with pytest.raises(DoorError):
            await door.book.open(ticket)


async def test_a_pushed_lock_ends_every_browser_of_the_session_at_once_and_says_so_once() -> None:
    async with heard() as door:
        ended: list[tuple[Person, EndReason | None]] = []
        door.book.on_end(lambda person, reason: ended.append((person, reason)))
        first, cookie = await come_in(door)
        second, other = await come_in(door)
        stays, third = await come_in(door, replace(HANAKO, session=SessionId("ses_2")))
        await door.say(lock={"session": "ses_1", "seat": SEAT, "reason": "absence"})
        await door.say(lock={"session": "ses_1", "seat": SEAT, "reason": "absence"})
        assert first.ended.is_set()
        assert second.ended.is_set()
        assert door.book.find(cookie) is door.book.find(other) is None
        assert door.book.find(third) is stays
        assert ended == [(HANAKO, EndReason.ABSENCE)]


async def test_a_durable_end_is_an_end_too() -> None:
    async with heard() as door:
        _, cookie = await come_in(door)
        event = {
            "type": "jp.authd.session.ended",
            "time": "2026-11-22T09:00:00+09:00",
            "data": {"seq": 8, "session": "ses_1", "seat": SEAT, "reason": "logout"},
        }
        await door.say(event=event)
        assert door.book.find(cookie) is None


async def test_a_ticket_whose_session_ended_on_the_way_opens_nothing() -> None:
    async with heard() as door:
        await door.say(lock={"session": "ses_1", "seat": SEAT, "reason": "lock"})
        with pytest.raises(DoorError):
            await come_in(door)


async def test_two_seconds_without_a_beat_are_nobody() -> None:
    async with heard() as door:
        _, cookie = await come_in(door)
        door.wait(1.9)
        assert door.book.find(cookie) is not None
        await door.say(beat=7, head=7)
        door.wait(1.9)
        assert door.book.find(cookie) is not None
        door.wait(0.1)
        assert door.book.find(cookie) is None
        assert not door.book.alive
        assert door.book.left_s == 0


@pytest.mark.parametrize("still", ["ses_1", "ses_2", None])
async def test_after_a_broken_line_a_session_is_believed_only_once_authd_has_said_it_again(still: str | None) -> None:
    async with heard() as door:
        visit, cookie = await come_in(door)
        await door.silence()
        assert door.book.find(cookie) is None
        await door.again()
        await door.say(ok=True, after=9, head=9)
        assert door.book.find(cookie) is None
        question = door.asked[-1]
        assert (question["verb"], question["seat"]) == ("who", SEAT)
        await door.answer(question["id"], still)
        assert (door.book.find(cookie) is visit) == (still == "ses_1")
        assert visit.ended.is_set() == (still != "ses_1")


async def test_a_lock_that_overtakes_the_answer_wins() -> None:
    async with heard() as door:
        _, cookie = await come_in(door)
        await door.silence()
        await door.again()
        await door.say(ok=True, after=9, head=9)
        await door.say(lock={"session": "ses_1", "seat": SEAT, "reason": "lock"})
        await door.answer(door.asked[-1]["id"], "ses_1")
        assert door.book.find(cookie) is None


async def test_nobody_comes_in_while_no_stream_would_tell_of_the_lock() -> None:
    async with heard() as door:
        await door.silence()
        with pytest.raises(Gone):
            await come_in(door)
        assert "t" in door.tickets
        await door.again()
        with pytest.raises(Gone):
            await come_in(door)


async def test_a_ticket_that_was_exchanged_across_a_gap_in_the_stream_opens_nothing() -> None:
    """The answer is from before the gap, the stream from after it: a lock between them is told by neither."""
    async with heard() as door:
        exchange = door.exchange

        async def exchange_late(ticket: str) -> Person:
            person = await exchange(ticket)
            await door.silence()
            await door.again()
            await door.say(ok=True, after=9, head=9)
            return person

        door.exchange = exchange_late  # type: ignore[method-assign]
        with pytest.raises(Gone):
            await come_in(door)
        assert door.book.alive
        assert door.book.visits(HANAKO.session) == ()


async def test_a_browser_may_leave_alone_and_the_ninth_of_a_session_takes_the_place_of_the_first() -> None:
    async with heard() as door:
        cookies = [(await come_in(door))[1] for _ in range(sessions.MAX_VISITS_OF_A_SESSION + 1)]
        assert door.book.find(cookies[0]) is None
        last = door.book.find(cookies[-1])
        assert last is not None
        door.book.leave(last)
        assert last.ended.is_set()
        assert door.book.find(cookies[-1]) is None
        assert door.book.find(cookies[-2]) is not None
        assert len(door.book.visits(HANAKO.session)) == sessions.MAX_VISITS_OF_A_SESSION - 1


async def test_a_full_book_spends_no_ticket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_VISITS", 1)
    async with heard() as door:
        await come_in(door)
        with pytest.raises(TooManyVisits):
            await come_in(door)
        assert "t" in door.tickets


async def test_following_goes_on_after_any_number_of_broken_lines() -> None:
    async with heard() as door:
        for _ in range(3):
            await door.silence()
            async with asyncio.timeout(60):
                await door.again()
        await door.say(ok=True, after=9, head=9)
        assert door.book.alive


async def test_the_end_of_a_session_is_told_though_its_browser_has_left() -> None:
    """Who leaves does not take along what the system still keeps for them: that ends with the session."""
    async with heard() as door:
        ended: list[tuple[Person, EndReason | None]] = []
        door.book.on_end(lambda person, reason: ended.append((person, reason)))
        visit, cookie = await come_in(door)
        door.book.leave(visit)
        assert visit.ended.is_set()
        assert door.book.find(cookie) is None
        assert door.book.visits(HANAKO.session) == ()
        await door.say(lock={"session": "ses_1", "seat": SEAT, "reason": "absence"})
        assert ended == [(HANAKO, EndReason.ABSENCE)]


async def test_an_end_that_was_not_heard_is_found_for_a_browser_that_has_left() -> None:
    async with heard() as door:
        ended: list[Person] = []
        door.book.on_end(lambda person, reason: ended.append(person))
        visit, _ = await come_in(door)
        door.book.leave(visit)
        await door.silence()
        await door.again()
        await door.say(ok=True, after=9, head=9)
        await door.answer(door.asked[-1]["id"], None)
        assert ended == [HANAKO]


async def test_those_who_left_make_room_first() -> None:
    async with heard() as door:
        stays, cookie = await come_in(door)
        for _ in range(3 * sessions.MAX_VISITS_OF_A_SESSION):
            door.book.leave((await come_in(door))[0])
        assert door.book.find(cookie) is stays
