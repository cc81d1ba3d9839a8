from __future__ import annotations

import os
from pathlib import Path

import pytest
import zmq

from authd.service.keys import ROUTER, KeyFault, Keys


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    made = Keys(tmp_path)
    made.create()
    return made


def test_folders_and_files_let_nobody_else_in(keys: Keys) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in keys.folder.rglob("*")}
    expected = {"curve": 0o700, "host.key": 0o600, "ledger.key": 0o600, "event.key": 0o600, "record.key": 0o600}
    expected["router.key"] = 0o600
    assert modes == expected
    assert keys.folder.stat().st_mode & 0o777 == 0o700


def test_making_keys_again_changes_none(keys: Keys) -> None:
    keys.create_curve("resident")
    before = {path: path.read_bytes() for path in keys.folder.rglob("*.key")}
    keys.create()
    keys.create_curve("resident")
    assert {path: path.read_bytes() for path in keys.folder.rglob("*.key")} == before


def test_the_keys_differ_and_sign(keys: Keys) -> None:
    event, ledger = keys.event_key(), keys.ledger_key()
    assert event.private_bytes_raw() != ledger.private_bytes_raw()
    event.public_key().verify(event.sign(b"x"), b"x")


def test_a_curve_pair_belongs_together_and_hides_its_secret(keys: Keys) -> None:
    pair = keys.curve(ROUTER)
    assert zmq.curve_public(pair.secret.encode()).decode() == pair.public
    assert pair.secret not in repr(pair)


def test_host_key_is_opened_but_not_inherited(keys: Keys) -> None:
    descriptor = keys.open_host_key()
    try:
        assert not os.get_inheritable(descriptor)
        assert os.read(descriptor, 64) == (keys.folder / "host.key").read_bytes()
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("name", ["host.key", "ledger.key", "event.key", "curve/router.key"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o602])
def test_a_file_others_can_touch_is_refused(keys: Keys, name: str, mode: int) -> None:
    (keys.folder / name).chmod(mode)
    with pytest.raises(KeyFault, match=f"mode {mode:04o} lets others in; run chmod 0600"):
        _load(keys, name)


@pytest.mark.parametrize("folder", [".", "curve"])
def test_a_folder_others_can_enter_is_refused(keys: Keys, folder: str) -> None:
    (keys.folder / folder).chmod(0o750)
    with pytest.raises(KeyFault, match="run chmod 0700"):
        _load(keys, "curve/router.key" if folder == "curve" else "host.key")


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_file_of_another_length_is_refused(keys: Keys, content: bytes) -> None:
    (keys.folder / "event.key").write_bytes(content)
    with pytest.raises(KeyFault, match=f"must be 32 bytes, is {len(content)}"):
        keys.event_key()


def test_a_link_is_not_followed(keys: Keys, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (keys.folder / "host.key").rename(elsewhere)
    (keys.folder / "host.key").symlink_to(elsewhere)
    with pytest.raises(KeyFault, match="cannot be opened"):
        keys.open_host_key()


def test_a_pipe_does_not_hang_the_start(keys: Keys) -> None:
    (keys.folder / "host.key").unlink()
    os.mkfifo(keys.folder / "host.key", 0o600)
    with pytest.raises(KeyFault, match="plain file"):
        keys.open_host_key()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_account_is_refused(keys: Keys) -> None:
    os.chown(keys.folder / "event.key", 65534, 65534)
    with pytest.raises(KeyFault, match="belongs to uid 65534"):
        keys.event_key()


def test_a_missing_key_is_not_silently_replaced(keys: Keys) -> None:
    (keys.folder / "host.key").unlink()
    assert not keys.exist
    with pytest.raises(KeyFault, match="is missing"):
        keys.open_host_key()


@pytest.mark.parametrize("lost", ["keys", "."])
def test_a_key_that_may_not_be_read_is_not_called_missing(keys: Keys, lost: str) -> None:
    """Closed by its folder or by the state folder; the account that owns it is named."""
    said = _as_another(keys, keys.folder.parent / lost)
    assert "is missing" not in said
    assert "authd init" not in said
    assert "may not be read by uid 54321; run this as root: runuser -u root -- authd" in said


def test_a_key_that_is_closed_itself_is_not_called_missing(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(KeyFault, match=r"host\.key: may not be read by .+; run this as "):
        keys.open_host_key()


def test_a_folder_that_is_not_there_is_called_missing_by_everybody(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(KeyFault, match=r"keys: is missing; run authd init on a new host"):
        Keys(tmp_path).record_key()


def _as_another(keys: Keys, closed: Path) -> str:
    """Return what an account of no name is told, in a process of its own; only this place is closed to it."""
    if os.geteuid():
        pytest.skip("only root can be another account")
    for place in (keys.folder.parent, *keys.folder.parent.parents[:2], keys.folder, *keys.folder.iterdir()):
        place.chmod(0o755)
    closed.chmod(0o600 if closed.is_file() else 0o700)
    reading, writing = os.pipe()
    if child := os.fork():
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        return said
    try:
        os.setgroups([])
        os.setresgid(54321, 54321, 54321)
        os.setresuid(54321, 54321, 54321)
        os.close(keys.open_host_key())
    except BaseException as error:  # of the child, which must not return
        os.write(writing, repr(error).encode())
    finally:
        os._exit(0)


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "A", "a\n", "-a", "é", "x" * 65, "a\0b"])
def test_a_name_is_never_a_path(keys: Keys, name: str) -> None:
    with pytest.raises(KeyFault, match="a key's name"):
        keys.create_curve(name)


def _load(keys: Keys, name: str) -> None:
    match name:
        case "host.key":
            os.close(keys.open_host_key())
        case "ledger.key":
            keys.ledger_key()
        case "event.key":
            keys.event_key()
        case _:
            keys.curve(ROUTER)
