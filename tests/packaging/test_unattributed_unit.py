"""The watcher's unit: closed, an account of its own that is its role in PostgreSQL, and what it needs works there."""

from __future__ import annotations

import subprocess
import sys

from tests.packaging.checks import HIGHEST_EXPOSURE, exposure, systemd
from tests.packaging.unit import UNIT, settings
from tests.tools.howto import how_to

WATCHER = UNIT.with_name("authd-seat-unattributed.service")


@systemd
def test_it_is_as_closed_as_the_daemon() -> None:
    assert exposure(WATCHER) <= HIGHEST_EXPOSURE


def test_it_is_the_account_whose_role_the_page_makes() -> None:
    given, page = settings(WATCHER), how_to("unattributed-access")
    assert given["User"] == given["Group"] == ["authd_watch"]
    assert given["ExecStart"][0].endswith(" -I -m authd unattributed")
    assert "user=authd_watch" in page.file("/etc/authd-seat/unattributed.toml")
    accounts = UNIT.with_name("authd-seat.sysusers.conf").read_text(encoding="utf-8")
    assert "u authd_watch " in accounts
    assert "m authd_watch adm" in accounts


@systemd
def test_what_it_needs_works_as_confined_as_it_is() -> None:
    needs = (
        "import psycopg, zmq, authd.client, authd.broker.unattributed.run; zmq.Context().socket(zmq.DEALER).close(0)"
    )
    words = [sys.executable, "-m", "tests.packaging.unit", str(WATCHER), sys.executable, "-c", needs]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode, said.stderr) == (0, "")
