from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import unquote

import pytest

from authd.client import DoorError
from authd.client.link import Gone
from authd.core.model import SECOND, Instant
from authd.web.gateway.browser import Closed, closed_page
from authd.web.gateway.forward import ForwardAuth, passport, told
from authd.web.gateway.forward.gate import Gate
from authd.web.gateway.settings import Forward
from tests.web.asgi import ask, stream
from tests.web.gateway.fakes import HANAKO, SEAT, FakeDoor, heard, settle

HTTPS = Forward("https://resident.city.example", start="/menu")
FRAMED = Forward("https://resident.city.example", start="/menu", guard="frame")
COOKIE = "__Host-authd-resident"


class Site:
    """An application behind the gate, and authd behind that."""

    def __init__(self, door: FakeDoor, forward: Forward, group: asyncio.TaskGroup) -> None:
        self.door = door
        self._group = group
        self.app = ForwardAuth({"resident": Gate("resident", forward, door.book, self._spawn)})

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        self._group.create_task(work)

    async def come_in(self) -> str:
        """Return the cookie as a browser sends it."""
        self.door.tickets["t"] = HANAKO
        answer = await ask(self.app, "GET", "/forward/resident/open?ticket=t")
        assert answer.status == 303
        return answer.headers["set-cookie"].partition(";")[0]


@asynccontextmanager
async def site(forward: Forward = HTTPS) -> AsyncGenerator[Site, None]:
    async with asyncio.TaskGroup() as group, heard() as door:
        yield Site(door, forward, group)


async def test_who_came_with_a_ticket_passes_with_every_header() -> None:
    async with site() as here:
        cookie = await here.come_in()
        answer = await ask(here.app, "POST", "/verify/resident", cookie=f"a=b; {cookie}; c=d")
        assert answer.status == 200
        assert answer.headers["remote-user"] == "staff_1003"
        assert answer.headers["x-authd-assertion"] == "signed.ses_1.1"
        assert {"remote-name", "remote-groups"} <= set(answer.headers)


async def test_the_cookie_is_the_browsers_alone_and_the_page_the_applications_start() -> None:
    async with site() as here:
        here.door.tickets["t"] = HANAKO
        answer = await ask(here.app, "GET", "/forward/resident/open?ticket=t")
        assert answer.headers["location"] == "/menu"
        said = answer.headers["set-cookie"]
        assert said.startswith(f"{COOKIE}=")
        assert said.endswith("; Path=/; HttpOnly; Secure; SameSite=Lax")


@pytest.mark.parametrize(
    ("forward", "said"),
    [
        (Forward("http://127.0.0.1:8090"), "; Path=/; HttpOnly; SameSite=Lax"),
        (
            Forward("https://resident.city.example", framed_by="http://localhost:8780"),
            "; Path=/; HttpOnly; Secure; SameSite=None; Partitioned",
        ),
    ],
)
async def test_inside_another_sites_page_the_cookie_is_partitioned(forward: Forward, said: str) -> None:
    async with site(forward) as here:
        here.door.tickets["t"] = HANAKO
        assert (await ask(here.app, "GET", "/forward/resident/open?ticket=t")).headers["set-cookie"].endswith(said)


@pytest.mark.parametrize("cookie", ["", f"{COOKIE}=", f"{COOKIE}=x", "authd-resident=x", "x" * 20_000])
async def test_everybody_else_gets_a_page_or_a_status_that_scripts_understand(cookie: str) -> None:
    async with site() as here:
        page = await ask(here.app, "GET", "/verify/resident", cookie=cookie, sec_fetch_dest="document")
        assert page.status == 401
        assert page.body == closed_page(Closed.START)
        script = await ask(here.app, "GET", "/verify/resident", cookie=cookie, accept="*/*")
        assert (script.status, script.json()) == (401, {"error": "start"})
        asks = await ask(
            here.app, "GET", "/verify/resident", cookie=cookie, accept="text/html", x_requested_with="XMLHttpRequest"
        )
        assert asks.json() == {"error": "start"}


async def test_two_cookies_of_the_name_are_nobodys() -> None:
    async with site() as here:
        cookie = await here.come_in()
        assert (await ask(here.app, "GET", "/verify/resident", cookie=f"{cookie}; {cookie}")).status == 401


async def test_a_lock_refuses_the_very_next_request_and_silence_says_another_thing() -> None:
    async with site() as here:
        cookie = await here.come_in()
        here.door.wait(2)
        assert (await ask(here.app, "GET", "/verify/resident", cookie=cookie)).json() == {"error": "silent"}
        await here.door.say(beat=8, head=8)
        assert (await ask(here.app, "GET", "/verify/resident", cookie=cookie)).status == 200
        await here.door.say(lock={"session": "ses_1", "seat": SEAT, "reason": "lock"})
        assert (await ask(here.app, "GET", "/verify/resident", cookie=cookie)).json() == {"error": "start"}


async def test_a_session_that_ends_while_its_assertion_is_signed_does_not_pass() -> None:
    async with site() as here:
        cookie = await here.come_in()
        sign = here.door.assertion

        async def sign_late(session: str) -> str:
            await here.door.say(lock={"session": "ses_1", "seat": SEAT, "reason": "lock"})
            return await sign(session)

        here.door.assertion = sign_late  # type: ignore[method-assign]
        assert (await ask(here.app, "GET", "/verify/resident", cookie=cookie)).status == 401


@pytest.mark.parametrize("error", [DoorError("not_found"), DoorError("busy"), Gone("away")])
async def test_without_an_assertion_nothing_passes(error: Exception) -> None:
    async with site() as here:
        cookie = await here.come_in()
        here.door.refusal = error
        assert (await ask(here.app, "GET", "/verify/resident", cookie=cookie)).status == 401


async def test_an_assertion_is_renewed_before_it_is_old_and_no_old_one_is_ever_handed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0
    monkeypatch.setattr(passport, "boottime", lambda: Instant(now))
    async with site() as here:
        cookie = await here.come_in()

        async def signed() -> str:
            return (await ask(here.app, "GET", "/verify/resident", cookie=cookie)).headers["x-authd-assertion"][-1]

        assert await signed() == "1"
        now = 26 * SECOND
        assert await signed() == "1"
        await settle()
        assert await signed() == "2"
        now = 80 * SECOND
        assert await signed() == "3"
        here.door.refusal = Gone("away")
        now = 131 * SECOND
        assert (await ask(here.app, "GET", "/verify/resident", cookie=cookie)).status == 401


async def test_a_spent_ticket_and_one_without_an_account_open_nothing() -> None:
    async with site() as here:
        for path in ("open", "open?ticket=", "open?ticket=x", f"open?{'a=b&' * 9}ticket=x"):
            answer = await ask(here.app, "GET", f"/forward/resident/{path}", sec_fetch_dest="document")
            assert (answer.status, answer.body) == (401, closed_page(Closed.TICKET))
        here.door.tickets["t"] = replace(HANAKO, account="")
        answer = await ask(here.app, "GET", "/forward/resident/open?ticket=t", accept="text/html")
        assert (answer.status, answer.body) == (403, closed_page(Closed.ACCOUNT))
        assert "set-cookie" not in answer.headers
        assert here.door.book.visits(HANAKO.session) == ()


async def test_coming_in_again_leaves_the_browsers_earlier_visit() -> None:
    async with site() as here:
        cookie = await here.come_in()
        here.door.tickets["t"] = HANAKO
        await ask(here.app, "GET", "/forward/resident/open?ticket=t", cookie=cookie)
        assert (await ask(here.app, "GET", "/verify/resident", cookie=cookie)).status == 401
        assert len(here.door.book.visits(HANAKO.session)) == 1


async def test_an_open_page_is_told_of_the_lock_and_of_silence() -> None:
    async with site() as here:
        cookie = await here.come_in()
        async with asyncio.timeout(60), stream_of(here, cookie) as words:
            assert await words.get() == "live"
            assert await words.get() == "beat"
            here.door.wait(2)
            assert await words.get() == "silent"
            await here.door.say(beat=8, head=8)
            assert await words.get() == "live"
            await here.door.say(lock={"session": "ses_1", "seat": SEAT, "reason": "lock"})
            while (word := await words.get()) == "beat":
                pass
            assert word == "locked"


@asynccontextmanager
async def stream_of(here: Site, cookie: str) -> AsyncGenerator[asyncio.Queue[str], None]:
    words: asyncio.Queue[str] = asyncio.Queue()

    def take(body: bytes) -> None:
        for line in body.decode().split("\n"):
            if line.startswith("event: "):
                words.put_nowait(line.removeprefix("event: "))

    async with stream(here.app, "/forward/resident/stream", cookie=cookie) as told:
        told.take = take  # type: ignore[method-assign]  # these events carry no data
        yield words


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/verify/tax", 404),
        ("GET", "/verify", 404),
        ("GET", "/forward/resident", 404),
        ("GET", "/forward/resident/../x", 404),
        ("POST", "/forward/resident/open", 405),
        ("HEAD", "/forward/resident/open?ticket=t", 405),
        ("HEAD", "/forward/resident/stream", 405),
        ("GET", "/forward/resident/stream", 401),
        ("GET", "/forward/resident/frame", 401),
        ("GET", "/forward/resident/closed", 401),
        ("GET", "/forward/resident/guard.js", 200),
        ("GET", "/verify/resident/x", 401),
    ],
)
async def test_nothing_else_is_answered(method: str, path: str, status: int) -> None:
    async with site() as here:
        assert (await ask(here.app, method, path)).status == status


async def test_the_frame_is_for_who_is_let_in_and_shows_the_applications_start() -> None:
    async with site(FRAMED) as here:
        cookie = await here.come_in()
        answer = await ask(here.app, "GET", "/forward/resident/frame", cookie=cookie)
        assert answer.status == 200
        assert b'src="/menu"' in answer.body
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("name", "names", "written"),
    [
        ("佐藤 花子", "utf-8", "佐藤 花子".encode()),
        ("佐藤 花子", "cp932", "佐藤 花子".encode("cp932")),
        ("𠮷野", "cp932", "?野".encode("cp932")),
        ("", "utf-8", b"-"),
        ("a\r\nRemote-User: b\x00\u202e", "utf-8", b"a Remote-User: b"),
        ("x" * 999, "utf-8", b"x" * 256),
    ],
)
def test_a_header_is_one_line_never_empty_and_bounded(name: str, names: str, written: bytes) -> None:
    assert dict(told.headers(replace(HANAKO, name=name), names, "a.b.c"))[told.NAME] == written


def test_a_percent_written_name_is_ascii_and_comes_back() -> None:
    value = dict(told.headers(HANAKO, "percent", "a.b.c"))[told.NAME]
    assert value.isascii()
    assert unquote(value.decode()) == HANAKO.name


def test_every_closed_page_is_said_in_both_languages() -> None:
    for why in Closed:
        page = closed_page(why).decode()
        assert 'lang="en"' in page
        assert "$" not in page
