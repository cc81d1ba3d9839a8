"""The keys that sign tokens: published before they sign, published after, and nobody else's."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from authd.service.keys import KeyFault, Keys
from authd.service.tokens.ring import AHEAD_MS, KEPT_MS, MOST, TURN_MS, Algorithm, Ring, RingFull

BEGIN = 1_795_305_600_000


class World:
    def __init__(self, folder: Path) -> None:
        self.now = BEGIN
        self.keys = Keys(folder)
        self.keys.create()

    async def ring(self) -> Ring:
        made = Ring(self.keys, lambda: self.now)
        await made.open()
        return made


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def published(ring: Ring) -> KeySet:
    return KeySet.import_key_set({"keys": ring.public()})


async def test_keys_are_made_once_and_are_for_nobody_else(world: World) -> None:
    first, second = await world.ring(), await world.ring()
    assert first.names() == second.names()
    for file in (world.keys.folder / "tokens").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_only_public_halves_are_published(world: World) -> None:
    ring = await world.ring()
    assert {each["alg"] for each in ring.public()} == {"ES256", "RS256"}
    for each in ring.public():
        assert each["use"] == "sig"
        assert not {"d", "p", "q", "dp", "dq", "qi"} & each.keys()


async def test_a_successor_is_published_before_it_signs_and_the_old_one_after(world: World) -> None:
    ring = await world.ring()
    token = ring.sign({"a": 1}, Algorithm.RS256, "JWT")
    first = ring.signing(Algorithm.RS256).kid
    stale = published(ring)
    world.now += TURN_MS
    assert await ring.turn()
    assert ring.signing(Algorithm.RS256).kid == first
    assert len(ring.public()) == 4
    jwt.decode(ring.sign({"a": 1}, Algorithm.RS256, "JWT"), stale, algorithms=["RS256"])  # a party that has not looked
    world.now += AHEAD_MS
    assert not await ring.turn()
    assert ring.signing(Algorithm.RS256).kid != first
    jwt.decode(token, published(ring), algorithms=["RS256"])
    world.now += KEPT_MS
    assert await ring.turn()
    assert len(ring.public()) == 2
    with pytest.raises((JoseError, ValueError)):
        jwt.decode(token, published(ring), algorithms=["RS256"])
    assert (await world.ring()).names() == ring.names()


async def test_a_key_that_is_known_to_others_ends_at_once(world: World) -> None:
    ring = await world.ring()
    token = ring.sign({"a": 1}, Algorithm.ES256, "JWT")
    await ring.replace(at_once=True)
    with pytest.raises((JoseError, ValueError)):
        jwt.decode(token, published(ring), algorithms=["ES256"])
    fresh = ring.sign({"a": 1}, Algorithm.ES256, "JWT")
    assert jwt.decode(fresh, published(ring), algorithms=["ES256"]).claims == {"a": 1}
    assert len(ring.names()) == 2


async def test_a_clock_set_back_leaves_a_key_that_signs(world: World) -> None:
    ring = await world.ring()
    world.now -= 10 * 365 * 86_400_000
    assert not await ring.turn()
    ring.sign({"a": 1}, Algorithm.ES256, "JWT")
    await ring.replace(at_once=False)
    assert len(ring.names()) == 4


@pytest.mark.parametrize("content", [b"", b"not a key", bytes(8_000)])
async def test_a_file_that_is_no_key_is_refused(world: World, content: bytes) -> None:
    ring = await world.ring()
    file = world.keys.folder / "tokens" / f"{ring.names()[0]}.key"
    file.write_bytes(content)
    with pytest.raises(KeyFault, match=r"tokens/es256-.*\.key"):
        await world.ring()


async def test_a_key_of_another_algorithm_is_refused(world: World) -> None:
    """The algorithm is the file's name: a weaker key must not come in under a stronger one's."""
    ring = await world.ring()
    folder = world.keys.folder / "tokens"
    ec, rsa = (folder / f"{name}.key" for name in ring.names())
    rsa.write_bytes(ec.read_bytes())
    with pytest.raises(KeyFault):
        await world.ring()


async def test_a_key_that_others_can_read_is_refused(world: World) -> None:
    ring = await world.ring()
    (world.keys.folder / "tokens" / f"{ring.names()[0]}.key").chmod(0o640)
    with pytest.raises(KeyFault, match="lets others in"):
        await world.ring()


async def test_new_keys_again_and_again_leave_a_host_that_starts(world: World) -> None:
    """The folder takes so many: one too many, and the next start would be refused."""
    ring = await world.ring()
    signing = ring.signing(Algorithm.RS256).kid
    for _ in range(MOST - 1):
        await ring.replace(at_once=False)
    with pytest.raises(RingFull):
        await ring.replace(at_once=False)
    assert (await world.ring()).names() == ring.names()
    assert ring.signing(Algorithm.RS256).kid == signing
    await ring.replace(at_once=True)
    assert len(ring.names()) == 2


async def test_two_who_replace_the_keys_at_once_do_it_one_after_the_other(world: World) -> None:
    ring = await world.ring()
    before = {each["kid"] for each in ring.public()}
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(ring.replace(at_once=True))
    assert len(ring.names()) == 2
    assert not before & {each["kid"] for each in ring.public()}
