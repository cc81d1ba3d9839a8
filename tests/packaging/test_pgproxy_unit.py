"""The broker's unit: closed, and an account of its own."""

from __future__ import annotations

from tests.packaging.checks import HIGHEST_EXPOSURE, exposure, systemd
from tests.packaging.unit import UNIT, settings

BROKER = UNIT.with_name("authd-seat-pgproxy.service")


@systemd
def test_it_is_as_closed_as_the_daemon() -> None:
    assert exposure(BROKER) <= HIGHEST_EXPOSURE


def test_it_is_an_account_of_its_own() -> None:
    given = settings(BROKER)
    assert given["User"] == given["Group"] == ["authd-broker"]
    accounts = UNIT.with_name("authd-seat.sysusers.conf").read_text(encoding="utf-8")
    assert "u authd-broker " in accounts
    assert given["ExecStart"][0].endswith(" -I -m authd pgproxy")
