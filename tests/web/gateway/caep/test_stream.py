"""One stream: in order, bounded, and nothing forgotten that was not acknowledged."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from authd.client import DoorError, Event
from authd.client.link import Gone
from authd.web.gateway.caep import stream as module
from authd.web.gateway.caep.pushing import push
from authd.web.gateway.caep.receivers import Receiver, Table
from authd.web.gateway.caep.stream import MOST, Status, Stream
from authd.web.gateway.post import Answered


def token(jti: str) -> str:
    body = base64.urlsafe_b64encode(json.dumps({"jti": jti}).encode()).rstrip(b"=").decode()
    return f"h.{body}.s"


class Door:
    """authd: a ledger of as many rows as a test says."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.more = asyncio.Event()
        self.afters: list[int | None] = []
        self.errors: list[Exception] = []
        self.client = self
        self.coming: tuple[str, ...] = ()

    def later(self, *kinds: str) -> None:
        """Add rows as soon as somebody follows."""
        self.coming = kinds

    def add(self, *kinds: str) -> None:
        self.rows += kinds
        self.more.set()

    async def follow(self, after: int | None) -> AsyncGenerator[Event, None]:
        self.afters.append(after)
        if self.errors:
            raise self.errors.pop()
        number = len(self.rows) if after is None else after
        self.add(*self.coming)
        self.coming = ()
        while True:
            while number >= len(self.rows):
                self.more.clear()
                await self.more.wait()
            number += 1
            yield Event(number, self.rows[number - 1], "", None, None, None, 0, None, None, {}, {}, b"")

    async def security_event(self, seq: int) -> str:
        if self.rows[seq - 1] == "session.fading":
            raise AssertionError("nobody asked for this")
        return token(f"jti-{seq}")

    async def security_check(self, state: str | None) -> str:
        return token(f"check-{state}")


class Poster:
    def __init__(self, *statuses: int | None, body: bytes = b"") -> None:
        self.body = body
        self.statuses = list(statuses)
        self.posted: list[str] = []
        self.done = asyncio.Event()

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Answered | None:
        self.posted.append(body.decode())
        status = self.statuses.pop(0) if self.statuses else 202
        if not self.statuses:
            self.done.set()
        return None if status is None else Answered(status, self.body)


def made(door: Any, place: Path | None = None, url: str = "") -> Stream:
    return Stream(Receiver("idp", Table("0" * 64, url), door, "Bearer x", place))


async def until(stream: Stream, count: int) -> None:
    while len(stream.waiting) != count:
        await stream.wait()


async def test_the_sessions_of_the_ledger_in_order() -> None:
    door = Door()
    stream = made(door)
    door.later("session.started", "session.fading", "session.kept", "attempt.refused", "session.ended")
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        following = group.create_task(stream.follow())
        await until(stream, 3)
        following.cancel()
    assert list(stream.first(10)) == ["jti-1", "jti-3", "jti-5"]
    assert list(stream.first(2)) == ["jti-1", "jti-3"]


async def test_a_receiver_that_never_listens_costs_a_bounded_queue_and_loses_nothing() -> None:
    door = Door()
    stream = made(door)
    door.later(*["session.started"] * (MOST + 50))
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        following = group.create_task(stream.follow())
        await until(stream, MOST)
        stream.acknowledge(list(stream.first(MOST)))
        await until(stream, 50)
        following.cancel()
    assert list(stream.first(1)) == [f"jti-{MOST + 1}"]


async def test_after_a_restart_what_was_not_acknowledged_comes_again(tmp_path: Path) -> None:
    door = Door()
    place = tmp_path / "idp.place"
    place.write_text("0\n")
    stream = made(door, place)
    door.add(*["session.started"] * 5)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        following = group.create_task(stream.follow())
        await until(stream, 5)
        stream.acknowledge(["jti-1", "jti-2", "jti-4"])
        following.cancel()
    again = made(door, place)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        following = group.create_task(again.follow())
        await until(again, 3)
        following.cancel()
    assert list(again.first(9)) == ["jti-3", "jti-4", "jti-5"]


async def test_the_place_stays_where_nothing_has_happened_yet(tmp_path: Path) -> None:
    """A receiver that polls before the first event, and a gateway that ends then, must not begin "from now"."""
    door = Door()
    place = tmp_path / "idp.place"
    place.write_text("2\n")
    door.add(*["session.started"] * 2)
    stream = made(door, place)
    stream.acknowledge([])
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        following = group.create_task(stream.follow())
        await asyncio.sleep(0)
        stream.acknowledge([])
        following.cancel()
    door.add("session.ended")
    again = made(door, place)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        following = group.create_task(again.follow())
        await until(again, 1)
        following.cancel()
    assert list(again.first(9)) == ["jti-3"]


async def test_what_no_receiver_ever_acknowledged_comes_again_too(tmp_path: Path) -> None:
    """The first place is that of the first event, whether or not anybody has heard it."""
    door = Door()
    place = tmp_path / "idp.place"
    for kinds in (["session.started"], []):
        door.later(*kinds)
        stream = made(door, place)
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            following = group.create_task(stream.follow())
            await until(stream, 1)
            following.cancel()
        assert list(stream.first(9)) == ["jti-1"]


async def test_a_place_that_cannot_be_read_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = tmp_path / "idp.place"
    place.write_text("")
    stream = made(Door(), place)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        following = group.create_task(stream.follow())
        await asyncio.sleep(0)
        following.cancel()
    assert "idp: its place cannot be read; it begins with what happens now" in caplog.text


@pytest.mark.parametrize("error", [Gone("away"), DoorError("slow")])
async def test_it_goes_on_when_authd_comes_back(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    class Quick:
        def reset(self) -> None: ...

        async def sleep(self) -> None:
            await asyncio.sleep(0)

    monkeypatch.setattr(module, "BackOff", Quick)
    door = Door()
    door.errors = [error]
    door.later("session.started")
    stream = made(door)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        following = group.create_task(stream.follow())
        await until(stream, 1)
        following.cancel()
    assert len(door.afters) == 2


async def test_a_disabled_stream_keeps_nothing() -> None:
    stream = made(Door())
    await stream.verify("s")
    assert list(stream.first(1)) == ["check-s"]
    stream.set_status(Status.DISABLED, "")
    assert not stream.waiting


async def three_pushed(poster: Any) -> None:
    """Push three events until they are taken."""
    stream = made(Door(), url="https://idp.example/events")
    for state in ("1", "2", "3"):
        await stream.verify(state)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        pushing = group.create_task(push(stream, poster))
        await poster.done.wait()
        await until(stream, 0)
        pushing.cancel()


async def test_it_is_pushed_in_order_and_again_until_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authd.web.gateway.caep.pushing.AGAIN_S", (0.0,))
    poster: Any = Poster(None, 503, 202, 400, 200)
    await three_pushed(poster)
    assert poster.posted == [token(f"check-{each}") for each in ("1", "1", "1", "2", "3")]


async def test_an_outage_is_said_once_and_once_more_when_it_is_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("authd.web.gateway.caep.pushing.AGAIN_S", (0.0,))
    poster: Any = Poster(503, None, 502, *[500] * 50, 202, 202, 401, 401, 202)
    await three_pushed(poster)
    begun = [f"idp: answers {status} and takes no event; each is tried again until it does" for status in (503, 401)]
    over = "idp: takes events again"
    assert [record.getMessage() for record in caplog.records] == [begun[0], over, begun[1], over]


@pytest.mark.parametrize("error", ["invalid_key", "invalid_issuer", "authentication_failed", "access_denied"])
async def test_what_is_refused_for_a_key_or_a_name_is_pushed_again(monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    """A receiver that has not fetched the new keys yet must not miss that a session was revoked (RFC 8935, 2.4)."""
    monkeypatch.setattr("authd.web.gateway.caep.pushing.AGAIN_S", (0.0,))
    poster: Any = Poster(400, 202, body=json.dumps({"err": error}).encode())
    stream = made(Door(), url="https://idp.example/events")
    await stream.verify("1")
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        pushing = group.create_task(push(stream, poster))
        await poster.done.wait()
        pushing.cancel()
    assert poster.posted == [token("check-1")] * 2


async def test_a_paused_stream_is_not_pushed() -> None:
    poster: Any = Poster()
    stream = made(Door(), url="https://idp.example/events")
    stream.set_status(Status.PAUSED, "")
    await stream.verify("1")
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        pushing = group.create_task(push(stream, poster))
        for _ in range(5):
            await asyncio.sleep(0)
        assert poster.posted == []
        stream.set_status(Status.ENABLED, "")
        await until(stream, 0)
        pushing.cancel()
