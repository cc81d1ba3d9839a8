from __future__ import annotations

from pathlib import Path

import pytest
import zmq

from authd.cli import main

KEY = "0123456789abcdefghijABCDEFGHIJ.-:+=^!/*?"
FILE = """
[door]
router = "ipc:///tmp/nobody-is-here.sock"
server_key = "{key}"
[application.resident]
key_file = "app.key"
forward = {{ origin = "{origin}" }}
"""


def written(folder: Path, origin: str = "https://resident.city.example") -> str:
    path = folder / "gateway.toml"
    path.write_text(FILE.format(key=KEY, origin=origin), encoding="utf-8")
    return str(path)


def test_a_good_file_is_called_good_and_nothing_is_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    public, secret = zmq.curve_keypair()
    (tmp_path / "app.key").write_bytes(public + b"\n" + secret + b"\n")
    assert main(["gateway", "--config", written(tmp_path), "--check"]) == 0
    assert capsys.readouterr().err == f"ok: {tmp_path / 'gateway.toml'} can be used\n"


@pytest.mark.parametrize("check", [["--check"], []])
def test_a_bad_file_is_named_with_what_is_expected(
    tmp_path: Path, check: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gateway", "--config", written(tmp_path, "https://a/b"), *check]) == 2
    assert "application.resident.forward.origin: expected an origin" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gateway", "--config", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err


@pytest.mark.parametrize("check", [["--check"], []])
@pytest.mark.parametrize("key", [None, "short\n", ""])
def test_a_key_that_cannot_be_used_is_said(
    tmp_path: Path, key: str | None, check: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if key is not None:
        (tmp_path / "app.key").write_text(key, encoding="ascii")
    assert main(["gateway", "--config", written(tmp_path), *check]) == 2
    assert "application.resident.key_file" in capsys.readouterr().err


@pytest.mark.parametrize("check", [["--check"], []])
def test_a_bad_table_that_is_found_late_is_said_as_it_is(
    tmp_path: Path, check: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(written(tmp_path))
    (tmp_path / "app.key").write_text(KEY, encoding="ascii")
    client = '[client.resident]\nstart = "https://a.example/"\nredirect_uris = ["https://a.example/callback"]\n'
    path.write_text(f'{path.read_text()}[gateway]\nlisten = "127.0.0.1:0"\n{client}', encoding="utf-8")
    assert main(["gateway", "--config", str(path), *check]) == 2
    said = capsys.readouterr().err
    assert "gateway.public: " in said
    assert "TaskGroup" not in said
