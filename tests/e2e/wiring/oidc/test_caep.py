"""A receiver of security events that trusts nothing (RFC 8417), to which they are pushed, and one that polls."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import httpx
import pytest
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from tests.tools.oidc_stage import PATIENCE_S, POLLED, PUSHED, RESIDENT, TAX, Provider

pytestmark = pytest.mark.real
CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
SSF = "https://schemas.openid.net/secevent/ssf/event-type/"


class Untrusting:
    """A receiver: it takes a token only if everything about it is right, and each once."""

    def __init__(self, wired: Provider, audience: str, keys: KeySet | None = None) -> None:
        self.metadata = wired.http.get("/.well-known/ssf-configuration").json()
        self.keys = keys or KeySet.import_key_set(httpx.get(self.metadata["jwks_uri"]).json())
        self.audience = audience
        self.taken: dict[str, dict[str, Any]] = {}

    def take(self, token: str) -> dict[str, Any]:
        """Return the claims. Raises `JoseError`, AssertionError."""
        read = jwt.decode(token, self.keys, algorithms=["RS256"])
        claims = dict(read.claims)
        assert read.header["typ"] == "secevent+jwt"
        assert (claims["iss"], claims["aud"]) == (self.metadata["issuer"], self.audience)
        assert claims["iat"] <= time.time() + 2
        assert "exp" not in claims
        assert "sub" not in claims
        assert len(claims["events"]) == 1
        assert self.taken.setdefault(claims["jti"], claims)["events"] == claims["events"]
        return claims


def ask(wired: Provider, what: str, token: str, body: dict[str, Any] | None = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    if body is None:
        return wired.http.get(f"/ssf/{what}", headers=headers)
    return wired.http.post(f"/ssf/{what}", headers=headers, json=body)


def names(claims: list[dict[str, Any]]) -> list[str]:
    return [next(iter(each["events"])).rpartition("/")[2] for each in claims]


def of(claims: dict[str, Any]) -> tuple[str, str]:
    return claims["sub_id"]["user"]["sub"], claims["sub_id"]["session"]["id"]


def pushed(wired: Provider, receiver: Untrusting, session: str) -> Generator[dict[str, Any], None, None]:
    while True:
        posted = wired.back.next()
        if posted.path == "/events":
            assert posted.headers["content-type"] == "application/secevent+jwt"
            claims = receiver.take(posted.body.decode())
            if claims["sub_id"].get("session", {}).get("id") == session:
                yield claims


def test_what_happens_at_a_seat_is_pushed_in_order(wired: Provider) -> None:
    receiver = Untrusting(wired, RESIDENT)
    person = wired.log_in()
    wired.lock()
    events = pushed(wired, receiver, person.session)
    told = [next(events), next(events)]
    assert names(told) == ["session-established", "session-revoked"]
    assert {of(each) for each in told} == {(person.subject, person.session)}
    ended = told[1]["events"][CAEP + "session-revoked"]
    assert ended["initiating_entity"] == "user"
    assert ended["reason_user"] == {"ja": "席がロックされました", "en": "The seat was locked"}
    assert person.name not in str(told)


def test_what_was_not_taken_is_pushed_again_and_is_the_same(wired: Provider) -> None:
    receiver = Untrusting(wired, RESIDENT)
    wired.back.otherwise = 503
    person = wired.log_in()
    events = pushed(wired, receiver, person.session)
    first, again = next(events), next(events)
    wired.back.otherwise = 202
    assert first["jti"] == again["jti"]
    wired.lock()
    while names([last := next(events)]) != ["session-revoked"]:
        pass
    assert of(last)[1] == person.session


def poll(wired: Provider, receiver: Untrusting, session: str) -> list[dict[str, Any]]:
    """Poll until a session is over, acknowledging what came; what is not acknowledged comes again."""
    found: list[dict[str, Any]] = []
    ends, ack = time.perf_counter() + PATIENCE_S, list[str]()
    while "session-revoked" not in names(found):
        assert time.perf_counter() < ends
        sets = ask(wired, "poll", POLLED, {"ack": ack, "maxEvents": 10}).json()["sets"]
        again = ask(wired, "poll", POLLED, {"returnImmediately": True}).json()["sets"]
        assert sets.items() <= again.items()
        claims = [receiver.take(token) for token in sets.values()]
        assert [each["jti"] for each in claims] == list(sets)
        found += [each for each in claims if each["sub_id"].get("session", {}).get("id") == session]
        ack = list(sets)
    ask(wired, "poll", POLLED, {"ack": ack, "returnImmediately": True})
    return found


def empty(wired: Provider) -> None:
    """Acknowledge whatever waits, of the tests before: the seat is nobody's, and then nothing more comes."""
    wired.lock()
    person = wired.log_in()
    wired.lock()
    poll(wired, Untrusting(wired, TAX), person.session)


def test_a_receiver_fetches_and_acknowledges(wired: Provider) -> None:
    receiver = Untrusting(wired, TAX)
    person = wired.log_in()
    wired.lock()
    told = poll(wired, receiver, person.session)
    assert names(told) == ["session-established", "session-revoked"]
    assert ask(wired, "poll", POLLED, {"returnImmediately": True}).json() == {"sets": {}, "moreAvailable": False}


def test_a_receiver_finds_that_its_stream_works(wired: Provider) -> None:
    receiver = Untrusting(wired, TAX)
    (mine,) = ask(wired, "stream", POLLED).json()
    assert mine["aud"] == TAX
    assert ask(wired, f"stream?stream_id={TAX}", POLLED).json() == mine
    for what in ("stream", "status"):
        assert ask(wired, f"{what}?stream_id={RESIDENT}", POLLED).status_code == 404
        assert ask(wired, f"{what}?stream_id={TAX}&stream_id={TAX}", POLLED).status_code == 400
    empty(wired)
    assert ask(wired, "verify", POLLED, {"stream_id": TAX, "state": "s-7"}).status_code == 204
    sets = ask(wired, "poll", POLLED, {}).json()["sets"]
    (said,) = [receiver.take(token)["events"] for token in sets.values()]
    assert said == {SSF + "verification": {"state": "s-7"}}
    ask(wired, "poll", POLLED, {"ack": list(sets), "returnImmediately": True})


def test_a_paused_stream_keeps_and_a_disabled_one_does_not(wired: Provider) -> None:
    receiver = Untrusting(wired, TAX)
    assert ask(wired, "status", POLLED, {"stream_id": TAX, "status": "paused"}).json()["status"] == "paused"
    person = wired.log_in()
    wired.lock()
    assert ask(wired, "poll", POLLED, {"returnImmediately": True}).json()["sets"] == {}
    ask(wired, "status", POLLED, {"stream_id": TAX, "status": "enabled"})
    assert len(poll(wired, receiver, person.session)) == 2
    ask(wired, "status", POLLED, {"stream_id": TAX, "status": "disabled"})
    assert ask(wired, "status", POLLED).json() == {"stream_id": TAX, "status": "disabled"}
    ask(wired, "status", POLLED, {"stream_id": TAX, "status": "enabled"})


@pytest.mark.parametrize("what", ["stream", "status"])
@pytest.mark.parametrize("token", ["x", "token-of-nobody"])
def test_nobody_else_is_told(wired: Provider, what: str, token: str) -> None:
    assert ask(wired, what, token).status_code == 401


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("status", {"stream_id": RESIDENT, "status": "disabled"}),
        ("status", {"stream_id": TAX, "status": "off"}),
        ("verify", {"stream_id": RESIDENT}),
        ("verify", {"state": "x"}),
        ("poll", {"maxEvents": "many"}),
        ("poll", {"ack": [1]}),
    ],
)
def test_a_receiver_speaks_of_its_own_stream_and_plainly(wired: Provider, what: str, body: dict[str, Any]) -> None:
    assert ask(wired, what, POLLED, body).status_code == 400


def test_what_a_receiver_does_not_want_is_left_out_and_counted(wired: Provider) -> None:
    empty(wired)
    assert ask(wired, "verify", POLLED, {"stream_id": TAX}).status_code == 204
    (jti,) = ask(wired, "poll", POLLED, {}).json()["sets"]
    said = {"setErrs": {jti: {"err": "invalid_key", "description": "x"}}, "returnImmediately": True}
    for _ in range(2):  # it is counted once
        assert ask(wired, "poll", POLLED, said).json()["sets"] == {}
    assert ask(wired, "status", POLLED).json()["events_refused"] == {"invalid_key": 1}


def test_what_is_pushed_cannot_be_fetched(wired: Provider) -> None:
    assert ask(wired, "poll", PUSHED, {}).status_code == 405


def test_the_receiver_itself_refuses_what_is_not_authds(wired: Provider) -> None:
    """The test of the test: a receiver that takes anything would show nothing."""
    receiver = Untrusting(wired, TAX)
    empty(wired)
    ask(wired, "verify", POLLED, {"stream_id": TAX})
    (token,) = ask(wired, "poll", POLLED, {}).json()["sets"].values()
    header, payload, _ = token.split(".")
    forged = jws.serialize_compact({"alg": "RS256", "typ": "secevent+jwt"}, b"{}", RSAKey.generate_key(2048))
    for bad in (forged, f"{header}.{payload}.", token[:-8] + "AAAAAAAA"):
        with pytest.raises((JoseError, ValueError)):
            receiver.take(bad)
    with pytest.raises(AssertionError):
        Untrusting(wired, RESIDENT).take(token)
    with pytest.raises((JoseError, ValueError)):
        Untrusting(
            wired, TAX, KeySet.import_key_set({"keys": [RSAKey.generate_key(2048).as_dict(private=False)]})
        ).take(token)
