"""The brokers' unit: closed, and an account of its own; and the timer that replaces passwords, as its page shows it."""

from __future__ import annotations

import re

from authd.cli import VERBS
from tests.packaging.checks import HIGHEST_EXPOSURE, exposure, systemd
from tests.packaging.unit import UNIT, settings
from tests.tools.howto import how_to, same

BROKER = UNIT.with_name("authd-seat-broker@.service")
ROTATE = UNIT.with_name("authd-seat-rotate.service")


@systemd
def test_it_is_as_closed_as_the_daemon() -> None:
    assert exposure(BROKER) <= HIGHEST_EXPOSURE


def test_it_is_an_account_of_its_own_and_its_instances_are_verbs() -> None:
    given = settings(BROKER)
    assert given["User"] == given["Group"] == ["authd-broker"]
    assert given["ExecStart"][0].endswith(" -I -m authd %i")
    for verb in re.findall(r"authd-seat-broker@([a-z]+)", BROKER.read_text(encoding="utf-8")):
        assert VERBS[verb] == "brokers"


def test_the_timer_is_the_page_s_and_runs_the_page_s_command() -> None:
    page = how_to("seal-old-passwords")
    same(page, "authd-seat-rotate.timer", UNIT.with_name("authd-seat-rotate.timer"))
    command = settings(ROTATE)["ExecStart"][0].partition("-m ")[2]
    assert command in page.commands()[1]
