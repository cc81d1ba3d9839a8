"""`authd tokens`: what an administrator sees of the keys, and never more than their names."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import AsyncMock, MagicMock

import pytest

from tests.cli.conftest import Authd
from tests.service.bus.fakes import World, world


@pytest.fixture
def host(folder: Path) -> World:
    made = world(folder, frozenset({os.geteuid()}))
    ring = MagicMock()
    ring.public.return_value = [{"alg": "RS256", "kid": "k-1"}]
    ring.replace = AsyncMock()
    made.house.tokens.issuer = "https://login.city.example"
    made.house.tokens.ring = ring
    return made


async def test_whom_tokens_come_from(host: World, authd: Authd) -> None:
    async with host.serving():
        done = await authd("tokens")
    assert (done.code, done.out.splitlines()) == (0, ["https://login.city.example", "RS256  k-1"])


@pytest.mark.parametrize(("words", "at_once"), [(("--new",), False), (("--new", "--at-once"), True)])
async def test_new_keys(host: World, authd: Authd, words: tuple[str, ...], at_once: bool) -> None:
    async with host.serving():
        assert (await authd("tokens", *words)).code == 0
    replace = host.house.tokens.ring.replace
    assert isinstance(replace, AsyncMock)
    replace.assert_awaited_once_with(at_once=at_once)
