"""Both pages, as written: their files are read by the gateway and by authd, and Apache's is the one that is shipped."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from authd.service.config import load
from authd.web.gateway.caep import receivers
from authd.web.gateway.oidc import clients
from authd.web.gateway.settings import load as load_gateway
from authd.web.gateway.world import World
from tests.tools.apache import PACKAGED
from tests.tools.howto import ROOT, how_to, same

STATE = Path("/var/lib/authd-seat-gateway")
SEAT = '[host]\nname = "ward-1"\n[seat.counter-1]\napplications = ["portal"]\n'


def world(page: str, folder: Path) -> World:
    """What the page's gateway.toml comes to, with books of nothing."""
    how_to(page).write(folder)
    settings = load_gateway(folder / "gateway.toml")
    nothing: Any = None
    books: dict[str, Any] = dict.fromkeys(settings.applications)
    return World(settings, books, nothing)


def test_the_client_of_the_page(tmp_path: Path) -> None:
    (client,) = clients.read(world("openid-connect", tmp_path)).values()
    assert client.knows("CHANGE-THIS-SECRET-OF-32-CHARACTERS")
    assert client.table.redirect_uris == ["https://portal.city.example/oidc/callback"]


def test_authd_and_the_gateway_call_it_the_same(tmp_path: Path) -> None:
    page = how_to("openid-connect")
    (told,) = [block.text for block in page.blocks if block.language == "toml" and not block.name]
    file = tmp_path / "authd.toml"
    file.write_text(SEAT + told, encoding="utf-8")
    config = load(file)
    settings = world("openid-connect", tmp_path).settings
    assert config.issuer == settings.gateway.public
    assert config.applications["portal"].url == f"{config.issuer}/oidc/start/portal"


def test_apache_is_shown_whole_and_is_the_same_client() -> None:
    page = how_to("openid-connect")
    same(page, "authd-seat-oidc.conf", PACKAGED)
    told = PACKAGED.read_text(encoding="utf-8")
    for uri in ("https://portal.city.example/oidc/callback", "https://login.city.example/"):
        assert uri in told
        assert uri in page.file("gateway.toml") + "https://login.city.example/"


def test_the_receiver_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "idp.header").write_text("Bearer x\n")
    (receiver,) = receivers.read(world("security-events", tmp_path)).values()
    assert receiver.knows("CHANGE-THIS-TOKEN")
    assert receiver.authorization == "Bearer x"
    assert receiver.place == STATE / "idp.place"


def test_what_the_gateway_writes_is_where_its_unit_lets_it_write(tmp_path: Path) -> None:
    (client,) = clients.read(world("openid-connect", tmp_path)).values()
    assert Path(client.table.sessions_file).parent == STATE
    unit = (ROOT / "packaging" / "authd-seat-gateway.service").read_text("utf-8").splitlines()
    assert {"ProtectSystem=strict", f"StateDirectory={STATE.name}", "StateDirectoryMode=0700"} <= set(unit)


def test_a_missing_header_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="push_authorization_file: cannot be read"):
        receivers.read(world("security-events", tmp_path))


def test_the_digest_is_that_of_the_command() -> None:
    assert hashlib.sha256(b"CHANGE-THIS-TOKEN").hexdigest() in how_to("security-events").file("gateway.toml")
