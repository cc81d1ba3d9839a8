"""Everything that the demo has at its two seats, through real daemons: who comes in with it, and what locks again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio

from authd import client
from authd.core.model import Grade
from authd_simulators.further import CARD_PIN
from authd_simulators.keyring import PIN
from authd_simulators.stage import Stage, free_ports

pytestmark = pytest.mark.real
PATIENCE_S = 60.0
FIRST, SECOND = "counter-1", "counter-2"


@pytest_asyncio.fixture
async def stage() -> AsyncGenerator[Stage, None]:
    async with Stage(free_ports(), keys=True, further=True) as made:
        yield made


async def arrives(door: client.Client, seat: str) -> tuple[str, Grade]:
    """Return who is there, once somebody is."""
    async with asyncio.timeout(PATIENCE_S), aclosing(door.changes(seat)) as changes:
        async for person in changes:
            if person is not None:
                return person.name, person.grade
    raise AssertionError


async def leaves(door: client.Client, seat: str) -> None:
    async with asyncio.timeout(PATIENCE_S), aclosing(door.changes(seat)) as changes:
        async for person in changes:
            if person is None:
                return


async def types(screen: client.Client, seat: str, pin: str) -> None:
    """Type a PIN once it is asked for."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await screen.answer(seat, pin)
            except client.DoorError:
                await asyncio.sleep(0.05)
            else:
                return


async def head(door: client.Client) -> int:
    """Return the number of the ledger's last row: a follower from there on misses nothing that is done next."""
    ledger: Any = (await door.status())["ledger"]
    return int(ledger["rows"])


async def refused(door: client.Client, stage: Stage, line: str) -> object:
    """Return why the ledger says that an attempt was refused after this command."""
    async with asyncio.timeout(PATIENCE_S):
        events = door.follow(after=await head(door))
        coming = asyncio.ensure_future(anext(events))
        await stage.send(line)
        while (event := await coming).kind != "attempt.refused":
            coming = asyncio.ensure_future(anext(events))
        await events.aclose()
        return event.detail["why"]


async def test_every_device_lets_its_person_in_and_locks_when_it_goes(stage: Stage) -> None:
    assert stage.further is not None
    assert stage.further.lacking == [], "make test installs all of it"
    async with stage.door() as door, stage.screen(FIRST) as first, stage.screen(SECOND) as second:
        # A card with its PIN, and a card that only says a number.
        clerks = stage.clerks
        await stage.send("card-1 INSERT piv")
        await types(first, FIRST, CARD_PIN)
        assert await arrives(door, FIRST) == (clerks[2].name, Grade.SIGNED)
        await stage.send("card-1 REMOVE")
        await leaves(door, FIRST)
        assert await refused(door, stage, "card-1 INSERT uid") == "unknown_credential"
        await stage.send("card-1 REMOVE")
        # A finger that fprintd keeps, of somebody who was named.
        subjects = {person.staff_number: person.subject for person in await door.people()}
        await second.claim(SECOND, subjects[clerks[3].staff_number])
        await stage.finger_on(stage.further.found[1], clerks[3])
        assert await arrives(door, SECOND) == (clerks[3].name, Grade.MATCHED)
        await second.press(SECOND, "logout")
        await leaves(door, SECOND)
        # A key with a PIN.
        await stage.send("key-2 INSERT")
        await types(second, SECOND, PIN)
        await stage.send("key-2 AWAIT 30000")
        await stage.send("key-2 TOUCH")
        assert await arrives(door, SECOND) == (clerks[1].name, Grade.SIGNED)
        await stage.send("key-2 REMOVE")
        await leaves(door, SECOND)
        # A key with a sensor of its own: the wrong finger first.
        await stage.send("key-1 AWAIT 30000")
        await stage.send("key-1 WRONG")
        await stage.send("key-1 AWAIT 30000")
        await stage.send("key-1 FINGER 2")
        assert await arrives(door, FIRST) == (clerks[0].name, Grade.SIGNED)
        await stage.send("key-1 REMOVE")
        await leaves(door, FIRST)
