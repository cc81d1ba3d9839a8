from __future__ import annotations

import json
from typing import Any

import pytest

from authd.client.tables import BadSettings
from authd.web.guard import own_hosts
from authd.web.settings import MAX_SETTINGS_BYTES, origin_of, read_settings


def given(**changes: object) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "listen": "127.0.0.1:8780",
        "door": {"router": "ipc:///run/router.sock", "server_key": "k" * 40},
        "seats": [{"id": "counter-1", "name_ja": "窓口1", "name_en": "Counter 1", "applications": ["resident"]}],
        "applications": [
            {"id": "resident", "name_ja": "住民記録", "name_en": "Residents", "url": "http://127.0.0.1:8790/"}
        ],
    }
    return plain | changes


def read(**changes: object) -> Any:
    return read_settings(json.dumps(given(**changes)).encode())


def test_settings_are_read() -> None:
    settings = read()
    assert settings.address == ("127.0.0.1", 8780)
    assert settings.applications_of(settings.seats[0])[0].origin == "http://127.0.0.1:8790"
    assert settings.seat("counter-2") is None


def seat(**changes: object) -> dict[str, object]:
    return {"id": "counter-1", "name_ja": "窓口1", "name_en": "Counter 1"} | changes


def application(**changes: object) -> dict[str, object]:
    return {"id": "resident", "name_ja": "住", "name_en": "R", "url": "http://127.0.0.1:8790/"} | changes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"listen": "8780"}, "listen"),
        ({"listen": "127.0.0.1:http"}, "listen"),
        ({"listen": "127.0.0.1:70000"}, "listen"),
        ({"seats": []}, "at least one"),
        ({"seats": [seat(id="../x")]}, "seat"),
        ({"seats": [seat(), seat()]}, "seat"),
        ({"seats": [seat(id=f"s{n}") for n in range(33)]}, "at most 32"),
        ({"seats": [seat(applications=["tax"])]}, "unknown application 'tax'"),
        ({"seats": [{"id": "counter-1"}]}, "name_ja"),
        ({"applications": [application(url="javascript:alert(1)")]}, "expected http"),
        ({"applications": [application(url="http://a:b/")]}, "port"),
        ({"applications": [application(url="http://a/; script-src *")]}, "header"),
        ({"seats": [seat(ways=["backdoor"])]}, "backdoor"),
        ({"frame_ancestors": ["*"]}, "expected http"),
        ({"frame_ancestors": ["http://a\r\nx: y"]}, "header"),
    ],
)
def test_bad_settings_are_named(changes: dict[str, object], said: str) -> None:
    with pytest.raises(BadSettings, match=said):
        read(**changes)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff\xfe", b" " * (MAX_SETTINGS_BYTES + 1)])
def test_bytes_that_are_no_settings(raw: bytes) -> None:
    with pytest.raises(BadSettings):
        read_settings(raw)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://127.0.0.1:8790/a?b", "http://127.0.0.1:8790"),
        ("https://City.example:443/", "https://city.example"),
        ("http://[::1]:80/", "http://[::1]"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, origin: str) -> None:
    assert origin_of(url) == origin


def test_a_loopback_address_has_its_two_names() -> None:
    assert own_hosts(read(hosts=["Seat.example:80"]), 9) == {"127.0.0.1:9", "localhost:9", "seat.example:80"}
