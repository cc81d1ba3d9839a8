"""The browser's way: a fresh touch where the client asks for more than authd can say, and never a code for less."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.types import Message, Scope

from authd.client import DoorError, StepUp
from authd.core.model import SECOND, Instant
from authd.web.gateway.oidc.asked import Answerable, BadRequest
from authd.web.gateway.oidc.authorize import TOUCH_WITHIN, Authorize
from authd.web.gateway.oidc.clients import Client, Table
from authd.web.gateway.oidc.grants import Grants
from tests.web.gateway.fakes import HANAKO, SEAT, FakeDoor, heard

CALLBACK = "https://resident.city.example/callback"
REQUEST = {
    "response_type": "code",
    "client_id": "resident",
    "redirect_uri": CALLBACK,
    "scope": "openid",
    "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).rstrip(b"=").decode(),
    "code_challenge_method": "S256",
}


class Seat:
    """A gateway before one client, somebody at the seat, and their browser. authd says what a test says."""

    def __init__(self, door: FakeDoor) -> None:
        fake: Any = door
        self.door = fake
        self.client = Client("resident", Table("https://resident.city.example/", [CALLBACK]), door.book)
        self.stepped: StepUp | DoorError = StepUp(True, "")
        self.terms: dict[str, object] = {}
        self.acr, self.age = "authd:one", 60
        keys: Any = self
        clients = {"resident": self.client}
        self.authorize = Authorize("http://127.0.0.1", clients, Grants(door.now), keys, door.now)
        fake.assertion, fake.step_up = self._assertion, self._step_up
        self.cookie = ""

    async def jwks(self) -> list[object]:
        return []

    async def _assertion(self, session: str) -> str:
        claims = {"acr": self.acr, "auth_time": 1_000, "iat": 1_000 + self.age}
        return f"h.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.s"

    async def _step_up(self, session: str, purpose: str, **terms: object) -> StepUp:
        self.terms = terms
        if isinstance(self.stepped, DoorError):
            raise self.stepped
        return self.stepped

    async def come_in(self) -> None:
        self.door.tickets["t"] = HANAKO
        _, value = await self.door.book.open("t")
        self.cookie = f"authd-oidc-resident={value}"

    async def ask(self, **other: str) -> dict[str, str]:
        return await self._told(self.authorize.authorize, {**REQUEST, **other})

    async def touched(self, where: str) -> dict[str, str]:
        return await self._told(self.authorize.touched, dict(parse_qsl(urlsplit(where).query)))

    async def _told(self, act: Any, given: dict[str, str]) -> dict[str, str]:
        """The headers of the answer."""
        said: list[Message] = []

        async def send(message: Message) -> None:
            said.append(message)

        headers = [(b"cookie", self.cookie.encode()), (b"accept", b"text/html")]
        scope: Scope = {"type": "http", "method": "GET", "headers": headers}
        await act(given, scope, send)
        return {name.decode(): value.decode() for name, value in said[0]["headers"]}


@pytest.fixture
async def seat() -> AsyncGenerator[Seat, None]:
    async with heard() as door:
        made = Seat(door)
        await made.come_in()
        yield made


def waits(headers: dict[str, str]) -> str:
    assert "location" not in headers
    return headers["refresh"].partition(";url=")[2]


async def test_who_is_in_gets_a_code(seat: Seat) -> None:
    assert "code=" in (await seat.ask())["location"]
    assert "code=" in (await seat.ask(max_age="61", acr_values="authd:one"))["location"]


@pytest.mark.parametrize("asked", [{"acr_values": "authd:two"}, {"max_age": "60"}, {"prompt": "login"}])
async def test_what_authd_cannot_say_is_asked_for(seat: Seat, asked: dict[str, str]) -> None:
    where = waits(await seat.ask(**asked))
    assert "code=" in (await seat.touched(where))["location"]
    assert seat.terms == {"acr_values": asked["acr_values"].split() if "acr_values" in asked else []}
    with pytest.raises(BadRequest):
        await seat.touched(where)


@pytest.mark.parametrize(
    ("asked", "error"),
    [({"acr_values": "authd:two"}, "unmet_authentication_requirements"), ({"prompt": "login"}, "access_denied")],
)
async def test_no_touch_is_no_code(seat: Seat, asked: dict[str, str], error: str) -> None:
    where = waits(await seat.ask(**asked))
    seat.stepped = StepUp(False, "refused")
    with pytest.raises(Answerable, match=error):
        await seat.touched(where)


async def test_a_session_that_ends_while_a_touch_is_waited_for_is_told_as_such(seat: Seat) -> None:
    """Not as if authd were silent: the client sends its person to log in."""
    where = waits(await seat.ask(prompt="login"))
    seat.stepped = DoorError("not_found")
    with pytest.raises(Answerable, match="login_required"):
        await seat.touched(where)


async def test_a_lock_during_the_touch_leaves_no_code(seat: Seat) -> None:
    where = waits(await seat.ask(prompt="login"))
    step_up = seat.door.step_up

    async def locked(session: str, purpose: str, **terms: object) -> StepUp:
        await seat.door.say(lock={"session": "ses_1", "seat": SEAT, "reason": "lock"})
        found: StepUp = await step_up(session, purpose, **terms)
        return found

    seat.door.step_up = locked
    with pytest.raises(Answerable, match="login_required"):
        await seat.touched(where)


async def test_another_browser_does_not_get_what_this_one_asked_for(seat: Seat) -> None:
    where, mine = waits(await seat.ask(prompt="login")), seat.cookie
    await seat.come_in()
    assert seat.cookie != mine
    assert "location" not in await seat.touched(where)


async def test_a_touch_that_comes_too_late_is_none(seat: Seat) -> None:
    where = waits(await seat.ask(prompt="login"))
    for _ in range(TOUCH_WITHIN // SECOND):
        seat.door.wait(1)
        await seat.door.say(beat=7, head=7)
    assert seat.door.now() == Instant(TOUCH_WITHIN)
    with pytest.raises(BadRequest):
        await seat.touched(where)
