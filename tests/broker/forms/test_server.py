"""The form broker's answers, where a seat, a ticket and an application meet at a bad moment."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import pytest

from authd.broker.forms import FormSystem, Legacy
from authd.broker.forms.server import MOST_AT_ONCE, FormBroker
from authd.broker.forms.settings import FormSettings, forms
from authd.broker.secret import Secret
from authd.broker.settings import read
from authd.broker.vault import Vault
from authd.client import DoorError, Person
from authd.client.tables import BadSettings, convert
from tests.broker.clients import AGAIN, Authd
from tests.broker.forms.old_web import TABLE, Answer, OldWeb, serving

TERMS = FormSettings(application="tax", listen="127.0.0.1:1", start="/tax/menu.do")


@pytest.fixture
def web() -> Generator[OldWeb]:
    with serving({"staff_1042": "a"}) as made:
        yield made


@pytest.fixture
def authd() -> Authd:
    return Authd()


@pytest.fixture
async def broker(web: OldWeb, authd: Authd, tmp_path: Path) -> AsyncGenerator[FormBroker]:
    vault = Vault.create(tmp_path / "vault")
    vault.put("tax/staff_1042", Secret("a"))
    legacy = Legacy(convert({**TABLE, "origin": web.origin}, FormSystem, "system.tax"), Path("/"))
    async with FormBroker(TERMS, legacy, authd.client, vault) as made:
        yield made


async def ask(broker: FormBroker, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(broker)
    async with httpx.AsyncClient(transport=transport, base_url="http://tax") as browser:
        return await browser.get(path, headers={"accept-language": "en"})


async def until_over(broker: FormBroker, web: OldWeb) -> None:
    async with asyncio.timeout(30):
        while broker.visits or web.sessions:  # noqa: ASYNC110 - a thread of another loop, which tells nobody
            await asyncio.sleep(0.01)


async def test_signed_on_until_the_session_is_over(broker: FormBroker, web: OldWeb, authd: Authd) -> None:
    answer = await ask(broker, "/.authd/form/open?ticket=t1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/tax/menu.do")
    assert answer.headers["cache-control"] == "no-store"
    assert list(web.sessions.values()) == ["staff_1042"]
    authd.be(AGAIN)
    await until_over(broker, web)


async def test_locked_while_the_application_answers_nobody_is_signed_on(
    broker: FormBroker, web: OldWeb, authd: Authd
) -> None:
    loop = asyncio.get_running_loop()

    def lock(path: str) -> Answer | None:
        if path == "/tax/menu.do":
            loop.call_soon_threadsafe(authd.be, None)
        return None

    web.broken = lock
    answer = await ask(broker, "/.authd/form/open?ticket=t1")
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    await until_over(broker, web)


async def test_silent_while_the_application_answers_nobody_stays_signed_on(
    broker: FormBroker, web: OldWeb, authd: Authd, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def who(seat: str) -> Person | None:
        asked.append(seat)
        if len(asked) > 1:
            raise DoorError("expired")
        return authd.there

    monkeypatch.setattr(authd, "who", who)
    answer = await ask(broker, "/.authd/form/open?ticket=t1")
    assert "set-cookie" not in answer.headers
    await until_over(broker, web)


async def test_what_answers_neither_yes_nor_no_is_signed_off_all_the_same(broker: FormBroker, web: OldWeb) -> None:
    web.broken = lambda path: ("500 Internal Server Error", [], "ORA-00600") if path == "/tax/menu.do" else None
    assert (await ask(broker, "/.authd/form/open?ticket=t1")).status_code == 502
    assert web.sessions == {}


async def test_an_application_that_hangs_keeps_others_waiting_only_so_far(broker: FormBroker, web: OldWeb) -> None:
    slots = broker._slots  # pyright: ignore[reportPrivateUsage] (as if so many were under way)
    for _ in range(MOST_AT_ONCE):
        await slots.acquire()
    answer = await ask(broker, "/.authd/form/open?ticket=t1")
    assert (answer.status_code, "Too many" in answer.text) == (503, True)
    for _ in range(MOST_AT_ONCE):
        slots.release()


@pytest.mark.parametrize(
    "path", ["/", "/open", "/open?ticket=", "/open?ticket=nosuch", "/open?" + "a=1&" * 20, "/x?ticket=t1"]
)
async def test_without_a_good_ticket_a_page_says_what_to_do(broker: FormBroker, web: OldWeb, path: str) -> None:
    answer = await ask(broker, path)
    assert (answer.status_code, web.sessions) == (401, {})
    assert "seat" in answer.text


async def test_leaving_signs_everybody_off(web: OldWeb, authd: Authd, tmp_path: Path) -> None:
    vault = Vault.create(tmp_path / "other")
    vault.put("tax/staff_1042", Secret("a"))
    legacy = Legacy(convert({**TABLE, "origin": web.origin}, FormSystem, "system.tax"), Path("/"))
    async with FormBroker(TERMS, legacy, authd.client, vault) as broker:
        await ask(broker, "/open?ticket=t1")
        assert web.sessions
    assert web.sessions == {}


@pytest.mark.parametrize("cancelled", [False, True])
async def test_leaving_while_somebody_is_let_in_signs_them_off_as_well(
    web: OldWeb, authd: Authd, tmp_path: Path, cancelled: bool
) -> None:
    vault = Vault.create(tmp_path / "other")
    vault.put("tax/staff_1042", Secret("a"))
    legacy = Legacy(convert({**TABLE, "origin": web.origin}, FormSystem, "system.tax"), Path("/"))
    loop, under_way, on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def slow(path: str) -> Answer | None:
        if path == "/tax/menu.do":
            loop.call_soon_threadsafe(under_way.set)
            on.wait(30)
        return None

    web.broken = slow
    async with FormBroker(TERMS, legacy, authd.client, vault) as broker:
        asking = asyncio.create_task(ask(broker, "/open?ticket=t1"))
        await under_way.wait()
        assert web.sessions
        if cancelled:
            asking.cancel()
        loop.call_later(0.05, on.set)
    assert web.sessions == {}
    (answer,) = await asyncio.gather(asking, return_exceptions=True)
    assert isinstance(answer, asyncio.CancelledError if cancelled else httpx.Response)
    assert isinstance(answer, asyncio.CancelledError) or "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "line",
    ['listen = "0.0.0.0:8786"', 'listen = "127.0.0.1:99999"', 'listen = "x"', 'start = "//evil.example"', "x = 1"],
)
def test_settings_that_cannot_be_meant(line: str) -> None:
    text = f'[form.tax]\napplication = "tax"\n{line}\n' + ('listen = "127.0.0.1:1"\n' if "listen" not in line else "")
    with pytest.raises(BadSettings, match=r"form\.tax"):
        forms(read(text.encode(), Path("/")))


def test_a_form_without_its_pages_is_refused() -> None:
    with pytest.raises(BadSettings, match=r"\[system\.tax\]"):
        forms(read(b'[form.tax]\napplication = "tax"\nlisten = "127.0.0.1:1"\n', Path("/")))
