"""What a token says, made of a session that is active now: pure functions, each with its source."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from authd.core.model import Acr, Factor, Grade, SeatId, SessionId, SubjectId

ASSERTION_S: Final = 60
ID_TOKEN_S: Final = 300
LOGOUT_S: Final = 120
LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
AMR: Final[Mapping[Factor, str]] = {
    Factor.VEIN: "vein",  # RFC 8176 has no word for it
    Factor.FINGERPRINT: "fpt",
    Factor.KEY: "hwk",
    Factor.CARD: "sc",
    Factor.PIN: "pin",
}
"""Words of RFC 8176 for what a person did; what a seat or a colleague did is no method of theirs."""

BODY: Final = frozenset({Factor.VEIN, Factor.FINGERPRINT})


@dataclass(frozen=True, slots=True)
class Standing:
    """A session that is active now, as one application sees it. `auth_time`: seconds since 1970, of its last act."""

    session: SessionId
    subject: SubjectId
    seat: SeatId
    grade: Grade
    auth_time: int
    factors: frozenset[Factor]
    """Of the last act alone."""
    seat_key: bool
    """Whether the policy counts the seat's own key."""
    told: Mapping[str, str]
    """The person's attributes, by the application's scope, and `account` where it has accounts."""


def assertion(of: Standing, issuer: str, audience: str, now_s: int, jti: str) -> dict[str, Any]:
    """Say to one application who is at the seat, for a minute."""
    return {
        **_registered(issuer, audience, now_s, ASSERTION_S),
        **_who(of),
        **of.told,
        **context(of),
        "jti": jti,
        "seat": of.seat,
        "grade": of.grade.value,
    }


def id_token(of: Standing, issuer: str, audience: str, now_s: int, nonce: str | None) -> dict[str, Any]:
    """Say the same as OpenID Connect Core 1.0, 2, wants it."""
    return {
        **_registered(issuer, audience, now_s, ID_TOKEN_S),
        **_who(of),
        **profile(of.told),
        **context(of),
        **({} if nonce is None else {"nonce": nonce}),
        "azp": audience,
        "authd_seat": of.seat,
        "authd_grade": of.grade.value,
    }


def logout_token(
    session: SessionId, subject: SubjectId, issuer: str, audience: str, now_s: int, jti: str
) -> dict[str, Any]:
    """Say that it is over: OpenID Connect Back-Channel Logout 1.0, 2.4. Never with a nonce."""
    return {
        **_registered(issuer, audience, now_s, LOGOUT_S),
        "sub": subject,
        "sid": session,
        "jti": jti,
        "events": {LOGOUT_EVENT: {}},
    }


def profile(told: Mapping[str, str]) -> dict[str, str]:
    """Name the attributes as OpenID Connect Core 1.0, 5.1, does; what it has no word for begins with `authd_`."""
    names = {"account": "preferred_username", "name": "name"}
    return {names.get(name, f"authd_{name}"): value for name, value in told.items()}


def context(of: Standing) -> dict[str, Any]:
    """How, and when, the person last acted: `acr`, `amr`, `auth_time` (OpenID Connect Core 1.0, 2; RFC 9470)."""
    level = acr(of.factors, of.grade, seat_key=of.seat_key)
    return {"acr": level.value, "amr": amr(of.factors, level), "auth_time": of.auth_time}


def acr(factors: Collection[Factor], grade: Grade | None, *, seat_key: bool) -> Acr:
    """How much the act rests on, by the rule that a step-up with `authd:two` has to pass (policies, `two-factors`).

    seat_key: whether the policy counts the key of the enrolled seat as possession. A card that signed nothing names
    somebody, and is no factor.
    """
    cards = {Factor.CARD} if grade is Grade.SIGNED else set[Factor]()
    owned = {Factor.KEY} | cards | ({Factor.SEAT_KEY} if seat_key else set[Factor]())
    body, has = bool(BODY & set(factors)), owned & set(factors)
    typed = Factor.PIN in factors and (body or bool(has - {Factor.SEAT_KEY}))
    return Acr.TWO if (body and has) or typed else Acr.ONE


def amr(factors: Collection[Factor], level: Acr) -> list[str]:
    """Every method of the person's own, and `mfa` where they are two factors."""
    used = sorted(AMR[each] for each in factors if each in AMR)
    return [*used, "mfa"] if level is Acr.TWO else used


def _registered(issuer: str, audience: str, now_s: int, lasts_s: int) -> dict[str, Any]:
    return {"iss": issuer, "aud": audience, "iat": now_s, "exp": now_s + lasts_s}


def _who(of: Standing) -> dict[str, Any]:
    return {"sub": of.subject, "sid": of.session}
