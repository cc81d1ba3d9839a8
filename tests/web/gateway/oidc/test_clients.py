"""Relying parties as gateway.toml says: what is refused before anything starts, in a sentence that says what to do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from authd.client.tables import BadSettings
from authd.web.gateway.oidc import clients

GOOD: dict[str, Any] = {
    "start": "https://resident.city.example/",
    "redirect_uris": ["https://resident.city.example/callback"],
    "secret_sha256": "0" * 64,
}


APPLICATIONS = {"resident": SimpleNamespace(key_file="/etc/authd-seat/gateway/app-resident.key")}


def world(table: dict[str, Any], name: str = "resident") -> Any:
    settings = SimpleNamespace(client={name: table}, applications=APPLICATIONS)
    return SimpleNamespace(settings=settings, books={"resident": None})


def test_a_client_as_it_should_be() -> None:
    (found,) = clients.read(world(GOOD)).values()
    assert (found.id, found.public) == ("resident", False)
    assert not found.knows("")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"redirect_uris": []}, "at least one"),
        ({"redirect_uris": ["http://resident.city.example/callback"]}, "expected https"),
        ({"redirect_uris": ["https://resident.city.example/callback#x"]}, "expected https"),
        ({"redirect_uris": ["https://*.city.example/callback"]}, "expected https"),
        ({"redirect_uris": ["https://me@resident.city.example/"]}, "expected https"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "expected https"),
        ({"redirect_uris": [f"https://city.example/{n}" for n in range(17)]}, "at most 16"),
        ({"backchannel_logout_uri": "https://portal..city.example/"}, "backchannel_logout_uri"),
        ({"backchannel_logout_uri": f"https://{'a' * 64}.example/"}, "backchannel_logout_uri"),
        ({"backchannel_logout_uri": "https://portal.city.example:99999/"}, "backchannel_logout_uri"),
        ({"start": "ftp://resident.city.example/"}, "start"),
        ({"backchannel_logout_uri": "http://10.0.0.1/"}, "backchannel_logout_uri"),
        ({"secret_sha256": "secret"}, "64 hexadecimal digits"),
        ({"secret": "x"}, "unknown field"),
    ],
)
def test_what_is_not_taken(change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSettings, match=said):
        clients.read(world(GOOD | change))


def test_a_client_is_an_application_of_authd() -> None:
    with pytest.raises(BadSettings, match=r"there is no \[application.other\]"):
        clients.read(world(GOOD, "other"))
