"""The pages about the SDK, as written: their programs run, against the mock daemon."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from authd_simulators.mock import Entrance, MockDaemon
from tests.tools.howto import how_to, lines, shell

ONE = "counter-1"


@pytest.fixture
def resident(mock_authd: MockDaemon) -> Entrance:
    mock_authd.log_in(ONE, mock_authd.person("1001", "佐藤 花子"))
    return mock_authd.application("resident", scope=("name",), account="staff_{staff_number}")


def here(daemon: MockDaemon, resident: Entrance) -> Mapping[str, str]:
    """What stands in the pages -> what is here."""
    return {
        "ipc:///run/authd-seat/router.sock": daemon.router,
        "/etc/authd-seat/app-resident.key": str(resident.key_file),
        "/etc/authd-seat/router.key": str(resident.server_key_file),
    }


@contextmanager
def running(program: Path, *words: str) -> Generator[subprocess.Popen[str], None, None]:
    """A program of a page; ended at the end."""
    command = [sys.executable, program.name, *words]
    with subprocess.Popen(command, cwd=program.parent, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kept(place: Path, text: str) -> bool:
    """Whether a file comes to hold a text, within half a minute."""
    ends = time.perf_counter() + 30
    while place.read_text() != text and time.perf_counter() < ends:
        time.sleep(0.01)
    return place.read_text() == text


@pytest.mark.real
def test_the_whole_use(mock_authd: MockDaemon, resident: Entrance, tmp_path: Path) -> None:
    how_to("use-the-sdk").write(tmp_path, here(mock_authd, resident))
    ticket, _ = mock_authd.ticket(ONE, "resident")
    with running(tmp_path / "whole_use.py", ticket) as program:
        assert said(program).startswith("佐藤 花子 True rec_")
        mock_authd.lock(ONE, "absence")
        assert said(program) == "covered"
        assert program.wait(30) == 0


@pytest.mark.real
def test_without_asyncio(mock_authd: MockDaemon, resident: Entrance, tmp_path: Path) -> None:
    how_to("use-the-sdk").write(tmp_path, here(mock_authd, resident))
    with running(tmp_path / "without_asyncio.py", ONE) as program:
        assert said(program) == "staff_1001"
        mock_authd.lock(ONE, "idle")
        assert said(program) == "nobody"


@pytest.mark.real
def test_a_follower_goes_on_where_it_was(mock_authd: MockDaemon, resident: Entrance, tmp_path: Path) -> None:
    """Killed between two events, and started again."""
    how_to("follow-events").write(tmp_path, here(mock_authd, resident))
    with running(tmp_path / "follower.py") as program:
        assert said(program) == "2 session.started counter-1"
        mock_authd.lock(ONE, "absence")
        assert said(program) == "3 session.ended counter-1 absence"
        assert kept(tmp_path / "place", "3")
    mock_authd.log_in(ONE, mock_authd.person("1002", "伊藤"))
    with running(tmp_path / "follower.py") as program:
        assert said(program) == "5 session.started counter-1"


@pytest.mark.real
def test_events_at_a_terminal(mock_authd: MockDaemon, resident: Entrance, tmp_path: Path) -> None:
    local, remote = how_to("follow-events").commands()
    _, by_door = lines(local)
    told = shell(by_door, tmp_path, {"unix:/run/authd-seat/door.sock": mock_authd.local}).stdout
    assert "佐藤 花子 (1001)" in told
    shell(remote, tmp_path, here(mock_authd, resident))
    (event,) = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(event)["data"]["person"] == {"name": "佐藤 花子", "account": "staff_1001"}


@pytest.mark.real
def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    """With pytest as an integrator runs it: no configuration of ours, and the plugin found by its entry point."""
    how_to("test-your-application").write(tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."]
    done = subprocess.run([*command, "test_cover.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "3 passed" in done.stdout, done.stdout + done.stderr
