"""The door over the real router, with the house behind it faked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from authd.core.model import EndReason, Message, SeatState
from authd.web.bus import BusDoor
from authd.web.door import Beat, Button, DoorError, Sight
from authd.web.settings import BadSettings, Door, Seat, Settings
from tests.service.bus.conftest import folder, host, served
from tests.service.bus.fakes import ONE, SATO, World

__all__ = ["folder", "host", "served"]

pytestmark = pytest.mark.real
PATIENCE_S = 5.0


def settings(host: World, folder: Path, key_text: str = "") -> Settings:
    key = folder / "screen.key"
    key.write_text(key_text or f"{host.screen_one.public}\n{host.screen_one.secret}\n", encoding="ascii")
    seat = Seat(ONE, "窓口1", "Counter 1", str(key), ())
    return Settings("127.0.0.1:0", Door(host.router, host.door.public), (seat,))


@pytest.fixture
async def door(host: World, folder: Path) -> AsyncGenerator[BusDoor, None]:
    async with BusDoor(settings(host, folder)) as door:
        yield door


async def first(watched: AsyncGenerator[Sight | Beat, None], kind: type[Sight | Beat]) -> Sight | Beat:
    async with asyncio.timeout(PATIENCE_S):
        async for seen in watched:
            if isinstance(seen, kind):
                return seen
    raise AssertionError("the watch ended")


async def test_faces_come_with_the_name_of_the_staff(served: World, door: BusDoor) -> None:
    async with aclosing(door.watch(ONE)) as watched:
        served.house.open(ONE, SATO)
        seen = await first(watched, Sight)
        while isinstance(seen, Sight) and seen.face.state is not SeatState.ACTIVE:
            seen = await first(watched, Sight)
        assert isinstance(seen, Sight)
        assert seen.person is not None
        assert seen.person.name == served.house.people_known[SATO].name
        served.house.end(ONE, EndReason.LOCK)
        locked = await first(watched, Sight)
        assert isinstance(locked, Sight)
        assert (locked.face.message, locked.person) == (Message.LOCKED, None)


async def test_the_cores_own_beats_are_passed_on(served: World, door: BusDoor) -> None:
    async with aclosing(door.watch(ONE)) as watched:
        assert await first(watched, Beat) == Beat()


async def test_buttons_activity_and_tickets(served: World, door: BusDoor) -> None:
    served.house.open(ONE, SATO)
    await door.activity(ONE)
    url = await door.ticket(ONE, "resident")
    await door.press(ONE, Button.LOGOUT)
    assert url.startswith("http://127.0.0.1:8790/")
    assert "ticket=" in url
    assert ("activity", ONE) in served.house.calls
    assert ("press", ONE, "logout") in served.house.calls


async def test_a_refusal_keeps_its_word(served: World, door: BusDoor) -> None:
    with pytest.raises(DoorError) as refused:
        await door.ticket(ONE, "nothing")
    assert refused.value.code in ("not_found", "refused", "expired")


async def test_a_core_that_dies_ends_the_watch(host: World, door: BusDoor) -> None:
    async with host.serving():
        watched = door.watch(ONE)
        async with asyncio.timeout(PATIENCE_S):
            await anext(watched)
    with pytest.raises(DoorError, match="gone"):
        await first(watched, Sight)


async def test_no_core_is_gone(host: World, door: BusDoor) -> None:
    with pytest.raises(DoorError, match="gone"):
        await door.press(ONE, Button.LOCK)


async def test_a_broken_key_file_is_a_bad_setting(host: World, folder: Path) -> None:
    bad = settings(host, folder, "short\n")
    with pytest.raises(BadSettings, match="seat"):
        BusDoor(bad)
