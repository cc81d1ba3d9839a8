"""A code is good once, for thirty seconds, for its client, and for nobody after the lock."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

import pytest

from authd.core.model import SECOND, Instant
from authd.web.gateway.oidc.asked import Asked, Target
from authd.web.gateway.oidc.clients import Client, Table
from authd.web.gateway.oidc.grants import CODE_LASTS, MOST, TOKEN_LASTS, Grant, Grants
from authd.web.gateway.sessions import Visit
from tests.web.gateway.fakes import HANAKO

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CALLBACK = "https://resident.city.example/callback"


class Book:
    """A book whose visits are good until a test says otherwise."""

    def __init__(self) -> None:
        self.over = False

    def good(self, visit: Visit) -> bool:
        return not self.over


@dataclass
class World:
    grants: Grants
    book: Book
    asked: Asked
    visit: Visit
    now: int = 0

    def code(self) -> str:
        return self.grants.code(self.asked, self.visit)

    def redeem(
        self, code: str, client: str = "resident", uri: str = CALLBACK, verifier: str = VERIFIER
    ) -> Grant | None:
        return self.grants.redeem(code, client, uri, verifier)

    def token(self) -> str:
        grant = self.redeem(self.code())
        assert grant is not None
        return self.grants.access(grant, "authd:one", 0)


@pytest.fixture
def world() -> World:
    book = Book()
    some: Any = book
    client = Client("resident", Table("https://x/", [CALLBACK]), some)
    asked = Asked(Target(client, CALLBACK, None), CHALLENGE, None, ("openid",))
    made = World(Grants(lambda: Instant(made.now)), book, asked, Visit(HANAKO, b"", Instant(0)))
    return made


def test_a_code_is_good_once(world: World) -> None:
    code = world.code()
    assert world.redeem(code) is not None
    assert world.redeem(code) is None


def test_a_code_that_comes_twice_ends_what_it_gave(world: World) -> None:
    code = world.code()
    grant = world.redeem(code)
    assert grant is not None
    token = world.grants.access(grant, "authd:one", 0)
    assert world.grants.find(token) is not None
    world.redeem(code)
    assert world.grants.find(token) is None


def test_a_code_that_comes_twice_at_once_gives_nothing(world: World) -> None:
    """The second one arrives while authd signs for the first one, who may be the thief."""
    code = world.code()
    grant = world.redeem(code)
    assert grant is not None
    world.redeem(code)
    assert not world.grants.good(grant)
    assert world.grants.find(world.grants.access(grant, "authd:one", 0)) is None


@pytest.mark.parametrize(
    "wrong",
    [{"client": "tax"}, {"uri": CALLBACK + "/"}, {"verifier": "w" * 43}, {"verifier": ""}, {"verifier": "v" * 42}],
)
def test_a_code_shown_wrongly_is_spent(world: World, wrong: dict[str, str]) -> None:
    code = world.code()
    assert world.redeem(code, **wrong) is None
    assert world.redeem(code) is None


def test_a_code_and_a_token_grow_old(world: World) -> None:
    code, token = world.code(), world.token()
    world.now += CODE_LASTS
    assert world.redeem(code) is None
    assert world.grants.find(token) is not None
    world.now += TOKEN_LASTS - CODE_LASTS
    assert world.grants.find(token) is None


def test_a_token_is_worth_nothing_once_authd_says_so(world: World) -> None:
    token = world.token()
    world.book.over = True
    assert world.grants.find(token) is None


def test_the_end_of_a_session_forgets_its_codes_and_tokens(world: World) -> None:
    code, token = world.code(), world.token()
    world.grants.forget(HANAKO.session)
    assert world.redeem(code) is None
    assert world.grants.find(token) is None


def test_memory_is_bounded(world: World) -> None:
    first = world.code()
    for _ in range(MOST):
        world.code()
    assert world.redeem(first) is None
    assert CODE_LASTS == 30 * SECOND


def test_neither_is_kept_as_it_was_told(world: World) -> None:
    code, token = world.code(), world.token()
    assert code not in repr(vars(world.grants))
    assert token not in repr(vars(world.grants))
