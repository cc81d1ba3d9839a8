"""The authorization request: OpenID Connect Core 1.0, 3.1.2.1, PKCE (RFC 7636) and step-up (RFC 9470), read strictly.

A mistake before client and redirect URI are known to belong together is shown to the person and sends them nowhere; any
other one goes back to the client. Whatever is said twice is a mistake (RFC 6749, 3.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qsl, urlencode

from authd.core.model import Acr
from authd.web.gateway.oidc.clients import Client

LONGEST: Final = 8_192
"""Bytes of a query or a form."""
MOST_FIELDS: Final = 40
MAX_AGE_S: Final = 43_200
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_OPAQUE: Final = re.compile(r"[\x20-\x7e]{1,512}")
PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
NOT_TAKEN: Final = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}


class Fault(StrEnum):
    """Why a request is shown to the person; each has `oidc.<value>_title` and `_text` in the catalogue."""

    CLIENT = "client"
    REDIRECT = "redirect"
    REQUEST = "request"
    LOGOUT = "logout"


class BadRequest(Exception):
    """Not to be answered to the client."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Target:
    """Where the answer goes: a redirect URI of this client, compared character by character."""

    client: Client
    redirect_uri: str
    state: str | None

    def url(self, issuer: str, **fields: str) -> str:
        """Return the answer as a URL; `iss` says who answers (RFC 9207)."""
        given = {**fields, **({} if self.state is None else {"state": self.state}), "iss": issuer}
        joint = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{joint}{urlencode(given)}"


class Answerable(Exception):
    """A mistake that goes back to the client, as an error of RFC 6749, OpenID Connect or RFC 9470."""

    def __init__(self, target: Target, error: str) -> None:
        super().__init__(error)
        self.target = target
        self.error = error


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is well-formed."""

    target: Target
    challenge: str
    nonce: str | None
    scope: tuple[str, ...]
    acr_values: tuple[Acr, ...] = ()
    max_age: int | None = None
    silent: bool = False
    """`prompt=none`: nobody may be asked for anything."""
    anew: bool = False
    """`prompt=login`: a fresh touch, however young the last one is."""
    hint: str = ""


def fields(text: str) -> dict[str, str]:
    """Read a query or a form. Raises `BadRequest` where it is too long, malformed, or says something twice."""
    if len(text) > LONGEST or not text.isascii():
        raise BadRequest(Fault.REQUEST)
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise BadRequest(Fault.REQUEST) from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadRequest(Fault.REQUEST)
    return found


def target(given: Mapping[str, str], clients: Mapping[str, Client]) -> Target:
    """Find out where an answer may go. Raises `BadRequest`."""
    client = clients.get(given.get("client_id", ""))
    if client is None:
        raise BadRequest(Fault.CLIENT)
    uri = given.get("redirect_uri", "")
    if uri not in client.table.redirect_uris:
        raise BadRequest(Fault.REDIRECT)
    state = given.get("state")
    if state is not None and not _OPAQUE.fullmatch(state):
        raise BadRequest(Fault.REQUEST)
    return Target(client, uri, state)


def asked(given: Mapping[str, str], to: Target) -> Asked:
    """Read everything else. Raises `Answerable`."""
    for name, error in NOT_TAKEN.items():
        if name in given:
            raise Answerable(to, error)
    scope = _scope(given, to)
    prompts = _prompts(given, to)
    return Asked(
        target=to,
        challenge=_challenge(given, to),
        nonce=_nonce(given, to),
        scope=scope,
        acr_values=_acr_values(given, to),
        max_age=_max_age(given, to),
        silent="none" in prompts,
        anew="login" in prompts,
        hint=given.get("id_token_hint", ""),
    )


def _scope(given: Mapping[str, str], to: Target) -> tuple[str, ...]:
    if given.get("response_type") != "code":
        raise Answerable(to, "unsupported_response_type" if given.get("response_type") else "invalid_request")
    if given.get("response_mode", "query") != "query":
        raise Answerable(to, "invalid_request")
    words = given.get("scope", "").split(" ")
    if "openid" not in words:
        raise Answerable(to, "invalid_scope")
    return tuple(word for word in ("openid", "profile") if word in words)


def _challenge(given: Mapping[str, str], to: Target) -> str:
    """PKCE is not an option here, and `plain` is none (RFC 9700, 2.1.1)."""
    challenge = given.get("code_challenge", "")
    if given.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise Answerable(to, "invalid_request")
    return challenge


def _nonce(given: Mapping[str, str], to: Target) -> str | None:
    nonce = given.get("nonce")
    if nonce is not None and not _OPAQUE.fullmatch(nonce):
        raise Answerable(to, "invalid_request")
    return nonce


def _prompts(given: Mapping[str, str], to: Target) -> Sequence[str]:
    prompts = given["prompt"].split(" ") if "prompt" in given else []
    if not PROMPTS.issuperset(prompts) or ("none" in prompts and len(prompts) > 1):
        raise Answerable(to, "invalid_request")
    return prompts


def _acr_values(given: Mapping[str, str], to: Target) -> tuple[Acr, ...]:
    """Those that are known, in the client's order; asking for unknown ones alone cannot be met (RFC 9470, 5)."""
    words = [word for word in given.get("acr_values", "").split(" ") if word]
    known = tuple(dict.fromkeys(Acr(word) for word in words if word in set(Acr)))
    if words and not known:
        raise Answerable(to, "unmet_authentication_requirements")
    return known


def _max_age(given: Mapping[str, str], to: Target) -> int | None:
    text = given.get("max_age")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Answerable(to, "invalid_request")
    return min(int(text), MAX_AGE_S)
