"""`unattributed.toml`: read strictly, refused in one line that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from authd.broker.unattributed.settings import Postgresql, Weblog, load, read
from authd.client.tables import BadSettings

GOOD = """\
[door]
socket = "run/door.sock"
[postgresql.residents]
application = "resident"
connect = "host=/run/postgresql user=authd_watch"
from = ["local", "10.0.0.0/30"]
known = [{ account = "backup", reason = "nightly", from = ["10.0.0.9"] }]
[weblog.residents]
application = "resident"
file = "/var/log/nginx/access.log"
"""


def test_it_says_which_systems(tmp_path: Path) -> None:
    (tmp_path / "u.toml").write_text(GOOD)
    settings = load(tmp_path / "u.toml")
    assert settings.address == f"unix:{tmp_path}/run/door.sock"
    database, log = settings.systems
    assert isinstance(database.table, Postgresql)
    assert isinstance(log.table, Weblog)
    assert (database.named, log.named) == ("resident", "resident")
    rules = database.table.rules("staff_{staff_number}", 3)
    assert (rules.grace_ms, rules.places.local, rules.known[0].places.has("10.0.0.9")) == (3_000, True, True)


def test_elsewhere_it_speaks_with_the_applications_own_key(tmp_path: Path) -> None:
    text = GOOD.replace('socket = "run/door.sock"', 'router = "tcp://seat:1"\nserver_key = "router.key"')
    text = text.replace('application = "resident"', 'application = "resident"\nkey_file = "app.key"')
    settings = read(text.encode(), tmp_path)
    assert (settings.address, settings.server_key) == ("tcp://seat:1", tmp_path / "router.key")
    assert [(each.key, each.named) for each in settings.systems] == [(tmp_path / "app.key", None)] * 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[door]", "[floor]", "floor"),
        ('socket = "run/door.sock"', "", "either socket, or router"),
        ('socket = "run/door.sock"', 'router = "tcp://a:1"', "server_key is missing"),
        ('socket = "run/door.sock"', 'router = "tcp://a:1"\nserver_key = "k"', "key_file is missing"),
        ("user=authd_watch", "user=a password=secret", "must not hold a password"),
        ("host=/run/postgresql user=authd_watch", "postgresql://a:secret@h/d", "must not hold a password"),
        ("10.0.0.0/30", "10.0.0.1/30", "write 10.0.0.5/32, or local"),
        ("connect =", "connekt =", "connekt"),
        ('file = "/var', 'cut = ["/nowhere/cut"]\nfile = "/var', "No such file"),
        ('file = "/var', 'format = "xml"\nfile = "/var', "xml"),
        ("[weblog.residents]", "[weblog.Bad-Name]", "settings"),
        (GOOD, "", "1 to 32 tables"),
        (GOOD, "\0", "expected TOML"),
    ],
)
def test_it_is_refused_in_one_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    assert old in GOOD
    with pytest.raises(BadSettings) as refused:
        read(GOOD.replace(old, new).encode(), tmp_path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_what_runs_with_our_rights_is_nobody_elses_to_write(tmp_path: Path) -> None:
    program = tmp_path / "cut"
    program.write_text("#!/bin/sh\n")
    text = GOOD.replace('file = "/var', f'cut = ["{program}"]\nfile = "/var')
    for mode, said in ((0o644, "can be run"), (0o777, "can be changed by others")):
        program.chmod(mode)
        with pytest.raises(BadSettings, match=said):
            read(text.encode(), tmp_path)
    program.chmod(0o755)
    read(text.encode(), tmp_path)
