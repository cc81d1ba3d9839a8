from __future__ import annotations

from pathlib import Path

import pytest

from authd.client.tables import MAX_BYTES, BadSettings
from authd.web.gateway.settings import read_settings

GOOD = """
[gateway]
listen = "127.0.0.1:8785"
public = "https://login.city.example"
[door]
router = "ipc:///run/authd-seat/router.sock"
server_key = "router.key"
[application.resident]
key_file = "app-resident.key"
forward = { origin = "https://resident.city.example", start = "/menu", framed_by = "http://localhost:8780" }
[client.hr]
anything = 1
"""


def test_a_file_is_read_and_its_paths_begin_at_its_folder(tmp_path: Path) -> None:
    settings = read_settings(GOOD.encode(), tmp_path)
    assert settings.gateway.address == ("127.0.0.1", 8785)
    assert settings.door.key == tmp_path / "router.key"
    assert settings.applications["resident"].key_file == str(tmp_path / "app-resident.key")
    assert settings.client == {"hr": {"anything": 1}}


def test_a_key_may_stand_in_the_file_itself(tmp_path: Path) -> None:
    key = "0123456789abcdefghijABCDEFGHIJ.-:+=^!/*?"
    assert read_settings(GOOD.replace("router.key", key).encode(), tmp_path).door.key == key


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("127.0.0.1:8785", "0.0.0.0:8785", "let a proxy speak TLS"),
        ("127.0.0.1:8785", "127.0.0.1", "host:port"),
        ("127.0.0.1:8785", "127.0.0.1:99999", "host:port"),
        ("https://login.city.example", "https://login.city.example/x", "an origin such as"),
        ("https://resident.city.example", "https://a@resident.city.example", "http"),
        ("https://resident.city.example", "https://resident.city.example; x", "an origin such as"),
        ('"/menu"', '"//elsewhere.example/"', "a path such as /menu"),
        ('"/menu"', '"/me\\nnu"', "a path such as /menu"),
        ("start", "begin", "unknown field"),
        ("[application.resident]", '[application."../x"]', "a-z, 0-9"),
        ("[door]", "[dor]", "unknown field `dor`"),
        ("[gateway]", "[gateway", "expected TOML"),
        ("[client.hr]", "x = 1\n[client.hr]", "unknown field"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_sentence(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(BadSettings, match=said):
        read_settings(GOOD.replace(old, new, 1).encode(), tmp_path)


@pytest.mark.parametrize("raw", [b"\xff", b"#" * (MAX_BYTES + 1), b"a=" + b"[" * 5_000, b""])
def test_anything_else_is_refused_too(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(BadSettings):
        read_settings(raw, tmp_path)
