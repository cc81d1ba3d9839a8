import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authd.broker.rotation import ChangeRefused, NeitherOpens, RotatorError, StillOpens, SystemSilent, rotate, seal
from authd.broker.rotation.rotate import healed
from authd.broker.secret import Secret
from authd.broker.vault import NotSealed, Vault
from tests.broker.systems import Fault, OldSystem

NAME = "tax/operator"
KNOWN = "somebody-remembers-it"


class Killed(BaseException):
    """The process ended here."""


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    made = Vault.create(tmp_path / "vault")
    made.put(NAME, Secret(KNOWN))
    return made


def test_what_somebody_remembers_stops_working_and_nobody_knows_the_new_one(vault: Vault) -> None:
    system = OldSystem(KNOWN)
    sealed = rotate(vault, NAME, system)
    assert not system.opens("operator", Secret(KNOWN))
    assert system.opens("operator", vault.get(NAME))
    assert sealed.rotated
    assert len(system.password) == 24


def test_a_password_that_is_not_right_is_not_sealed(tmp_path: Path) -> None:
    vault = Vault.create(tmp_path / "vault")
    with pytest.raises(NeitherOpens, match="type it again"):
        seal(vault, NAME, Secret("typo"), OldSystem(KNOWN))
    assert vault.names() == []
    seal(vault, NAME, Secret(KNOWN), OldSystem(KNOWN))
    assert vault.get(NAME).reveal() == KNOWN


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.SILENT_BEFORE, SystemSilent),
        (Fault.SILENT_AFTER, SystemSilent),
        (Fault.REFUSED, ChangeRefused),
        (Fault.LYING, StillOpens),
    ],
)
def test_whatever_goes_wrong_the_vault_still_opens_the_system_and_the_next_time_heals(
    vault: Vault, fault: Fault, error: type[RotatorError]
) -> None:
    system = OldSystem(KNOWN)
    system.fault = fault
    with pytest.raises(error) as told:
        rotate(vault, NAME, system)
    assert any(each.reveal() == system.password for each in vault.candidates(NAME))
    assert not any(each.reveal() in str(told.value) for each in vault.candidates(NAME))
    system.fault = Fault.NONE
    assert healed(vault, NAME, system) is not None
    assert vault.get(NAME).reveal() == system.password != KNOWN


@pytest.mark.parametrize("commanding", [False, True])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(points=st.lists(st.integers(0, 14), max_size=6))
def test_killed_anywhere_any_number_of_times_nobody_is_ever_locked_out(
    tmp_path_factory: pytest.TempPathFactory, commanding: bool, points: list[int]
) -> None:
    """Each number is where a run ends: before or after a call of the system, or before or after a file is in place."""
    vault = Vault.create(tmp_path_factory.mktemp("v") / "vault")
    vault.put(NAME, Secret(KNOWN))
    system = OldSystem(KNOWN, commanding=commanding)
    passed, wanted = 0, -1

    def at(point: str) -> None:
        nonlocal passed
        passed += 1
        if passed == wanted:
            raise Killed(point)

    system.between = at
    rename = Path.rename

    def renaming(self: Path, target: Path) -> Path:
        at("rename")
        moved = rename(self, target)
        at("renamed")
        return moved

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", renaming)
        for point in points:
            wanted, passed, system.failures = point, 0, 0
            with suppress(Killed):
                rotate(vault, NAME, system)
            candidates = [each.reveal() for each in vault.candidates(NAME)]
            assert system.password in candidates
            assert len(candidates) <= 2
        wanted, system.failures = -1, 0
        rotate(vault, NAME, system)
    assert vault.get(NAME).reveal() == system.password != KNOWN
    assert not vault.about(NAME).pending
    assert system.worst <= 2, "wrong passwords in a row within one run: old systems lock an account at five"


def test_changed_behind_its_back_it_says_so_and_keeps_what_it_has(vault: Vault) -> None:
    system = OldSystem(KNOWN)
    system.password = "set by somebody else"
    with pytest.raises(ChangeRefused):
        rotate(vault, NAME, system)
    with pytest.raises(NeitherOpens, match="authd credentials seal"):
        rotate(vault, NAME, system)
    assert len(vault.candidates(NAME)) == 2
    seal(vault, NAME, Secret(system.password), system)
    assert rotate(vault, NAME, system).rotated


def test_an_authority_sets_it_right_again(vault: Vault) -> None:
    system = OldSystem(KNOWN, commanding=True)
    system.password = "set by somebody else"
    rotate(vault, NAME, system)
    assert system.opens("operator", vault.get(NAME))


def test_a_full_disk_changes_nothing_at_the_system(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    system = OldSystem(KNOWN)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exception, match="No space left"):
        rotate(vault, NAME, system)
    assert system.believed == [KNOWN]


def test_nothing_to_heal(vault: Vault) -> None:
    assert healed(vault, NAME, OldSystem(KNOWN)) is None
    assert healed(vault, "tax/other", OldSystem(KNOWN)) is None
    with pytest.raises(NotSealed):
        rotate(vault, "tax/other", OldSystem(KNOWN))
