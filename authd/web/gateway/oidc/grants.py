"""Codes and access tokens: 256 random bits of which a hash is kept, bound to a session that is active, and short-lived.

A code is good once. Shown a second time, what was made of it the first time ends too (RFC 6749, 4.1.2).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from authd.core.model import SECOND, Instant, SessionId
from authd.web.gateway.oidc.asked import Asked
from authd.web.gateway.sessions import Visit

CODE_LASTS: Final = 30 * SECOND
TOKEN_LASTS: Final = 300 * SECOND
MOST: Final = 4_096
"""Codes, and tokens. The oldest goes first: its client asks again, and nobody is let in by it."""
T = TypeVar("T")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(slots=True, eq=False)
class Grant:
    """What one authorization came to. `until` is of its code."""

    asked: Asked
    visit: Visit
    until: Instant
    spent: bool = False
    revoked: bool = False
    tokens: list[bytes] = field(default_factory=list[bytes], repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """An access token's worth."""

    grant: Grant
    until: Instant
    acr: str
    auth_time: int


class Grants:
    """The codes and access tokens of the gateway."""

    def __init__(self, now: Callable[[], Instant]) -> None:
        self._now = now
        self._codes: OrderedDict[bytes, Grant] = OrderedDict()
        self._tokens: OrderedDict[bytes, Access] = OrderedDict()

    def code(self, asked: Asked, visit: Visit) -> str:
        """Make a code."""
        code = secrets.token_urlsafe(32)
        _put(self._codes, _hash(code), Grant(asked, visit, Instant(self._now() + CODE_LASTS)))
        return code

    def redeem(self, code: str, client: str, redirect_uri: str, verifier: str) -> Grant | None:
        """Spend a code: whoever asks, it is spent; None where it is not for this client, URI and verifier."""
        grant = self._codes.get(_hash(code))
        if grant is None:
            return None
        if grant.spent:
            self._revoke(grant)
            return None
        grant.spent = True
        asked = grant.asked
        mine = asked.target.client.id == client and asked.target.redirect_uri == redirect_uri
        good = mine and self._now() < grant.until and _verifies(verifier, asked.challenge)
        return grant if good else None

    def access(self, grant: Grant, acr: str, auth_time: int) -> str:
        """Make an access token."""
        token = secrets.token_urlsafe(32)
        hashed = _hash(token)
        grant.tokens.append(hashed)
        _put(self._tokens, hashed, Access(grant, Instant(self._now() + TOKEN_LASTS), acr, auth_time))
        return token

    def good(self, grant: Grant) -> bool:
        """Whether tokens may be made of it now: its session is active, and its code was not shown a second time."""
        return not grant.revoked and grant.asked.target.client.book.good(grant.visit)

    def find(self, token: str) -> Access | None:
        """Return what an access token is worth now: nothing once its session is over, or authd is not heard."""
        access = self._tokens.get(_hash(token))
        if access is None or self._now() >= access.until:
            return None
        return access if self.good(access.grant) else None

    def forget(self, session: SessionId) -> None:
        """Drop everything of a session."""
        for hashed in [each for each, grant in self._codes.items() if grant.visit.person.session == session]:
            self._revoke(self._codes.pop(hashed))

    def leave(self, visit: Visit) -> None:
        """Drop everything of one browser."""
        for hashed in [each for each, grant in self._codes.items() if grant.visit is visit]:
            self._revoke(self._codes.pop(hashed))

    def _revoke(self, grant: Grant) -> None:
        grant.revoked = True
        for hashed in grant.tokens:
            self._tokens.pop(hashed, None)


def _verifies(verifier: str, challenge: str) -> bool:
    """RFC 7636, 4.6."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), challenge)


def _put(table: OrderedDict[bytes, T], key: bytes, value: T) -> None:
    while len(table) >= MOST:
        table.popitem(last=False)
    table[key] = value


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
