"""The OpenID Connect provider from a relying party's side: in with a touch, out at the lock, and nothing in between."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any
from urllib.parse import parse_qs

import pytest

from authd.service.tokens.claims import LOGOUT_EVENT
from tests.tools.oidc_negative import CASES, LOCKING, Ready, stale_keys
from tests.tools.oidc_stage import BYE, CALLBACK, RESIDENT, TAX, TAX_CALLBACK, Answer, Provider, landed

pytestmark = pytest.mark.real


def logouts(wired: Provider, session: str) -> Generator[dict[str, Any], None, None]:
    """Yield the claims of each logout token that comes about this session."""
    while True:
        posted = wired.back.next()
        if posted.path != "/backchannel":
            continue
        claims = wired.check(parse_qs(posted.body.decode())["logout_token"][0])
        if claims["sid"] == session:
            yield claims


def test_who_touched_is_who_the_client_sees_until_the_lock(wired: Provider) -> None:
    person = wired.log_in()
    with wired.browser(RESIDENT) as browser:
        answer = wired.answer(browser)
        assert answer.fields["iss"] == wired.public
        assert answer.fields["state"] == "st-1"
        tokens = wired.redeem(answer).json()
        claims = wired.check(tokens["id_token"])
        assert (claims["sub"], claims["sid"], claims["nonce"]) == (person.subject, person.session, "n-1")
        assert (claims["name"], claims["preferred_username"]) == (person.name, f"staff_{person.staff_number}")
        assert (claims["acr"][:6], "vein" in claims["amr"]) == ("authd:", True)
        told = wired.userinfo(tokens["access_token"]).json()
        assert (told["sub"], told["name"]) == (person.subject, person.name)
        wired.lock()
        logout = next(logouts(wired, person.session))
        assert (logout["sub"], logout["sid"]) == (person.subject, person.session)
        assert logout["events"] == {LOGOUT_EVENT: {}}
        assert wired.userinfo(tokens["access_token"]).status_code == 401
        assert wired.ask(browser).status_code == 401
        assert landed(wired.ask(browser, prompt="none"))["error"] == "login_required"


def test_a_client_without_a_secret_is_bound_by_its_verifier(wired: Provider) -> None:
    wired.log_in()
    with wired.browser(TAX) as browser:
        answer = wired.answer(browser, client_id=TAX, redirect_uri=TAX_CALLBACK)
        tokens = wired.redeem(answer, auth=None, client_id=TAX, redirect_uri=TAX_CALLBACK).json()
        assert wired.check(tokens["id_token"], TAX)["aud"] == TAX


def test_a_client_that_asks_for_a_fresh_act_gets_one(wired: Provider) -> None:
    """RFC 9470: what a resource server challenges with, the client passes on, and a touch answers it."""
    wired.log_in()
    with wired.browser(RESIDENT) as browser:
        asked, verifier = int(time.time()), "v" * 43
        page = wired.ask(browser, verifier, max_age="0")
        assert page.status_code == 200
        assert "読み取り器に触れてください" in page.text
        wait, _, where = page.headers["refresh"].partition(";url=")
        assert wait == "0"
        with wired.touching():
            fields = landed(browser.http.get(where))
        assert fields["state"] == "st-1"
        again = browser.http.get(where)
        assert again.status_code == 400  # a touch answers once
        claims = wired.check(wired.redeem(Answer(fields, verifier)).json()["id_token"])
        assert claims["auth_time"] >= asked


def test_two_factors_are_two_where_the_seats_own_key_counts(wired: Provider) -> None:
    """A finger, and the enrolled seat's key, as this city's rules count them: the client is told so, by both names."""
    wired.log_in()
    with wired.browser(RESIDENT) as browser:
        answer = wired.answer(browser, acr_values="authd:two")
        claims = wired.check(wired.redeem(answer).json()["id_token"])
        assert (claims["acr"], "mfa" in claims["amr"]) == ("authd:two", True)


def test_leaving_a_client_leaves_the_seat_to_its_person(wired: Provider) -> None:
    person = wired.log_in()
    with wired.browser(RESIDENT) as browser:
        tokens = wired.sign_on(browser)
        given = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE, "state": "s"}
        left = browser.http.get("/oidc/logout", params=given)
        assert (left.status_code, left.headers["location"]) == (303, f"{BYE}?state=s")
        assert wired.userinfo(tokens["access_token"]).status_code == 401
        assert wired.ask(browser).status_code == 401
        wired.come_in(browser)
        assert wired.check(wired.sign_on(browser)["id_token"])["sid"] == person.session


def test_the_button_logs_out_and_another_page_cannot(wired: Provider) -> None:
    wired.log_in()
    with wired.browser(RESIDENT) as browser:
        token = wired.sign_on(browser)["access_token"]
        asked = browser.http.get("/oidc/logout", params={"client_id": RESIDENT})
        assert "このシステムからログアウトしますか" in asked.text
        where = f"/oidc/logout?client_id={RESIDENT}"
        assert "ログアウトしますか" in browser.http.post(where, headers={"origin": "http://127.0.0.1:9"}).text
        assert wired.userinfo(token).status_code == 200
        assert "ログアウトしました" in browser.http.post(where, headers={"origin": wired.public}).text
        assert wired.userinfo(token).status_code == 401


def test_a_client_that_was_left_hears_of_the_lock_all_the_same(wired: Provider) -> None:
    """It may still keep a session of its own: the person pressed our button, not its."""
    person = wired.log_in()
    with wired.browser(RESIDENT) as browser:
        wired.sign_on(browser)
        where = f"/oidc/logout?client_id={RESIDENT}"
        assert browser.http.post(where, headers={"origin": wired.public}).status_code == 200
    wired.lock()
    assert next(logouts(wired, person.session))["sub"] == person.subject


def test_a_logout_is_told_again_until_it_is_heard(wired: Provider) -> None:
    person = wired.log_in()
    with wired.browser(RESIDENT) as browser:
        wired.sign_on(browser)
    wired.back.otherwise = 503
    wired.lock()
    heard = logouts(wired, person.session)
    first = next(heard)
    wired.back.otherwise = 200
    assert next(heard)["sub"] == first["sub"] == person.subject


def test_a_gateway_that_was_killed_tells_of_the_lock_once_it_is_back(wired: Provider) -> None:
    person = wired.log_in()
    with wired.browser(RESIDENT) as browser:
        token = wired.sign_on(browser)["access_token"]
    wired.kill_gateway()
    try:
        wired.lock()
    finally:
        wired.start_gateway()
    assert next(logouts(wired, person.session))["sub"] == person.subject
    assert wired.userinfo(token).status_code == 401


def test_discovery_names_what_answers(wired: Provider) -> None:
    said = wired.http.get("/.well-known/openid-configuration").json()
    assert said["issuer"] == wired.public
    for name in ("jwks_uri", "userinfo_endpoint", "authorization_endpoint", "end_session_endpoint"):
        assert wired.http.get(said[name]).status_code < 404
    assert said["id_token_signing_alg_values_supported"] == ["RS256"]
    assert CALLBACK not in str(said)


@pytest.fixture(scope="module")
def ready(wired: Provider) -> Generator[Ready, None, None]:
    """Somebody who is in, for all cases that leave them there."""
    wired.log_in()
    with wired.browser(RESIDENT, TAX) as browser:
        yield Ready(wired, browser)


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused(ready: Ready, case: str) -> None:
    assert CASES[case](ready)


def test_and_who_is_in_stayed_in(ready: Ready) -> None:
    """The positive control: none of the refusals above was for another reason."""
    assert ready.wired.check(ready.wired.sign_on(ready.browser)["id_token"])["aud"] == RESIDENT


@pytest.mark.parametrize("case", LOCKING)
def test_it_is_refused_after_a_lock(wired: Provider, case: str) -> None:
    wired.log_in()
    with wired.browser(RESIDENT) as browser:
        assert LOCKING[case](Ready(wired, browser))


def test_what_a_replaced_key_signed_is_refused(wired: Provider) -> None:
    wired.log_in()
    with wired.browser(RESIDENT) as browser:
        assert stale_keys(Ready(wired, browser))
