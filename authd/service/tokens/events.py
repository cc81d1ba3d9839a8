"""Security event tokens (RFC 8417) of CAEP 1.0, made of the ledger's own rows.

What people may read of a reason stands in `authd/locale`: this floor is below it, so the file is read as data.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from authd.core.model import EndReason, Entry, Factor, Kind
from authd.service.tokens.claims import acr, amr

CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
SSF: Final = "https://schemas.openid.net/secevent/ssf/event-type/"
EVENTS: Final[Mapping[Kind, str]] = {
    Kind.SESSION_STARTED: CAEP + "session-established",
    Kind.SESSION_KEPT: CAEP + "session-presented",
    Kind.SESSION_STEPPED_UP: CAEP + "session-presented",
    Kind.SESSION_ENDED: CAEP + "session-revoked",
}
"""What identity products are told of; everything else is the ledger's."""
INITIATED: Final[Mapping[EndReason, str]] = {
    EndReason.LOCK: "user",
    EndReason.LOGOUT: "user",
    EndReason.HANDOVER: "user",
    EndReason.ELSEWHERE: "user",
    EndReason.REMOVAL: "user",
    EndReason.REVOKED: "admin",
    EndReason.POLICY: "policy",
    EndReason.IDLE: "policy",
    EndReason.ABSENCE: "policy",
    EndReason.EXPIRED: "policy",
}
"""Who ended it, in the words of CAEP 1.0, 2; `system` for the rest."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands, and whether the policy counts the seat's own key as possession."""

    seq: int
    wall_ms: int
    seat_key: bool


def told(entry: Entry) -> bool:
    """Whether there is an event of this row."""
    return entry.kind in EVENTS and entry.session is not None and entry.subject is not None


def session_event(entry: Entry, place: Place, issuer: str, audience: str, now_s: int) -> dict[str, Any]:
    """Say what a row says. Said again, it has the same `jti`: a receiver takes it once (RFC 8417, 2.2).

    The row's time is in it: a ledger that begins anew numbers its rows anew.
    """
    event: dict[str, Any] = {"event_timestamp": place.wall_ms // 1000, **_detail(entry, place.seat_key)}
    return {
        **_registered(issuer, audience, now_s, f"{issuer}|{audience}|{place.seq}|{place.wall_ms}"),
        "txn": f"{issuer}#{place.seq}",
        "sub_id": {
            "format": "complex",
            "user": {"format": "iss_sub", "iss": issuer, "sub": entry.subject},
            "session": {"format": "opaque", "id": entry.session},
        },
        "events": {EVENTS[entry.kind]: event},
    }


def verification(stream: str, state: str | None, issuer: str, audience: str, now_s: int, unique: str) -> dict[str, Any]:
    """Say that a stream works (OpenID Shared Signals Framework 1.0, 8.1.4.1)."""
    return {
        **_registered(issuer, audience, now_s, unique),
        "sub_id": {"format": "opaque", "id": stream},
        "events": {SSF + "verification": {} if state is None else {"state": state}},
    }


def _registered(issuer: str, audience: str, now_s: int, unique: str) -> dict[str, Any]:
    jti = hashlib.sha256(unique.encode()).hexdigest()[:32]
    return {"iss": issuer, "aud": audience, "iat": now_s, "jti": jti}


def _detail(entry: Entry, seat_key: bool) -> dict[str, Any]:
    if entry.kind is Kind.SESSION_ENDED:
        reason = entry.reason or EndReason.FAULT
        words = {f"reason_{whom}": _reason(whom, reason.value) for whom in ("admin", "user")}
        return {"initiating_entity": INITIATED.get(reason, "system"), **words}
    if entry.kind is Kind.SESSION_KEPT:
        return {"initiating_entity": "user"}
    factors = _factors(entry)
    level = acr(factors, entry.grade, seat_key=seat_key)
    return {"initiating_entity": "user", "acr": level.value, "amr": amr(factors, level)}


def _factors(entry: Entry) -> frozenset[Factor]:
    """Of the act that the row rests on, as it says."""
    said = str(entry.data.get("factors") or entry.data.get("factor") or "").split(",")
    return frozenset(each for each in Factor if each.value in said)


def _reason(whom: str, reason: str) -> dict[str, str]:
    return {language: _words(language)[f"caep_{whom}"][reason] for language in ("ja", "en")}


@cache
def _words(language: str) -> Mapping[str, Mapping[str, str]]:
    file = files("authd").joinpath("locale", language, "caep.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))
