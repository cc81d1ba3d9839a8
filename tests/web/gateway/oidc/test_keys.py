"""What anybody may send as a hint of a session costs authd one question in two seconds, whatever it is."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from authd.client import Jwks
from authd.core.model import Instant
from authd.web.gateway.oidc.keys import FRESH, Published

ISSUER = "https://login.city.example"
CLAIMS = {"iss": ISSUER, "aud": "resident", "sid": "ses_1"}


class Core:
    """authd: publishes one key, and is asked nothing else."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256", "use": "sig"})
        self.asked = 0
        self.at = Instant(0)

    async def jwks(self) -> Jwks:
        self.asked += 1
        await asyncio.sleep(0)
        return Jwks(ISSUER, [dict(self.key.as_dict(private=False))])


@pytest.fixture
def core() -> Core:
    return Core()


def published(core: Core) -> Published:
    client: Any = core
    return Published(client, ISSUER, lambda: core.at)


def hint(key: RSAKey, **more: str) -> str:
    return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": "k1"}, CLAIMS | more, key, algorithms=["RS256"])


async def test_hints_that_are_not_ours_are_told_apart_here(core: Core) -> None:
    keys, stranger = published(core), RSAKey.generate_key(2048)
    sent = [hint(stranger, sid=f"ses_{number}") for number in range(20)] + ["", "x", "a.b.c", "a" * 10_000]
    assert set(await asyncio.gather(*(keys.hinted(each) for each in sent))) == {None}
    assert core.asked == 1
    core.at = Instant(FRESH)
    assert await asyncio.gather(*(keys.hinted(each) for each in sent)) == [None] * len(sent)
    assert core.asked == 2


@pytest.mark.parametrize("crit", [5, True, [{}], [[]], {"b64": 1}, ["b64"], None])
async def test_a_hint_whose_header_is_none(core: Core, crit: object) -> None:
    """Joserfc raises TypeError for some of them, and any browser may send one."""
    header = json.dumps({"alg": "RS256", "kid": "k1", "typ": "JWT", "crit": crit}).encode()
    sent = f"{base64.urlsafe_b64encode(header).rstrip(b'=').decode()}.e30.AAAA"
    assert await published(core).hinted(sent) is None


async def test_a_hint_of_ours_is_read(core: Core) -> None:
    assert await published(core).hinted(hint(core.key)) == CLAIMS
