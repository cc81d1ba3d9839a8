"""An old web application with a sign-on form: opened at the seat it is the person's own, and over at the lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from authd import client
from authd.broker.secret import Secret
from authd.broker.vault import Vault
from authd_simulators.people import Staff
from authd_simulators.stage import Application, Stage, free_ports
from tests.broker.forms.old_web import OldWeb, serving
from tests.tools.gateway_stage import free_port
from tests.tools.howto import how_to

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]
SEAT = "counter-1"
PAGE = how_to("old-web-forms")
PATIENCE_S = 30.0


@dataclass
class World:
    """A seat, an old application, the broker between them."""

    stage: Stage
    web: OldWeb
    vault: Vault
    door: client.Client
    screen: client.Client

    @property
    def people(self) -> tuple[Staff, ...]:
        return self.stage.people

    async def log_in(self, person: Staff) -> None:
        await self.stage.log_in(self.door, SEAT, person)

    async def lock(self) -> None:
        if self.stage.processes["daemon"].returncode is None:  # a test may have killed it
            await self.screen.press(SEAT, "lock")

    async def open(self, url: str = "") -> httpx.Response:
        """Open the application as the seat's screen does; no redirect is followed."""
        address = url or (await self.screen.ticket(SEAT, "tax")).url
        async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as browser:
            return await browser.get(address, headers={"accept-language": "en"})

    async def until(self, there: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not there():  # noqa: ASYNC110 - a thread of another loop, which tells nobody
                await asyncio.sleep(0.01)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made() -> AsyncGenerator[World, None]:
    port = free_port()
    system = Application(
        "tax", "税務", "Tax", account="staff_{staff_number}", url=f"http://127.0.0.1:{port}/.authd/form/open"
    )
    async with Stage(free_ports(), seats=(SEAT,), people=3, systems=(system,)) as stage:
        people = {f"staff_{each.staff_number}": f"old-{each.staff_number}" for each in stage.people}
        vault = Vault.create(stage.folder / "vault")
        for name, password in list(people.items())[:2]:
            vault.put(f"tax/{name}", Secret(password))
        keys = stage.folder / "state" / "keys" / "curve"
        with serving(people) as web:
            instead = {
                "tcp://127.0.0.1:5555": f"ipc://{stage.folder}/run/router.sock",
                "/etc/authd-seat/broker": str(keys),
                "/var/lib/authd-seat-broker": str(stage.folder),
                "127.0.0.1:8786": f"127.0.0.1:{port}",
                "http://127.0.0.1:8080": web.origin,
            }
            PAGE.write(stage.folder, instead)
            words = ["-I", "-m", "authd", "formproxy", "--config", str(stage.folder / "broker.toml")]
            await stage.start("formproxy", words)
            async with stage.door() as door, stage.screen(SEAT) as screen:
                world = World(stage, web, vault, door, screen)
                await stage.wait_for(lambda: _listens(port), "the form broker", stage.processes["formproxy"])
                yield world


@pytest_asyncio.fixture(loop_scope="module")
async def world(made: World) -> AsyncGenerator[World, None]:
    yield made
    await made.lock()
    await made.until(lambda: not made.web.sessions)


async def test_opened_at_the_seat_it_is_the_person_s_own_and_over_at_the_lock(world: World) -> None:
    person = world.people[0]
    await world.log_in(person)
    answer = await world.open()
    assert (answer.status_code, answer.headers["location"]) == (303, "/tax/menu.do")
    cookie = answer.headers["set-cookie"]
    assert cookie.endswith("; Path=/tax; HttpOnly; SameSite=Lax; Secure")
    session = cookie.partition(";")[0].partition("=")[2]
    assert world.web.sessions == {session: f"staff_{person.staff_number}"}
    assert f"old-{person.staff_number}" not in answer.text + str(answer.headers)
    await world.lock()
    await world.until(lambda: not world.web.sessions)


async def test_another_person_is_another_user(world: World) -> None:
    for person in world.people[:2]:
        await world.log_in(person)
        await world.until(lambda: not world.web.sessions)
        await world.open()
        assert list(world.web.sessions.values()) == [f"staff_{person.staff_number}"]


async def test_a_ticket_is_good_once_and_none_is_good_for_nothing(world: World) -> None:
    await world.log_in(world.people[0])
    url = (await world.screen.ticket(SEAT, "tax")).url
    assert (await world.open(url)).status_code == 303
    for bad in (url, url.partition("?")[0], url.partition("=")[0] + "=" + "x" * 300, url + "%00"):
        answer = await world.open(bad)
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        assert "from the seat&#x27;s screen" in answer.text
    assert len(world.web.sessions) == 1


async def test_whose_password_is_not_sealed_reads_what_to_do(world: World) -> None:
    world.vault.remove(f"tax/staff_{world.people[1].staff_number}")
    await world.log_in(world.people[1])
    answer = await world.open()
    assert (answer.status_code, "administrator" in answer.text) == (503, True)
    assert world.web.sessions == {}


async def test_an_application_that_is_down_or_refuses_reads_what_to_do(world: World) -> None:
    await world.log_in(world.people[0])
    world.web.broken = lambda path: ("500 Internal Server Error", [], "ORA-00600")
    try:
        assert (await world.open()).status_code == 502
    finally:
        world.web.broken = lambda path: None
    known = f"staff_{world.people[0].staff_number}"
    was, world.web.people[known] = world.web.people[known], "changed elsewhere"
    answer = await world.open()
    world.web.people[known] = was
    assert (answer.status_code, "does not take the sign-on" in answer.text) == (502, True)


async def test_no_password_is_in_anything_that_was_said(world: World) -> None:
    assert "old-1" not in world.stage.said()


async def test_when_authd_is_killed_nobody_stays_signed_on(world: World) -> None:
    """The last one: nobody starts it again."""
    await world.log_in(world.people[0])
    await world.open()
    assert world.web.sessions
    world.stage.processes["daemon"].kill()
    await world.stage.processes["daemon"].wait()
    await world.until(lambda: not world.web.sessions)


def _listens(port: int) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 401
    return False
