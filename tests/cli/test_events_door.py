"""`authd events --door`: what a daemon tells, as lines or as the signed bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from authd.cli import main
from authd.client import verify
from authd_simulators.mock import MockDaemon

ONE, TWO = "counter-1", "counter-2"


@pytest.fixture
def morning(mock_authd: MockDaemon) -> MockDaemon:
    """Two people, one of whom has gone; their names would steer a terminal."""
    mock_authd.log_in(ONE, mock_authd.person("1001", "佐藤\n\x1b[2J", section="resident"))
    mock_authd.lock(ONE, "absence")
    mock_authd.log_in(TWO, mock_authd.person("1002", "伊藤"))
    return mock_authd


def test_the_administrator_reads_a_line_an_event(morning: MockDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "--door", morning.local, "--lang", "en"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["#2", "#3", "#5"]
    assert "佐藤\\u000a\\u001b[2J (1001, resident)" in lines[0]
    assert "session.ended" in lines[1]
    assert main(["events", "--door", morning.local, "--seat", TWO, "--after", "2"]) == 0
    assert capsys.readouterr().out.startswith("#5")
    assert main(["events", "--door", morning.local, "--after", "5"]) == 0
    assert capsys.readouterr().out == ""


def test_an_application_gets_what_was_signed_for_it(morning: MockDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    resident = morning.application("resident", seats=(ONE,), account="staff_{staff_number}")
    keys = ["--key", str(resident.key_file), "--server-key", str(resident.server_key_file)]
    assert main(["events", "--door", morning.router, *keys, "--json"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["id"] for line in told] == ["2", "3"]
    verify(told[0].encode(), morning.event_key, "resident")
    assert "佐藤" not in told[0]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--door", "unix:/nowhere/door.sock"], 3, "no daemon answers"),
        (["--door", "nowhere"], 2, "an address is"),
        (["--door", "ipc:///nowhere", "--key", "/no.key", "--server-key", "/no.pub"], 2, "No such file"),
    ],
)
def test_what_is_wrong_is_one_line(words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", *words, "--lang", "en"]) == code
    assert said in capsys.readouterr().err


def test_a_number_beyond_the_end_and_a_strange_key_are_refused(
    morning: MockDaemon, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for words in (["--follow"], []):
        assert main(["events", *words, "--door", morning.local, "--after", "99", "--lang", "en"]) == 4
        assert "check that" in capsys.readouterr().err
    resident = morning.application("resident")
    morning.revoke(resident)
    keys = ["--key", str(resident.key_file), "--server-key", str(resident.server_key_file)]
    assert main(["events", "--door", morning.router, *keys, "--lang", "ja"]) == 4
    assert "断られました" in capsys.readouterr().err


@pytest.mark.real
def test_a_tail_goes_on_when_the_daemon_is_back(morning: MockDaemon) -> None:
    command = [sys.executable, "-m", "authd", "events", "--follow", "--after", "0", "--door", morning.local]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tail:
        assert tail.stdout is not None
        try:
            first = [tail.stdout.readline() for _ in range(3)]
            morning.kill()
            morning.start()
            last = tail.stdout.readline()
        finally:
            tail.kill()
    assert [line.split()[0] for line in [*first, last]] == ["#2", "#3", "#5", "#6"]
