from __future__ import annotations

from pathlib import Path

import pytest

from authd.broker.postgres.settings import Settings, load
from authd.broker.postgres.settings import settings as ours
from authd.broker.settings import read
from authd.client.tables import BadSettings

HERE = Path("/etc/authd-seat")
PACKAGED = Path(__file__).parents[3] / "packaging" / "postgresql" / "broker.toml"
GOOD = """
[door]
router = "ipc:///run/authd-seat/router.sock"
server_key = "router.key"
[vault]
folder = "vault"
[application.resident]
key_file = "app.key"
[server.resident]
application = "resident"
seats = ["counter-1"]
address = "db.city.example:5432"
ca = "db.pem"
[listener.counter-1]
listen = "127.0.0.1:5433"
server = "resident"
seat = "counter-1"
"""


def settings(right: str = "", wrong: str = "") -> Settings:
    assert right in GOOD
    return ours(read(GOOD.replace(right, wrong, 1).encode(), HERE))


def test_the_packaged_file_can_be_used() -> None:
    assert load(PACKAGED).listeners["counter-1"].place == ("127.0.0.1", 5433)


def test_paths_begin_at_the_file() -> None:
    good = settings()
    assert good.vault == HERE / "vault"
    assert good.server_key == HERE / "router.key"
    assert good.applications["resident"] == HERE / "app.key"
    assert good.servers["resident"].ca == "/etc/authd-seat/db.pem"
    assert good.servers["resident"].place == ("db.city.example", 5432)


def test_tables_of_other_brokers_are_not_ours() -> None:
    assert ours(read((GOOD + '[terminal.host]\nx = 1\n[system.form]\nkind = "form"\n').encode(), HERE)) == settings()


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('server_key = "router.key"', "", "server_key"),
        ('application = "resident"', 'application = "tax"', "application.tax: missing"),
        ('seats = ["counter-1"]', "seats = []", "1 to 32 seats"),
        ('seats = ["counter-1"]', 'seats = ["a", "a"]', "each once"),
        ('seat = "counter-1"\n', 'seat = "counter-2"\n', "none of server.resident.seats"),
        ('server = "resident"', 'server = "tax"', "no [server.tax]"),
        ('ca = "db.pem"', "", "certificate of who signs"),
        ('ca = "db.pem"', "tls = false", "this machine's own"),
        ("db.city.example:5432", "db.city.example", "host:port"),
        ("db.city.example:5432", "db.city.example:0", "host:port"),
        ("127.0.0.1:5433", "0.0.0.0:5433", "this machine's own"),
        ("127.0.0.1:5433", "/" + "a" * 107, "107 bytes"),
        ('seat = "counter-1"\n', 'seat = "counter-1"\nlanguage = "fr"\n', "language"),
        ('seat = "counter-1"\n', 'seat = "counter-1"\nkey = "x"\n', "together"),
        ('seat = "counter-1"\n', 'seat = "counter-1"\nrequire_tls = true\n', "require_tls"),
        ('seat = "counter-1"\n', 'seat = "counter-1"\nmost = 1000\n', "500"),
        ('seat = "counter-1"\n', 'seat = "counter-1"\npassword = "x"\n', "password"),
        ("[listener.counter-1]", '[listener."../x"]', "a name is"),
        ("[door]", "[door", "expected"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(right: str, wrong: str, said: str) -> None:
    with pytest.raises(BadSettings) as caught:
        settings(right, wrong)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_too_long(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"broker\.toml"):
        load(tmp_path / "broker.toml")
    (tmp_path / "broker.toml").write_bytes(b"#" * 262_145)
    with pytest.raises(BadSettings, match="longer"):
        load(tmp_path / "broker.toml")


def test_where_no_password_is_used_no_vault_is_opened() -> None:
    assert settings('ca = "db.pem"', 'ca = "db.pem"\nsign_on = "certificate"').vault is None


def test_no_server_is_no_broker() -> None:
    with pytest.raises(BadSettings, match="at least one"):
        ours(read(b'[door]\nrouter = "ipc:///r"\nserver_key = "k"\n', HERE))
