"""A host's own change of a password, by a real s3270 and the field for a new one on the host's sign-on screen."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from authd.broker import systems
from authd.broker.rotation import ChangeRefused, NeitherOpens, SystemSilent, rotate, seal
from authd.broker.secret import Secret
from authd.broker.settings import read
from authd.broker.terminal.rotator import TerminalRotator
from authd.broker.vault import Vault
from tests.tools.gateway_stage import free_port
from tests.tools.howto import how_to
from tests.tools.terminal_host import Host, host

pytestmark = pytest.mark.real
NAME = "mainframe/S1042"
PAGE = how_to("seal-old-passwords").file("/etc/authd-seat/broker.toml")


@pytest.fixture
def mainframe() -> Generator[Host, None, None]:
    with host(free_port(), {"S1042": "ONANOTE1"}) as running:
        yield running


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.create(tmp_path / "vault")


def rotator(vault: Vault, port: int) -> TerminalRotator:
    """As the how-to page says it."""
    settings = read(PAGE.replace("L:host.city.example:992", f"127.0.0.1:{port}").encode(), Path("/"))
    found = systems.rotator(settings, NAME, vault)
    assert isinstance(found, TerminalRotator)
    return found


def test_what_was_on_a_note_opens_nothing_any_more(vault: Vault, mainframe: Host) -> None:
    by, known = rotator(vault, mainframe.port), Secret("ONANOTE1")
    with pytest.raises(NeitherOpens):
        seal(vault, NAME, Secret("WRONG1"), by)
    seal(vault, NAME, known, by)
    rotate(vault, NAME, by)
    assert not by.opens("S1042", known)
    assert by.opens("S1042", vault.get(NAME))
    assert sum("event=changed" in line for line in mainframe.lines) == 1
    assert not any(vault.get(NAME).reveal() in line for line in mainframe.lines)


def test_a_new_password_that_the_host_refuses_leaves_the_old_one(vault: Vault, mainframe: Host) -> None:
    by, known = rotator(vault, mainframe.port), Secret("ONANOTE1")
    with pytest.raises(ChangeRefused):
        by.change("S1042", known, Secret("REFUSED"))
    assert by.opens("S1042", known)


def test_a_host_that_is_not_there_says_neither_yes_nor_no(vault: Vault) -> None:
    with pytest.raises(SystemSilent):
        rotator(vault, free_port()).opens("S1042", Secret("ONANOTE1"))


def test_a_rotation_that_was_cut_short_behind_the_change_goes_on(vault: Vault, mainframe: Host) -> None:
    by, known = rotator(vault, mainframe.port), Secret("ONANOTE1")
    seal(vault, NAME, known, by)
    by.change("S1042", known, vault.stage(NAME, by.shape))
    rotate(vault, NAME, by)
    assert by.opens("S1042", vault.get(NAME))
    assert sum("event=changed" in line for line in mainframe.lines) == 1
