"""Which keys authd signs with now, and whether it calls itself what browsers call the gateway."""

from __future__ import annotations

import asyncio
import logging
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from authd.client import Client, Jwks
from authd.core.model import SECOND, Instant

FRESH: Final = 2 * SECOND
"""For how long an answer of authd's serves; a key that was replaced at once is gone after that."""
MOST_HINT: Final = 8_192
log = logging.getLogger("authd.web.gateway")


class WrongIssuer(Exception):
    """authd signs under another name than browsers know."""


class Published:
    """The keys of authd, asked for when they are needed."""

    def __init__(self, client: Client, issuer: str, now: Callable[[], Instant]) -> None:
        self._client = client
        self._issuer = issuer
        self._now = now
        self._asked: Instant | None = None
        self._jwks = Jwks("")
        self._asking = asyncio.Lock()

    async def jwks(self) -> list[dict[str, Any]]:
        """Return the public keys. Raises `ClientError`, `WrongIssuer`."""
        async with self._asking:  # whoever comes meanwhile waits for the same answer
            now = self._now()
            if self._asked is None or now - self._asked >= FRESH:
                self._jwks = await self._client.jwks()
                self._asked = now
        if self._jwks.issuer != self._issuer:
            log.error('tokens: authd says it is %s; set [tokens] issuer = "%s"', self._jwks.issuer, self._issuer)
            raise WrongIssuer
        return self._jwks.keys

    async def hinted(self, hint: str) -> dict[str, Any] | None:
        """Return the claims of an ID token of ours, an old one too; None: it is none of ours. Raises as `jwks`."""
        if not 0 < len(hint) <= MOST_HINT:
            return None
        keys = KeySet.import_key_set({"keys": [each for each in await self.jwks() if each["alg"] == "RS256"]})
        try:
            token = jwt.decode(hint, keys, algorithms=["RS256"])
        except (JoseError, ValueError, TypeError):  # joserfc goes through `crit` before it looks whether it is a list
            return None
        return token.claims if token.claims.get("iss") == self._issuer and token.header.get("typ") == "JWT" else None


def payload(token: str) -> dict[str, Any]:
    """Return the claims of a token that authd has just made for us, over its own connection."""
    return msgspec.json.decode(urlsafe_b64decode(token.split(".")[1] + "=="), type=dict[str, Any])
