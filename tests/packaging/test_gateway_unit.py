"""The gateway's unit: as closed as a process can be that only speaks on loopback."""

from __future__ import annotations

from tests.packaging.checks import HIGHEST_EXPOSURE, complaints, exposure, systemd
from tests.packaging.unit import UNIT, settings

GATEWAY = UNIT.with_name("authd-seat-gateway.service")


@systemd
def test_it_is_closed() -> None:
    assert exposure(GATEWAY) <= HIGHEST_EXPOSURE


@systemd
def test_systemd_understands_every_line() -> None:
    assert complaints(GATEWAY) == []


def test_it_has_an_account_of_its_own_and_not_the_daemons() -> None:
    given = settings(GATEWAY)
    assert given["User"] == given["Group"] == ["authd-gateway"]
    assert given["ExecStart"][0].endswith(" -I -m authd gateway")
