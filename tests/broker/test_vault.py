import os
import shutil
from pathlib import Path

import pytest

from authd.broker import files
from authd.broker.secret import Secret, Shape
from authd.broker.vault import NotSealed, Vault, VaultError

NAME = "resident/staff_1042"
OTHER = "resident/staff_1043"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.create(tmp_path / "vault")


def file(vault: Vault, name: str) -> Path:
    return vault.folder / f"{name.replace('/', '+')}.sealed"


def test_what_was_put_is_got_by_another_process_too(vault: Vault) -> None:
    sealed = vault.put(NAME, Secret("古い合言葉 1"))
    assert (sealed.version, sealed.pending, sealed.rotated) == (1, False, False)
    assert Vault.open(vault.folder).get(NAME).reveal() == "古い合言葉 1"
    assert vault.about(NAME) == sealed


def test_nothing_of_a_password_lies_on_the_disk_or_in_a_message(vault: Vault) -> None:
    vault.put(NAME, Secret("hunter2"))
    staged = vault.stage(NAME, Shape()).reveal()
    for each in vault.folder.iterdir():
        assert b"hunter2" not in each.read_bytes()
        assert staged.encode() not in each.read_bytes()
    assert "hunter2" not in repr(vault) + repr(vault.about(NAME)) + repr(vault.candidates(NAME))


def test_files_and_folder_are_the_owners_alone(vault: Vault) -> None:
    vault.put(NAME, Secret("a"))
    assert vault.folder.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in vault.folder.iterdir()} == {0o600}


def test_short_and_long_passwords_are_files_of_one_size(vault: Vault) -> None:
    vault.put(NAME, Secret("a"))
    vault.put(OTHER, Secret("a" * 100))
    assert file(vault, NAME).stat().st_size == file(vault, OTHER).stat().st_size


def test_a_renamed_file_does_not_open(vault: Vault) -> None:
    vault.put(NAME, Secret("a"))
    vault.put(OTHER, Secret("b"))
    shutil.copy(file(vault, NAME), file(vault, OTHER))
    with pytest.raises(VaultError, match="does not open"):
        vault.get(OTHER)


def test_another_version_written_over_it_does_not_open(vault: Vault) -> None:
    vault.put(NAME, Secret("a"))
    data = bytearray(file(vault, NAME).read_bytes())
    data[len(b"authd-vault 1\n") + 7] += 1
    file(vault, NAME).write_bytes(data)
    with pytest.raises(VaultError, match="does not open"):
        vault.get(NAME)


def test_no_changed_bit_opens(vault: Vault) -> None:
    vault.put(NAME, Secret("a"))
    whole = file(vault, NAME).read_bytes()
    for at in range(0, len(whole), 7):
        file(vault, NAME).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(VaultError):
            vault.get(NAME)
    for size in (0, 5, 33, 34, len(whole) - 1):
        file(vault, NAME).write_bytes(whole[:size])
        with pytest.raises(VaultError):
            vault.get(NAME)


def test_another_vault_s_file_does_not_open(vault: Vault, tmp_path: Path) -> None:
    other = Vault.create(tmp_path / "other")
    other.put(NAME, Secret("a"))
    shutil.copy(file(other, NAME), file(vault, NAME))
    with pytest.raises(VaultError, match="another key"):
        vault.get(NAME)


def test_an_older_file_put_back_is_another_version_and_digest(vault: Vault) -> None:
    first = vault.put(NAME, Secret("a"))
    old = file(vault, NAME).read_bytes()
    last = vault.put(NAME, Secret("b"))
    file(vault, NAME).write_bytes(old)
    assert vault.about(NAME) == first
    assert (last.version, last.digest) > (first.version, "")


def test_while_it_is_replaced_both_are_known_and_never_a_third(vault: Vault) -> None:
    vault.put(NAME, Secret("old"))
    staged = vault.stage(NAME, Shape())
    assert vault.stage(NAME, Shape()).same(staged)
    assert [each.reveal() for each in vault.candidates(NAME)] == ["old", staged.reveal()]
    assert vault.get(NAME).reveal() == "old"
    assert vault.about(NAME).pending
    vault.promote(NAME)
    assert vault.get(NAME).same(staged)
    assert [each.reveal() for each in vault.candidates(NAME)] == [staged.reveal()]
    assert (vault.about(NAME).version, vault.about(NAME).rotated, vault.about(NAME).pending) == (3, True, False)


def test_nothing_staged_is_not_promoted(vault: Vault) -> None:
    vault.put(NAME, Secret("old"))
    with pytest.raises(VaultError, match="nothing is staged"):
        vault.promote(NAME)


def test_what_is_not_there(vault: Vault) -> None:
    for call in (vault.get, vault.about, vault.candidates, vault.remove, vault.promote):
        with pytest.raises(NotSealed, match="authd credentials seal"):
            call(NAME)


def test_names_and_remove(vault: Vault) -> None:
    vault.put(OTHER, Secret("b"))
    vault.put(NAME, Secret("a"))
    assert vault.names() == [NAME, OTHER]
    vault.remove(NAME)
    assert vault.names() == [OTHER]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "/a",
        "a/",
        "a/b/c",
        "../a",
        "a/..",
        "a/.b",
        "a b/c",
        "a+b/c",
        "a/b\0",
        "a/b\n",
        "ａ/b",
        "a/" + "b" * 64,
        "-a/b",
    ],
)
def test_a_name_is_never_a_path(vault: Vault, name: str) -> None:
    with pytest.raises(VaultError, match="system/account"):
        vault.put(name, Secret("a"))
    with pytest.raises(VaultError, match="system/account"):
        vault.get(name)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(vault: Vault, mode: int) -> None:
    vault.put(NAME, Secret("a"))
    file(vault, NAME).chmod(mode)
    with pytest.raises(VaultError, match="chmod 600"):
        vault.get(NAME)


def test_a_folder_or_key_that_others_may_read_is_refused(vault: Vault) -> None:
    (vault.folder / "vault.key").chmod(0o644)
    with pytest.raises(VaultError, match="chmod 600"):
        Vault.open(vault.folder)
    vault.folder.chmod(0o755)
    with pytest.raises(VaultError, match="chmod 700"):
        Vault.open(vault.folder)


def test_links_and_pipes_are_refused(vault: Vault, tmp_path: Path) -> None:
    vault.put(NAME, Secret("a"))
    file(vault, OTHER).symlink_to(file(vault, NAME))
    with pytest.raises(VaultError):
        vault.get(OTHER)
    file(vault, OTHER).unlink()
    os.mkfifo(file(vault, OTHER), 0o600)
    with pytest.raises(VaultError):
        vault.get(OTHER)


def test_a_lost_key_is_said_and_never_made_anew(vault: Vault) -> None:
    vault.put(NAME, Secret("a"))
    (vault.folder / "vault.key").unlink()
    with pytest.raises(VaultError, match=r"vault\.key: is missing; put it back"):
        Vault.create(vault.folder)
    (vault.folder / "vault.key").write_bytes(b"short")
    (vault.folder / "vault.key").chmod(0o600)
    with pytest.raises(VaultError, match="32 bytes"):
        Vault.open(vault.folder)


def test_the_unit_s_own_key_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "credentials"
    given.mkdir()
    (given / "vault.key").write_bytes(b"k" * 32)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    vault = Vault.create(tmp_path / "vault")
    vault.put(NAME, Secret("a"))
    assert not (vault.folder / "vault.key").exists()
    assert Vault.open(vault.folder).get(NAME).reveal() == "a"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(VaultError, match="is missing"):
        Vault.open(vault.folder)


def test_a_change_that_fails_leaves_what_was_there(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.put(NAME, Secret("old"))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(VaultError, match="No space left"):
        vault.stage(NAME, Shape())
    monkeypatch.undo()
    assert vault.get(NAME).reveal() == "old"
    assert not vault.about(NAME).pending
    assert not list(vault.folder.glob(".*.draft"))


def test_a_file_that_may_not_be_read_is_not_called_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(VaultError, match="may not be read; run this as root or as the account of its owner") as raised:
        files.read(tmp_path / "master.key", 32, None)
    assert not isinstance(raised.value, files.Missing)
