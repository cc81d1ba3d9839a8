"""Protected records with real processes: two persons at two seats, a linked system that stops, the board, the guard."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio

from authd import client
from authd_simulators.people import Staff
from authd_simulators.resident.records import invent
from authd_simulators.stage import RESIDENTS, Application, Stage, free_ports

pytestmark = pytest.mark.real
PATIENCE_S = 60.0
FIRST, SECOND = "counter-1", "counter-2"
TAX = Application("tax", "税務", "Tax")
SOMEBODY = invent()[7]
T = TypeVar("T")


@pytest_asyncio.fixture
async def stage() -> AsyncGenerator[Stage, None]:
    linked = Application(RESIDENTS.name, RESIDENTS.name_ja, RESIDENTS.name_en, linked=True)
    async with Stage(free_ports(), pages=True, people=5, systems=(linked, TAX)) as made:
        yield made


async def touched(stage: Stage, door: client.Client, asked: Awaitable[T], seat: str, person: Staff) -> T:
    """Carry something out, with this person's finger once it is asked for."""
    async with asyncio.timeout(PATIENCE_S):
        return await stage.confirmed(door, seat, person, asked)


async def until(good: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await good():  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.1)


async def test_a_protection_from_two_touches_to_a_masked_page(stage: Stage) -> None:
    chief, second = stage.people[0], stage.clerks[1]
    async with stage.door() as door, stage.screen(FIRST) as screen, httpx.AsyncClient() as browser:

        async def covered() -> bool:
            _, systems = await door.flag_coverage()
            return next(each.covered for each in systems if each.system == "resident")

        await until(covered)
        await stage.log_in(door, FIRST, chief)
        await stage.log_in(door, SECOND, second)
        asked = await touched(stage, door, door.flag_request(FIRST, "set", SOMEBODY.number), FIRST, chief)
        done = await touched(stage, door, door.flag_approve(asked.request, SECOND), SECOND, second)
        await until(covered)
        _, systems = await door.flag_coverage()
        assert {each.system: (each.linked, each.version) for each in systems} == {
            "resident": (True, done.version),
            "tax": (False, 0),
        }

        # The page: masked, and shown to who confirms with a touch.
        opened = await screen.ticket(FIRST, "resident")
        page = await browser.get(opened.url, follow_redirects=True)
        address = f"{page.url}record/{SOMEBODY.number}"
        hidden = await browser.get(address)
        assert hidden.status_code == 200
        assert SOMEBODY.address not in hidden.text
        fields = {"look": re.findall(r'name="look" value="([^"]+)"', hidden.text)[0], "purpose": "certificate"}
        fields |= dict(re.findall(r'name="(step\.[^"]+)" value="([^"]+)"', hidden.text)[::-1])
        origin = {"origin": f"http://127.0.0.1:{stage.ports.resident}"}
        post = browser.post(address, content=urlencode(fields), headers=origin, timeout=PATIENCE_S)
        shown = await touched(stage, door, post, FIRST, chief)
        assert SOMEBODY.address in shown.text

        # The board, and a system that stops.
        board = f"http://127.0.0.1:{stage.ports.web}/board"
        assert 'data-state="covered"' in (await browser.get(board)).text
        stage.processes["resident"].send_signal(signal.SIGSTOP)

        async def silent() -> bool:
            page = (await browser.get(board)).text
            return 'data-state="silent"' in page and SOMEBODY.number not in page and SOMEBODY.name not in page

        await until(silent)
        assert not await covered()
        stage.processes["resident"].send_signal(signal.SIGCONT)
        await until(covered)
