"""Questions about tokens that the core signs; the same words with and without `await`."""

from __future__ import annotations

from typing import Any

import msgspec

from authd.client.asking import Asking
from authd.client.waiting import Waiting


class Jwks(msgspec.Struct, frozen=True):
    """Whom tokens come from, and the public keys by which they are checked (RFC 7517)."""

    issuer: str
    keys: list[dict[str, Any]] = []


class _Signed(msgspec.Struct, frozen=True):
    assertion: str = ""
    id_token: str = ""
    logout_token: str = ""
    set: str = ""


class _Names(msgspec.Struct, frozen=True):
    keys: list[str] = []


class TokenCalls(Asking):
    """Part of `Client`."""

    async def assertion(self, session: str) -> str:
        """Return a JWT (ES256, 60 s, this application its audience) about a session that is active now.

        Raises `DoorError` (`not_found`) where it is not: nobody.
        """
        return (await self._ask(_Signed, "assertion", session=session)).assertion

    async def id_token(self, session: str, nonce: str | None = None) -> str:
        """Return an OpenID Connect ID token (RS256) about a session that is active now. Raises as `assertion`."""
        return (await self._ask(_Signed, "id_token", session=session, nonce=nonce)).id_token

    async def logout_token(self, session: str) -> str:
        """Return the back-channel logout token of a session that is over.

        Raises `DoorError`: `refused` while it is active, `not_found` where it was at no seat of this application.
        """
        return (await self._ask(_Signed, "logout_token", session=session)).logout_token

    async def security_event(self, seq: int) -> str:
        """Return the security event token (RFC 8417, CAEP) of the event number `seq`; always with the same `jti`.

        Raises `DoorError` (`not_found`) where that row is not of a session, or not for this application.
        """
        return (await self._ask(_Signed, "security_event", seq=seq)).set

    async def security_check(self, state: str | None = None) -> str:
        """Return a verification event (OpenID Shared Signals Framework) with the receiver's `state`."""
        return (await self._ask(_Signed, "security_check", state=state)).set

    async def jwks(self) -> Jwks:
        """Return the issuer and the public keys of every token; ask again at least once a day."""
        return await self._ask(Jwks, "jwks")

    async def new_token_keys(self, *, at_once: bool = False) -> list[str]:
        """Make new keys for tokens (administrators); at_once: one may be known, so the old ones end now.

        Returns the names of the keys that there are.
        """
        return (await self._ask(_Names, "token_keys", at_once=at_once)).keys


class SyncTokenCalls(Waiting):
    """Part of `SyncClient`."""

    def assertion(self, session: str) -> str:
        """As `Client.assertion`."""
        return self._wait(self._client.assertion(session))

    def id_token(self, session: str, nonce: str | None = None) -> str:
        """As `Client.id_token`."""
        return self._wait(self._client.id_token(session, nonce))

    def logout_token(self, session: str) -> str:
        """As `Client.logout_token`."""
        return self._wait(self._client.logout_token(session))

    def security_event(self, seq: int) -> str:
        """As `Client.security_event`."""
        return self._wait(self._client.security_event(seq))

    def security_check(self, state: str | None = None) -> str:
        """As `Client.security_check`."""
        return self._wait(self._client.security_check(state))

    def jwks(self) -> Jwks:
        """As `Client.jwks`."""
        return self._wait(self._client.jwks())

    def new_token_keys(self, *, at_once: bool = False) -> list[str]:
        """As `Client.new_token_keys`."""
        return self._wait(self._client.new_token_keys(at_once=at_once))
