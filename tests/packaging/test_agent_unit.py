"""The agent's unit: of the desktop's own account, started again at once, and never taking its locker with it."""

from __future__ import annotations

import tomllib

from authd.cli import parser
from tests.packaging.checks import complaints, systemd
from tests.packaging.unit import UNIT, settings

AGENT = UNIT.with_name("authd-seat-agent@.service")
PAGE = UNIT.parents[1] / "docs" / "how-to" / "desktop.md"


@systemd
def test_systemd_understands_every_line() -> None:
    assert complaints(AGENT, "--user") == []


def test_its_end_leaves_the_locker_and_it_comes_back() -> None:
    given = settings(AGENT)
    assert given["KillMode"] == ["process"]
    assert given["Restart"] == ["always"]
    assert given["Type"] == ["notify"]
    words = given["ExecStart"][0].replace("%i", "counter-1").split()
    python, verb = words[:4], words[4:]
    assert python == ["/opt/authd-seat/bin/python", "-I", "-m", "authd"], "as every other unit's"
    assert parser(verb[0]).parse_args(verb).seat == "counter-1"


def test_the_page_shows_what_authd_toml_knows() -> None:
    shown = tomllib.loads("\n".join(line.removeprefix("   ") for line in _fenced().splitlines()))
    assert shown["seat"]["counter-1"]["on_cover_failure"] == "end-session"
    assert shown["seat"]["counter-1"]["desktop"] is True


def _fenced() -> str:
    return PAGE.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
