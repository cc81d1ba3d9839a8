"""An authorization request is read strictly, and a mistake in it sends nobody anywhere that is not registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.core.model import Acr
from authd.web.gateway.oidc.asked import Answerable, Asked, BadRequest, asked, fields, target
from authd.web.gateway.oidc.clients import Client, Table

CALLBACK = "https://resident.city.example/callback"
NOTHING: Any = None
RESIDENT = Client("resident", Table("https://resident.city.example/", [CALLBACK]), NOTHING)
GOOD = {
    "response_type": "code",
    "client_id": "resident",
    "redirect_uri": CALLBACK,
    "scope": "openid",
    "code_challenge": "c" * 43,
    "code_challenge_method": "S256",
}


def read(**other: str) -> Asked:
    query = fields(urlencode({**GOOD, **other}))
    return asked(query, target(query, {"resident": RESIDENT}))


def test_a_request_as_it_should_be() -> None:
    found = read(scope="profile openid email", acr_values="x authd:two authd:one", max_age="90", state="s", nonce="n")
    assert found.scope == ("openid", "profile")
    assert found.acr_values == (Acr.TWO, Acr.ONE)
    assert (found.max_age, found.nonce, found.target.state, found.silent, found.anew) == (90, "n", "s", False, False)


def test_an_answer_goes_to_the_registered_address_with_who_answers() -> None:
    to = read(state="a&b=c").target
    assert to.url("https://login", code="x") == f"{CALLBACK}?code=x&state=a%26b%3Dc&iss=https%3A%2F%2Flogin"


@given(st.text(max_size=80) | st.text(max_size=20).map(lambda tail: CALLBACK + tail))
def test_no_other_address_is_ever_taken(uri: str) -> None:
    if uri != CALLBACK:
        with pytest.raises(BadRequest, match="redirect"):
            target({**GOOD, "redirect_uri": uri}, {"resident": RESIDENT})


@given(st.text(max_size=200))
def test_any_query_is_read_or_refused(text: str) -> None:
    """One declared error, whatever comes."""
    try:
        found = fields(text)
    except BadRequest:
        return
    assert len(found) <= 40


@given(st.dictionaries(st.sampled_from([*GOOD, "prompt", "max_age", "nonce", "request"]), st.text(max_size=50)))
def test_any_request_is_read_or_told(other: Mapping[str, str]) -> None:
    to = target(GOOD, {"resident": RESIDENT})
    try:
        found = asked({**GOOD, **other}, to)
    except Answerable:
        return
    assert found.challenge
    assert "openid" in found.scope


@pytest.mark.parametrize("twice", sorted(GOOD))
def test_nothing_is_said_twice(twice: str) -> None:
    with pytest.raises(BadRequest):
        fields(f"{urlencode(GOOD)}&{urlencode({twice: GOOD[twice]})}")


def test_a_very_old_act_is_never_young_enough() -> None:
    assert read(max_age="999999999").max_age == 43_200
