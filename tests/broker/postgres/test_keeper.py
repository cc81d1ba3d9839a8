from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import cast

import pytest

from authd.broker.postgres.keeper import Keeper, literal
from authd.broker.postgres.messages import Malformed
from authd.broker.postgres.relay import Wire
from authd.broker.postgres.seats import Change, Seats
from authd.broker.postgres.server import Database, SignedOn
from authd.broker.postgres.settings import Server
from authd.client import Person
from authd.core.model import SessionId


def test_who_is_present_is_said_as_json() -> None:
    assert literal({}) == "'{}'::jsonb"
    assert literal({SessionId("ses_1"): "staff_1042"}) == """'{"ses_1": "staff_1042"}'::jsonb"""


@pytest.mark.parametrize("name", ["staff'; DROP TABLE resident; --", "staff\\", "", "a b", "住民", "a" * 65, "a\0"])
def test_no_name_can_say_anything_else(name: str) -> None:
    with pytest.raises(Malformed):
        literal({SessionId("ses_1"): name})
    with pytest.raises(Malformed):
        literal({SessionId(name): "staff_1042"})


class Told:
    """A server that says yes to everything, and what it was told; and a seat where nobody is."""

    name = "resident"
    settings = Server("resident", ["counter-1"], "/pg", keeper="authd_keeper")
    people: tuple[Person, ...] = ()

    def __init__(self) -> None:
        self.on_change: list[Change] = []
        self.tells = 0
        self.news = asyncio.Event()

    async def as_role(self, role: str, parameters: Mapping[str, str]) -> SignedOn:
        return SignedOn(cast("Wire", cast("object", self)), b"", None)

    def write(self, data: bytes) -> None:
        self.tells += b"authd.keep(" in data and b"authd.end_others()" in data
        self.news.set()

    async def receive(self) -> bytes:
        return b"Z\0\0\0\x05I" * 2

    def abort(self) -> None:
        pass

    async def until(self, there: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not there():
                self.news.clear()
                await self.news.wait()


async def test_after_a_change_the_server_is_told_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was being let in at that moment is not seen by the first look."""
    monkeypatch.setattr("authd.broker.postgres.keeper.EVERY_S", 600.0)
    told = Told()
    keeper = Keeper(cast("Database", told), cast("Seats", told))
    keeping = asyncio.create_task(keeper.run())
    await keeper.ready.wait()
    assert told.tells == 1
    told.on_change[0]("counter-1", None)
    await told.until(lambda: told.tells == 3)
    keeping.cancel()
    await asyncio.wait([keeping])
