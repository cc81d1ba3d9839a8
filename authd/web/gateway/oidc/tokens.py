"""The client's way: a code for tokens, and what an access token is worth at this moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.types import Scope, Send

from authd.client import ClientError, DoorError, Person
from authd.core.model import SECOND, Instant
from authd.web.gateway.answers import say
from authd.web.gateway.oidc.clients import Client
from authd.web.gateway.oidc.grants import TOKEN_LASTS, Access, Grant, Grants
from authd.web.gateway.oidc.incoming import bearer, proven
from authd.web.gateway.oidc.keys import payload

JSON: Final = b"application/json"
PROFILE: Final = {
    "name": "name",
    "preferred_username": "account",
    "authd_kana": "kana",
    "authd_section": "section",
    "authd_staff_number": "staff_number",
}


class Refused(Exception):
    """An error of RFC 6749, 5.2."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.status = status


class Tokens:
    """Answers clients."""

    def __init__(self, issuer: str, clients: Mapping[str, Client], grants: Grants, now: Callable[[], Instant]) -> None:
        self._issuer = issuer
        self._clients = clients
        self._grants = grants
        self._now = now

    async def token(self, given: Mapping[str, str], scope: Scope, send: Send) -> None:
        """Give tokens for a code. Raises `Refused`, `ClientError`."""
        client = self._proven(given, scope)
        if given.get("grant_type") != "authorization_code":
            raise Refused("unsupported_grant_type" if given.get("grant_type") else "invalid_request")
        missing = [name for name in ("code", "redirect_uri", "code_verifier") if not given.get(name)]
        if missing:
            raise Refused("invalid_request")
        grant = self._grants.redeem(given["code"], client.id, given["redirect_uri"], given["code_verifier"])
        if grant is None or not self._grants.good(grant):
            raise Refused("invalid_grant")
        id_token = await self._id_token(client, grant)
        if not self._grants.good(grant):
            raise Refused("invalid_grant")  # its session ended, or its code came again, while authd was signing
        client.owed.add(grant.visit.person.session)
        said = payload(id_token)
        answer = {
            "access_token": self._grants.access(grant, said["acr"], said["auth_time"]),
            "token_type": "Bearer",
            "expires_in": TOKEN_LASTS // SECOND,
            "scope": " ".join(grant.asked.scope),
            "id_token": id_token,
        }
        await tell(send, 200, answer)

    async def introspect(self, given: Mapping[str, str], scope: Scope, send: Send) -> None:
        """Say whether an access token is good at this moment (RFC 7662). Raises `Refused`."""
        client = self._proven(given, scope)
        access = self._grants.find(given.get("token", ""))
        if access is None or client.public or access.grant.asked.target.client is not client:
            await tell(send, 200, {"active": False})
            return
        await tell(send, 200, {"active": True, **self._worth(access)})

    async def userinfo(self, scope: Scope, send: Send) -> None:
        """Say who it is, while they are there (OpenID Connect Core 1.0, 5.3)."""
        token = bearer(scope)
        access = self._grants.find(token) if token else None
        if access is None:
            error = b'Bearer error="invalid_token"' if token else b"Bearer"
            await tell(send, 401, {"error": "invalid_token"}, ((b"www-authenticate", error),))
            return
        person = access.grant.visit.person
        profile = _profile(person) if "profile" in access.grant.asked.scope else {}
        await tell(send, 200, {"sub": person.subject, **profile})

    def _proven(self, given: Mapping[str, str], scope: Scope) -> Client:
        client = proven(scope, given, self._clients)
        if client is None:
            raise Refused("invalid_client", 401)
        return client

    async def _id_token(self, client: Client, grant: Grant) -> str:
        try:
            return await client.book.client.id_token(grant.visit.person.session, grant.asked.nonce)
        except DoorError as error:
            if error.code == "not_found":
                raise Refused("invalid_grant") from None
            raise

    def _worth(self, access: Access) -> dict[str, Any]:
        grant, person = access.grant, access.grant.visit.person
        return {
            "iss": self._issuer,
            "client_id": grant.asked.target.client.id,
            "scope": " ".join(grant.asked.scope),
            "token_type": "Bearer",
            "sub": person.subject,
            "sid": person.session,
            "acr": access.acr,
            "auth_time": access.auth_time,
        }


async def tell(
    send: Send,
    status: int,
    fields: Mapping[str, object] | Sequence[Mapping[str, object]],
    extra: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    """Answer with JSON that nobody keeps."""
    await say(send, status, msgspec.json.encode(fields), JSON, ((b"pragma", b"no-cache"), *extra))


async def tell_error(send: Send, error: Refused) -> None:
    """Answer with an error."""
    extra = ((b"www-authenticate", b'Basic realm="authd-seat"'),) if error.status == 401 else ()
    await tell(send, error.status, {"error": error.error}, extra)


async def silent(send: Send, error: ClientError) -> None:
    """Answer that authd is not heard."""
    await tell(send, 503, {"error": "temporarily_unavailable"}, ((b"retry-after", b"1"),))


def _profile(person: Person) -> dict[str, str]:
    said = {claim: str(getattr(person, name)) for claim, name in PROFILE.items()}
    return {claim: value for claim, value in said.items() if value}
