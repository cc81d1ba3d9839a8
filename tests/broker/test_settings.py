from pathlib import Path

import msgspec
import pytest

from authd.broker.settings import load, read
from authd.client.tables import BadSettings

HERE = Path("/here")
KEY = "a" * 40


class Table(msgspec.Struct, forbid_unknown_fields=True):
    host: str


def test_a_whole_file(tmp_path: Path) -> None:
    (tmp_path / "broker.toml").write_text(
        '[door]\nrouter = "ipc:///r"\nserver_key = "router.key"\n[vault]\nfolder = "vault"\n'
        '[application.resident]\nkey_file = "/k"\n[terminal.host]\nhost = "h"\n'
    )
    settings = load(tmp_path / "broker.toml")
    assert settings.vault == tmp_path / "vault"
    assert settings.door() == ("ipc:///r", tmp_path / "router.key")
    assert settings.key_file("resident") == Path("/k")
    assert settings.each("terminal", Table) == {"host": Table("h")}
    assert settings.each("form", Table) == {}


def test_a_key_may_stand_in_the_file() -> None:
    assert read(f'[door]\nrouter = "r"\nserver_key = "{KEY}"\n'.encode(), HERE).door() == ("r", KEY)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"\xff", "expected TOML"),
        (b"[" * 9_000, "expected TOML"),
        (b"a" * 262_145, "longer than"),
        (b"other = 1", "settings: Object contains unknown field `other`"),
        (b"[vault]\nfolders = 'a'", "folders"),
        (b"[terminal]\n'a/b' = {}", "expected a name"),
        ("\n".join(f"[terminal.t{n}]" for n in range(65)).encode(), "at most 64"),
    ],
)
def test_a_file_that_must_not_be_used_is_refused_in_one_line(text: bytes, told: str) -> None:
    with pytest.raises(BadSettings, match=told) as said:
        read(text, HERE)
    assert "\n" not in str(said.value)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="--config"):
        load(tmp_path / "none.toml")
    nothing = read(b"", HERE)
    with pytest.raises(BadSettings, match="door: missing"):
        nothing.door()
    with pytest.raises(BadSettings, match=r"application\.resident: missing"):
        nothing.key_file("resident")
    with pytest.raises(BadSettings, match=r"terminal\.a: Object missing required field `host`"):
        read(b"[terminal.a]", HERE).each("terminal", Table)
