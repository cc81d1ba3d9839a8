import shutil
from pathlib import Path

import pytest

from authd.broker.inspection import Anchor, State, inspect
from authd.broker.rotation import Rotator, SystemSilent, rotate
from authd.broker.secret import Secret, Shape
from authd.broker.vault import Vault, VaultError
from tests.broker.systems import OldSystem

NAME = "tax/operator"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    made = Vault.create(tmp_path / "vault")
    made.put(NAME, Secret("old"))
    return made


def anchored(vault: Vault) -> dict[str, Anchor]:
    about = vault.about(NAME)
    return {NAME: Anchor(about.version, about.digest)}


def state(vault: Vault, anchors: dict[str, Anchor], rotator: Rotator | None) -> State:
    (look,) = inspect(vault, anchors, lambda name: rotator)
    return look.state


def file(vault: Vault) -> Path:
    return vault.folder / "tax+operator.sealed"


def test_from_known_to_in_order(vault: Vault) -> None:
    system = OldSystem("old")
    assert state(vault, {}, system) is State.UNRECORDED
    assert state(vault, anchored(vault), system) is State.KNOWN
    rotate(vault, NAME, system)
    assert state(vault, anchored(vault), system) is State.OK
    assert state(vault, anchored(vault), None) is State.OK


def test_an_older_file_put_back_whole_is_found(vault: Vault) -> None:
    shutil.copy(file(vault), vault.folder / "kept")
    rotate(vault, NAME, OldSystem("old"))
    anchors = anchored(vault)
    shutil.copy(vault.folder / "kept", file(vault))
    assert state(vault, anchors, None) is State.PUT_BACK


def test_another_file_of_the_same_version_is_found(vault: Vault) -> None:
    anchors = {NAME: Anchor(vault.about(NAME).version, "f" * 64)}
    assert state(vault, anchors, None) is State.SWAPPED


def test_what_was_cut_short_lost_or_damaged(vault: Vault) -> None:
    anchors = anchored(vault)
    vault.stage(NAME, Shape())
    assert state(vault, anchors, OldSystem("old")) is State.PENDING
    file(vault).write_bytes(b"authd-vault 1\n" + b"x" * 60)
    assert state(vault, anchors, OldSystem("old")) is State.DAMAGED
    file(vault).unlink()
    assert state(vault, anchors, OldSystem("old")) is State.LOST


def test_what_the_system_says(vault: Vault) -> None:
    class Silent(OldSystem):
        def opens(self, account: str, secret: Secret) -> bool:
            raise SystemSilent("silent")

    assert state(vault, anchored(vault), OldSystem("changed elsewhere")) is State.SHUT
    assert state(vault, anchored(vault), Silent("old")) is State.SILENT


def test_only_one_rotates_at_a_time(vault: Vault) -> None:
    with vault.rotating(), pytest.raises(VaultError, match="somebody else"), Vault.open(vault.folder).rotating():
        pass
    with vault.rotating():
        assert vault.get(NAME).reveal() == "old"
